"""Trainings of every temper, for the chaos suite. Knows of modeldir only where `kind` is `ours`.

Each start and each regular end is one line in the journal, with the token of the attempt: what
really ran, told by nobody but the training itself.
"""

import argparse
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import time

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True)
parser.add_argument("--note", required=True)
parser.add_argument("--restore_file")
args = parser.parse_args()

token = os.environ["MODELDIR_RUN"].partition(":")[0]
home = os.environ["CHAOS_HOME"]
with open(os.path.join(args.model_dir, "trial.json")) as file:
    number = json.load(file)["number"]
with open(os.path.join(args.model_dir, "params.json")) as file:
    params = json.load(file)
kind, index = params["kind"], params["index"]


def tell(what, **facts):
    """One line to the journal, by one write."""
    line = json.dumps({"what": what, "token": token, "number": number, "kind": kind, **facts})
    journal = os.open(os.path.join(home, "journal.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(journal, line.encode() + b"\n")
    os.close(journal)


def save(name, value):
    path = os.path.join(args.model_dir, name)
    with open(path + ".new", "w") as file:
        json.dump(value, file)
    os.replace(path + ".new", path)


def train(seconds):
    time.sleep(seconds * random.random())


tell("start", pid=os.getpid())
mine = os.open(os.path.join(home, "running", str(number)), os.O_RDWR | os.O_CREAT)
try:
    fcntl.flock(mine, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    tell("overlap")  # another attempt of this trial runs at this moment
shared = os.environ.get("CHAOS_SHARED")
if shared:
    gpu = os.environ.get("CUDA_VISIBLE_DEVICES", "none")
    own = os.open(os.path.join(shared, "gpu." + gpu), os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        tell("shared", gpu=gpu)  # a training of this search or of another one has it
    if not gpu.isdigit():
        tell("shared", gpu=gpu)
if args.note != params["note"]:
    tell("mangled", note=args.note)
print("start", token, flush=True)

score = round(1 / (1 + index + len(kind)), 6)
if kind == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    train(0.4)
elif kind == "saver":
    seen = []
    weights = os.path.join(args.model_dir, "last.ckpt")
    if args.restore_file:
        with open(weights) as file:
            seen = json.load(file)
        tell("resumed", epochs=len(seen))
    elif os.path.exists(weights):
        tell("leavings")  # afresh, and yet another attempt's weights lie here
    for epoch in range(len(seen), 5):
        train(0.1)
        seen.append(epoch)
        save("last.ckpt", seen)
        if len(seen) == 1 or args.restore_file:
            tell("saved")
    if seen != list(range(5)):
        tell("mixed", epochs=seen)
elif kind == "family":
    sleep = ["sleep", "3600"]  # longer than any search: who is left over is found
    subprocess.Popen(sleep)
    subprocess.Popen(sleep, start_new_session=True)
    if index == 0 and args.note == "as usual":  # one that TERM does not end
        subprocess.Popen(["sh", "-c", "trap '' TERM; sleep 3600"], start_new_session=True)
    train(0.1)
elif kind == "loud":
    line = b"x" * 1023 + b"\n"
    size = (100 << 20) if os.environ.get("CHAOS_LOUD") == str(number) else (1 << 18)
    for _ in range(size // (1 << 16)):
        view = memoryview(line * 64)
        while view:
            view = view[os.write(1, view) :]
elif kind == "error":
    train(0.05)
    raise ValueError("diverged: " + args.note)
elif kind == "hopeless":
    for epoch in range(1000):  # until it is stopped
        try:
            save("metrics_eval_last_weights.json", {"accuracy": -1.0, "epoch": epoch + 1})
        except OSError:
            pass  # a full disk
        time.sleep(0.03)
    tell("spared")
elif kind == "ours":
    import modeldir

    with modeldir.start(args.model_dir) as run:
        for epoch in range(3):
            train(0.05)
            run.log(epoch, accuracy=score)
else:
    train(0.15)

if kind == "nan":
    save("metrics_eval_best_weights.json", {"accuracy": float("nan")})
elif kind != "silent":
    save("metrics_eval_best_weights.json", {"accuracy": score, "hears": len(args.note)})
print("end", token, flush=True)
tell("end")
sys.stdout.flush()
os._exit(0)
