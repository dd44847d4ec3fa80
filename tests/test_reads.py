"""What a process read of its run's params file reaches the run, in real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from modeldir import files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "base_model"
    folder.mkdir()
    files.write_json(folder / "params.json", {"lr": 0.1, "seed": 1, "model": {"depth": 2}})
    return folder


def reported(folder: Path, script: str, **variables: str) -> list[list[str]]:
    """The names of each line that a script with these variables left in the folder."""
    variables = {"MODELDIR_RUN": f"token:{folder}", **variables}
    subprocess.run(
        [sys.executable, "-c", script],
        cwd=folder,
        env={**os.environ, **variables},
        check=True,
        timeout=60,
    )
    return [line["names"] for line in files.read_lines(folder / "events.jsonl")]


def test_the_names_are_told_at_the_end(run: Path) -> None:
    """The line holds what was read and nothing else, for the attempt that read it."""
    script = """
from modeldir import Params
params = Params("params.json")
params.lr, params.model.depth
"""
    assert reported(run, script, MODELDIR_ATTEMPT="3") == [["lr", "model", "model.depth"]]
    (line,) = files.read_lines(run / "events.jsonl")
    assert (line["attempt"], line["event"]) == (3, "params_read")
    assert line["time"].endswith("+00:00")


def test_a_script_that_reads_nothing_says_so(run: Path) -> None:
    """An empty list is news: the script has opened the file and used none of it."""
    assert reported(run, "import modeldir; modeldir.Params('params.json')") == [[]]


def test_a_script_that_fails_still_tells(run: Path) -> None:
    """A training that fails has read its hyperparameters all the same."""
    with pytest.raises(subprocess.CalledProcessError):
        reported(run, "import modeldir; modeldir.Params('params.json').lr / 0")
    assert [line["names"] for line in files.read_lines(run / "events.jsonl")] == [["lr"]]


def test_all_readers_of_a_file_are_told_together(run: Path) -> None:
    """Who asks early hears of what another `Params` of the same file has read."""
    script = """
from modeldir import Params
from modeldir.params import report_reads
mine, theirs = Params("params.json"), Params("params.json")
mine.lr
report_reads(theirs)
report_reads(theirs)
mine.seed
"""
    assert reported(run, script) == [["lr"], ["lr", "seed"]]


def test_a_file_elsewhere_is_nobodys_business(run: Path, tmp_path: Path) -> None:
    """Only the run's own folder gets a line, and only for its own files."""
    other = tmp_path / "params.json"
    files.write_json(other, {"lr": 1})
    assert reported(run, f"import modeldir; modeldir.Params({str(other)!r}).lr") == []
    assert not (tmp_path / "events.jsonl").exists()


def test_without_a_run_nothing_is_written(run: Path) -> None:
    """A plain `python train.py` leaves no trace of this."""
    script = "import modeldir; modeldir.Params('params.json').lr"
    assert reported(run, script, MODELDIR_RUN="") == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_tell_again(run: Path) -> None:
    """The child has the parent's exit function; what the parent read would be there twice."""
    script = """
import os, sys
from modeldir import Params
params = Params("params.json")
params.lr
child = os.fork()
if child == 0:
    params.lr
    sys.exit()
os.waitpid(child, 0)
"""
    assert reported(run, script) == [["lr"]]


def test_an_events_file_that_cannot_be_opened_ends_nothing(run: Path) -> None:
    """The training's own exit code stays 0, whatever lies in the file's place."""
    (run / "events.jsonl").mkdir()
    assert reported(run, "import modeldir; modeldir.Params('params.json').lr") == []


def test_names_read_in_a_forked_child_are_told_at_once(tmp_path: Path) -> None:
    """A DataLoader's worker reads a name that its parent never does, and leaves by os._exit."""
    (tmp_path / "params.json").write_text('{"augmentation": 0.5, "learning_rate": 0.1}')
    source = (
        "import os\nfrom modeldir import Params\n"
        "params = Params('params.json')\nparams.learning_rate\n"
        "pid = os.fork()\n"
        "if pid == 0: params.augmentation; os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
    )
    environment = {**os.environ, "MODELDIR_RUN": f"t:{tmp_path}", "MODELDIR_ATTEMPT": "1"}
    command = [sys.executable, "-c", source]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    lines = (tmp_path / "events.jsonl").read_text().splitlines()
    told = [json.loads(line)["names"] for line in lines]
    assert told == [["augmentation"], ["learning_rate"]]
