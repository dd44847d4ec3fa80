"""`--json`: one valid document on standard output, that fits its schema, also for errors."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import json_schemas
from laboratory import THREE, Project, Said
from modeldir import commands
from modeldir.commands.json_types import DOCUMENTS

SEARCH = "experiments/search"
TRAIN = """\
import json, sys
folder = sys.argv[sys.argv.index("--model_dir") + 1]
rate = json.load(open(folder + "/params.json"))["learning_rate"]
print("\\x1b[31mprinted\\x1b[0m")
if rate == 0.001:
    raise ValueError("\\x1b[1mbad\\x1b[0m api_key=abcdef")
with open(folder + "/metrics_eval_best_weights.json", "w") as file:
    json.dump({"accuracy": 1 - rate, "odd\\x1b[2J": float("nan")}, file)
"""


def document(said: Said, name: str) -> dict[str, Any]:
    """Return the only document that a command printed, after a check by its schema."""
    assert said.out.count("\n") == 1
    assert said.out.rstrip("\n").isprintable()
    found = json.loads(said.out, parse_constant=lambda word: pytest.fail(f"not JSON: {word}"))
    schema = json.loads((json_schemas.FOLDER / f"{name}.json").read_text())
    assert json_schemas.problems(found, schema) == []
    assert isinstance(found, dict)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path, TRAIN)


def test_the_schemas_are_up_to_date_and_each_command_with_json_has_one() -> None:
    """`python tests/json_schemas.py` writes them."""
    assert json_schemas.main(["--check"]) == 0
    names = [name for _, listed in commands.GROUPS for name, _ in listed]
    with_json = [each for each in names if "--json" in commands.parser_of(each).format_help()]
    assert sorted(with_json) == sorted(DOCUMENTS)


def test_a_search_is_driven_by_json_alone(project: Project) -> None:
    """Each document fits its schema, and nothing else is on standard output."""
    said = project.modeldir(
        "search", SEARCH, *THREE, "--json", "--", "python", "train.py", "--password", "hunter2"
    )
    found = document(said, "search")
    assert said.code == found["exit_code"] == 1
    assert found["search"]["states"] == {"completed": 2, "failed": 1}
    (failed,) = found["search"]["failed"]
    assert failed["reason"] == "ValueError: bad api_key=***"
    assert "hunter2" not in said.out
    assert "completed" in said.err
    best = document(project.modeldir("best", SEARCH, "--json"), "best")
    assert best["experiment"]["trial"] == 2
    assert best["value"] == 0.99
    table = document(project.modeldir("results", SEARCH, "--json"), "results")
    assert [row["status"] for row in table["rows"]] == ["completed", "completed", "failed"]
    assert table["best"] == best["experiment"]["path"]
    shown = document(project.modeldir("show", SEARCH, f"{SEARCH}/2", "--json"), "show")
    assert shown["searches"] == [found["search"]]
    assert shown["experiments"] == [best["experiment"]]
    assert shown["experiments"][0]["metrics"]["best"]["odd\x1b[2J"] == "nan"


def test_run_keeps_what_the_script_prints_off_standard_output(project: Project) -> None:
    """The script's output goes to standard error, and its exit code is in the document."""
    project.params("experiments/one", learning_rate=0.001)
    said = project.modeldir("run", "experiments/one", "--json", "--", "python", "train.py")
    found = document(said, "run")
    assert said.code == found["exit_code"] == 1
    assert found["experiment"]["status"] == "failed"
    assert "printed" in said.err


@pytest.mark.parametrize(
    ("words", "name", "code", "kind"),
    [
        (("best", "experiments", "--json"), "best", 1, "NothingFound"),
        (("best", "no\x1b[2Jwhere", "--json"), "best", 2, "FolderError"),
        (("show", "nowhere", "--json"), "show", 2, "FolderError"),
        (("show", "--json"), "show", 2, "usage"),
        (("shwo", "--json"), "show", 2, "usage"),
        (("results", "empty", "--json"), "results", 1, "NothingFound"),
        (("results", "empty", "--json", "--format", "csv"), "results", 2, "ModeldirError"),
        (("search", SEARCH, "rate=0.1", "--json", "--", "python", "train.py"), "search", 2, ""),
        (("search", SEARCH, "--trials", "x", "--json"), "search", 2, "usage"),
        (("run", "experiments", "--json", "--", "true"), "run", 2, "FolderError"),
    ],
)
def test_errors_are_documents_too(
    project: Project, words: tuple[str, ...], name: str, code: int, kind: str
) -> None:
    """The exit code is the usual one, and nothing is on standard error."""
    (project.path / "empty").mkdir()
    said = project.modeldir(*words)
    error = document(said, name)["error"]
    assert (said.code, said.err) == (code, "")
    assert error["exit_code"] == code
    assert error["type"] == kind or not kind
    assert error["problems"]


def test_show_prints_what_exists_beside_the_error(project: Project) -> None:
    """One folder that does not exist hides no other."""
    project.params("experiments/one", learning_rate=0.1)
    said = project.modeldir("show", "experiments/one", "nowhere", "--json")
    found = document(said, "show")
    assert said.code == 2
    assert [each["path"] for each in found["experiments"]] == ["experiments/one"]
    assert "nowhere" in found["error"]["message"]


def test_a_name_that_is_not_utf8_comes_back_exactly(project: Project) -> None:
    """A consumer can open the path that it has read."""
    folder = project.path / os.fsdecode(b"odd\xff\x1b[2J")
    folder.mkdir()
    (folder / "params.json").write_text('{"lr": 1}')
    found = document(project.modeldir("show", str(folder), "--json"), "show")
    assert Path(found["experiments"][0]["path"]).is_dir()


@pytest.mark.parametrize("closing", ["| true", "> /dev/full"])
def test_a_closed_pipe_is_no_error_and_a_full_disk_is(project: Project, closing: str) -> None:
    """As without `--json`: exit code 0 if the reader has left, 2 if nothing could be written."""
    project.params("experiments/one", learning_rate=0.1)
    line = f"{sys.executable} -m modeldir show experiments/one --json {closing}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=project.path,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if "full" in closing else 0)


SEEDED = """\
import json, sys
folder = sys.argv[sys.argv.index("--model_dir") + 1]
params = json.load(open(folder + "/params.json"))
with open(folder + "/metrics_eval_best_weights.json", "w") as file:
    json.dump({"accuracy": 1 - params["learning_rate"] + params["seed"] % 7 / 1000}, file)
"""


def test_a_consumer_drives_init_new_search_best_and_confirm(tmp_path: Path) -> None:
    """It uses only the keys that the schemas name, and each document's paths for the next one."""
    project = Project(tmp_path, SEEDED)
    made = document(project.modeldir("init", "made", "--json"), "init")
    assert len([each for each in (tmp_path / made["path"]).rglob("*") if each.is_file()]) > 5
    project.params("experiments/base", learning_rate=0.5, seed=1)
    line = ("new", "experiments/lr", "--from", "experiments/base", "learning_rate=0.4", "--json")
    new = document(project.modeldir(*line), "new")
    assert new["changes"] == {"learning_rate": [0.5, 0.4]}
    command = ("--", "python", "train.py")
    search = project.modeldir("search", new["path"], *THREE, "--json", *command)
    path = document(search, "search")["search"]["path"]
    best = document(project.modeldir("best", path, "--json"), "best")
    confirmed = project.modeldir("confirm", path, "--top", "2", "--repeats", "3", "--json")
    found = document(confirmed, "confirm")
    assert confirmed.code == found["exit_code"] == 0
    assert found["is_complete"]
    first, *others = found["configurations"]
    assert first["trial"] == best["experiment"]["trial"]
    assert len(first["values"]) == 3
    assert all(each["lead"]["low"] <= each["lead"]["high"] for each in others)
