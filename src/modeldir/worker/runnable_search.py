"""The public `Search`: a search that can also run its trials.

Scripts and notebooks import it as `modeldir.Search`. Start reading at `run`. Rule that must not
break: `search` does not import the worker, so everything except `run` is in `search.search`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from modeldir._system.shell import command_line
from modeldir.monitor.progress import shown_on
from modeldir.monitor.summary import WorkerOutcome
from modeldir.search import search
from modeldir.worker.worker import Worker


class Search(search.Search):
    __doc__ = search.Search.__doc__

    def run(
        self, command: str | Sequence[str] | None = None, *, jobs: int = 1, quiet: bool = False
    ) -> WorkerOutcome:
        """Run all trials with a command, and print the same as `modeldir search`.

        Args:
            command: the training command. The default is the one in `search.json`.
            jobs: the number of trials that run in parallel.
            quiet: print nothing.

        Raises:
            CommandError: when the command cannot run a trial.
            SearchError: when the search cannot start.
        """
        line = (
            command
            if command is None or isinstance(command, str)
            else command_line(map(str, command))
        )
        typed = line or self.plan_file.given["command"]
        worker = Worker(self, jobs, shown_on(None if quiet else sys.stdout))
        return worker.run(line or self.plan.command, typed=typed is not None)
