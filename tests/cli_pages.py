"""Write docs/reference/cli from the parsers of the commands: one page for each command.

    python tests/cli_pages.py            write all pages
    python tests/cli_pages.py --check    print which pages are out of date

`test_reference_pages.py` checks that the pages are up to date. Start reading at `page_of`.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from modeldir import commands
from modeldir.search.plan import KEYS

FOLDER = Path(__file__).parents[1] / "docs/reference/cli"

_MADE = "<!-- Made by `python tests/cli_pages.py` from the parser of the command. -->"
_KEYS = {
    "try_": "try", "message": "note", "domains": "space", "condition": "space",
    "constraint": "constraints",
}  # fmt: skip
"""The key of `search.json` for each option that is not named like it."""
_SAVED = {("new", "message"): "`origin.json`", ("run", "message"): "`run.json`"}
_TYPES = {int: "integer", float: "number"}
_WORDS = {"--jobs": "integer or `auto`", "--threads-per-trial": "integer or `auto`",
          "--gpus-per-trial": "number", "--max-retries": "integer or `none`",
          "--target": "number or `none`", "--trials": "integer"}  # fmt: skip
_WELL = "it did what you asked for"
_CODES = {
    "run": [
        ("0 to 127", "the exit code of your script"),
        ("128 + n", "signal n ended your script, e.g. 143 after TERM"),
        ("2", "wrong use: nothing was run"),
    ],
    "search": [("0", "every trial completed or was pruned"), ("1", "some trial failed")],
    "worker": [("0", "no trial failed, or `modeldir stop` asked it to stop"),
               ("1", "some trial failed")],
    "confirm": [("0", "every run completed"), ("1", "some run failed")],
    "demo": [("0", _WELL), ("1", "some trial failed")],
    "reproduce": [("0", "all metrics are the same bit for bit"),
                  ("1", "some metric differs, there is none, or the command failed")],
    "best": [("0", "a path was printed"), ("1", "no experiment has the metric")],
    "digest": [("0", "a digest was printed"), ("1", "there is nothing to show")],
    "results": [("0", "a table was printed"), ("1", "there is nothing to show")],
    "plot": [("0", "a figure was written"), ("1", "there is nothing to draw")],
    "import": [("0", _WELL), ("1", "no run was found")],
    "stop": [("0", _WELL), ("1", "something that should stop still runs")],
}  # fmt: skip
_INTERRUPTED = ("130", "you pressed Ctrl-C")
_WRONG = ("2", "wrong use: a message says what is wrong")
_SEE = {
    "init": ["tutorial/1-logging.md"],
    "adopt": ["how-to/flags-only-script.md", "reference/modeldir-toml.md"],
    "new": ["how-to/change-a-search.md"],
    "run": ["how-to/watch-and-inspect.md", "how-to/resume-training.md"],
    "search": ["tutorial/5-command.md", "how-to/choose-a-sampler.md", "how-to/early-stopping.md",
               "how-to/several-gpus.md", "reference/search-json.md"],
    "worker": ["how-to/other-job-managers.md", "how-to/slurm.md"],
    "show": ["how-to/watch-and-inspect.md"],
    "watch": ["how-to/watch-and-inspect.md", "reference/piped-output.md"],
    "log": ["how-to/watch-and-inspect.md", "concepts/logging.md"],
    "results": ["reference/tables.md", "how-to/share-results.md"],
    "diff": ["how-to/watch-and-inspect.md"],
    "digest": ["how-to/watch-and-inspect.md", "reference/tables.md"],
    "plot": ["how-to/paper-figures.md"],
    "confirm": ["how-to/several-seeds.md", "concepts/statistics.md"],
    "retry": ["how-to/rerun-failed-trials.md"],
    "remove": ["how-to/change-a-search.md"],
    "reproduce": ["how-to/reproduce.md", "reference/files.md"],
    "revert": ["how-to/watch-and-inspect.md", "reference/files.md"],
    "export": ["how-to/import-export.md"],
    "import": ["how-to/import-export.md"],
}  # fmt: skip

_DETAILS = {
    "adopt": """\
modeldir runs COMMAND with a small module in it. The module waits until the script reads its
options. Then it asks the script's own parser what modeldir can pass on:

- `DIR/params.json` gets the options that the parser reads back with the same value. Each has its
  default, or the value that you gave.
- Options that name an output folder or file get the trial's folder: `--output_dir`, `--save-dir`,
  `--logdir`, `default_root_dir`, `hydra.run.dir` and others.
- `modeldir.toml` gets the command with placeholders. Words that are no option stay in it, e.g. a
  folder with data or a subcommand. Other settings in the file stay.

The code before the script reads its options runs, e.g. its imports. Nothing after that runs, not
even `finally` and `atexit`.

To name the output folder yourself, write it into COMMAND:
`-- python train.py --save_to {model_dir}`.
""",
    "run": """\
modeldir adds `--model_dir DIR` to the command, unless the command has `{model_dir}` or another
placeholder. Without a command it runs the one in `modeldir.toml`, or that of the latest attempt.

A second run moves the files of the first one to `attempts/1/`. It leaves them in place with
`--resume`, and if the command itself has an option that begins with `--restore` or `--resume`.

Ctrl-C reaches the script as Ctrl-C. A second one is sent as TERM, a third one as KILL.

An evaluation is recorded in a file of its own, e.g. `evaluate.run.json`, and never changes the
status. modeldir takes a script for an evaluation if its name begins with `eval`, `valid`, `test`,
`predict`, `infer`, `sample`, `generat`, `plot`, `visual`, `analy`, `inspect`, `export`, `convert`,
`synth` or `search`. It does the same with every other script, unless it is the script of the latest
attempt, the latest attempt failed, or the name begins with `train`.
""",
    "search": """\
Trials start in this order: interrupted trials and those that were made and never started; failed
trials, if the code, the command, `--metrics` or the environment has changed; new trials. A trial
whose last three attempts nobody ended comes last, because it may take its machine down.

A second command joins the values that you give with those in `search.json`. To remove a value or a
name, edit `search.json`. `--try none`, `--zip none`, `--constraint none` and `--condition
NAME:none` remove these parts.

A command that only submits a job (`sbatch`, `qsub`) is refused as the command of a trial.
""",
    "worker": """\
A worker runs on any machine that sees the folder. Its trials end when it does.

Before it ends, it finds out for each trial without an end whether it still runs. A trial on a host
without a heartbeat for two minutes counts as dead, and is taken over.

On TERM a worker interrupts its trials and ends. On USR1 it does the same, and then runs the command
of `--requeue` if trials are left. It does not if nothing ended in the whole job and no interrupted
trial has saved weights, because the job would start for ever.
""",
    "completion": """\
Put the example into `~/.bashrc`. For zsh, put `eval "$(modeldir completion zsh)"` into `~/.zshrc`,
after `compinit`. For fish, write the script to `~/.config/fish/completions/modeldir.fish`.

TAB completes commands, options, and folders of experiments and trials. After `--` your shell
completes files.
""",
    "stop": """\
`stop` writes a request file into `DIR/.modeldir/`, so you need write permission there. The request
names the workers running now; workers started later ignore it.

If no worker is running, `stop` prints the command that resumes the search.

An experiment on this machine is interrupted as by Ctrl-C, with `--now` by TERM.
""",
    "retry": """\
With `--set` modeldir makes new trials, because a folder's values never change. Their `trial.json`
says which trial they come from, in `retry_of`.

A pruned trial continues from its last weights if its script calls `run.restore()`, or if the search
has `--resume`. Else it begins again, and modeldir prints that.
""",
    "remove": """\
The search does not make the configuration of a removed trial again, and no sampler learns from it.
modeldir prints how to take the trial back. If you delete a folder yourself, a grid search makes
that trial again.
""",
    "reproduce": """\
NEW is a copy of the project, and the experiment has the same path in it. Relative paths in the
command stay as they are. Absolute paths of the project become those of NEW.

| file of the project | in NEW |
|---|---|
| kept code | a copy |
| beside the code and not kept: data, a file over 1 MB | a link to the project's file |
| a secret, a hidden file, an experiment, an environment | not there |

A script that writes into linked data writes into the project's data.

modeldir compares the metrics of the best and last weights, and each line of `metrics.jsonl` without
its `time`. Below a difference it prints what may explain it: another version of a package or of
Python, another CPU, GPU or driver. The original must be completed and have kept code.
""",
    "revert": """\
Before it changes a file, modeldir keeps the code as it is now in the `.modeldir/code/` of the same
search or experiment, and prints the command that brings it back. Nothing is changed if that fails,
or if any file stands in the way that is not kept: one that git ignores, one over 1 MB, a link, a
folder with other files in it. The message lists all of them.

| file in the project | what happens |
|---|---|
| differs from the kept code, or is missing | it is written, as a whole |
| is code now, but was not in the experiment | it is removed |
| left out of the kept code: a secret, a file over 1 MB | it stays |
| in an experiment, an environment or another repository | it stays, tracked or not |
| any other: data, outputs, files that git ignores | it stays |

A file that is written keeps its permissions, apart from the permission to execute. Links are never
followed, and submodules are other repositories. git's index and commits stay as they are. If the
command is killed, run it again: it does the rest. Type it in the project: code of another project
is refused.
""",
    "best": """\
It prints nothing else, so that a script can use it. A trial that failed, was pruned or has NaN is
never the best. If two trials are equal, it prints the one with the lower number.

In a search with repeats it prints the best repeat of the configuration with the best mean. In a
search with several metrics, say which one with `--maximize`, `--minimize` or `--metric`.
""",
    "digest": """\
It names the hyperparameters that vary with their values, the best experiments (with several metrics
the Pareto front), the errors with the trials that had them, and the answer of `modeldir confirm`. A
part that is too long ends with how many more there are. No line is longer than 150 characters.
""",
    "diff": """\
A trial alone is compared with the base config of its search and with its best trial. An experiment
alone is compared with the one that it was made from. A search is compared as its base config with
its best trial. With two experiments the last column is the change.
""",
    "log": """\
`-f` waits for a run that has not begun, and continues with the log of the next attempt. Several
logs are printed one after the other; with `-f` all at once, with the experiment's name before each
line.
""",
}
"""What the explanations of the options leave out."""


def page_of(name: str) -> str:
    """Return the page of a command."""
    parser = commands.parser_of(name)
    description, epilog = parser.description or "", parser.epilog or ""
    lines = [f"# modeldir {name}", "", _MADE, "", description.strip(), ""]
    lines += ["```text", parser.usage or parser.prog, "```", ""]
    for group in parser._action_groups:
        rows = [_row(name, action) for action in group._group_actions]
        told = group.description or ""
        forms = re.findall(r"^  (\S.*?) {2,}(.+)$", told, re.MULTILINE)
        if not rows and not forms:
            continue
        lines += [f"## {(group.title or 'Options').capitalize()}", ""]
        if forms:
            lines += ["| value | meaning |", "|---|---|"]
            lines += [f"| `{form}` | {_safe(meaning)} |" for form, meaning in forms]
        else:
            lines += [
                "| option | what it does | type | default | saved in |",
                "|---|---|---|---|---|",
            ]
            lines += rows
        lines.append("")
    if name in _DETAILS:
        lines += ["## Details", "", _DETAILS[name]]
    lines += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code} | {_safe(words)} |" for code, words in exit_codes(name)]
    title, *examples = epilog.splitlines()
    lines += ["", f"## {title.rstrip(':').capitalize()}", "", "```text"]
    lines += [f"$ {example.strip()}" for example in examples]
    lines += ["```", ""]
    if name in _SEE:
        lines += [
            "## See also",
            "",
            *(f"- [{_title(path)}](../../{path})" for path in _SEE[name]),
            "",
        ]
    return "\n".join(lines)


def index() -> str:
    """Return the page that lists all commands."""
    lines = ["# The command line", "", _MADE, ""]
    lines += [
        "Each command has a page with all its options. `modeldir COMMAND --help` prints the same.",
        "",
    ]
    for group, listed in commands.GROUPS:
        lines += [f"## {group}", "", "| command | what it does |", "|---|---|"]
        lines += [f"| [`modeldir {name}`]({name}.md) | {_safe(words)} |" for name, words in listed]
        lines.append("")
    codes = "[Statuses and exit codes](../status-and-exit-codes.md)"
    lines += [f"{codes} says what the exit codes mean.", ""]
    return "\n".join(lines)


def pages() -> dict[Path, str]:
    """Return the text of each page by its path."""
    names = [name for _, listed in commands.GROUPS for name, _ in listed]
    return {FOLDER / "index.md": index()} | {FOLDER / f"{n}.md": page_of(n) for n in names}


def exit_codes(name: str) -> list[tuple[str, str]]:
    """Return the exit codes of a command and what each means."""
    special = _CODES.get(name, [("0", _WELL)])
    codes = [code for code, _ in special]
    return special + [each for each in (_WRONG, _INTERRUPTED) if each[0] not in codes]


def _row(name: str, action: argparse.Action) -> str:
    text = (action.help or "") % {**vars(action), "prog": ""}
    found = re.search(r" *\(default: ([^()]*(?:\([^()]*\)[^()]*)*)\)$", text)
    default = found[1] if found else ""
    text = text[: found.start()] if found else text
    typed = ", ".join(f"`{option}`" for option in action.option_strings)
    value = "" if action.nargs == 0 else str(action.metavar or action.dest)
    typed = f"{typed} `{value}`" if typed and value else typed or f"`{value}`"
    cells = [typed, text, _type(action), default, _saved(name, action)]
    return f"| {' | '.join(map(_safe, cells))} |"


def _type(action: argparse.Action) -> str:
    if action.nargs == 0:
        return "flag"
    known = _WORDS.get((action.option_strings or [""])[-1]) or _TYPES.get(action.type, "string")  # type: ignore[call-overload] # any callable
    return f"{known}, repeatable" if isinstance(action.default, list) or _repeats(action) else known


def _repeats(action: argparse.Action) -> bool:
    return type(action).__name__ == "_AppendAction" or action.nargs in {"+", "*"}


def _saved(name: str, action: argparse.Action) -> str:
    if (name, action.dest) in _SAVED:
        return _SAVED[name, action.dest]
    key = _KEYS.get(action.dest, action.dest)
    return f"`search.json`, `{key}`" if name == "search" and key in KEYS else ""


def _safe(text: str) -> str:
    return text.removeprefix("* ").replace("|", r"\|")  # another column says what the star says


def _title(path: str) -> str:
    page = FOLDER.parents[1] / path
    return page.read_text(encoding="utf-8").partition("# ")[2].partition("\n")[0]


def main(words: list[str]) -> int:
    """Write the pages, or with `--check` print those that are out of date."""
    made = pages()
    stale = [path for path, text in made.items() if not path.exists() or path.read_text() != text]
    stale += [path for path in FOLDER.glob("*.md") if path not in made]
    if words == ["--check"]:
        for path in stale:
            print(f"out of date: {path}")
        return 1 if stale else 0
    FOLDER.mkdir(exist_ok=True)
    for path in stale:
        if path in made:
            path.write_text(made[path], encoding="utf-8")
        else:
            path.unlink()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
