"""`modeldir run`: one experiment, everything kept, as if the command had been typed alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from syrupy.assertion import SnapshotAssertion

from laboratory import Project, Said, kill, read, supervisor_of, wait_until
from modeldir.experiment.experiment import status

BASE = "experiments/base_model"


class Lab(Project):
    """A project with one experiment."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.params(BASE, learning_rate=0.5)
        self.base = path / BASE

    def runs(self, *words: str, command: str = "python train.py") -> Said:
        """Type `modeldir run experiments/base_model WORDS -- COMMAND`."""
        return self.modeldir("run", BASE, *words, "--", *command.split())


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def test_output_and_end_are_shown_and_kept(lab: Lab) -> None:
    """What the script printed is on the terminal and in console.log, byte for byte."""
    lab.write("train.py", "import sys\nprint('a\\tb')\nsys.stderr.write('no end of line')\n")
    done = lab.runs()
    assert (done.code, done.err) == (0, "")
    assert sorted(done.out) == sorted("a\tb\nno end of line")
    assert (lab.base / "console.log").read_text() == done.out
    record = read(lab.base / "run.json")
    assert record["command"] == ["python", "train.py", "--model_dir", BASE]
    assert (record["status"], record["exit_code"], record["signal"]) == ("completed", 0, None)
    assert status(lab.base).state == "completed"


def test_quietly_the_output_is_kept_alone(lab: Lab) -> None:
    """--quiet is for scripts of scripts."""
    done = lab.runs("--quiet")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert (lab.base / "console.log").read_text() == "trained base_model\n"


@pytest.mark.parametrize("code", [0, 1, 3, 255])
def test_the_exit_code_is_passed_on(lab: Lab, code: int) -> None:
    """Whoever calls it sees what the script said."""
    lab.write("end.py", f"import sys; sys.exit({code})\n")
    assert lab.runs(command="python end.py").code == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV, 40])
def test_death_by_a_signal_is_told_as_a_shell_tells_it(lab: Lab, number: int) -> None:
    """128 and the signal's number, also for one that has no name."""
    lab.write("end.py", f"import os; os.kill(os.getpid(), {int(number)})\n")
    done = lab.runs(command="python end.py")
    assert done.code == 128 + number
    assert "failed: the command was ended by " in done.err


def test_a_program_that_cannot_start_is_127(lab: Lab) -> None:
    """As a shell says it; the reason is shown and kept."""
    script = lab.write("broken", "#!/no/such/interpreter\n")
    script.chmod(0o755)
    done = lab.runs(command="./broken")
    assert done.code == 127
    assert "cannot start './broken'" in done.out


def test_output_comes_while_the_script_runs(lab: Lab) -> None:
    """A progress bar moves; nothing is held back until the end."""
    lab.write(
        "train.py",
        "import os, time\n"
        "print('first')\n"
        "while os.path.exists('hold'):\n"
        "    time.sleep(0.005)\n"
        "print('second')\n",
    )
    lab.hold()
    with lab.started_as("run", BASE, "--", "python", "train.py") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "first\n"
        assert process.poll() is None
        lab.release()
        assert process.stdout.read() == "second\n"
        assert process.wait(30) == 0


def test_a_script_beside_the_training_never_changes_its_status(lab: Lab) -> None:
    """evaluate.py is recorded in files of its own, however it ends and however often it runs."""
    lab.runs()
    before = (lab.base / "run.json").read_bytes()
    lab.write("evaluate.py", "import sys\nprint('tested')\nsys.exit(4)\n")
    for attempt in (1, 2):
        done = lab.runs(command="python evaluate.py")
        assert (done.code, done.out) == (4, "tested\n")
        name = "evaluate.run.json" if attempt == 1 else "evaluate.run.2.json"
        assert read(lab.base / name)["status"] == "failed"
    assert status(lab.base).state == "completed"
    assert (lab.base / "run.json").read_bytes() == before
    assert (lab.base / "console.log").read_text() == "trained base_model\n"
    assert (lab.base / "evaluate.console.log").read_text() == "tested\n" * 2
    assert not (lab.base / "attempts").exists()


SAYS = "note: recorded as an evaluation ({1}). If {0} trains the model, add --as-training.\n"


@pytest.mark.parametrize(
    ("end", "script", "recorded"),
    [
        ("failed", "train2.py", "run.2.json"),
        ("failed", "main.py", "run.2.json"),
        ("failed", "evaluate.py", "evaluate.run.json"),
        ("completed", "train2.py", "run.2.json"),
        ("completed", "main.py", "main.run.json"),
        ("completed", "-m tools.evaluate", "evaluate.run.json"),
        ("completed", "-m tools.train", "run.2.json"),
    ],
)
def test_which_script_is_the_training(lab: Lab, end: str, script: str, recorded: str) -> None:
    """One by its name, or the one that mends a failure; what is recorded beside it is told."""
    lab.write("first.py", f"raise SystemExit({int(end == 'failed')})\n")
    lab.runs(command="python first.py")
    for name in ("train2.py", "main.py", "evaluate.py", "tools/evaluate.py", "tools/train.py"):
        lab.write(name, "print('ran')\n")
    done = lab.runs(command=f"python {script}")
    assert (done.code, done.out) == (0, "ran\n")
    assert read(lab.base / recorded)["status"] == "completed"
    name = script.rpartition("tools.")[2]
    if recorded == "run.2.json":
        left = (
            f"note: {name} is recorded as the training run, attempt 2. "
            "modeldir moves the files of first.py to attempts/.\n"
        )
        assert done.err == left
        assert status(lab.base).state == "completed"
    else:
        assert done.err == SAYS.format(name, recorded)
        assert status(lab.base).state == end


def test_the_user_has_the_last_word_on_what_trains(lab: Lab) -> None:
    """`--as-training`; from then on the script is known."""
    lab.write("test_widths.py", "print('ran')\n")
    command = "python test_widths.py"
    assert lab.runs(command=command).err == SAYS.format("test_widths.py", "test_widths.run.json")
    said = (
        "note: test_widths.py is recorded as the training run, attempt 1. "
        "modeldir moves the files that were there to attempts/.\n"
    )
    assert lab.runs("--as-training", command=command).err == said
    assert lab.runs(command=command).err == ""
    assert status(lab.base).attempt == 2


def test_another_script_may_run_while_the_training_does(lab: Lab) -> None:
    """To look at a running training is allowed."""
    lab.write("evaluate.py", "print('tested')\n")
    lab.hold()
    with lab.started_as("run", BASE, "--", "python", "train.py") as process:
        lab.wait_for_starts(1)
        assert lab.runs(command="python evaluate.py").code == 0
        assert status(lab.base).state == "running"
        lab.release()
        assert process.wait(30) == 0


def test_a_busy_folder_is_refused(lab: Lab) -> None:
    """Two trainings in one folder would write over each other."""
    lab.hold()
    with lab.started_as("run", BASE, "--", "python", "train.py") as process:
        lab.wait_for_starts(1)
        done = lab.runs()
        assert done.code == 2
        assert done.err.startswith(f"error: {BASE} is running: attempt 1, process ")
        assert done.err.endswith("Nothing was started.\n")
        lab.release()
        assert process.wait(30) == 0
    assert len(lab.started) == 1


def test_an_incomplete_run_file_is_watched_before_the_folder_is_taken(lab: Lab) -> None:
    """A power cut left it, or it is another host's and complete a moment later."""
    (lab.base / "run.json").write_bytes(b'{"status": ')
    words = ("run", BASE, "--", "python", "train.py")
    done = lab.modeldir(*words, MODELDIR_HEARTBEAT="0.1")
    assert done.code == 0
    assert f"{BASE}/run.json is incomplete and was changed " in done.err
    assert (lab.started, status(lab.base).attempt) == (["base_model"], 2)


def test_run_again_it_sets_aside_what_lay_there(lab: Lab) -> None:
    """The second attempt begins in a clean folder; the first one's files are all kept."""
    lab.runs()
    lab.write(f"{BASE}/best.pth.tar", "weights")
    lab.write("train.py", "import os, sys\nprint(sorted(os.listdir(sys.argv[2])))\n")
    done = lab.runs()
    assert done.out == (
        "['.modeldir', 'attempts', 'console.log', 'params.json', 'run.2.json', 'run.json']\n"
    )
    kept = sorted(path.name for path in (lab.base / "attempts/1").iterdir())
    assert kept == ["best.pth.tar", "console.log", "metrics_eval_best_weights.json"]


def test_what_another_program_left_is_set_aside_too(lab: Lab) -> None:
    """A folder trained by a plain `python train.py` before: that was attempt 0."""
    lab.write(f"{BASE}/metrics_val_best_weights.json", '{"accuracy": 0.9}')
    lab.runs()
    assert (lab.base / "attempts/0/metrics_val_best_weights.json").exists()
    assert not (lab.base / "metrics_val_best_weights.json").exists()


@pytest.mark.parametrize("words", [("--resume",), ()])
def test_a_run_that_goes_on_leaves_everything_in_place(lab: Lab, words: tuple[str, ...]) -> None:
    """By --resume, or because the script's own arguments say that it restores."""
    lab.runs()
    lab.write(f"{BASE}/last.pth.tar", "weights")
    command = "python train.py" if words else "python train.py --restore_file last"
    done = lab.runs(*words, command=command)
    assert done.code == 0
    assert done.out == "trained base_model\n"  # not what attempt 1 printed
    assert (lab.base / "last.pth.tar").exists()
    assert not (lab.base / "attempts").exists()
    assert (lab.base / "console.log").read_text() == "trained base_model\n" * 2
    assert read(lab.base / "run.2.json")["resumes"] is True


def test_ctrl_c_reaches_the_script_as_ctrl_c(lab: Lab) -> None:
    """It may save its weights and leave; that is an interruption, however it exits."""
    lab.write(
        "train.py",
        "import time\n"
        "try:\n"
        "    print('ready')\n"
        "    time.sleep(60)\n"
        "except KeyboardInterrupt:\n"
        "    print('saved')\n",
    )
    with lab.started_as("run", BASE, "--", "python", "train.py") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
        assert process.stdout.read() == "saved\ninterrupted: asked to stop\n"
    assert status(lab.base).state == "interrupted"


def test_a_third_ctrl_c_kills_what_will_not_end(lab: Lab) -> None:
    """SIGINT, then TERM, then KILL."""
    lab.write(
        "train.py",
        "import signal, time\n"
        "for number in (signal.SIGINT, signal.SIGTERM):\n"
        "    signal.signal(number, lambda number, frame: print('no', number))\n"
        "print('ready')\n"
        "while True:\n"
        "    time.sleep(60)\n",
    )
    with lab.started_as("run", BASE, "--", "python", "train.py") as process:
        assert process.stdout is not None
        for line in ("ready\n", f"no {int(signal.SIGINT)}\n", f"no {int(signal.SIGTERM)}\n"):
            assert process.stdout.readline() == line
            process.send_signal(signal.SIGINT)
        assert process.wait(8) == 130
    assert status(lab.base).state == "interrupted"


def test_a_reader_that_goes_away_does_not_end_the_training(lab: Lab) -> None:
    """`modeldir run ... | head -1`: the training goes on to its end, and says nothing about it."""
    lab.write(
        "train.py",
        "import os, time\n"
        "print('first')\n"
        "while not os.path.exists('gone'):\n"
        "    time.sleep(0.005)\n"
        "for number in range(20000):\n"
        "    print(number)\n"
        "open('.ended.txt', 'w').write('x\\n')\n",
    )
    line = f"{sys.executable} -m modeldir run {BASE} -- python train.py | (head -1; touch gone)"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=lab.path,
        env=lab.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "first\n", "")
    assert lab.ended == ["x"]
    assert (lab.base / "console.log").read_text().endswith("19999\n")


def test_a_killed_run_goes_on_and_is_recorded(lab: Lab) -> None:
    """Kill -9 of `modeldir run`: the supervisor outlives it."""
    lab.hold()
    with lab.started_as("run", BASE, "--", "python", "train.py") as process:
        lab.wait_for_starts(1)
        kill(process.pid)
        process.wait()
    assert status(lab.base).state == "running"
    lab.release()
    wait_until(lambda: status(lab.base).state == "completed", "the recorded end")


def test_a_killed_supervisor_is_told_as_an_interruption(lab: Lab) -> None:
    """Nobody could record the end; exit code and words say so all the same."""
    lab.hold()
    with lab.started_as("run", BASE, "--", "python", "train.py") as process:
        lab.wait_for_starts(1)
        kill(supervisor_of(lab.base))
        assert process.wait(30) == 130
        assert process.stdout is not None
        assert "its supervisor was killed" in process.stdout.read()
    wait_until(lambda: status(lab.base).state == "interrupted", "the command's death")


def test_the_command_may_come_from_the_project_file(lab: Lab) -> None:
    """`command` in modeldir.toml, so that nobody retypes it."""
    lab.write("modeldir.toml", 'command = "python train.py"\n')
    assert lab.modeldir("run", BASE).code == 0
    assert lab.started == ["base_model"]


def test_placeholders_are_filled_from_the_hyperparameters(lab: Lab) -> None:
    """As in a search."""
    done = lab.runs(command="echo {learning_rate} {model_dir}")
    assert done.out == f"0.5 {BASE}\n"


@pytest.mark.parametrize(
    "words",
    [
        ("run", "nowhere", "--", "python", "train.py"),
        ("run", "experiments", "--", "python", "train.py"),
        ("run", BASE),
        ("run", BASE, "--", "python", "tran.py"),
        ("run", BASE, "--", "sbatch", "job.sh"),
        ("run", BASE, "--", "python", "train.py", "{learning_rte}"),
    ],
)
def test_what_cannot_run_is_one_message(
    lab: Lab, words: tuple[str, ...], snapshot: SnapshotAssertion
) -> None:
    """Before anything is started or moved."""
    before = lab.tree()
    done = lab.modeldir(*words)
    assert (done.code, done.out) == (2, "")
    assert done.err.replace(str(lab.path), "PROJECT") == snapshot
    assert lab.tree() == before


def test_broken_hyperparameters_are_said_before_anything_moves(lab: Lab) -> None:
    """With the line and the column, as everywhere."""
    (lab.base / "params.json").write_text('{"learning_rate": }')
    done = lab.runs()
    assert done.code == 2
    assert f"{BASE}/params.json, line 1, column 19" in done.err


def test_a_script_finds_its_attempt_in_the_environment(lab: Lab) -> None:
    """MODELDIR_RUN and MODELDIR_ATTEMPT, and nothing of ours in the arguments."""
    lab.write(
        "train.py",
        "import json, os, sys\n"
        "told = [os.environ['MODELDIR_ATTEMPT'], os.environ['MODELDIR_RUN'], sys.argv]\n"
        "print(json.dumps(told))\n",
    )
    lab.runs()
    attempt, run, argv = json.loads(lab.runs().out)
    token, _, folder = run.partition(":")
    assert (attempt, folder) == ("2", os.path.realpath(lab.base))
    assert token == read(lab.base / "run.2.json")["token"]
    assert argv == ["train.py", "--model_dir", BASE]


def test_the_command_is_remembered_and_what_is_set_aside_is_named(lab: Lab) -> None:
    """Without a command the latest attempt's runs again; its results are moved, and it is said."""
    script = "import modeldir\nwith modeldir.start('experiments/base_model') as run:\n"
    lab.write("again.py", script + "    run.log(0, accuracy=0.5)\n")
    first = lab.runs(command="python again.py")
    assert first.code == 0, first.err
    assert lab.modeldir("run", BASE).code == 0
    assert (lab.base / "attempts/1/metrics_eval_best_weights.json").exists()
    done = subprocess.run(
        [sys.executable, "again.py"], cwd=lab.path, capture_output=True, text=True, check=True
    )
    assert f"now in {BASE}/attempts/2" in done.stderr
