#!/bin/sh
# Made by guildai 0.9.0 (and pydantic below 2): sh make_guild.sh GUILD (the path of the command `guild`)
set -e
here=$(cd "$(dirname "$0")" && pwd); guild=${1:-guild}; work=$(mktemp -d)
cat > "$work/train.py" <<'PY'
learning_rate = 0.1
name = "mlp"
for step in range(3):
    print(f"step: {step}")
    print(f"accuracy: {0.5 + step / 10 - learning_rate}")
if learning_rate > 0.5:
    raise ValueError("it diverged")
PY
cd "$work"
# Not in the project: Guild would copy its runs into each run.
GUILD_HOME=$(mktemp -d); export GUILD_HOME; NO_WARN_RUNDIR=1; export NO_WARN_RUNDIR
for rate in 0.1 0.01 1.0; do
    "$guild" run train.py learning_rate=$rate name="a b" --yes || true
done
rm -rf "$here/guild"; mkdir "$here/guild"; cp -r "$GUILD_HOME/runs" "$here/guild/runs"
cd "$here/guild"
rm -rf runs/*/.guild/sourcecode runs/*/.guild/job-packages runs/*/train.py
for name in env pip_freeze platform host user plugins sourcecode_digest; do rm -f runs/*/.guild/attrs/$name; done
rm -f runs/*/.guild/manifest runs/*/.guild/output.index
grep -rlI "$work\|$GUILD_HOME\|$(dirname "$(dirname "$guild")")" . | xargs sed -i \
    "s#$work#/home/user/project#g; s#$GUILD_HOME#/home/user/.guild#g; s#$(dirname "$(dirname "$guild")")#/usr#g"
rm -rf "$work" "$GUILD_HOME"
