#!/usr/bin/env bash
# A real Slurm on this machine: one controller and some nodes, in about a second, everything below
# one folder. Said again it starts what is missing: so a killed daemon comes back.
#
#   SLURM_DIR=DIR       state, logs, sockets, pids, env.sh (keep it short: it holds a socket)
#   BASE_PORT=27817     the controller's port; node i listens on BASE_PORT + i
#   NODES=2 CPUS=4      how many nodes, and the CPUs each claims to have (real or not)
#   GPUS=0              GPUs each claims to have
#   NAMESPACES=auto     yes, no: each node in a pid and a host name namespace of its own, so that
#                       its processes are another machine's to everybody else. auto: where we may
#   EXTRA_CONF=LINES    more lines of slurm.conf
#
# Needs munged, slurmctld, slurmd (Debian: munge slurmctld slurmd slurm-client). No systemd, no
# cgroups, no database. Afterwards: . $SLURM_DIR/env.sh
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin
SLURM_DIR=${SLURM_DIR:?} BASE_PORT=${BASE_PORT:-27817}
NODES=${NODES:-2} CPUS=${CPUS:-4} GPUS=${GPUS:-0} EXTRA_CONF=${EXTRA_CONF:-}
NAMESPACES=${NAMESPACES:-auto}
run=$SLURM_DIR/run log=$SLURM_DIR/log
export SLURM_CONF=$SLURM_DIR/etc/slurm.conf

runs() { # runs NAME PIDFILE: a daemon of ours; a zombie is none
  local pid
  pid=$(cat "$2" 2>/dev/null) && grep -q "^$1" "/proc/$pid/comm" 2>/dev/null &&
    ! grep -q '^State:[[:space:]]*[ZX]' "/proc/$pid/status"
}

wait_until() { # wait_until SECONDS WHAT COMMAND...
  local end=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    if [ $SECONDS -ge "$end" ]; then
      echo "slurm_up: $what: not within the time; see $log" >&2
      tail -n 5 "$log"/*.log >&2
      exit 1
    fi
    sleep 0.05
  done
}

configure() { # once: a cluster that runs keeps its settings
  [ -s "$SLURM_CONF" ] && return
  if [ "$NAMESPACES" = auto ]; then
    NAMESPACES=no
    unshare --pid --fork --mount-proc --uts true 2>/dev/null && NAMESPACES=yes
  fi
  echo "NODES=$NODES BASE_PORT=$BASE_PORT NAMESPACES=$NAMESPACES" >"$SLURM_DIR/etc/settings"
  printf 'export SLURM_CONF=%s PATH=$PATH:/usr/sbin\n' "$SLURM_CONF" >"$SLURM_DIR/env.sh"
  local nodes="" gres="" i host
  cat /etc/hosts >"$SLURM_DIR/etc/hosts"
  for i in $(seq "$NODES"); do
    host=$([ "$NAMESPACES" = yes ] && echo "n$i" || hostname -s)
    echo "127.0.0.1 n$i" >>"$SLURM_DIR/etc/hosts"
    nodes+="NodeName=n$i NodeHostname=$host NodeAddr=127.0.0.1 Port=$((BASE_PORT + i))"$'\n'
  done
  if [ "$GPUS" -gt 0 ]; then # Slurm hands out numbers; any devices do for that
    echo "Name=gpu File=/dev/tty[0-$((GPUS - 1))]" >"$SLURM_DIR/etc/gres.conf"
    gres=" Gres=gpu:$GPUS" EXTRA_CONF+=$'\n'"GresTypes=gpu"
  fi
  cat >"$SLURM_CONF" <<CONF
ClusterName=modeldir
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmctldPort=$BASE_PORT
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
CommunicationParameters=NoAddrCache,NoInAddrAny,NoCtldInAddrAny
AuthType=auth/munge
CredType=cred/munge
# A job that is requeued waits for its old credential to be void: 121 s, if this is not said.
AuthInfo=socket=$SLURM_DIR/munge/socket,cred_expire=5
StateSaveLocation=$SLURM_DIR/state
SlurmdSpoolDir=$SLURM_DIR/spool/%n
SlurmctldPidFile=$run/slurmctld.pid
SlurmdPidFile=$SLURM_DIR/spool/%n/slurmd.pid
SlurmctldLogFile=$log/slurmctld.log
SlurmdLogFile=$log/%n.log
# No cgroups, no affinity, no accounting: what a test machine need not have.
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
SwitchType=switch/none
MpiDefault=none
# Schedule at once, look again every second.
SchedulerParameters=sched_interval=1,sched_min_interval=0,batch_sched_delay=0,bf_interval=1,default_queue_depth=1000,requeue_delay=1
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PriorityType=priority/basic
# A lost node is noticed, and a job killed, in seconds.
SlurmctldTimeout=10
SlurmdTimeout=5
KillWait=2
MessageTimeout=10
TCPTimeout=2
InactiveLimit=0
ReturnToService=2
JobRequeue=1
SlurmdParameters=config_overrides
NodeName=DEFAULT CPUs=$CPUS RealMemory=4096 State=UNKNOWN$gres
$nodes
PartitionName=debug Nodes=ALL Default=YES MaxTime=INFINITE DefaultTime=10:00 State=UP
$EXTRA_CONF
CONF
}

start_munged() {
  runs munged "$run/munged.pid" && return
  [ -s "$SLURM_DIR/munge/key" ] || (umask 077 && head -c 128 /dev/urandom >"$SLURM_DIR/munge/key")
  munged --force --key-file="$SLURM_DIR/munge/key" --socket="$SLURM_DIR/munge/socket" \
    --pid-file="$run/munged.pid" --log-file="$log/munged.log" --seed-file="$SLURM_DIR/munge/seed"
}

start_controller() {
  runs slurmctld "$run/slurmctld.pid" || slurmctld -f "$SLURM_CONF" </dev/null >>"$log/start.log" 2>&1
}

start_node() { # start_node NAME
  local slurmd=(slurmd -N "$1" -f "$SLURM_CONF")
  runs slurmd "$run/$1.slurmd" && return
  mkdir -p "$SLURM_DIR/spool/$1"
  if [ "$NAMESPACES" = no ]; then
    "${slurmd[@]}" </dev/null >>"$log/start.log" 2>&1
    cp "$SLURM_DIR/spool/$1/slurmd.pid" "$run/$1.slurmd"
    return
  fi
  # The first process of the node reaps what the others leave. With it the whole node dies.
  if ! runs bash "$run/$1.node"; then
    setsid unshare --pid --fork --kill-child --mount-proc --uts \
      bash -c 'mount --bind "$2" /etc/hosts; hostname "$1"; sleep infinity & wait' \
      node "$1" "$SLURM_DIR/etc/hosts" </dev/null >>"$log/start.log" 2>&1 &
    local outer=$!
    wait_until 10 "node $1" init_of "$outer"
    init_of "$outer" >"$run/$1.node"
  fi
  local init
  init=$(cat "$run/$1.node")
  wait_until 10 "host name of $1" inside "$init" sh -c "[ \$(hostname) = $1 ]"
  rm -f "$SLURM_DIR/spool/$1/slurmd.pid"
  inside "$init" "${slurmd[@]}" </dev/null >>"$log/start.log" 2>&1
  wait_until 10 "slurmd of $1" note_slurmd "$1" "$init"
}

init_of() { # the child of an unshare, by its pid here
  local child
  child=$(cat "/proc/$1/task/$1/children") && [ -n "$child" ] && echo "${child% }"
}

inside() { # inside INIT COMMAND...: run it in that node
  local init=$1
  shift
  nsenter --target "$init" --pid --mount --uts "$@"
}

note_slurmd() { # note_slurmd NODE INIT: write its pid here; its own file has the namespace's
  local child inside
  inside=$(cat "$SLURM_DIR/spool/$1/slurmd.pid")
  for child in $(cat "/proc/$2/task/$2/children"); do
    # A child may have ended since: while slurmd detaches, it passes through two others.
    if grep -qE "^NSpid:.*[[:space:]]$inside\$" "/proc/$child/status" 2>/dev/null; then
      echo "$child" >"$run/$1.slurmd"
      return
    fi
  done
  return 1
}

all_are_up() {
  [ "$(sinfo -h -N -o '%N %t' | sort -u | grep -cE ' (idle|mix|alloc|comp)$')" -ge "$NODES" ]
}

mkdir -p "$SLURM_DIR"/{etc,log,run,munge,state,spool}
chmod 755 "$SLURM_DIR" "$SLURM_DIR/munge" "$run"
configure
. "$SLURM_DIR/etc/settings"
start_munged
start_controller
for i in $(seq "$NODES"); do start_node "n$i"; done
wait_until 20 "nodes" all_are_up
