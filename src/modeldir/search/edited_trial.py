"""A trial made after another one, with some values set by hand: `modeldir retry --set`.

`Search.make_retry` calls `make` with the search's lock held. Values under one trial name never
change, so other values make another trial. Running a trial again as it is: `retries.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modeldir.errors import SearchError, did_you_mean
from modeldir.params import plain_values
from modeldir.params.params import Params
from modeldir.search import inherited_weights, proposals
from modeldir.search.base_config import with_values
from modeldir.search.plan import Plan
from modeldir.search.trial_record import TrialRecord
from modeldir.search.trials import Trials


def make(
    plan: Plan,
    trials: Trials,
    record: TrialRecord,
    values: Mapping[str, Any],
    *,
    continues: bool,
) -> tuple[TrialRecord, bool]:
    """Make a trial after another, and say whether it is new; see `Search.make_retry`."""
    edited = Params(with_values(record.hyperparameters, {}))
    unknown = [name for name in values if name not in edited]
    if unknown:
        known = list(plain_values.flatten(record.hyperparameters))
        problems = [(f"{name}: not in params.json", did_you_mean(name, known)) for name in unknown]
        raise SearchError(f"{record.name} cannot be made again:", problems)
    edited.update(values)
    while True:
        trials.refresh()
        for other in trials:
            if trials.is_same(other, edited.dict):
                return other, False
        made = trials.claim(
            _configuration(plan, edited.dict, record, values),
            edited.dict,
            told=proposals.remarks(plan, {}),
            numbered=plan.space.is_named_by_number,
            retry_of=record.number,
            parent=inherited_weights.as_parent(trials, record) if continues else None,
        )
        if made is not None:
            if continues:
                trials.claims.spare(made.number)
            return made, True


def _configuration(
    plan: Plan, hyperparameters: Mapping[str, Any], record: TrialRecord, values: Mapping[str, Any]
) -> dict[str, Any]:
    decided = plan.space.decided(plain_values.flatten(hyperparameters))
    if decided is None:
        return {**record.configuration, **values}
    others = {n: v for n, v in record.configuration.items() if n not in plan.space.domains}
    return {**others, **decided, **values}
