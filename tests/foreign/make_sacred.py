"""Made by sacred 0.8.7: python make_sacred.py (in an environment that has sacred)."""

import os
import shutil
import tempfile
from pathlib import Path

here = Path(__file__).parent / "sacred"
shutil.rmtree(here, ignore_errors=True)
os.chdir(tempfile.mkdtemp())
Path("train.py").write_text('''
from sacred import Experiment
from sacred.observers import FileStorageObserver

ex = Experiment("digits", save_git_info=False)
ex.observers.append(FileStorageObserver("runs"))

@ex.config
def config():
    learning_rate = 0.1
    model = {"layers": [8, 16], "name": "mlp"}

@ex.automain
def main(learning_rate, model, _run):
    print("training with", learning_rate)
    for step in range(3):
        _run.log_scalar("val.accuracy", 0.5 + step / 10 - learning_rate, step)
        _run.log_scalar("train.loss", 1 / (step + 1), step)
    if learning_rate > 0.5:
        raise ValueError("it diverged")
    return 0.5 + learning_rate
''')
import subprocess
import sys

for words in ["learning_rate=0.1"], ["learning_rate=0.01", "model.name=a b"], ["learning_rate=1.0"]:
    subprocess.run([sys.executable, "train.py", "with", *words], check=False)
shutil.copytree("runs", here)
for path in here.rglob("*.json"):
    text = path.read_text().replace(os.getcwd(), "/home/user/project")
    path.write_text(text.replace(sys.prefix, "/usr"))
