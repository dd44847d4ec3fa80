"""Word patterns that readers have to decode must not come back.

The number of matches may only fall. It is zero in the source and in the pages for contributors;
`CEILINGS` has what the pages for users still contain. Lower a ceiling when you rewrite a page.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

RULES = {
    "write 'run it again'": r"\b[Ss]aid again\b|\b[Ss]ay (it|the same|the search) again\b",
    "name who prints": r"\b(?:is|are|was|were|be|been) (?:told|said)\b",
    "no 'which is said'": r"\b(?:which|that) is said\b",
    "no fronted genitive": r"(?:^|(?<=[.;:] ))Of (?!course\b|all\b)[a-z`]+",
    "no fronted Where/Who/What/That clause": (
        r"(?:^|(?<=[.;] ))(?:Where|Who|Whoever|What|That) "
        r"(?!(?:is|are|does|do|you|to)\b.*\?)[a-z`]+"
    ),
    "who is for people": (
        r"\bwho (?:runs|is|asks|wants|looks|reads|logs|took|takes|lives|comes|was|has)\b"
    ),
    "no 'so many', 'so often'": r"\bso (?:many|often)\b",
    "no 'refuses to'": r"\brefuses? to\b",
    "write 'custom X'": r"\bone's own\b|\bof ours\b",
    "write 'fix'": r"\bmend(?:s|ed|ing)?\b",
    "write 'continues'": r"\b(?:go|goes|went|going) on\b",
    "write 'training run'": r"\ba training\b(?! (?:run|script|set|loop)\b)|\btrainings\b",
    "write 'string', 'integer'": r"\ba text\b|\bwhole numbers?\b",
}
PLACES = {
    "src": sorted(
        path for path in ROOT.glob("src/modeldir/**/*.py") if "templates" not in path.parts
    ),
    "contributing": sorted((ROOT / "docs/contributing").rglob("*.md")),
    "user docs": [
        ROOT / "README.md",
        *sorted(path for path in ROOT.glob("docs/**/*.md") if "contributing" not in path.parts),
    ],
}
CEILINGS = {
    "user docs": {
        "write 'run it again'": 22,
        "name who prints": 52,
        "no 'which is said'": 11,
        "no fronted genitive": 14,
        "no fronted Where/Who/What/That clause": 79,
        "who is for people": 8,
        "no 'so many', 'so often'": 5,
        "write 'custom X'": 8,
        "write 'fix'": 1,
        "write 'continues'": 33,
        "write 'training run'": 26,
        "write 'string', 'integer'": 8,
    },
}


def prose(path: Path) -> str:
    """The strings and comments of a module; a page without its examples."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    nodes = ast.walk(ast.parse(text))
    strings = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return "\n".join([*strings, *re.findall(r"#\s?(.*)$", text, re.MULTILINE)])


@pytest.mark.parametrize("place", PLACES)
def test_patterns_of_words_do_not_come_back(place: str) -> None:
    """No rule matches more often than its ceiling."""
    found: Counter[str] = Counter()
    where: list[str] = []
    for path in PLACES[place]:
        text = prose(path)
        for rule, pattern in RULES.items():
            matches = [match[0] for match in re.finditer(pattern, text, re.MULTILINE)]
            found[rule] += len(matches)
            where += [f"{path.relative_to(ROOT)}: {rule}: {match!r}" for match in matches]
    ceilings = CEILINGS.get(place, {})
    above = {rule: count for rule, count in found.items() if count > ceilings.get(rule, 0)}
    assert above == {}, "\n".join(where)
