"""Start workers on the machines of a laboratory, by `rexec`, `rps` and `rkill`."""

import itertools
import shlex
import subprocess

from modeldir.errors import CommandError
from modeldir.launchers import JobRef, JobState, output_of, refuse, unknown_options, with_token


class LabLauncher:
    name = "lab"

    def __init__(self, search, options):
        problems = [*unknown_options(options, ["hosts"])]
        if not options.get("hosts"):
            problems.append(("hosts: which machines?", 'hosts = ["red", "blue"], in [lab]'))
        refuse(self.name, problems)  # all at once, before anything is started
        self.search, self.hosts = search, options["hosts"]

    def start(self, worker, tokens):
        for token, host in zip(tokens, itertools.cycle(self.hosts)):
            script = output_of(self.search, token).with_suffix(".sh")
            script.write_text("exec " + shlex.join(with_token(worker, token)) + "\n")
            done = subprocess.run(["rexec", host, script], capture_output=True, text=True)
            if done.returncode != 0:
                raise CommandError(f"rexec {host}: {done.stderr.strip()}")
            yield JobRef(self.name, done.stdout.strip(), token)  # before the next one starts

    def states(self, jobs):
        done = subprocess.run(["rps"], capture_output=True, text=True)
        if done.returncode != 0:  # no answer: unknown is not dead
            return {job: JobState(None, done.stderr.strip()) for job in jobs}
        running = done.stdout.split()
        return {job: JobState(job.job in running if job.job else None) for job in jobs}

    def stop(self, jobs):
        for job, state in self.states(jobs).items():
            if state.alive and subprocess.run(["rkill", job.job]).returncode != 0:
                raise CommandError(f"rkill {job.job} failed")
