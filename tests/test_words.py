"""Word patterns that readers have to decode must not come back.

The number of matches is zero in all that users or contributors read.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from modeldir.commands import GROUPS, parser_of

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
    "write 'training run'": (
        r"\b(?:a|each|every|another|one|two|whose|that|uninterrupted) training\b"
        r"(?! (?:run|script|set|loop|command|process|metrics?|loss|step|example|point)s?\b)"
        r"|\b(?:the|its|this) training(?:'s| (?:ends|ended|is (?:ended|over)|was|dies|starts)\b)"
        r"|\btrainings\b"
    ),
    "write 'string', 'integer'": r"\ba text\b|\bwhole numbers?\b",
}
PLACES = {
    "src": sorted(
        path for path in ROOT.glob("src/modeldir/**/*.py") if "templates" not in path.parts
    ),
    "contributing": sorted((ROOT / "docs/contributing").rglob("*.md")),
    "templates": sorted(
        path
        for path in (ROOT / "src/modeldir/commands/templates").rglob("*")
        if path.suffix in {".md", ".py"}
    ),
    "snapshots": sorted((ROOT / "tests").rglob("*.ambr")),
    "user docs": [
        ROOT / "CHANGELOG.md",
        ROOT / "README.md",
        *sorted(path for path in ROOT.glob("docs/**/*.md") if "contributing" not in path.parts),
    ],
}


def prose(path: Path) -> str:
    """The strings and comments of a module, a page without its examples, a snapshot's values."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ambr":
        return re.sub(r"^# name: .*$", "", text, flags=re.MULTILINE)
    if path.suffix == ".md":
        return re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    nodes = ast.walk(ast.parse(text))
    strings = [n.value for n in nodes if isinstance(n, ast.Constant) and isinstance(n.value, str)]
    return "\n".join([*strings, *re.findall(r"#\s?(.*)$", text, re.MULTILINE)])


@pytest.mark.parametrize("place", PLACES)
def test_patterns_of_words_do_not_come_back(place: str) -> None:
    """No rule matches."""
    found = [
        f"{path.relative_to(ROOT)}: {rule}: {match[0]!r}"
        for path, text in ((path, prose(path)) for path in PLACES[place])
        for rule, pattern in RULES.items()
        for match in re.finditer(pattern, text, re.MULTILINE)
    ]
    assert found == []


_WITH_Z = (
    "categor|custom|emphas|final|general|initial|itim|local|maxim|memor|minim|modern|normal|optim|"
    "organ|parallel|penal|priorit|random|real|recogn|regular|serial|stabil|standard|summar|"
    "synchron|token|util|vector|visual"
)
BRITISH = (
    rf"(?:{_WITH_Z})is(?:e[drs]?|ers|ing|ations?)(?![a-z])"
    r"|(?:behavio|colo|favo|flavo|hono|labo|neighbo)[u]r|\banalys(?:e[ds]?|ing)\b"
    r"|\b(?:cent|fib|met)r[e]s?\b|catalog[u]e|licenc[e]|defenc[e]|\bgre[y]\b|artef[a]ct|judg[e]ment"
    r"|whils[t]|amongs[t]|toward[s]|(?:spel|lear|bur)[t]\b|(?:model|label|cancel|signal|travel)[l](?:ed(?!by)|ing)"
)
SPELLED = sorted(
    path
    for folder in ("src", "docs", "tests", "benchmarks", ".")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*")
    if path.suffix in {".py", ".md", ".ambr", ".js", ".css", ".html"}
)


OLD_NAMES = (
    r"(?<![-_])(?<!by )\b(?:[Ww]arm|[Cc]old|[Pp]ilot|[Hh]earts?)\b"
    r"(?![-_]| start\b| disk\b|.* cache)"
)


def test_names_that_were_given_up_do_not_come_back() -> None:
    """Preload, first-trial check, heartbeat. *Warm start* is the field's, and caches are cold."""
    pages = [path for path in SPELLED if "CHANGELOG" not in path.name and path != Path(__file__)]
    found = [
        f"{path.relative_to(ROOT)}: {match[0]!r}"
        for path in pages
        for match in re.finditer(OLD_NAMES, path.read_text(encoding="utf-8"))
    ]
    assert found == []


def test_spelling_is_american() -> None:
    """In all words and names. Those in capitals are Slurm's, such as CANCELLED."""
    found = [
        f"{path.relative_to(ROOT)}: {match[0]!r}"
        for path in SPELLED
        for match in re.finditer(BRITISH, path.read_text(encoding="utf-8"))
    ]
    assert found == []


COMMANDS = [name for _, commands in GROUPS for name, _ in commands]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_pattern_of_words(command: str) -> None:
    """No rule matches in what `modeldir COMMAND --help` prints."""
    text = parser_of(command).format_help()
    assert [rule for rule, pattern in RULES.items() if re.search(pattern, text, re.MULTILINE)] == []


@pytest.mark.parametrize("pages", ["README.md", "docs/how-to/*.md", "docs/tutorial/*.md"])
def test_guides_speak_to_their_reader(pages: str) -> None:
    """Of 1,000 words in the guides at least 20 are 'you' or 'your'."""
    text = "\n".join(map(prose, ROOT.glob(pages)))
    words = re.findall(r"[a-z][\w'-]*", re.sub(r"\]\([^)]*\)", "]", text).lower())
    you = sum(word in {"you", "your", "yours", "yourself"} for word in words)
    print(f"{pages}: {you * 1000 / len(words):.1f} of 1,000 words")
    assert you * 1000 >= 20 * len(words)
