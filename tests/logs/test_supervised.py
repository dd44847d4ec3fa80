"""The log of a supervised script, made from `console.log` as its events ask."""

from __future__ import annotations

import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from laboratory import Project
from logbook import ends, texts
from modeldir._system import files
from modeldir.logs.supervised import SupervisedLogs

SCRIPT = """
import argparse, logging, os, subprocess, sys, time
from modeldir import set_logger

print("imported", flush=True)
parser = argparse.ArgumentParser()
parser.add_argument("--model_dir")
folder = parser.parse_args().model_dir
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    project = Project(tmp_path)
    (tmp_path / "m").mkdir()
    (tmp_path / "m/params.json").write_text('{"a": 1}')
    return project


def run(project: Project, source: str, *, script: str = "train.py") -> None:
    (project.path / script).write_text(SCRIPT + textwrap.dedent(source))
    project.modeldir("run", "m", "--", sys.executable, script)


def test_the_log_has_everything_and_costs_no_process(project: Project) -> None:
    """Prints, records, children, a bar as one line, from the very first line; and how it ended."""
    source = """
        set_logger(os.path.join(folder, "train.log"))
        print("printed")
        logging.info("logged")
        subprocess.run(["echo", "child"])
        for n in range(100): sys.stderr.write(f"\\r{n + 1}%")
        print(file=sys.stderr)
        listed = subprocess.run(["ps", "ax", "-o", "args"], capture_output=True, text=True).stdout
        assert "modeldir.logs.capture.log_writer" not in listed
        sys.exit(3)
    """
    run(project, source)
    expected = ["imported", "printed", "logged", "child", "100%"]
    assert texts(project.path / "m/train.log") == expected
    assert ends(project.path / "m/train.log") == ["exit 3"]
    first = (project.path / "m/train.log").read_text().splitlines()[0]
    assert "train.py" in first
    assert "rank=0" in first


def test_the_log_can_be_read_while_the_training_runs(project: Project) -> None:
    """`tail -f train.log` shows lines soon after they were printed."""
    source = """
        path = os.path.join(folder, "train.log")
        set_logger(path)
        print("watch me")
        deadline = time.monotonic() + 20
        while b"watch me" not in open(path, "rb").read():
            assert time.monotonic() < deadline
            time.sleep(0.02)
        print("seen")
    """
    run(project, source)
    assert texts(project.path / "m/train.log") == ["imported", "watch me", "seen"]
    assert ends(project.path / "m/train.log") == ["clean"]


def test_several_logs_get_each_its_part(project: Project) -> None:
    """The first has what was printed before it could be asked for; between two nothing is kept."""
    source = """
        with set_logger(os.path.join(folder, "a.log")): print("in a")
        print("between")
        set_logger(os.path.join(folder, "b.log"))
        print("in b")
        set_logger(os.path.join(folder, "c.log"))
        os.system("echo in c")
    """
    run(project, source)
    told = {name: texts(project.path / f"m/{name}.log") for name in "abc"}
    assert told == {"a": ["imported", "in a"], "b": ["in b"], "c": ["in c"]}
    assert [ends(project.path / f"m/{name}.log") for name in "abc"] == [
        ["closed"], ["closed"], ["clean"],
    ]  # fmt: skip
    console = (project.path / "m/console.log").read_text()
    assert console == "imported\nin a\nbetween\nin b\nin c\n"


def test_children_that_set_the_same_log_double_nothing(project: Project) -> None:
    """A spawned worker runs the script's set_logger again; what it prints is there once."""
    source = """
        set_logger(os.path.join(folder, "train.log"))
        import multiprocessing
        def work(n): print("work", n)
        if __name__ == "__main__":
            with multiprocessing.get_context("spawn").Pool(1) as pool: pool.map(work, range(3))
            print("end")
    """
    run(project, source)
    kept = [line for line in texts(project.path / "m/train.log") if line != "imported"]
    assert kept == ["work 0", "work 1", "work 2", "end"]
    assert len(ends(project.path / "m/train.log")) == 1


def test_a_child_s_own_log_does_not_take_its_parent_s_place(project: Project) -> None:
    """`evaluate.py`, started or forked by `train.py`, has a log, and that of `train.py` stays."""
    (project.path / "evaluate.py").write_text(
        "from modeldir import set_logger\nset_logger('m/evaluate.log')\nprint('evaluated')\n"
    )
    source = """
        set_logger(os.path.join(folder, "train.log"))
        print("before")
        subprocess.run([sys.executable, "evaluate.py"])
        print("between")
        if os.fork() == 0:
            with set_logger(os.path.join(folder, "forked.log")): print("forked")
            os._exit(0)
        os.wait()
        print("after")
        set_logger(os.path.join(folder, "second.log"))
        print("elsewhere")
    """
    run(project, source)
    expected = ["imported", "before", "evaluated", "between", "forked", "after"]
    assert texts(project.path / "m/train.log") == expected
    assert ends(project.path / "m/train.log") == ["closed"]
    assert texts(project.path / "m/evaluate.log") == ["evaluated"]
    assert texts(project.path / "m/forked.log") == ["forked"]
    assert ends(project.path / "m/forked.log") == ["closed"]
    assert texts(project.path / "m/second.log") == ["elsewhere"]
    assert (project.path / "m/console.log").read_text().splitlines() == [*expected, "elsewhere"]


def test_two_scripts_of_one_command_have_a_log_each(project: Project) -> None:
    """Side by side each has all that is printed, one after another its own part."""
    (project.path / "one.py").write_text(
        "import os, sys, time\n"
        "from modeldir import set_logger\n"
        "name, other = sys.argv[1:3]\n"
        "set_logger(f'm/{name}.log')\n"
        "open(name, 'w').close()\n"
        "while other != '-' and not os.path.exists(other): time.sleep(0.01)\n"
        "print(name, flush=True)\n"
        "if name == 'killed': os.kill(os.getpid(), 9)\n"
    )
    python = f"{sys.executable} one.py"
    command = (
        f"{python} a b & {python} b a & wait; {python} c -; {python} killed -; {python} d -; exit 0"
    )
    project.modeldir("run", "m", "--", "sh", "-c", command)
    names = ("a", "b", "c", "killed", "d")
    kept = {name: texts(project.path / f"m/{name}.log") for name in names}
    told = {name: [line for line in kept[name] if line in names] for name in names}
    parts = [["a", "b"], ["a", "b"], ["c"], ["killed"], ["d"]]
    assert [sorted(told[name]) for name in names] == parts
    over = [ends(project.path / f"m/{name}.log")[0].split()[0] for name in names]
    assert over == ["ended", "ended", "ended", "vanished", "clean"]


def test_a_log_writer_that_only_just_starts_outlives_the_training_s_end(project: Project) -> None:
    """The supervisor kills the leftover processes, and the last prints of a child are kept."""
    source = """
        set_logger(os.path.join(folder, "train.log"))
        if os.fork() == 0:
            set_logger(os.path.join(folder, "forked.log"))
            print("forked", flush=True)
            os._exit(0)
        os.wait()
    """
    run(project, source)
    assert texts(project.path / "m/forked.log") == ["forked"]
    assert len(ends(project.path / "m/forked.log")) == 1
    assert texts(project.path / "m/train.log") == ["imported", "forked"]


def test_output_that_is_led_elsewhere_is_captured_there(project: Project) -> None:
    """`python train.py | cat` under a supervisor: descriptors are no console, so they are heard."""
    (project.path / "train.py").write_text(
        SCRIPT + "set_logger(os.path.join(folder, 'train.log'))\nprint('printed')\n"
    )
    (project.path / "train.sh").write_text(f'{sys.executable} train.py "$@" | cat\n')
    project.modeldir("run", "m", "--", "sh", "train.sh")
    assert texts(project.path / "m/train.log") == ["printed"]
    assert (project.path / "m/console.log").read_text() == "imported\nprinted\n"


def test_an_untouched_script_s_own_log_is_left_alone(project: Project) -> None:
    """A script with CS230's own set_logger writes its file itself."""
    source = """
        handler = logging.FileHandler(os.path.join(folder, "train.log"))
        logging.root.addHandler(handler); logging.root.setLevel("INFO")
        logging.info("by its own")
    """
    run(project, source)
    assert (project.path / "m/train.log").read_text() == "by its own\n"


def test_evaluate_has_its_own_log(project: Project) -> None:
    """Another script in the same folder logs to its own file, from its own console."""
    run(project, "set_logger(os.path.join(folder, 'train.log'))\nprint('trained')")
    run(
        project,
        "set_logger(os.path.join(folder, 'evaluate.log'))\nprint('evaluated')",
        script="evaluate.py",
    )
    assert texts(project.path / "m/train.log") == ["imported", "trained"]
    assert texts(project.path / "m/evaluate.log") == ["imported", "evaluated"]


# -- By itself -------------------------------------------------------------------------------------


def ask(folder: Path, offset: int, name: str | None, token: str = "mine") -> None:
    wanted: dict[str, Any] | None = None
    if name is not None:
        wanted = {"name": str(folder / name), "head": "pid=1", "every": 30.0, "stamp": True,
                  "torn": False}  # fmt: skip
    event = {"event": "log", "token": token, "log": wanted, "how": "", "pid": 1, "offset": offset}
    files.append_line(folder / "events.jsonl", event)


def test_what_is_printed_as_a_log_moves_is_in_the_right_one(tmp_path: Path) -> None:
    """Events that come between two looks are about bytes that nobody has copied yet."""
    console = tmp_path / "console.log"
    console.write_text("")
    rendering = SupervisedLogs(tmp_path / "events.jsonl", "mine", console, 0)
    ask(tmp_path, 0, "a.log")
    for number in range(50):
        with console.open("a") as file:
            file.write(f"{'ab'[number % 2]} {number}\n")
        ask(tmp_path, console.stat().st_size, f"{'ba'[number % 2]}.log")
        if number % 3 == 0:
            rendering.poll()
    rendering.finish("clean")
    for name in "ab":
        assert texts(tmp_path / f"{name}.log") == [
            f"{name} {n}" for n in range(50) if "ab"[n % 2] == name
        ]


def test_others_events_and_earlier_output_are_passed_over(tmp_path: Path) -> None:
    """An earlier attempt's console and events, another attempt's token, half a line."""
    console = tmp_path / "console.log"
    console.write_text("an earlier attempt\n")
    ask(tmp_path, 0, "earlier.log")
    rendering = SupervisedLogs(tmp_path / "events.jsonl", "mine", console, console.stat().st_size)
    with console.open("a") as file:
        file.write("ours\n")
    ask(tmp_path, 0, "other.log", token="another")
    rendering.poll()
    assert [path.name for path in tmp_path.glob("*.log")] == ["console.log"]
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"event": "log", "token": "mi')
    rendering.poll()
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('xed up"}\n')
    ask(tmp_path, 24, "ours.log")
    rendering.poll()
    rendering.finish("clean")
    assert texts(tmp_path / "ours.log") == ["ours"]
    assert ends(tmp_path / "ours.log") == ["clean"]


def test_looks_become_rare_while_nothing_comes(tmp_path: Path) -> None:
    """Soon after a line, then less and less often: an idle supervisor costs nothing."""
    console = tmp_path / "console.log"
    console.touch()
    rendering = SupervisedLogs(tmp_path / "events.jsonl", "mine", console, 0)
    waits = [rendering.poll() for _ in range(20)]
    assert waits == sorted(waits)
    assert waits[-1] == 1.0
    ask(tmp_path, 0, "train.log")
    with console.open("a") as file:
        file.write("line\n")
    soon = rendering.poll()
    assert soon < 0.1
    assert max(rendering.poll() for _ in range(20)) == 0.5


def test_a_folder_that_was_removed_ends_nothing(tmp_path: Path) -> None:
    """Console and log may be gone, with their folder: nothing is raised."""
    folder = tmp_path / "m"
    folder.mkdir()
    console = folder / "console.log"
    console.write_text("line\n")
    rendering = SupervisedLogs(folder / "events.jsonl", "mine", console, 0)
    ask(folder, 0, "nowhere/train.log")
    rendering.poll()
    for path in folder.iterdir():
        os.unlink(path)
    folder.rmdir()
    rendering.poll()
    rendering.finish("clean")
