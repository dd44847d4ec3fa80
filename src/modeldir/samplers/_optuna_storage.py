"""A read-only Optuna storage: the trials that `_optuna.StudyHistory` holds.

Only `_optuna.py` imports this module, inside a function, because it imports Optuna at its top. It
never stores a trial: the experiment folders are the study.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class ReadOnlyStorage(BaseStorage):
    """The methods of a storage that Optuna's samplers call while they propose a trial."""

    def __init__(
        self,
        rows: list[FrozenTrial],
        directions: Sequence[StudyDirection],
        attrs: Mapping[str, Any],
    ) -> None:
        self._rows, self._directions = rows, directions
        self.study_attrs = dict(attrs)

    def get_study_id_from_name(self, study_name: str) -> int:
        del study_name
        return 0

    def get_study_name_from_id(self, study_id: int) -> str:
        del study_id
        return "modeldir"

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        del study_id
        return list(self._directions)

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        del study_id
        return self.study_attrs

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        del study_id
        self.study_attrs[key] = value

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Ignore attributes: samplers set them on the proposed trial, and nothing reads them."""

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,  # noqa: FBT001, FBT002 - Optuna's signature
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        del study_id, deepcopy
        return [row for row in self._rows if states is None or row.state in states]

    def get_trial(self, trial_id: int) -> FrozenTrial:
        return next(row for row in self._rows if row.number == trial_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        del study_id
        return {}

    def _never(self, *_: Any, **__: Any) -> Any:
        raise NotImplementedError("the folders are the study; nothing is written here")

    create_new_study = delete_study = set_study_user_attr = get_all_studies = _never
    create_new_trial = set_trial_param = set_trial_state_values = _never
    set_trial_intermediate_value = set_trial_user_attr = _never
