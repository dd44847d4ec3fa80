"""Looking at somebody else's folder is harmless: docs/concepts/security.md, promise by promise."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from laboratory import Project, Said

TOKEN = "0123456789abcdef_0"
OTHER = 65534
"""The user id of `nobody`: the second user."""


class Guest:
    """A search that somebody else made by hand, and a user who looks at it.

    `home` is the user's: nothing in it may be touched. What the folder would run leaves `tripped`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.folder = path / "theirs"
        self.home = path / "home"
        self.tripped = path / "tripped"
        self.home.mkdir()
        self.project = Project(path)
        self.project.environment["HOME"] = str(self.home)
        self.project.environment["XDG_STATE_HOME"] = str(path / "state")
        self.evil = path / "evil"
        self.evil.write_text(f"#!/bin/sh\necho ran >> '{self.tripped}'\n")
        self.evil.chmod(0o755)
        (path / "evil.py").write_text(f"open({str(self.tripped)!r}, 'a').write('imported')\n")
        self.write("params.json", {"learning_rate": 0.1})
        self.plan()
        for number, rate in enumerate((0.1, 0.2), start=1):
            self.trial(number, rate)

    def write(self, name: str, value: Any) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(value if isinstance(value, str) else json.dumps(value))
        return path

    def plan(self, **more: Any) -> None:
        plan = {"space": {"learning_rate": [0.1, 0.2, 0.3]}, "command": str(self.evil)}
        self.write("search.json", {**plan, **more})

    def trial(self, number: int, rate: float, status: str = "completed") -> None:
        name, point = f"learning_rate_{rate}", {"learning_rate": rate}
        self.write(f"{name}/params.json", point)
        self.write(
            f"{name}/trial.json",
            {"number": number, "configuration": point, "hash": f"{number:016x}"},
        )
        self.write(f"{name}/run.json", {"attempt": 1, "status": status, "failure": "error"})
        self.write(f"{name}/metrics_eval_best_weights.json", {"accuracy": rate})
        self.claim(number, name, rate)

    def claim(self, number: int, name: object, rate: float) -> None:
        point = {"learning_rate": rate}
        claim = {
            "name": name,
            "configuration": point,
            "hyperparameters": point,
            "hash": f"{number:016x}",
        }
        self.write(f".modeldir/trials/{number:06d}.json", {"number": number, **claim})

    def job(self, launcher: str, options: dict[str, Any], job: str = "1", **more: Any) -> None:
        """Write a record of a job, as if its launcher had started it."""
        facts = {"launcher": launcher, "job": job, "token": TOKEN, "options": options, "round": 1}
        place = {"device": self.folder.stat().st_dev, "inode": self.folder.stat().st_ino}
        started = {"asked": "2026-01-01T00:00:00Z", "started": "2026-01-01T00:00:00Z"}
        facts |= {"format": 1, "worker": [], "folder": place, **started}
        self.write(f".modeldir/jobs/{TOKEN}.json", facts | more)
        self.write(".modeldir/jobs/round.1.json", {"base": TOKEN.partition("_")[0]})

    def says(
        self, *words: str, user: Sequence[str] = (), limit: str = "60", **variables: str
    ) -> Said:
        """Type `modeldir WORDS`, and Ctrl-C after `limit` seconds: some do not end."""
        done = subprocess.run(
            [
                "timeout",
                "-s",
                "INT",
                "-k",
                "5",
                "5" if words[0] == "watch" else limit,
                *user,
                sys.executable,
                "-m",
                "modeldir",
                *words,
            ],
            cwd=self.path,
            env={**self.project.environment, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=90,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Said(done.stdout, done.stderr, done.returncode)

    def says_as_other(self, *words: str) -> Said:
        """Type it as a second user. Skips the test where that is impossible."""
        setpriv, home = shutil.which("setpriv"), self.path / "other"
        if os.geteuid() != 0 or setpriv is None:
            pytest.skip("needs root and setpriv, to become a second user")
        home.mkdir(exist_ok=True)
        os.chown(home, OTHER, OTHER)
        for path in (self.path, *self.path.parents):
            if "pytest" in str(path):
                path.chmod(path.stat().st_mode | 0o055)
        user = [setpriv, f"--reuid={OTHER}", f"--regid={OTHER}", "--clear-groups"]
        state = str(home)
        return self.says(*words, user=user, HOME=state, XDG_STATE_HOME=state, XDG_CACHE_HOME=state)

    @property
    def ran(self) -> str:
        return self.tripped.read_text() if self.tripped.exists() else ""


@pytest.fixture
def guest(tmp_path: Path) -> Guest:
    return Guest(tmp_path)


# -- Records of jobs -------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["watch", "stop", "search"])
def test_lines_of_a_record_are_not_run(guest: Guest, command: str) -> None:
    """Neither the status line nor the cancel line of a job's record runs because a folder has it;
    modeldir prints what to type to allow them.
    """
    lines = {"status": f"{guest.evil} status", "cancel": f"{guest.evil} cancel {{job}}"}
    guest.job("command", {"submit": "qsub {worker}", **lines})
    words = ["--workers", "1", "--on", "command", "--submit", "false {worker}"]
    said = guest.says(command, "theirs", *(words if command == "search" else []))
    assert not guest.ran
    assert f"--allow='{guest.evil} status'" in said.out + said.err


def test_a_user_allows_a_line(guest: Guest) -> None:
    """A line that the user types after --allow runs, then and later. In a copy it does not."""
    guest.job("command", {"submit": "qsub {worker}", "status": f"{guest.evil} {{token}}"})
    said = guest.says("watch", "theirs", f"--allow={guest.evil} {{token}}")
    assert guest.ran, said
    kept = guest.path / "state/modeldir/trusted_commands"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert str(guest.evil) not in kept.read_text()
    guest.tripped.unlink()
    (guest.folder / ".modeldir/jobs/states.json").unlink()
    guest.says("watch", "theirs")
    assert guest.ran
    guest.tripped.unlink()
    guest.folder.rename(guest.path / "moved")
    shutil.copytree(guest.path / "moved", guest.folder)
    guest.job("command", {"submit": "qsub {worker}", "status": f"{guest.evil} {{token}}"})
    (guest.folder / ".modeldir/jobs/states.json").unlink()
    said = guest.says("watch", "theirs")
    assert not guest.ran
    assert "--allow" in said.out


def test_another_user_s_lines_are_not_run(guest: Guest) -> None:
    """What one user allows for a folder is not allowed for another user."""
    guest.job("command", {"submit": "qsub {worker}", "status": f"{guest.evil} {{token}}"})
    said = guest.says_as_other("watch", "theirs")
    assert "--allow" in said.out, said
    guest.says("watch", "theirs", f"--allow={guest.evil} {{token}}")
    assert guest.ran
    guest.tripped.unlink()
    said = guest.says_as_other("watch", "theirs")
    assert "--allow" in said.out, said
    assert not guest.ran


def test_an_address_of_a_record_is_not_asked(guest: Guest) -> None:
    """Ray's token is not sent to an address that only the folder names."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        server.settimeout(0.1)
        guest.job("ray", {"address": address}, job="x")
        guest.write(f".modeldir/jobs/{TOKEN}.ray.json", {"address": address})
        for command in ("watch", "stop"):
            said = guest.says(command, "theirs", RAY_AUTH_TOKEN="secret")
            assert f"--allow={address}" in said.out, said
        with pytest.raises(TimeoutError):
            server.accept()


def test_stop_signals_no_process_that_another_user_s_file_names(guest: Guest) -> None:
    """A run file names a process of the user who looks: `stop` leaves it alone."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to have files of a second user")
    from modeldir._system import processes

    with subprocess.Popen(["sleep", "60"]) as mine:
        known = processes.process(mine.pid)
        assert known is not None
        folder = guest.folder / "learning_rate_0.1"
        place = {"device": folder.stat().st_dev, "inode": folder.stat().st_ino}
        attempt = {"attempt": 1, "status": None, "folder": place, "process": known.to_json()}
        os.remove(folder / "trial.json")
        guest.write("learning_rate_0.1/run.json", {**attempt, "supervisor": known.to_json()})
        os.chown(folder / "run.json", OTHER, OTHER)
        said = guest.says("stop", "theirs/learning_rate_0.1")
        assert "another user" in said.err, said
        assert mine.poll() is None
        mine.kill()


@pytest.mark.parametrize("command", ["stop", "run", "search"])
def test_no_command_kills_a_process_that_another_user_s_file_names(
    guest: Guest, command: str
) -> None:
    """A run file without an end names a process of ours as its command: it is left alone."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to have files of a second user")
    from modeldir._system import processes

    with subprocess.Popen(["sleep", "60"]) as mine, subprocess.Popen(["sleep", "60"]) as dead:
        known, supervisor = processes.process(mine.pid), processes.process(dead.pid)
        assert known is not None
        assert supervisor is not None
        dead.kill()
        dead.wait()
        folder = guest.folder / "learning_rate_0.1"
        place = {"device": folder.stat().st_dev, "inode": folder.stat().st_ino}
        attempt = {"attempt": 1, "status": None, "folder": place, "process": known.to_json()}
        if command != "search":
            os.remove(folder / "trial.json")
        guest.write("learning_rate_0.1/run.json", {**attempt, "supervisor": supervisor.to_json()})
        os.chown(folder / "run.json", OTHER, OTHER)
        target = "theirs" if command == "search" else "theirs/learning_rate_0.1"
        guest.says(command, target, *([] if command == "stop" else ["--", "true"]), limit="5")
        assert mine.poll() is None
        mine.kill()


# -- Code that a plan names ------------------------------------------------------------------------

LOOKS = (
    "show theirs",
    "show theirs/learning_rate_0.1",
    "watch theirs",
    "synthesize theirs",
    "synthesize theirs --html report.html",
    "best theirs",
    "diff theirs/learning_rate_0.1 theirs/learning_rate_0.2",
    "log theirs/learning_rate_0.1",
    "plot theirs -o figure.svg",
    "export theirs --to csv -o exported",
    "stop theirs",
    "stop theirs --now",
    "retry theirs/learning_rate_0.1",
    "retry theirs/learning_rate_0.2 --set learning_rate=0.5",
)
"""Commands that only look, and `stop` and `retry`."""


@pytest.mark.parametrize("line", LOOKS)
def test_no_code_that_a_plan_names_is_imported(guest: Guest, line: str) -> None:
    """A pruner and a sampler from the folder one stands in are named, and not imported."""
    auto = {"sampler": "evil:S", "why": ""}
    guest.plan(pruner="evil:E", sampler="evil:S", auto=auto, trials=5, maximize="accuracy")
    said = guest.says(*line.split())
    assert not guest.ran
    assert "evil" not in said.err
    if line == "show theirs":
        assert "pruner evil:E" in said.out, said


def test_a_search_imports_what_its_plan_names(guest: Guest) -> None:
    """A command that runs trials does import it, and says what is wrong with it."""
    guest.plan(pruner="evil:E", trials=5, maximize="accuracy")
    said = guest.says("search", "theirs")
    assert "imported" in guest.ran
    assert "evil has no class 'E'" in said.err
    assert "ran" not in guest.ran


def test_an_installed_plugin_is_not_taken_from_here(guest: Guest) -> None:
    """A module in the current folder does not take the place of an installed package."""
    installed = guest.path / "site"
    for name, text in (("evil.py", "E = dict\n"), ("evil-1.0.dist-info/METADATA", "Name: evil\n")):
        (installed / name).parent.mkdir(parents=True, exist_ok=True)
        (installed / name).write_text(text)
    entry = "[modeldir.launchers]\nevil = evil:E\n"
    (installed / "evil-1.0.dist-info/entry_points.txt").write_text(entry)
    guest.job("evil", {})
    start = (
        "import sys; sys.path.remove(''); from modeldir.commands import main; main(sys.argv[1:])"
    )
    done = subprocess.run(
        [sys.executable, "-c", start, "stop", "theirs"],
        cwd=guest.path,
        env={**guest.project.environment, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not guest.ran
    assert "Traceback" not in done.stderr, done.stderr


# -- Links -----------------------------------------------------------------------------------------


def link(path: Path, target: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def test_watch_writes_through_no_link(guest: Guest) -> None:
    """The answers of job managers replace no file of the user, whether the file itself is a link or
    a folder above it.
    """
    lines = {"submit": "qsub {worker}", "status": f"{guest.evil} {{token}}"}
    guest.job("command", lines)
    allowed = f"--allow={guest.evil} {{token}}"
    bashrc = guest.home / ".bashrc"
    bashrc.write_text("mine\n")
    link(guest.folder / ".modeldir/jobs/states.json", bashrc)
    guest.says("watch", "theirs", allowed)
    assert guest.ran
    assert bashrc.read_text() == "mine\n"
    for name in (".modeldir/jobs", ".modeldir"):
        elsewhere = guest.home / name.replace("/", "_")
        (guest.folder / ".modeldir/jobs/states.json").unlink(missing_ok=True)
        (guest.folder / name).rename(elsewhere)
        (guest.folder / name).symlink_to(elsewhere)
        before = sorted(elsewhere.rglob("*"))
        guest.says("watch", "theirs")
        assert sorted(elsewhere.rglob("*")) == before
        (guest.folder / name).unlink()
        elsewhere.rename(guest.folder / name)


def test_synthesize_writes_through_no_link(guest: Guest) -> None:
    """Neither a dangling link nor one to an empty file is filled with rows."""
    profile = guest.home / ".bash_profile"
    empty = guest.home / ".profile"
    empty.touch()
    link(guest.folder / "results.csv", profile)
    link(guest.folder / "results.md", empty)
    said = guest.says("synthesize", "theirs")
    assert "results.csv was not replaced" in said.err
    assert "-o table.csv" in said.err
    assert not profile.exists()
    assert empty.read_text() == ""


def test_a_named_file_does_not_lead_elsewhere(guest: Guest) -> None:
    """A link that lies where the user wants a file is replaced by the file."""
    mine = guest.home / "mine"
    mine.write_text("mine\n")
    for words in (
        ("synthesize", "theirs", "-o", "theirs/out.csv"),
        ("synthesize", "theirs", "--html", "theirs/out.html"),
        ("plot", "theirs", "-o", "theirs/out.svg"),
    ):
        link(guest.folder / words[-1].removeprefix("theirs/"), mine)
        said = guest.says(*words)
        assert said.code == 0, said
        assert not (guest.path / words[-1]).is_symlink()
    assert mine.read_text() == "mine\n"


@pytest.mark.parametrize("name", [".modeldir", ".modeldir/trials", ".modeldir/stops"])
@pytest.mark.parametrize("command", ["stop", "retry", "remove", "search"])
def test_nothing_is_written_below_a_linked_folder(guest: Guest, command: str, name: str) -> None:
    """Requests to stop and marks of trials do not land in a folder that a link leads to."""
    guest.trial(3, 0.3, "failed")
    guest.job("command", {"submit": "qsub {worker}"})
    elsewhere = guest.home / "elsewhere"
    (guest.folder / name).mkdir(exist_ok=True)
    (guest.folder / name).rename(elsewhere)
    (guest.folder / name).symlink_to(elsewhere)
    before = sorted(elsewhere.rglob("*"))
    said = guest.says(command, "theirs/learning_rate_0.3" if command == "remove" else "theirs")
    assert f"theirs/{name} is a link" in said.err, said
    assert sorted(elsewhere.rglob("*")) == before


def test_results_that_modeldir_did_not_write_stay(guest: Guest) -> None:
    """A project's own table of results is left as it is, and the user is told what to type."""
    table = "| model | accuracy |\n|---|---|\n| baseline | 0.9 |\n"
    guest.write("results.md", table)
    said = guest.says("synthesize", "theirs")
    assert (guest.folder / "results.md").read_text() == table
    assert "-o table.md" in said.err


# -- Names that are read from files ----------------------------------------------------------------

ESCAPED = "/tmp/modeldir_escaped"
NAMES = ("../escaped", ESCAPED, "a/b/c", "..", "", ".modeldir", "a\0b", 5, "n" * 256)


@pytest.mark.parametrize("name", NAMES, ids=lambda name: repr(name)[:30])
def test_a_trial_is_made_in_its_search(guest: Guest, name: object) -> None:
    """A claim whose name leads elsewhere makes no folder there and stops no search; it is reported
    with its path.
    """
    guest.plan(command=f"{sys.executable} train.py")
    guest.claim(3, name, 0.3)
    shown, searched = guest.says("show", "theirs"), guest.says("search", "theirs", "-j", "1")
    assert "theirs/.modeldir/trials/000003.json: its name cannot be" in shown.out, shown
    assert "000003.json: its name cannot be" in searched.out, searched
    assert searched.code == 0, searched
    assert guest.project.started == ["learning_rate_0.3"]
    for place in (guest.path / "escaped", Path(ESCAPED), guest.folder / "a"):
        assert not place.exists()


@pytest.mark.parametrize("name", ["@../secret.csv", "@/etc/passwd"])
def test_points_are_read_from_the_search(guest: Guest, name: str) -> None:
    """The file of points that a plan names lies in its folder; another one is not opened."""
    (guest.path / "secret.csv").write_text("password\nhunter2\n")
    guest.plan(**{"try": name})
    said = guest.says("show", "theirs")
    assert "is no file in this folder" in said.out + said.err, said
    assert "password" not in said.out + said.err


def test_an_end_of_a_job_is_written_in_its_search(guest: Guest) -> None:
    """An entry of a dead worker names its job by a path: nothing is written there."""
    guest.plan(command=f"{sys.executable} train.py")
    dead = {"host": "here", "machine": "", "boot": "", "pid_namespace": "", "pid": 1, "started": 1}
    known = {**_me(), "pid": 2**22 - 1, "started": 1}
    place = {"device": guest.folder.stat().st_dev, "inode": guest.folder.stat().st_ino}
    entry = {"token": "t", "pid": 1, "jobs": 1, "started": "", "folder": place, **dead}
    job = "../../../home/escaped"
    guest.write(".modeldir/workers/t.json", {**entry, "process": known, "job": job})
    guest.says("search", "theirs")
    assert not [*guest.home.iterdir()]


def _me() -> dict[str, Any]:
    from modeldir._system import processes

    known = processes.process()
    assert known is not None
    return known.to_json()


def test_an_export_removes_only_its_own_files(guest: Guest) -> None:
    """A record of an earlier export names a file outside: it stays."""
    import hashlib

    outside = guest.home / "outside"
    outside.write_text("mine")
    guest.says("export", "theirs", "--to", "csv", "-o", "exported")
    for name in ("modeldir_export.json", "modeldir_export.jsonl"):
        path = guest.path / "exported" / name
        if path.exists():
            record = json.loads(path.read_text())
            digest = hashlib.sha256(b"mine").hexdigest()[:16]
            record["files"]["../home/outside"] = digest
            path.write_text(json.dumps(record))
    guest.says("export", "theirs", "--to", "csv", "-o", "exported")
    assert outside.read_text() == "mine"


# -- What reaches a terminal -----------------------------------------------------------------------

BIDI = "\u202e\u2066\u200f\u061c"
ODD = f"odd{BIDI}\x9b2J\u009b"


def test_no_command_prints_marks_that_mislead(guest: Guest) -> None:
    """Marks that reorder text and 8-bit controls of a folder reach no terminal, and no report."""
    name = f"learning_rate_0.4{ODD}"
    guest.trial(3, 0.3, "failed")
    guest.plan(note=ODD, command=f"echo {ODD}", maximize="accuracy")
    point = {"learning_rate": 0.4, ODD: ODD}
    guest.write("params.json", {"learning_rate": 0.1, ODD: ODD})
    guest.write(f"{name}/params.json", point)
    failed = {"status": "failed", "failure": "error", "reason": ODD, "last_line": ODD}
    guest.write(f"{name}/run.json", {"attempt": 1, "command": [ODD], "note": ODD, **failed})
    guest.write(f"{name}/trial.json", {"number": 4, "configuration": point, "hash": "4" * 16})
    guest.write(f"{name}/origin.json", {"from": ODD, "message": ODD, "changes": {ODD: [ODD, 1]}})
    guest.write(f"{name}/metrics_eval_best_weights.json", {"accuracy": 0.9, ODD: 1.0})
    log = guest.write(f"{name}/train.log", "")
    log.write_bytes(f"loss {ODD} é\n".encode() + b"\x9b2J \xe9\n")
    lines = [*LOOKS, f"show theirs/{name}", f"log theirs/{name}", f"log theirs/{name} --tail 1"]
    lines += ["synthesize theirs --all-columns", "synthesize theirs --format json"]
    for line in lines:
        said = guest.says(*line.split(" "))
        left = {*said.out, *said.err} & {*BIDI, *map(chr, range(0x80, 0xA0)), "\udc9b"}
        assert not left, (line, said)
    report = (guest.path / "report.html").read_text()
    assert not {*BIDI, "\x9b"} & {*report}
    data = re.search(r'<script[^>]* id="data">(.*?)</script>', report, re.DOTALL)
    assert data is not None
    decoded = json.dumps(json.loads(data[1]), ensure_ascii=False)
    assert not {*BIDI, "\x9b"} & {*decoded}
    assert "u202e" in decoded
    shown = guest.says("log", f"theirs/{name}").out
    assert shown.splitlines()[0] == "loss odd\\u202e\\u2066\\u200f\\u061c2J é"


# -- Importing -------------------------------------------------------------------------------------


def sacred(guest: Guest) -> Path:
    """A run of Sacred, as somebody else has left it."""
    run = guest.path / "runs/1"
    run.mkdir(parents=True)
    (run / "config.json").write_text('{"learning_rate": 0.1, "seed": 1}')
    facts = {"status": "COMPLETED", "result": 0.9, "heartbeat": "", "experiment": {"name": "x"}}
    (run / "run.json").write_text(json.dumps(facts))
    series = {"steps": [1], "timestamps": [""], "values": [0.9]}
    (run / "metrics.json").write_text(json.dumps({"accuracy": series}))
    (run / "cout.txt").write_text("trained\n")
    return run


def test_an_import_reads_only_its_folder(guest: Guest) -> None:
    """Neither a log nor a config that a link takes from elsewhere is copied; one inside is."""
    run, secret = sacred(guest), guest.home / "secret"
    secret.write_text('{"password": "hunter2"}')
    (run / "other.txt").write_text("from inside\n")
    for name in ("cout.txt", "config.json"):
        link(run / name, secret)
        said = guest.says("import", "runs", "-o", f"imported_{name}")
        assert "leads out of its folder" in said.out + said.err, said
        for path in (guest.path / f"imported_{name}").rglob("*"):
            assert path.is_dir() or "hunter2" not in path.read_text()
    (run / "config.json").unlink()
    (run / "config.json").write_text('{"learning_rate": 0.1, "seed": 1}')
    link(run / "cout.txt", Path("other.txt"))
    guest.says("import", "runs", "-o", "imported")
    assert [p.read_text() for p in guest.path.glob("imported/*/train.log")] == ["from inside\n"]


def test_an_import_waits_for_no_pipe(guest: Guest) -> None:
    """A pipe in the place of a log is left out."""
    run = sacred(guest)
    (run / "cout.txt").unlink()
    os.mkfifo(run / "cout.txt")
    said = guest.says("import", "runs", "-o", "imported")
    assert "it is a pipe" in said.out + said.err, said
    assert not [*guest.path.glob("imported/*/train.log")]


def test_imported_files_are_as_private_as_their_source(guest: Guest) -> None:
    """The copy of a private log and the values of a private config are private too."""
    run = sacred(guest)
    for name in ("cout.txt", "config.json"):
        (run / name).chmod(0o600)
    guest.says("import", "runs", "-o", "imported")
    found = {path.name: path.stat().st_mode & 0o077 for path in guest.path.glob("imported/*/*")}
    assert {"train.log", "params.json", "metrics.jsonl", "origin.json"} <= found.keys()
    assert not any(found.values()), found


# -- All of it at once -----------------------------------------------------------------------------

WATCHES = """\
import os, sys

said = os.open(os.environ["AUDIT"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
theirs = os.environ["THEIRS"]


def hook(event, values):
    if event in ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "socket.connect"):
        os.write(said, (event + " " + repr(values) + "\\n").encode())
    elif event == "exec" and getattr(values[0], "co_filename", "").startswith(theirs):
        os.write(said, ("import " + values[0].co_filename + "\\n").encode())


sys.addaudithook(hook)
"""
"""What an interpreter tells of itself: each program, connection, and module of the trap."""


def set_trap(guest: Guest) -> dict[str, str]:
    """Fill the folder with everything that could run or lead elsewhere; return variables."""
    auto = {"sampler": "evil:S", "why": ""}
    guest.plan(pruner="evil:E", sampler="evil:S", auto=auto, trials=5, maximize="accuracy")
    (guest.path / "modeldir.toml").write_text(
        f'command = "{guest.evil}"\n[submit]\nsubmit = "{guest.evil} {{worker}}"\n'
        f'status = "{guest.evil}"\ncancel = "{guest.evil} {{job}}"\n'
    )
    for number, rate in enumerate((0.3, 0.4, 0.5), start=3):
        guest.trial(number, rate, "failed")
    guest.claim(6, "../home/escaped", 0.6)
    guest.write(".modeldir/last_worker.json", {"options": ["--on", f"$({guest.evil})"]})
    guest.write(".modeldir/preload.json", {"learned": {"modules": ["evil"]}})
    lines = {"status": str(guest.evil), "cancel": f"{guest.evil} {{job}}"}
    guest.job("command", {"submit": f"{guest.evil} {{worker}}", **lines})
    (guest.home / ".profile").touch()
    (guest.home / ".bashrc").write_text("mine\n")
    link(guest.folder / "results.csv", guest.home / ".bash_profile")
    link(guest.folder / "results.md", guest.home / ".profile")
    link(guest.folder / ".modeldir/jobs/states.json", guest.home / ".bashrc")
    link(guest.folder / "learning_rate_0.4/train.log", guest.home / ".bashrc")
    link(guest.folder / "linked", guest.home)
    for name in ("train.log", "metrics.jsonl", "trial.json"):
        (guest.folder / "learning_rate_0.5" / name).unlink(missing_ok=True)
        os.mkfifo(guest.folder / "learning_rate_0.5" / name)
    os.mkfifo(guest.folder / "search.log")
    watcher = guest.path / "watcher"
    watcher.mkdir()
    (watcher / "sitecustomize.py").write_text(WATCHES)
    own = {"MPLCONFIGDIR": "matplotlib", "XDG_CACHE_HOME": "cache", "AUDIT": "audit"}
    places = {name: str(guest.path / place) for name, place in own.items()}
    return {**places, "PYTHONPATH": str(watcher), "THEIRS": str(guest.path / "evil")}


def contents(top: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below a folder: when it was written, and what it holds."""
    return {
        str(path): (path.lstat().st_mtime_ns, path.read_bytes())
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("linked", ["", ".modeldir", ".modeldir/jobs", ".modeldir/trials"])
def test_a_trap_does_not_close(guest: Guest, linked: str) -> None:
    """Every command that looks, `stop` and `retry` are typed on a folder of traps: no program of it
    runs, no code of it is imported, nothing is connected to, and nothing is written outside.
    """
    variables = set_trap(guest)
    if linked:
        (guest.folder / linked).rename(guest.home / "moved")
        (guest.folder / linked).symlink_to(guest.home / "moved")
    before = contents(guest.home)
    for line in (*LOOKS, "log theirs/learning_rate_0.4", "show theirs/learning_rate_0.5"):
        guest.says(*line.split(), **variables)
        assert not guest.ran, line
        assert contents(guest.home) == before, line
    audit = guest.path / "audit"
    told = audit.read_text().splitlines() if audit.exists() else []
    assert not [line for line in told if str(guest.path) in line or "connect" in line], told


def test_the_tripwire_works(guest: Guest) -> None:
    """The same watch tells of the program and the module that a command to run trials uses."""
    variables = set_trap(guest)
    guest.says("search", "theirs", **variables)
    assert f"import {guest.path / 'evil.py'}" in (guest.path / "audit").read_text()


def test_nothing_is_evaluated(guest: Guest) -> None:
    """Conditions and constraints that are Python are errors, and run nothing."""
    code = f"__import__('os').system('{guest.evil}')"
    for words in (["synthesize", "theirs", "--where", code], ["show", "theirs"]):
        guest.plan(constraints=[code])
        guest.says(*words)
        assert not guest.ran
    source = Path(__file__).parents[1] / "src/modeldir"
    calls = re.compile(r"(?<![\w.])(?:eval|exec)\(|pickle\.loads?\(|os\.system\(|shell=True")
    found = [
        str(path.relative_to(source))
        for path in source.rglob("*.py")
        for line in path.read_text().splitlines()
        if calls.search(line) and "templates" not in path.parts
    ]
    # They run the script of a training run, and record what it imports.
    assert sorted(found) == ["worker/preload/import_recorder.py", "worker/preload/run_script.py"]
