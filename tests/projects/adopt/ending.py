"""What every script here does instead of a training: it leaves its values and a metric."""

import json
import os
import zlib


def train(values, folder="."):
    with open(".trained.jsonl", "a") as file:
        file.write(json.dumps(values, default=str) + "\n")
    folder, _, name = (folder, "", "") if not folder.endswith(".pt") else folder.rpartition("/")
    os.makedirs(folder or ".", exist_ok=True)
    loss = zlib.crc32(json.dumps(values, default=str, sort_keys=True).encode()) / 2**32
    print(f"val_loss: {loss:.6f}")
    with open(os.path.join(folder, "metrics_val.json"), "w") as file:
        json.dump({"loss": loss}, file)
