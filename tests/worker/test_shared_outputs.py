"""Files that trials write outside their folders: named after the first trial, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from laboratory import Project

NOTE = "note: the first trial wrote "
WARNING = "warning: two trials wrote "

SCRIPT = """\
import json, os, sys
folder = sys.argv[2]
rate = json.load(open(os.path.join(folder, "params.json")))["learning_rate"]
{writes}
with open(os.path.join(folder, "metrics_eval_best_weights.json"), "w") as file:
    json.dump({{"accuracy": rate}}, file)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project whose script each test writes."""
    return Project(tmp_path / "project")


def searched(project: Project, writes: str, *words: str) -> str:
    project.write("train.py", SCRIPT.format(writes=writes))
    done = project.modeldir(
        "search",
        "experiments/search",
        "learning_rate=0.1,0.2,0.3",
        *words,
        "--",
        "python",
        "train.py",
    )
    assert done.code == 0, done.out + done.err
    return done.out + done.err


@pytest.mark.parametrize("words", [(), ("-j", "2")])
def test_files_that_trials_overwrite_are_named(project: Project, words: tuple[str, ...]) -> None:
    """The first trial's are named with what to do, and once those that a later one wrote again."""
    said = searched(
        project,
        "open('model.pt', 'w').write(str(rate)); os.makedirs('runs', exist_ok=True)\n"
        "open('runs/log.csv', 'a').write('1')",
        *words,
    )
    assert said.count(f"{NOTE}model.pt, runs/log.csv in {project.path}") == 1
    assert "e.g. --out {model_dir}" in said
    assert "--run-in-trial" in said
    assert said.count(f"{WARNING}model.pt, runs/log.csv in {project.path}") == 1


def test_files_with_a_name_for_each_trial_are_not_called_overwritten(project: Project) -> None:
    """They are named, because they lie outside the trial, and nothing warns."""
    said = searched(project, "open(f'model_{rate}.pt', 'w').write('1')")
    assert f"{NOTE}model_0.1.pt in " in said
    assert WARNING not in said


@pytest.mark.parametrize(
    "writes",
    [
        "open(os.path.join(folder, 'model.pt'), 'w').write('1')",
        "os.makedirs('__pycache__', exist_ok=True); open('__pycache__/x.bin', 'w').write('1')",
        "open('.cache', 'w').write('1')",
        "open('train.py', 'a').write('# edited\\n')",
        "open('experiments/other/params.json', 'w').write('{}')",
        "open('data/part0', 'rb').read()",
    ],
)
def test_what_is_no_shared_output_is_not_named(project: Project, writes: str) -> None:
    """Files of the trial, caches, hidden files, code, other experiments, and data that is read."""
    project.params("experiments/other", learning_rate=0.1)
    project.write("data/part0", "1")
    assert NOTE not in searched(project, writes)


def test_a_resumed_search_does_not_repeat_it(project: Project) -> None:
    """Once it was said, or five trials have completed, nothing is looked at any more."""
    searched(project, "open('model.pt', 'w').write('1')")
    project.write("train.py", SCRIPT.format(writes="open('model.pt', 'w').write('1')"))
    again = project.modeldir("search", "experiments/search", "learning_rate=0.4")
    assert again.code == 0, again.err
    assert NOTE not in again.out + again.err


def test_a_working_folder_full_of_data_is_not_searched_for_long(project: Project) -> None:
    """Beyond 20,000 entries nothing is named, and the search does not wait."""
    data = project.path / "data"
    data.mkdir()
    for number in range(20_100):
        (data / f"{number}").touch()
    assert NOTE not in searched(project, "open('model.pt', 'w').write('1')")


def test_a_path_that_would_not_be_found_is_named(project: Project) -> None:
    """A trial in its own folder finds no relative path of the project."""
    project.write("data/input.txt", "")
    command = "python train.py --data data/input.txt --other={project}/data"
    done = project.searches("learning_rate=0.1,0.2", "--run-in-trial", command=command)
    (note,) = [line for line in done.lines if line.startswith("note: data/input.txt is relative")]
    assert f"{project.path}" in note
    assert "  write in the command: {project}/data/input.txt" in done.lines
