"""Ray's Jobs API over HTTP: submit, list and stop jobs, find a cluster, and word its errors.

`ray` uses `RayJobs` and `find_address`. Never import Ray in this process: its client takes a second
and 90 MB for each question, and the API is small and documented:
https://docs.ray.io/en/latest/cluster/running-applications/job-submission/rest.html
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

from modeldir._system import reading
from modeldir.errors import CommandError

PATIENCE = 60.0
"""Seconds for which a busy cluster is asked again: it has just started, or has lost a node."""

_LIMIT = 60.0
_TRIES = 3
_PAUSE = 2.0
_ASK = """\
import sys
from ray.job_submission import JobSubmissionClient
print(JobSubmissionClient(sys.argv[1]).get_address())
"""
_LOST = (502, 503, 504)
"""Statuses of a proxy in between, which does not know what Ray has done."""
_LATER = "try again later"
"""Part of the answer of a head that has no agent yet: "No available agent to submit job"."""
_MAX_SAID = 300


class NoAnswer(CommandError):
    """There is no answer. `may_have_come`: the request may have arrived anyway."""

    def __init__(self, message: str, *, may_have_come: bool) -> None:
        super().__init__(message)
        self.may_have_come = may_have_come


class Refused(CommandError):
    """Ray rejects a request, with an HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Busy(Refused):
    """Ray has been busy for as long as our patience lasts."""


class RayJobs:
    """The jobs of the cluster at an address: `http://head:8265`.

    `limit`: seconds to wait for an answer. `pause`: seconds before a request is repeated.
    `patience`: seconds, by the `clock`, for which a busy cluster is asked again.
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
        """Submit a job under the id that it has.

        Ray accepts an id once. So a request whose answer was lost is repeated, and "already exists"
        means that it was accepted.
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
                    # The lost answer may have been that the job was accepted.
                    raise (NoAnswer(str(error), may_have_come=True) if came else error) from None
            except Refused as error:
                if "already exists" not in str(error):
                    raise
                return
            else:
                return
            time.sleep(self._pause)

    def all(self) -> list[dict[str, Any]]:
        """Return Ray's description of each job, including those that have ended."""
        told = self._call("GET", "/api/jobs/")
        if not isinstance(told, list):
            raise Refused(no_ray(self.address), 200)
        return [each for each in told if isinstance(each, dict)]

    def stop(self, job: str) -> None:
        """Stop a job. A job that has ended, or that Ray does not know, is ignored."""
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
        # A proxy from the environment would look for "this machine" on its own machine.
        return urllib.request.build_opener(*[urllib.request.ProxyHandler({})] * is_here)

    def _refusal(self, status: int, said: str) -> CommandError:
        if status in _LOST:
            return NoAnswer(nobody(self.address, f"HTTP {status}"), may_have_come=True)
        if status == http.client.UNAUTHORIZED:
            words = (
                f"Ray at {self.address} needs a token, and none was found\n"
                "  put the cluster's token into ~/.ray/auth_token, or set RAY_AUTH_TOKEN=..."
            )
            return Refused(words, status)
        if status == http.client.FORBIDDEN:
            words = (
                f"Ray at {self.address} does not accept this token\n"
                "  put the cluster's token into ~/.ray/auth_token; RAY_AUTH_TOKEN and "
                "RAY_AUTH_TOKEN_PATH, if set, are used instead"
            )
            return Refused(words, status)
        kind = Busy if _LATER in said else Refused
        return kind(f"Ray at {self.address} says: {gist(said)}", status)


# -- Where it is -----------------------------------------------------------------------------------


def find_address(address: str, environment: Mapping[str, str] | None = None) -> str:
    """Return the HTTP address of a cluster.

    `auto` is that of RAY_API_SERVER_ADDRESS or RAY_ADDRESS, else of the cluster on this machine.
    """
    around = os.environ if environment is None else environment
    if address == "auto":
        address = around.get("RAY_API_SERVER_ADDRESS") or around.get("RAY_ADDRESS") or "auto"
    if urllib.parse.urlsplit(address).scheme in ("http", "https"):
        return address.rstrip("/")
    return _asked(address, around)


def _asked(address: str, environment: Mapping[str, str]) -> str:
    """Let Ray itself find a cluster, which takes a second."""
    # The given address overrides the environment; in Ray it is the other way round.
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
        raise CommandError(
            f"--address {address}: only Ray can find that cluster, and Ray is not installed\n"
            '  pip install "modeldir[ray]"\n'
            "  or name its dashboard, for which Ray is not needed here: --address http://HEAD:8265"
        )
    raise CommandError(not_found(address, said))


def _headers() -> dict[str, str]:
    """Return the headers of Ray's own client: those in RAY_JOB_HEADERS, and the cluster's token."""
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
        return reading.read(Path(path).expanduser(), reading.RECORD).decode().strip()
    except (OSError, RuntimeError, UnicodeError):  # no file, no home folder, not UTF-8
        return ""


# -- Messages --------------------------------------------------------------------------------------


def gist(said: str) -> str:
    r"""Return the reason in a traceback that Ray has answered with.

    >>> gist("Traceback ...\n  File ...\nValueError: Job a already exists.\n.\n")
    'Job a already exists.'
    """
    lines = [line.strip() for line in said.splitlines() if line.strip(" .")]
    last = lines[-1] if lines else "nothing"
    kind, colon, rest = last.partition(": ")
    is_error = bool(colon) and kind.replace(".", "").isidentifier()
    return (rest if is_error else last)[:_MAX_SAID]


def nobody(address: str, why: object) -> str:
    return (
        f"no Ray answers at {address}: {_reason(why)}\n"
        "  is that its dashboard's address? the head node prints it: ray start --head\n"
        '  (the head needs all of Ray\'s dashboard: pip install "ray[default]")'
    )


def _reason(why: object) -> str:
    if isinstance(why, TimeoutError):
        return "no answer in time"
    return (why.strerror or str(why)) if isinstance(why, OSError) else str(why)


def no_ray(address: str) -> str:
    return f"what answers at {address} is not Ray\n  its dashboard's address: http://HEAD:8265"


def not_found(address: str, said: str) -> str:
    where = "on this machine" if address == "auto" else f"at {address}"
    return (
        f"no Ray runs {where}: {gist(said)}\n"
        "  ray start --head          starts one here; ray up CLUSTER.yaml elsewhere\n"
        "  --address http://HEAD:8265   names one that runs"
    )
