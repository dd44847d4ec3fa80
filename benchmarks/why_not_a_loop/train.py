"""Train for a few epochs: the script that a loop and modeldir run. It does not know modeldir.

It writes its metrics and weights after each epoch, as CS230's train.py does. For the measurement
it also adds a line to the file `$JOURNAL` at its start, after each epoch and at its end.
"""

import argparse
import json
import os
import time
import uuid

parser = argparse.ArgumentParser()
parser.add_argument("--model_dir", required=True, help="the folder with params.json")
parser.add_argument("--data_dir", default="data", help="the folder with the data")
parser.add_argument("--restore_file", help="last: continue from the weights in last.ckpt")
args = parser.parse_args()
TOKEN = uuid.uuid4().hex


def note(event, epoch=None):
    line = {"trial": os.path.basename(args.model_dir), "token": TOKEN, "pid": os.getpid()}
    line |= {"event": event, "epoch": epoch, "time": time.time()}
    with open(os.environ["JOURNAL"], "a") as journal:
        journal.write(json.dumps(line) + "\n")


def write(name, content):
    with open(os.path.join(args.model_dir, name), "w") as file:
        json.dump(content, file)


with open(os.path.join(args.model_dir, "params.json")) as file:
    params = json.load(file)
note("start")
time.sleep(params["loading_seconds"])
with open(os.path.join(args.data_dir, "digits.txt")) as file:
    file.read()
first = 1
if args.restore_file:
    with open(os.path.join(args.model_dir, args.restore_file + ".ckpt")) as file:
        first = json.load(file)["epoch"] + 1
for epoch in range(first, params["num_epochs"] + 1):
    time.sleep(params["epoch_seconds"])
    if params["learning_rate"] > 1:
        raise ValueError("the loss is nan")
    accuracy = round(0.9 + 0.01 * epoch - params["learning_rate"] / 10, 4)
    print(f"{TOKEN} epoch {epoch}: accuracy {accuracy}")
    write("last.ckpt", {"epoch": epoch})
    write("metrics_eval_last_weights.json", {"accuracy": accuracy, "epoch": epoch})
    note("epoch", epoch)
write("metrics_eval_best_weights.json", {"accuracy": accuracy, "epoch": epoch})
note("end")
