import tyro
from ending import train


def main(learning_rate: float = 0.1, epochs: int = 3, resume: bool = False, log_dir: str = "logs") -> None:
    train({"learning_rate": learning_rate, "epochs": epochs, "resume": resume}, log_dir)


if __name__ == "__main__":
    tyro.cli(main)
