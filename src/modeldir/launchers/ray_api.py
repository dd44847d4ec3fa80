"""Ray's Jobs API: four questions over HTTP, and what its refusals mean.

It knows where a cluster answers, which token opens it, and how an answer that was lost is made up
for. It refuses to know workers and searches. Ray itself is imported only to find a cluster that no
address names, by a process that ends at once: the API is documented and small, and Ray's own client
costs a second and 90 MB wherever somebody asks how jobs are (docs/contributing/decisions/).

Start at `Jobs`. https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from modeldir.errors import CommandError

USUAL = "http://127.0.0.1:8265"
"""Where the head of a cluster answers on its own machine, if nobody says otherwise."""

PATIENCE = 60.0
"""Seconds for which one is asked again who says that he has no time: a cluster that has just come
up, or has lost a node."""

_LIMIT = 60.0
_TRIES = 3
_PAUSE = 2.0
_ASK = """\
import sys
from ray.job_submission import JobSubmissionClient
print(JobSubmissionClient(sys.argv[1]).get_address())
"""
_LOST = (502, 503, 504)
"""Answers of something in between, which does not know what Ray has done."""
_LATER = "try again later"
"""In what a head says that has no agent of its own yet: "No available agent to submit job"."""
_MAX_SAID = 300


class NoAnswer(CommandError):
    """Nobody answers there. `may_have_come`: but what was asked may have arrived."""

    def __init__(self, message: str, *, may_have_come: bool) -> None:
        super().__init__(message)
        self.may_have_come = may_have_come


class Refused(CommandError):
    """Ray says no, with an HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Busy(Refused):
    """Ray says "later", and has said so for as long as we had patience."""


class Jobs:
    """The jobs of the cluster that answers at an address: `http://head:8265`.

    `limit`: seconds for each answer; `pause`: those before something is asked again; `patience`:
    those, by the `clock`, for which Ray is asked again that has no time.
    """

    def __init__(
        self,
        address: str,
        *,
        limit: float = _LIMIT,
        pause: float = _PAUSE,
        patience: float = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.address = address.rstrip("/")
        self._limit, self._pause = limit, pause
        self._patience, self._clock = patience, clock

    def submit(self, job: Mapping[str, Any]) -> None:
        """Submit a job under the id that it names. Ray takes an id once, so an answer that was lost
        is asked for again, and "already exists" is one.

        Raises:
            NoAnswer: when nobody answers.
            Busy: when Ray has no time, for longer than we are patient.
            Refused: when it is not taken.
        """
        came, left = False, _TRIES
        until = self._clock() + self._patience
        while True:
            try:
                self._call("POST", "/api/jobs/", job)
            except NoAnswer as error:
                came, left = came or error.may_have_come, left - 1
                if not came or not left:
                    raise NoAnswer(str(error), may_have_come=came) from error
            except Busy as error:
                if self._clock() >= until:
                    # An answer that was lost before may have been a yes.
                    raise (NoAnswer(str(error), may_have_come=True) if came else error) from None
            except Refused as error:
                if "already exists" not in str(error):
                    raise
                return
            else:
                return
            time.sleep(self._pause)

    def all(self) -> list[dict[str, Any]]:
        """What Ray tells of each job, those that have ended included.

        Raises:
            NoAnswer, Refused: when it does not.
        """
        told = self._call("GET", "/api/jobs/")
        if not isinstance(told, list):
            raise Refused(no_ray(self.address), 200)
        return [each for each in told if isinstance(each, dict)]

    def stop(self, job: str) -> None:
        """Have a job end; one that has ended, or that Ray does not know, is let be.

        Raises:
            NoAnswer, Refused: when it is not done.
        """
        try:
            self._call("POST", f"/api/jobs/{urllib.parse.quote(job, safe='')}/stop")
        except Refused as error:
            if error.status != http.client.NOT_FOUND:
                raise

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **_headers()}
        try:
            request = urllib.request.Request(  # noqa: S310 - `found` lets only http and https pass
                self.address + path, data, headers, method=method
            )
            with self._opener().open(request, timeout=self._limit) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise self._refusal(error.code, error.read().decode(errors="replace")) from error
        except urllib.error.URLError as error:
            never = (ConnectionRefusedError, socket.gaierror)
            words = nobody(self.address, error.reason)
            raise NoAnswer(words, may_have_come=not isinstance(error.reason, never)) from error
        except json.JSONDecodeError as error:
            raise Refused(no_ray(self.address), 200) from error
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(nobody(self.address, error), may_have_come=True) from error

    def _opener(self) -> urllib.request.OpenerDirector:
        host = urllib.parse.urlsplit(self.address).hostname or ""
        is_here = host == "localhost" or host.startswith("127.")
        # A proxy of the environment looks for "this machine" on its own.
        return urllib.request.build_opener(*[urllib.request.ProxyHandler({})] * is_here)

    def _refusal(self, status: int, said: str) -> CommandError:
        if status in _LOST:
            return NoAnswer(nobody(self.address, f"HTTP {status}"), may_have_come=True)
        if status == http.client.UNAUTHORIZED:
            return Refused(no_token(self.address), status)
        if status == http.client.FORBIDDEN:
            return Refused(wrong_token(self.address), status)
        kind = Busy if _LATER in said else Refused
        return kind(f"Ray at {self.address} says: {gist(said)}", status)


# -- Where it is -----------------------------------------------------------------------------------


def found(address: str, environment: Mapping[str, str] | None = None) -> str:
    """The HTTP address of a cluster, from what a user says: that, the address of its head as
    `ray.init` takes it, or `auto`: what RAY_API_SERVER_ADDRESS or RAY_ADDRESS say, else the one
    that runs on this machine.

    Raises:
        CommandError: when there is none.
    """
    around = os.environ if environment is None else environment
    if address == "auto":
        address = around.get("RAY_API_SERVER_ADDRESS") or around.get("RAY_ADDRESS") or "auto"
    if urllib.parse.urlsplit(address).scheme in ("http", "https"):
        return address.rstrip("/")
    return _asked(address, around)


def _asked(address: str, environment: Mapping[str, str]) -> str:
    """Let Ray itself find a cluster, which takes it a second."""
    # What is said wins over the environment; Ray has it the other way round.
    kept = {
        key: value
        for key, value in environment.items()
        if key not in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS")
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            env=kept,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(not_found(address, f"no answer within {_LIMIT:g} s")) from None
    if done.returncode == 0:
        return done.stdout.strip().splitlines()[-1].rstrip("/")
    said = done.stderr.strip().rpartition("\n")[2]
    if "No module named 'ray" in said:
        raise CommandError(not_installed(address))
    raise CommandError(not_found(address, said))


def _headers() -> dict[str, str]:
    """What Ray's own client sends: headers that RAY_JOB_HEADERS names, and the cluster's token."""
    try:
        given = json.loads(os.environ.get("RAY_JOB_HEADERS") or "{}")
    except ValueError:
        given = {}
    headers = {str(key): str(value) for key, value in given.items()}
    token = _token()
    if token and "authorization" not in map(str.lower, headers):
        headers["Authorization"] = f"Bearer {token}"
    return headers


def _token() -> str:
    if os.environ.get("RAY_AUTH_MODE") == "disabled":
        return ""
    if token := os.environ.get("RAY_AUTH_TOKEN"):
        return token.strip()
    path = os.environ.get("RAY_AUTH_TOKEN_PATH") or "~/.ray/auth_token"
    try:
        return Path(path).expanduser().read_text().strip()
    except (OSError, RuntimeError, UnicodeError):  # no file, no home, no text
        return ""


# -- What is said ----------------------------------------------------------------------------------


def gist(said: str) -> str:
    r"""The reason within a traceback that Ray answers with.

    >>> gist("Traceback ...\n  File ...\nValueError: Job a already exists.\n.\n")
    'Job a already exists.'
    """
    lines = [line.strip() for line in said.splitlines() if line.strip(" .")]
    last = lines[-1] if lines else "nothing"
    kind, colon, rest = last.partition(": ")
    is_error = bool(colon) and kind.replace(".", "").isidentifier()
    return (rest if is_error else last)[:_MAX_SAID]


def nobody(address: str, why: object) -> str:
    """That nobody answers at an address."""
    return (
        f"no Ray answers at {address}: {_reason(why)}\n"
        "  is that its dashboard's address? the head says it when it starts: ray start --head\n"
        '  (the head needs all of Ray\'s dashboard: pip install "ray[default]")'
    )


def _reason(why: object) -> str:
    if isinstance(why, TimeoutError):
        return "no answer in time"
    return (why.strerror or str(why)) if isinstance(why, OSError) else str(why)


def no_ray(address: str) -> str:
    """That somebody answers, who is no Ray."""
    return f"what answers at {address} is no Ray\n  its dashboard's address: http://HEAD:8265"


def no_token(address: str) -> str:
    """That a cluster wants a token, and we have none."""
    return (
        f"Ray at {address} wants a token, and none was found\n"
        "  put the cluster's into ~/.ray/auth_token, or say RAY_AUTH_TOKEN=..."
    )


def wrong_token(address: str) -> str:
    """That ours is not the cluster's."""
    return (
        f"Ray at {address} does not take this token\n"
        "  the cluster's belongs into ~/.ray/auth_token, unless RAY_AUTH_TOKEN or "
        "RAY_AUTH_TOKEN_PATH say another"
    )


def not_installed(address: str) -> str:
    """That a cluster can only be found by Ray, which is not here."""
    return (
        f"--address {address}: only Ray itself finds that cluster, and it is not installed\n"
        '  pip install "modeldir[ray]"\n'
        "  or name its dashboard, for which Ray is not needed here: --address http://HEAD:8265"
    )


def not_found(address: str, said: str) -> str:
    """That Ray has found no cluster."""
    where = "on this machine" if address == "auto" else f"at {address}"
    return (
        f"no Ray runs {where}: {gist(said)}\n"
        "  ray start --head          starts one here; ray up CLUSTER.yaml elsewhere\n"
        "  --address http://HEAD:8265   names one that runs"
    )
