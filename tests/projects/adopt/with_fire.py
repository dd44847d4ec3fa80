import fire
from ending import train


def fit(lr=0.01, layers=2, amp=False, sizes=(64, 32), name=None, output_dir="out"):
    train({"lr": lr, "layers": layers, "amp": amp, "sizes": list(sizes), "name": name}, output_dir)


if __name__ == "__main__":
    fire.Fire({"fit": fit})
