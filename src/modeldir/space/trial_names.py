"""How a trial's folder is called by its point, and how long such names may become.

It knows what file systems, shells and readers bear. It refuses to know whether a name is taken.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_NAME = 120
"""Bytes of a trial's name; most file systems allow 255, and logs and paths need room too."""
_PLAIN = re.compile(r"[A-Za-z0-9_.,=+@%-]*")
"""What is safe as it is: nearly all."""


def value_text(value: object) -> str:
    """A value as it stands in names and commands: texts bare, all else as JSON, without spaces.

    >>> value_text(1e-05), value_text("adam"), value_text(True), value_text([64, 32])
    ('1e-05', 'adam', 'true', '[64,32]')
    """
    if isinstance(value, str):
        return value
    return _compact(value)


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
"""Made once: a search names each of its values, and a command has them too."""


def trial_name(point: Mapping[str, object]) -> str:
    """What the folder of a trial is called: its hyperparameters, made safe as a file name.

    Different points may have one name (`a/b` and `a-b`): a name is for people, not an identity.

    >>> trial_name({"learning_rate": 0.01, "batch_size": 32})
    'learning_rate_0.01__batch_size_32'
    """
    name = "__".join(safe(f"{name}_{value_text(value)}") for name, value in point.items())
    return name.lstrip(".-").rstrip(".") or "trial"


def safe(text: str) -> str:
    """Without separators, spaces, quotes, control characters and what a shell would act on."""
    if _PLAIN.fullmatch(text):
        return text
    text = re.sub(r"\s+", "_", unicodedata.normalize("NFC", text))
    text = re.sub(r"[\[\](){}<>\"'`]", "", text)
    return re.sub("\0+", "-", "".join(char if _is_safe(char) else "\0" for char in text))


def _is_safe(char: str) -> bool:
    """Letters of every script with their marks, digits, and a few signs that no tool minds."""
    return char.isalnum() or char in "_.,=+@%-" or unicodedata.category(char) in {"Mn", "Mc"}
