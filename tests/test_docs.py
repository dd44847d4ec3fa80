"""The documentation: every example in it is run, every public name and command has its place."""

from __future__ import annotations

import ast
import doctest
import functools
import pkgutil
import re
from importlib import import_module
from pathlib import Path

import pytest
import tomlkit

import engines
import modeldir
import pages
from laboratory import Project, read
from modeldir.commands import GROUPS, parser_of

ROOT = Path(__file__).parents[1]
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages(modeldir.__path__, "modeldir.")
    if ".templates." not in module.name and not module.name.endswith("__main__")
)


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language in a Markdown text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def recipe(name: str) -> dict[str, str]:
    """The lines of a job manager, as docs/how-to/other-job-managers.md has them."""
    for block in blocks((ROOT / "docs/how-to/other-job-managers.md").read_text(), "toml"):
        if block.startswith(f"# {name}\n"):
            return {key: str(value) for key, value in tomlkit.parse(block)["submit"].items()}
    raise LookupError(name)


def _need_framework(module: str) -> None:
    """Skip a module of `modeldir.integrations` whose framework is not installed."""
    _, _, name = module.partition("integrations.")
    if name and not name.startswith("_"):
        engines.need_framework("transformers" if name == "huggingface" else name)


PAGES = pages.user_pages()
OPTIONS = {
    name: set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", parser_of(name).format_help()))
    for name in [*(name for _, commands in GROUPS for name, _ in commands), "synthesize"]
}
"""The options that `modeldir COMMAND --help` names."""


@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_each_command_in_a_page_has_the_options_that_it_uses(page: Path) -> None:
    """A line that no test runs names only commands and options that are there."""
    text = page.read_text(encoding="utf-8")
    examples = "".join(block.body for block in pages.blocks(text))
    examples = re.sub(r"\\\n *(?:> )?", "", examples)
    lines = re.findall(r"^ *(?:\$ )?modeldir (\w.*)$", examples, re.MULTILINE)
    lines += re.findall(r"`modeldir (\w[^`]+)`", text)
    unknown = []
    for line in lines:
        name, *words = re.split(r" -- | \| ", line)[0].split()
        quoted = r"'[^']*'|\"[^\"]*\""
        used = re.findall(r"(?<!\S)--?[a-z][a-z-]*", re.sub(quoted, "", " ".join(words)))
        known = OPTIONS.get(name, {"--help"})
        unknown += [f"{name} {option}" for option in used if option not in known]
        unknown += [name] if name.islower() and name not in OPTIONS else []
    assert unknown == []


@pytest.mark.parametrize("name", MODULES)
def test_docstring_examples_hold(name: str) -> None:
    """Each example in a docstring gives what it says."""
    _need_framework(name)
    assert doctest.testmod(import_module(name), optionflags=doctest.ELLIPSIS).failed == 0


@pytest.mark.parametrize("name", MODULES)
def test_each_module_introduces_itself(name: str) -> None:
    """A module opens with a docstring of more than one line."""
    _need_framework(name)
    docstring = import_module(name).__doc__
    assert docstring
    assert len(docstring.strip().splitlines()) > 1 or name.startswith("modeldir.commands.")


def test_every_test_that_the_cases_name_is_there() -> None:
    """The hostile cases: 55 in order, each with tests (of the file last named) or a reason."""
    page = (ROOT / "docs/contributing/hostile-cases.md").read_text()
    rows = re.findall(r"^\| (\d+) \| .+? \| (.+) \|$", page, re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(1, 56))
    missing = []
    for number, tests in rows:
        file = ""
        for named, name in re.findall(r"`(?:([\w/]*test_\w+\.py)::)?(test_\w+)`", tests):
            file = named or file
            text = (ROOT / "tests" / file).read_text()
            missing += [] if f"\ndef {name}(" in text else [f"{number}: {file}::{name}"]
        assert file or "a benchmark" in tests
    assert missing == []


def test_links_between_pages_lead_somewhere() -> None:
    """Each relative link in the README and the docs names a file that is there."""
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_every_page_stands_in_the_navigation() -> None:
    """Each page stands in `nav` of mkdocs.yml once, and nothing else does."""
    text = (ROOT / "mkdocs.yml").read_text()
    named = re.findall(r"^ +- (?:[^:\n]+: )?([\w/-]+\.md)$", text, re.MULTILINE)
    pages = [str(path.relative_to(ROOT / "docs")) for path in ROOT.glob("docs/**/*.md")]
    assert sorted(set(pages) - set(named)) == [], "add these to nav in mkdocs.yml"
    assert sorted(named) == sorted(pages)


def test_the_python_reference_has_every_public_name() -> None:
    """Each name of `modeldir` stands on a page below reference/python/."""
    text = "".join(path.read_text() for path in ROOT.glob("docs/reference/python/*.md"))
    assert [name for name in modeldir.__all__ if not hasattr(modeldir, name)] == []
    errors = {name for name in modeldir.__all__ if hasattr(modeldir.errors, name)}
    missing = {name for name in modeldir.__all__ if f"::: modeldir.{name}\n" not in text}
    assert missing == errors
    assert "::: modeldir.errors\n" in text


def test_modules_that_contributors_are_sent_to_are_there() -> None:
    """Each `package/module.py` that the architecture page or the start page names is a file."""
    package = ROOT / "src/modeldir"
    packages = {path.name for path in package.iterdir() if path.is_dir()}
    for page in ("docs/contributing/architecture.md", "docs/contributing/index.md"):
        text = (ROOT / page).read_text()
        named = re.findall(r"(?<![\w./])(\w+)/([a-z_/]+\.py)", text)
        missing = [
            f"{top}/{rest}"
            for top, rest in named
            if top in packages and not (package / top / rest).is_file()
        ]
        assert missing == [], page


def test_the_page_on_files_has_every_key_of_what_a_search_leaves(tmp_path: Path) -> None:
    """Each key of run files, trials and claims, and each name in .modeldir, is on the page."""
    project = Project(tmp_path)
    project.params("experiments/search", learning_rate=0.5, batch_size=16)
    assert project.searches("learning_rate=0.5,0.1", "--seed", "3", "-m", "wider?").code == 0
    page = (ROOT / "docs/reference/files.md").read_text(encoding="utf-8")
    folder = project.path / "experiments/search"
    trials = [folder / name for name in project.trials()]
    records = [read(trial / name) for trial in trials for name in ("run.json", "trial.json")]
    records += [read(path) for path in (folder / ".modeldir/trials").glob("*.json")]
    keys = {key for record in records for key in record} - {"format"}
    assert len(keys) > 30
    assert [key for key in sorted(keys) if f"`{key}`" not in page] == []
    names = [each.name for each in (folder / ".modeldir").iterdir()]
    assert len(names) > 2
    assert [name for name in names if f".modeldir/{name}" not in page] == []


# -- Troubleshooting -------------------------------------------------------------------------------

TROUBLESHOOTING = (ROOT / "docs/how-to/troubleshooting.md").read_text(encoding="utf-8")
MESSAGES = re.findall(r"^### `(.+)`$", TROUBLESHOOTING, re.MULTILINE)
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z_]+\b|\bN\b|\.\.\.")
"""A value in a heading: `DIR`, `NAME`, `N`."""


@functools.cache
def strings_of_source() -> list[str]:
    """All strings of each module of the source, joined."""
    found = []
    for path in sorted((ROOT / "src/modeldir").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        constants = [node.value for node in nodes if isinstance(node, ast.Constant)]
        found.append("\0".join(each for each in constants if isinstance(each, str)))
    return found


@pytest.mark.parametrize("message", MESSAGES)
def test_each_heading_of_troubleshooting_is_a_message(message: str) -> None:
    """The words of a heading, without its placeholders, stand in the strings of one module.

    If you have reworded a message, reword its heading too.
    """
    words = [each.strip() for each in PLACEHOLDER.split(message)]
    words = [each for each in words if len(each) > 1]
    assert max(map(len, words)) > 5
    assert any(all(each in strings for each in words) for strings in strings_of_source())


def test_each_message_has_its_cause_and_its_fix() -> None:
    """Below each heading stand a cause and a fix; no heading stands twice."""
    assert len(MESSAGES) == len(set(MESSAGES)) > 30
    sections = re.split(r"^### .*$", TROUBLESHOOTING, flags=re.MULTILINE)[1:]
    assert [each for each in sections if "**Cause.**" not in each or "**Fix.**" not in each] == []
