"""`python -m modeldir` is the command `modeldir`."""

from modeldir.cli import entry

if __name__ == "__main__":
    entry()
