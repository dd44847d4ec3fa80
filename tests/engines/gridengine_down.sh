#!/usr/bin/env bash
# End the GridEngine that gridengine_up.sh started: its processes alone, by the pids that were written down. WIPE=1 also
# removes its folder.
set -euo pipefail
dir=${GRIDENGINE_DIR:-/tmp/modeldir-gridengine}

for name in execd qmaster network; do
    [ -s "$dir/run/$name.pid" ] || continue
    pid=$(cat "$dir/run/$name.pid")
    # Pids are used again: only one that has to do with this folder, or sleeps in our network, is ours.
    case $(tr '\0' ' ' < "/proc/$pid/cmdline" 2>/dev/null || true) in
        *sge_qmaster* | *sge_execd* | "sleep infinity "*) ;;
        *) rm -f "$dir/run/$name.pid"; continue ;;
    esac
    kill "$pid" 2>/dev/null || true
    for _ in $(seq 50); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -9 "$pid" 2>/dev/null || true
    rm -f "$dir/run/$name.pid"
done
[ "${WIPE:-}" != 1 ] || rm -rf "$dir"
echo "down: $dir"
