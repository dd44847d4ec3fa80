"""`Search` as users import it: a search that can also run its trials.

It adds `run` to the search in `modeldir.search.search`, which may not import the worker.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence

from modeldir.monitor.progress import NoProgress, shown_on
from modeldir.monitor.summary import WorkerOutcome
from modeldir.search import search
from modeldir.worker.worker import Worker


class Search(search.Search):
    __doc__ = search.Search.__doc__

    def run(
        self, command: str | Sequence[str] | None = None, *, jobs: int = 1, quiet: bool = False
    ) -> WorkerOutcome:
        """Run all trials by a command, `jobs` at a time; prints as `modeldir search` does.

        Raises:
            CommandError: when the command cannot run a trial.
            SearchError: when the search cannot start.
        """
        line = (
            command
            if command is None or isinstance(command, str)
            else shlex.join(map(str, command))
        )
        typed = line or self.plan_file.given["command"]
        worker = Worker(self, jobs, NoProgress() if quiet else shown_on(sys.stdout))
        return worker.run(line or self.plan.command, typed=typed is not None)
