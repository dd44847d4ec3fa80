"""`python -m modeldir` is the command `modeldir`."""

from modeldir.commands import entry

if __name__ == "__main__":
    entry()
