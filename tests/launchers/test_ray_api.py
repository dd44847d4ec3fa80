"""Ray's Jobs API without a Ray: answers that were lost, refusals, and where a cluster is."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from modeldir.errors import CommandError
from modeldir.launchers import LauncherBusy, new_tokens, ray, ray_api
from modeldir.launchers.ray import RayLauncher

if TYPE_CHECKING:
    from syrupy.assertion import SnapshotAssertion

Answers = Callable[[str, str, dict[str, Any]], tuple[int, str] | None]
EXISTS = (
    "Traceback ...\nValueError: Job with submission_id a already exists. Please use another.\n.\n"
)
BUSY = (500, "No available agent to submit job, please try again later.")

FINDS = """\
class JobSubmissionClient:
    def __init__(self, address): self.address = address
    def get_address(self): return 'http://found:8265/' + self.address
"""


class Head:
    """A small head of Ray's, which answers as `answers` says; None: the connection is cut."""

    def __init__(self, answers: Answers) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        head = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                head.answer(self)

            do_GET = do_POST  # noqa: N815 - the name that http.server calls

            def log_message(self, *_: object) -> None:
                """Nothing: the tests say what went wrong."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        size = int(request.headers.get("Content-Length") or 0)
        body = json.loads(request.rfile.read(size) or b"{}")
        self.asked.append((request.command, request.path, body))
        self.headers.append(dict(request.headers))
        told = self.answers(request.command, request.path, body)
        if told is None:
            request.close_connection = True
            return
        status, text = told
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())


@contextmanager
def answering(answers: Answers) -> Iterator[Head]:
    """A head that answers while the block runs."""
    head = Head(answers)
    thread = threading.Thread(target=head.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield head
    finally:
        head.server.shutdown()
        thread.join()
        head.server.server_close()


@pytest.fixture(autouse=True)
def _no_ray_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing of the Ray that whoever runs the tests may use."""
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN",
                 "RAY_AUTH_TOKEN_PATH", "RAY_JOB_HEADERS"):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def search(tmp_path: Path) -> Path:
    folder = tmp_path / "my 'search"
    folder.mkdir()
    return folder


# -- Asking ----------------------------------------------------------------------------------------


def test_a_submit_whose_answer_was_lost_is_asked_for_again() -> None:
    """Ray takes an id once: "already exists" says that the first one came."""
    answers = iter([None, (500, EXISTS)])
    with answering(lambda *_: next(answers)) as head:
        ray_api.RayJobs(head.address, pause=0).submit({"submission_id": "a"})
    assert [(way, path) for way, path, _ in head.asked] == [("POST", "/api/jobs/")] * 2
    assert {body["submission_id"] for *_, body in head.asked} == {"a"}


def test_a_submit_that_nobody_confirms_may_have_come() -> None:
    """Who cuts every connection, or stands between, does not know what Ray has done."""
    for silent in (None, (504, "Gateway Timeout")):
        with (
            answering(lambda *_, silent=silent: silent) as head,
            pytest.raises(ray_api.NoAnswer) as refused,
        ):
            ray_api.RayJobs(head.address, pause=0).submit({"submission_id": "a"})
        assert refused.value.may_have_come
        assert len(head.asked) == 3


def patient(head: Head, seconds: float) -> ray_api.RayJobs:
    """Jobs of a head, by a clock that goes on by one second at each look, and without pauses."""
    clock = itertools.count().__next__
    return ray_api.RayJobs(head.address, pause=0, patience=seconds, clock=clock)


def test_a_head_that_has_no_time_is_asked_again_for_a_while() -> None:
    """A cluster that has just come up, or lost a node, takes the job some seconds later."""
    answers = iter([BUSY] * 9 + [(200, "{}")])
    with answering(lambda *_: next(answers)) as head:
        patient(head, 60).submit({"submission_id": "a"})
    assert [body for *_, body in head.asked] == [{"submission_id": "a"}] * 10


def test_patience_ends() -> None:
    """A head that never has time is busy in the end; what it refuses otherwise is told at once."""
    with answering(lambda *_: BUSY) as head, pytest.raises(ray_api.Busy, match="No available"):
        patient(head, 5).submit({"submission_id": "a"})
    assert len(head.asked) == 5
    no = (500, "ValueError: no")
    with answering(lambda *_: no) as head, pytest.raises(ray_api.Refused) as refused:
        patient(head, 5).submit({"submission_id": "a"})
    assert (len(head.asked), type(refused.value)) == (1, ray_api.Refused)


def test_a_submit_without_an_answer_may_have_come_whoever_is_busy_later() -> None:
    """The first one was cut off and may have been taken: then the job is not taken for missing."""
    answers = itertools.chain([None], itertools.repeat(BUSY))
    with (
        answering(lambda *_: next(answers)) as head,
        pytest.raises(ray_api.NoAnswer, match="No available") as refused,
    ):
        patient(head, 3).submit({"submission_id": "a"})
    assert refused.value.may_have_come


def test_where_nobody_listens_nothing_came(snapshot: SnapshotAssertion) -> None:
    """A refused connection is told at once, with what to type."""
    with answering(lambda *_: (200, "{}")) as head:
        address = head.address
    with pytest.raises(ray_api.NoAnswer) as refused:
        ray_api.RayJobs(address).submit({"submission_id": "a"})
    assert not refused.value.may_have_come
    assert str(refused.value).replace(address, "http://127.0.0.1:8265") == snapshot


def test_a_job_that_ended_or_is_unknown_is_stopped_without_complaint() -> None:
    """Ray's "does not exist" is what was wanted; any other refusal is told."""
    with answering(lambda *_: (404, "Job a does not exist")) as head:
        ray_api.RayJobs(head.address).stop("a b")
    assert head.asked == [("POST", "/api/jobs/a%20b/stop", {})]
    no = (500, "ValueError: no")
    with answering(lambda *_: no) as head, pytest.raises(ray_api.Refused, match="says: no"):
        ray_api.RayJobs(head.address).stop("a")


def test_the_token_is_found_where_ray_finds_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment, a file that it names, the home's; and headers for what stands before."""
    home = tmp_path / "home" / ".ray"
    home.mkdir(parents=True)
    (tmp_path / "token").write_text("named\n")
    sent = []
    with answering(lambda *_: (200, "[]")) as head:
        jobs = ray_api.RayJobs(head.address)
        jobs.all()
        (home / "auth_token").write_text("home\n")
        jobs.all()
        monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "token"))
        jobs.all()
        monkeypatch.setenv("RAY_AUTH_TOKEN", "said")
        jobs.all()
        monkeypatch.setenv("RAY_JOB_HEADERS", '{"Authorization": "Basic x", "X-Way": "1"}')
        jobs.all()
        monkeypatch.delenv("RAY_JOB_HEADERS")
        monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
        jobs.all()
        sent = [headers.get("Authorization") for headers in head.headers]
    assert sent == [None, "Bearer home", "Bearer named", "Bearer said", "Basic x", None]
    assert head.headers[4]["X-Way"] == "1"


@pytest.mark.parametrize("status", [401, 403, 500, 200])
def test_each_refusal_says_what_to_do(status: int, snapshot: SnapshotAssertion) -> None:
    """No token, a wrong one, Ray's own reason without its traceback, somebody who is no Ray."""
    said = {500: "Traceback (most recent call last):\n  File ...\nValueError: bad label\n.\n"}
    answer = (status, said.get(status, "<html>"))
    with answering(lambda *_: answer) as head, pytest.raises(ray_api.Refused) as refused:
        ray_api.RayJobs(head.address).all()
    assert refused.value.status == status
    assert str(refused.value).replace(head.address, "http://head:8265") == snapshot


# -- Where it is -----------------------------------------------------------------------------------


def test_an_address_that_is_said_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is what Ray's own variables say, the API's before the cluster's."""
    assert ray_api.find_address("http://head:8265/") == "http://head:8265"
    around = {"RAY_ADDRESS": "http://a:1"}
    assert ray_api.find_address("auto", around) == "http://a:1"
    assert (
        ray_api.find_address("auto", {**around, "RAY_API_SERVER_ADDRESS": "https://b"})
        == "https://b"
    )
    assert ray_api.find_address("http://c:3", around) == "http://c:3"


@pytest.mark.parametrize(
    "says",
    [
        "raise ModuleNotFoundError(\"No module named 'ray'\")",
        "raise ConnectionError('Could not find any running Ray instance.')",
        FINDS,
    ],
    ids=["not installed", "none runs", "found"],
)
def test_ray_is_asked_for_a_cluster_that_no_address_names(
    says: str, tmp_path: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own client finds it, in a process of its own; what it says there is told."""
    (tmp_path / "ray").mkdir()
    (tmp_path / "ray" / "__init__.py").write_text("")
    (tmp_path / "ray" / "job_submission.py").write_text(says)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    for address in ("auto", "head:6379"):
        try:
            told = ray_api.find_address(address)
        except CommandError as error:
            told = str(error)
        assert told == snapshot


# -- The launcher ----------------------------------------------------------------------------------


def test_all_wrong_options_are_told_at_once(search: Path, snapshot: SnapshotAssertion) -> None:
    """A misspelled one, what is no number, what Ray would refuse later."""
    wrong = {"adress": "x", "cpus": "two", "gpus": 1.5, "address": 8265}
    with pytest.raises(CommandError) as refused:
        RayLauncher(search, wrong)
    assert str(refused.value) == snapshot
    for nonsense in ("-1", "nan", "inf", True, None):
        problems = [*ray._problems({"cpus": nonsense})]
        assert bool(problems) == (nonsense is not None)


def test_what_is_submitted(
    search: Path, snapshot: SnapshotAssertion, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The shell's line survives odd names; the job is named by its token."""
    monkeypatch.chdir(search)
    with answering(lambda *_: (200, "{}")) as head:
        launcher = RayLauncher(search, {"address": head.address, "cpus": "2", "gpus": "0.5"})
        [job] = launcher.start(["python", "a 'b\" $HOME"], ["0123456789abcdef_0"])
    assert (job.launcher, job.job) == ("ray", "modeldir-0123456789abcdef_0")
    [(_, _, body)] = head.asked
    assert json.dumps(body, indent=2).replace(str(tmp_path), "/projects") == snapshot


def test_a_job_of_which_ray_said_nothing_is_yielded_all_the_same(search: Path) -> None:
    """It may run: so it is recorded, and found by its id later; no other is started after it."""
    with answering(lambda *_: None) as head:
        launcher = RayLauncher(search, {"address": head.address})
        started = launcher.start(["true"], new_tokens(2))
        first = next(started)
        with pytest.raises(CommandError, match="may run nevertheless"):
            next(started)
    assert {body["submission_id"] for *_, body in head.asked} == {first.job}


def test_a_head_that_has_no_time_is_busy(search: Path) -> None:
    """What passes by itself is told apart from what does not."""
    with answering(lambda *_: BUSY) as head:
        launcher = RayLauncher(search, {"address": head.address}, patience=0)
        with pytest.raises(LauncherBusy):
            list(launcher.start(["true"], new_tokens(1)))
        with answering(lambda *_: (500, "ValueError: no")) as other, pytest.raises(CommandError):
            list(RayLauncher(search, {"address": other.address}).start(["true"], new_tokens(1)))


def test_each_state_has_its_words(search: Path, snapshot: SnapshotAssertion) -> None:
    """What Ray says of a job, what it does not know, and a state that there is not yet."""
    told: dict[str, dict[str, Any]] = {
        "waits": {"status": "PENDING", "metadata": {"cpus": "1", "gpus": "2"}},
        "runs": {"status": "RUNNING", "driver_agent_http_address": "http://192.0.2.7:52365"},
        "done": {"status": "SUCCEEDED"},
        "stopped": {"status": "STOPPED"},
        "failed": {"status": "FAILED", "driver_exit_code": 2},
        "lost": {"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_DIED"},
        "tired": {"status": "FAILED", "error_type": "JOB_SUPERVISOR_ACTOR_START_TIMEOUT"},
        "odd": {"status": "FAILED", "message": "Traceback\nruntime_env.Error: no space"},
        "new": {"status": "HIBERNATING"},
        "unknown": {},
    }
    assert {name: ray._state(each) for name, each in told.items()} == snapshot
    assert ray._state(None).alive is None


def test_jobs_are_asked_after_where_they_were_submitted(search: Path) -> None:
    """One question to each cluster, whatever address is said now; who is silent knows nothing."""
    tokens = new_tokens(3)

    def told(way: str, _: str, __: dict[str, Any]) -> tuple[int, str]:
        running = {"submission_id": ray.job_id(tokens[0]), "status": "RUNNING"}
        return (200, "{}" if way == "POST" else json.dumps([running]))

    with answering(told) as here:
        with answering(told) as there:
            first = [*RayLauncher(search, {"address": here.address}).start(["x"], tokens[:2])]
            last = [*RayLauncher(search, {"address": there.address}).start(["x"], tokens[2:])]
        launcher = RayLauncher(search, {"address": "http://nowhere:1"})
        states = launcher.states([*first, *last])
        assert [states[job].alive for job in [*first, *last]] == [True, False, None]
        assert [way for way, *_ in here.asked] == ["POST", "POST", "GET"]
        launcher.stop(first)
    assert [path for *_, path, _ in here.asked][3:] == [
        f"/api/jobs/{job.job}/stop" for job in first
    ]
