"""Run the examples of a page of the documentation, and compare its transcripts with a real run.

    python tests/pages.py docs/how-to/ray.md             run it, print what differs
    python tests/pages.py --update docs/how-to/ray.md    write the real output into the page

`test_pages.py` runs every page by `run`. Start reading there. docs/contributing/testing.md tells
authors how to write a block.
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import tomlkit

ROOT = Path(__file__).parents[1]
OMITTED = "..."
"""A line of a transcript that stands for any number of lines."""

_BLOCK = re.compile(
    r"(?P<comment>^ *<!-- (?:not run|hidden)\b(?:(?!-->).)*?-->\n+)?"
    r"^(?P<indent> *)(?P<fence>```+)(?P<language>[\w+-]*)(?P<info>[^\n]*)\n"
    r"(?P<body>.*?)^(?P=indent)(?P=fence)[ ]*$",
    re.MULTILINE | re.DOTALL,
)
_HIDDEN = re.compile(r"^ *<!-- hidden\n(?P<body>.*?)^ *-->$", re.MULTILINE | re.DOTALL)
_INSTALL = re.compile(r"^(pip install|python3 -m venv|source \S+/activate\b).*$", re.MULTILINE)
_RUN = {"console", "bash", "python", "pycon", "json", "toml"}


@dataclass(frozen=True)
class Block:
    """A fenced block, or hidden commands in a comment (language `hidden`)."""

    language: str
    body: str
    line: int
    span: tuple[int, int]
    indent: str = ""
    title: str | None = None
    not_run: str | None = None


@dataclass
class Outcome:
    """What running a page has found; `text` is the page with the real output."""

    problems: list[str] = field(default_factory=list)
    text: str = ""


def user_pages() -> list[Path]:
    """The pages that users read: README and docs without `contributing`."""
    pages = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", *(p for p in pages if "contributing" not in p.parts)]


def blocks(text: str) -> list[Block]:
    """The blocks of a page in order."""
    found = []
    for match in _BLOCK.finditer(text):
        indent, comment = match["indent"], match["comment"] or ""
        title = re.search(r'title="([^"]+)"', match["info"])
        reason = re.search(r"<!-- not run: (.*?)-->", comment, re.DOTALL)
        body = re.sub(rf"^{indent}", "", match["body"], flags=re.MULTILINE)
        found.append(
            Block(
                match["language"],
                re.sub(r'^--8<-- "(.*)"$', _included, body, flags=re.MULTILINE),
                text.count("\n", 0, match.start("fence")) + 1,
                match.span("body"),
                indent,
                title[1] if title else None,
                " ".join(reason[1].split()) if reason else None,
            )
        )
    for match in _HIDDEN.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block("hidden", match["body"], line, match.span("body")))
    return sorted(found, key=lambda block: block.span)


def not_run(text: str) -> list[Block]:
    """The blocks of a page that its author keeps from being run."""
    return [block for block in blocks(text) if block.not_run and block.language in _RUN]


def run(pages: list[Path], folder: Path) -> list[Outcome]:
    """Run the blocks of pages, one after the other, in one fresh project in `folder`.

    Pages of the tutorial and the README start in an empty folder, all others in the project that
    `modeldir init digits` makes.
    """
    empty = pages[0].parent.name == "tutorial" or pages[0].parent in (ROOT, ROOT / "docs")
    with contextlib.closing(_Session(folder, empty=empty)) as session:
        return [_run_page(page.read_text(encoding="utf-8"), session) for page in pages]


def _run_page(text: str, session: _Session) -> Outcome:
    outcome = Outcome()
    pieces, end = [], 0
    for block in blocks(text):
        if block.not_run:
            continue
        try:
            new = _run_block(block, session, outcome.problems)
        except Exception as error:  # noqa: BLE001 - whatever a block does is a problem of the page
            outcome.problems.append(f"line {block.line}: {type(error).__name__}: {error}")
            continue
        if new is not None:
            pieces += [text[end : block.span[0]], _indented(new, block.indent)]
            end = block.span[1]
    outcome.text = "".join([*pieces, text[end:]])
    return outcome


def _run_block(block: Block, session: _Session, problems: list[str]) -> str | None:
    """Run one block and add its problems; returns its new text if it is a transcript."""
    where = f"line {block.line}"
    if block.title:
        path = session.here() / block.title
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.body, encoding="utf-8")
    if block.language == "console":
        return _run_console(block, session, problems)
    if block.language in ("bash", "hidden"):
        body = _INSTALL.sub(":", block.body)  # the tests have an environment of their own
        output, code = session.shell(_CHECKED.format(body))
        problems += [f"{where}: exit code {code}\n{output}"] if code else []
    elif block.language in ("python", "pycon") and not block.title:
        output = session.python(block.body, block.language)
        problems += [f"{where}: {output}"] if output else []
    elif block.language == "json":
        problems += [f"{where}: {problem}" for problem in _json_problems(block.body)]
    elif block.language == "toml":
        problems += [f"{where}: {problem}" for problem in _toml_problems(block.body, session)]
    return None


_CHECKED = """failed=; trap 'failed=$?' ERR
{}
trap - ERR
[ -z "$failed" ] || (exit "$failed")"""


def _run_console(block: Block, session: _Session, problems: list[str]) -> str:
    new = []
    for line, command, shown in _commands(block.body):
        output, _ = session.shell(command.replace("\n> ", "\n").removeprefix("$ "))
        real = session.for_readers(output).rstrip("\n").split("\n") if output.strip() else []
        any_order = re.search(r" -j \d| --jobs | --workers ", command) is not None
        if not same(shown, real, any_order=any_order):
            problems.append(
                f"line {block.line + line}: {command}\n"
                + "".join(f"  page: {text}\n" for text in shown)
                + "".join(f"  real: {text}\n" for text in real)
            )
            new += [command, *_with_omissions(shown, real)]
        else:
            new += [command, *shown]
    return "\n".join(new) + "\n"


def _commands(body: str) -> Iterator[tuple[int, str, list[str]]]:
    """Line, command (with its continuation lines) and shown output, for each `$` line."""
    lines = body.rstrip("\n").split("\n")
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    if starts[:1] != [0]:
        raise ValueError("a console block starts with a line that begins with `$ `")
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        last = start + 1
        while last < end and lines[last].startswith("> "):
            last += 1
        yield start + 1, "\n".join(lines[start:last]), lines[last:end]


def _with_omissions(shown: list[str], real: list[str]) -> list[str]:
    """The real output; where the page leaves out a middle or an end, so does the new text."""
    if OMITTED not in shown:
        return real
    head = shown.index(OMITTED)
    tail = len(shown) - 1 - (len(shown) - 1 - shown[::-1].index(OMITTED))
    return [*real[:head], OMITTED, *(real[-tail:] if tail else [])]


# -- Comparing ------------------------------------------------------------------------------------

_CHANGING = [
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d([.,]\d+)?)?(Z|[+-]\d\d:\d\d)?", "DATE"),
    (r"\b\d\d:\d\d:\d\d(\.\d+)?\b", "TIME"),
    (
        (
            r"(?<![\w.])(\d+d )?(\d+h ?)?(\d+m(in)? ?)?"
            r"\d+(\.\d+)? ?(ms|s|seconds?|min|minutes?|h|hours?)\b"
        ),
        "TIME",
    ),
    (r"\b\d+(\.\d+)? ?([kMG]i?B|bytes)\b", "SIZE"),
    (r"\b\d+(\.\d+)?/s\b", "RATE"),
    (r"\b(pid|worker|process)[ =]\d+", "PID"),
    (r"\b[0-9a-f]{7,40}\b(?<![0-9]{7})", "HASH"),
    (r"\bPython 3\.\d+\.\d+|\bpython3?\.\d+", "PYTHON"),
    (r"-{3,}|─{2,}|━{2,}", "RULE"),
    (r"\s+", " "),
]
_NUMBER = re.compile(r"[-+]?\d+\.\d+(?:e[-+]?\d+)?|[-+]?\d+e[-+]?\d+")


def same(shown: list[str], real: list[str], *, any_order: bool = False) -> bool:
    """Whether a transcript agrees with a real run.

    Times, sizes, hashes and spaces do not count, numbers with a point may differ by 2% (libraries
    differ in their last digits), and `...` stands for any lines. With `any_order` lines may be
    in another order, since trials that run at the same time end in any order.
    """
    left, right = [_normal(line) for line in shown], [_normal(line) for line in real]
    if OMITTED not in left:
        if any_order:
            left, right = sorted(left), sorted(right)
        return len(left) == len(right) and all(map(_alike, left, right))
    parts: list[list[str]] = [[]]
    for line in left:
        if line == OMITTED:
            parts.append([])
        else:
            parts[-1].append(line)
    if any_order:
        return all(any(_alike(line, other) for other in right) for part in parts for line in part)
    return _match(parts, right)


def _match(parts: list[list[str]], right: list[str]) -> bool:
    first, *middle, last = parts
    if len(right) < len(first) + len(last) or not all(map(_alike, first, right)):
        return False
    if last and not all(map(_alike, last, right[-len(last) :])):
        return False
    right = right[len(first) : len(right) - len(last)]
    for part in middle:
        starts = range(len(right) - len(part) + 1)
        at = next((n for n in starts if all(map(_alike, part, right[n:]))), None)
        if at is None:
            return False
        right = right[at + len(part) :]
    return True


def _normal(line: str) -> str:
    for pattern, word in _CHANGING:
        line = re.sub(pattern, word, line)
    return line.strip()


def _alike(left: str, right: str) -> bool:
    if left == right:
        return True
    if _NUMBER.sub("#", left) != _NUMBER.sub("#", right):
        return False
    pairs = zip(_NUMBER.findall(left), _NUMBER.findall(right), strict=True)
    numbers = [(float(a), float(b)) for a, b in pairs]
    return all(abs(a - b) <= max(0.02 * abs(a), 0.02 if abs(a) <= 1 else 0) for a, b in numbers)


# -- Files in pages -------------------------------------------------------------------------------


def _json_problems(body: str) -> list[str]:
    """What is wrong with a JSON example; a `search.json` is checked as one."""
    found = json.loads(body)
    if not isinstance(found, dict) or "space" not in found:
        return []
    from modeldir.search.plan_check import _wrong_keys, _wrong_values

    return [problem.what for problem in (*_wrong_keys(found), *_wrong_values(found))]


def _toml_problems(body: str, session: _Session) -> list[str]:
    """What is wrong with a TOML example, as a `modeldir.toml`."""
    if "project" in tomlkit.parse(body):  # a pyproject.toml
        return []
    folder = Path(tempfile.mkdtemp(dir=session.folder))
    (folder / "modeldir.toml").write_text(body, encoding="utf-8")
    from modeldir.errors import ModeldirError
    from modeldir.experiment.project_settings import settings

    try:
        settings(folder)
    except ModeldirError as error:
        return [str(error)]
    return []


def _included(match: re.Match[str]) -> str:
    return (ROOT / match[1]).read_text(encoding="utf-8").rstrip("\n")


def _indented(text: str, indent: str) -> str:
    return "".join(f"{indent}{line}" if line.strip() else line for line in text.splitlines(True))


# -- The processes of a page ----------------------------------------------------------------------

_PYTHON = """
import doctest, io, os, sys, traceback
space = {"__name__": "__main__"}
for request in sys.stdin:
    folder, path, language = request.rstrip("\\n").split("\\t")
    os.chdir(folder)
    text, failed = open(path, encoding="utf-8").read(), ""
    try:
        if language == "pycon":
            test = doctest.DocTestParser().get_doctest(text, space, "page", "page", 0)
            out = io.StringIO()
            runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS, verbose=False)
            runner.run(test, out=out.write, clear_globs=False)
            space.update(test.globs)
            failed = out.getvalue()
        else:
            exec(compile(text, path, "exec"), space)
    except BaseException:
        failed = traceback.format_exc()
    open(path + ".result", "w", encoding="utf-8").write(failed)
    print("done", file=sys.__stderr__, flush=True)
"""


class _Session:
    """One shell and one Python interpreter, in a fresh project."""

    def __init__(self, folder: Path, *, empty: bool) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir(parents=True)
        start = self.home
        self.environment = _environment(folder)
        self._count = 0
        self._python: subprocess.Popen[str] | None = None
        read, write = os.pipe()
        self._shell = subprocess.Popen(
            ["bash", "--norc", "--noprofile"],
            cwd=start,
            env=self.environment,
            stdin=subprocess.PIPE,
            stdout=write,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        os.close(write)
        self._answers = os.fdopen(read)
        if not empty:
            output, code = self.shell("modeldir init digits && cd digits")
            assert code == 0, output

    def close(self) -> None:
        """End the processes."""
        for process in (self._shell, self._python):
            if process is not None:
                process.kill()
                process.wait()
                for stream in (process.stdin, process.stderr):
                    if stream is not None:
                        with contextlib.suppress(BrokenPipeError):
                            stream.close()
        self._answers.close()

    def _ask_shell(self, command: str) -> str:
        assert self._shell.stdin is not None
        self._shell.stdin.write(command)
        self._shell.stdin.flush()
        return self._answers.readline().rstrip("\n")

    def here(self) -> Path:
        """The shell's folder."""
        return Path(self._ask_shell("pwd\n"))

    def shell(self, command: str) -> tuple[str, int]:
        """Run a command in the shell: its output (both streams) and exit code."""
        self._count += 1
        script = self.folder / f"{self._count}.sh"
        output = self.folder / f"{self._count}.out"
        script.write_text(command + "\n", encoding="utf-8")
        code = self._ask_shell(f". {script} < /dev/null > {output} 2>&1; echo $?\n")
        if not code:
            raise RuntimeError("the shell has ended")
        return output.read_text(encoding="utf-8", errors="replace"), int(code)

    def python(self, body: str, language: str) -> str:
        """Run Python code in the interpreter of the page: what went wrong, or nothing."""
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-c", _PYTHON],
                cwd=self.here(),
                env={**self.environment, "PYTHONPATH": str(self.here())},
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._count += 1
        path = self.folder / f"block_{self._count}.py"
        path.write_text(body, encoding="utf-8")
        assert self._python.stdin is not None
        assert self._python.stderr is not None
        self._python.stdin.write(f"{self.here()}\t{path}\t{language}\n")
        self._python.stdin.flush()
        while line := self._python.stderr.readline():
            if line == "done\n":
                return Path(f"{path}.result").read_text(encoding="utf-8")
        raise RuntimeError("the interpreter has ended")

    def for_readers(self, text: str) -> str:
        """Replace what belongs to this machine alone: folders, the host, the user."""
        text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
        for ours, theirs in (
            (str(self.home), "/home/you"),
            (sys.executable, "python"),
            (str(ROOT), "/home/you/modeldir"),
            (socket.gethostname(), "laptop"),
        ):
            text = text.replace(ours, theirs)
        return re.sub(rf"\b{re.escape(getpass.getuser())}@", "you@", text)


def _environment(folder: Path) -> dict[str, str]:
    """The environment of a page: nothing of the machine's user, nothing of pytest."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MODELDIR_", "PYTEST_", "SLURM_", "GIT_"))
    }
    return {
        **kept,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "XDG_CACHE_HOME": str(folder / "cache"),
        "MODELDIR_RUNTIME_DIR": str(folder / "runtime"),
        "COLUMNS": "100",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "NO_COLOR": "1",
    }


def main() -> int:
    """Run pages by name; with `--update`, write the real output into them."""
    parser = argparse.ArgumentParser(description="Run the examples of pages of the documentation.")
    parser.add_argument("--update", action="store_true", help="write the real output into pages")
    parser.add_argument("pages", nargs="+", type=Path, metavar="PAGE")
    args = parser.parse_args()
    pages = [page.resolve() for page in args.pages]
    groups = [[page] for page in pages if page.parent.name != "tutorial"]
    if any(page.parent.name == "tutorial" for page in pages):
        groups.append(tutorial())
    failed = False
    for group in groups:
        folder = Path(tempfile.mkdtemp(prefix="pages-"))
        for page, outcome in zip(group, run(group, folder), strict=True):
            print(f"{page.relative_to(ROOT)}: {len(outcome.problems)} problems")
            print(*outcome.problems, sep="\n")
            failed = failed or bool(outcome.problems)
            if args.update and page in pages:
                page.write_text(outcome.text, encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
    return int(failed)


def tutorial() -> list[Path]:
    """The chapters of the tutorial in order: they share one folder."""
    return [
        path
        for path in (ROOT / "docs/tutorial/index.md", *sorted(ROOT.glob("docs/tutorial/[0-9]*.md")))
        if path.is_file()
    ]


if __name__ == "__main__":
    sys.exit(main())
