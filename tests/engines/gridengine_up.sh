#!/usr/bin/env bash
# A real GridEngine of one host on this machine, beside whatever else runs here; up already: nothing happens.
#
#   bash gridengine_up.sh            # GRIDENGINE_DIR=DIR SLOTS=4
#   . $GRIDENGINE_DIR/env.sh         # puts its qsub, qstat, qdel, qconf first on PATH
#   bash gridengine_down.sh
#
# Debian's packages gridengine-master, -exec and -client, as root. It lives in a network of its own, where the host is
# called localhost: GridEngine believes in host names, and its daemons listen on all addresses. Files and processes are
# the machine's own.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
dir=${GRIDENGINE_DIR:-/tmp/modeldir-gridengine}
slots=${SLOTS:-4}

say() { echo "gridengine_up: $*" >&2; exit 1; }
alive() { [ -s "$dir/run/$1.pid" ] && kill -0 "$(cat "$dir/run/$1.pid")" 2>/dev/null; }
inside() { nsenter --target "$(cat "$dir/run/network.pid")" --net --uts -- "$@"; }
until_true() { # SECONDS COMMAND...
    local deadline=$((SECONDS + $1)); shift
    until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $deadline ] || return 1; sleep 0.1; done
}

[ "$(id -u)" = 0 ] || say "only root can give it a network of its own"
for program in /usr/sbin/sge_qmaster /usr/sbin/sge_execd /usr/lib/gridengine/qsub; do
    [ -x "$program" ] || say "$program is not there: apt-get install gridengine-master gridengine-exec gridengine-client"
done
if alive network && alive qmaster && alive execd; then echo "up already: $dir"; exit 0; fi
bash "$here/gridengine_down.sh" >/dev/null
rm -rf "$dir"
mkdir -p "$dir"/{run,bin,root/default/common,spool/qmaster,spool/execd,spool/db}
dir=$(cd "$dir" && pwd)
for each in bin lib util utilbin; do ln -s "/var/lib/gridengine/$each" "$dir/root/$each"; done

# -- Its network, and how to get into it -----------------------------------------------------------
setsid unshare --net --uts bash -c '
    hostname localhost
    ip link set lo up
    : > "$1"
    exec sleep infinity' network "$dir/run/network.up" >/dev/null 2>&1 </dev/null &
echo $! > "$dir/run/network.pid"
until_true 10 test -e "$dir/run/network.up" || say "no network of its own (unshare --net)"
# setsid forks where it has to: the pid that counts is that of whoever sleeps in the new network.
export SGE_ROOT=$dir/root SGE_CELL=default SGE_QMASTER_PORT=6444 SGE_EXECD_PORT=6445
export SGE_ARCH; SGE_ARCH=$(/usr/share/gridengine/util/arch)
for program in qsub qstat qdel qconf qmod qhold qrls; do
    cat > "$dir/bin/$program" <<END
#!/bin/sh
export SGE_ROOT='$SGE_ROOT' SGE_CELL=$SGE_CELL SGE_ARCH=$SGE_ARCH SGE_QMASTER_PORT=6444 SGE_EXECD_PORT=6445
exec nsenter --target $(cat "$dir/run/network.pid") --net --uts -- /usr/lib/gridengine/$program "\$@"
END
    chmod +x "$dir/bin/$program"
done
cat > "$dir/env.sh" <<END
export PATH='$dir/bin':"\$PATH" GRIDENGINE_DIR='$dir'
END

# -- The master ------------------------------------------------------------------------------------
sed -e "s|^admin_user .*|admin_user none|" -e "s|/var/spool/gridengine/spooldb|$dir/spool/db|" \
    -e "s|/var/spool/gridengine/qmaster|$dir/spool/qmaster|" \
    /usr/share/gridengine/default-bootstrap > "$SGE_ROOT/default/common/bootstrap"
echo localhost > "$SGE_ROOT/default/common/act_qmaster"
inside /usr/share/gridengine/scripts/init_cluster "$SGE_ROOT" default "$dir/spool/db" root > "$dir/run/init.log" 2>&1 ||
    say "the cluster cannot be made: $(tail -3 "$dir/run/init.log")"
daemon() { # NAME PROGRAM
    SGE_ND=1 setsid nsenter --target "$(cat "$dir/run/network.pid")" --net --uts -- "$2" \
        > "$dir/run/$1.log" 2>&1 </dev/null &
    echo $! > "$dir/run/$1.pid"
}
PATH=$dir/bin:$PATH
daemon qmaster /usr/sbin/sge_qmaster
until_true 20 qconf -sconf || say "no master: $(tail -3 "$dir/run/qmaster.log")"

# -- How it is set: quick, and open to root --------------------------------------------------------
set_up=$dir/run/settings; mkdir -p "$set_up"; cd "$set_up"
qconf -sconf | sed -e 's/^min_uid .*/min_uid 0/' -e 's/^min_gid .*/min_gid 0/' \
    -e "s|^execd_spool_dir .*|execd_spool_dir $dir/spool/execd|" -e 's/^load_report_time .*/load_report_time 00:00:02/' \
    -e 's/^shell_start_mode .*/shell_start_mode unix_behavior/' -e 's/^max_unheard .*/max_unheard 00:01:00/' |
    grep -v '^#' > global
qconf -Mconf global >/dev/null
qconf -ssconf | sed -e 's/^schedule_interval .*/schedule_interval 0:0:1/' \
    -e 's/^flush_submit_sec .*/flush_submit_sec 1/' -e 's/^flush_finish_sec .*/flush_finish_sec 1/' > scheduler
qconf -Msconf scheduler >/dev/null
qconf -ah localhost >/dev/null 2>&1 || true
qconf -as localhost >/dev/null 2>&1 || true
daemon execd /usr/sbin/sge_execd
until_true 20 sh -c 'qconf -sel | grep -q localhost' || say "no execution host: $(tail -3 "$dir/run/execd.log")"
qconf -sq | sed -e 's/^qname .*/qname all.q/' -e 's/^hostlist .*/hostlist localhost/' -e "s/^slots .*/slots $slots/" \
    -e 's/^load_thresholds .*/load_thresholds NONE/' -e 's/^shell_start_mode .*/shell_start_mode unix_behavior/' \
    -e 's|^shell .*|shell /bin/sh|' -e 's/^pe_list .*/pe_list NONE/' -e 's/^ckpt_list .*/ckpt_list NONE/' > queue
qconf -Aq queue >/dev/null
until_true 30 sh -c 'qstat -f | grep "all.q@localhost" | grep -vq au' || say "its queue does not open: $(qstat -f)"
echo "up: . $dir/env.sh"
