
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
