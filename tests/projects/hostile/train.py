"""A short training run that knows nothing of modeldir and keeps a journal of its own.

It adds one line to the journal when it starts and one when it ends, each by a single write. It
also holds a lock for its configuration: a second run of the same one writes `overlap`.
"""

import fcntl
import json
import os
import sys
import time

folder = sys.argv[sys.argv.index("--model_dir") + 1]
home = os.environ["HOSTILE_HOME"]
with open(os.path.join(folder, "params.json")) as file:
    x = json.load(file)["x"]


def tell(what):
    line = {
        "what": what,
        "trial": os.path.basename(folder),
        "x": x,
        "attempt": os.environ.get("MODELDIR_ATTEMPT"),
        "host": os.uname().nodename,
        "pid": os.getpid(),
        "time": time.monotonic(),  # one clock for all emulated hosts: they share a kernel
    }
    journal = os.open(os.path.join(home, "journal.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(journal, json.dumps(line).encode() + b"\n")
    os.close(journal)


lock = os.open(os.path.join(home, "running", str(x)), os.O_RDWR | os.O_CREAT)
tell("start")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    tell("overlap")
print("training", x, flush=True)
time.sleep(float(os.environ.get("HOSTILE_SECONDS", "0.3")))
path = os.path.join(folder, "metrics_eval_best_weights.json")
with open(path + ".new", "w") as file:
    json.dump({"accuracy": x / 100}, file)
os.replace(path + ".new", path)
tell("end")
