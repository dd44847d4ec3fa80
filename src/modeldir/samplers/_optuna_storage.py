"""The storage of a study of Optuna's, as a view of rows that somebody else keeps.

It imports Optuna, so it is imported only by what needs that. It refuses to write: the folders are
the study.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from typing import Any

from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState


class ReadOnlyStorage(BaseStorage):
    """Rows to read, and a place for what the trial that is asked for is told by its sampler."""

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
        """Told of the trial that is asked for alone, which nobody will read again."""

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
