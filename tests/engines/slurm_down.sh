#!/usr/bin/env bash
# Ends what slurm_up.sh started below $SLURM_DIR, jobs included, by the pids that lie there, and
# removes the folder (KEEP=1 leaves it). May be said again.
set -uo pipefail
export PATH=$PATH:/usr/sbin:/sbin
SLURM_DIR=${SLURM_DIR:?}
export SLURM_CONF=$SLURM_DIR/etc/slurm.conf
[ -d "$SLURM_DIR/run" ] || exit 0

end() { # end NAME PIDFILE [SIGNAL]
  local pid
  pid=$(cat "$2" 2>/dev/null) || return
  grep -q "^$1" "/proc/$pid/comm" 2>/dev/null || return
  kill "-${3:-TERM}" "$pid" 2>/dev/null
  for _ in $(seq 100); do
    grep -q "^$1" "/proc/$pid/comm" 2>/dev/null || return
    grep -q '^State:[[:space:]]*[ZX]' "/proc/$pid/status" 2>/dev/null && return
    sleep 0.05
  done
  kill -KILL "$pid" 2>/dev/null
}

# The processes of jobs first: nobody else would end them. Of a node with a namespace of its own
# the first process takes all others with it.
for node in "$SLURM_DIR"/run/*.node; do
  [ -e "$node" ] && end bash "$node" KILL
done
for slurmd in "$SLURM_DIR"/run/*.slurmd; do
  [ -e "$slurmd" ] && end slurmd "$slurmd"
done
mine() { # the processes whose environment names this cluster, as all of its jobs' do
  grep -lzsxF "SLURM_CONF=$SLURM_CONF" /proc/[0-9]*/environ | cut -d/ -f3 | grep -vxe $$ -e $PPID
}
for pid in $(mine); do
  tr '\0' '\n' 2>/dev/null <"/proc/$pid/environ" | grep -q '^SLURM_JOB_ID=' && kill -KILL "$pid"
  grep -qs '^slurmstepd' "/proc/$pid/comm" && kill -KILL "$pid"
done
end slurmctld "$SLURM_DIR/run/slurmctld.pid"
end munged "$SLURM_DIR/run/munged.pid"
[ "${KEEP:-}" ] || rm -rf "$SLURM_DIR"
exit 0
