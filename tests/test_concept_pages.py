"""The concept pages: a diagram on each, pictures drawn by their script, an ordered glossary."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
PAGES = sorted((DOCS / "concepts").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_each_concept_page_has_a_diagram_or_a_picture(page: Path) -> None:
    """A Mermaid diagram, or a picture with words for those who do not see it."""
    text = page.read_text(encoding="utf-8")
    assert "```mermaid\n" in text or re.search(r"!\[[^\]]{20,}\]\(", text)


def test_the_pictures_are_those_that_the_script_draws(tmp_path: Path) -> None:
    """Drawn again, each picture but that of the samplers (which need Optuna) is the same."""
    script = tmp_path / "concepts.py"
    script.write_text((DOCS / "pictures/concepts.py").read_text())
    names = re.findall(r'^    "(\w+)": ', script.read_text(), re.MULTILINE)
    names.remove("samplers")
    subprocess.run([sys.executable, script, *names], check=True)
    assert len(names) > 5
    for name in names:
        drawn = (tmp_path / f"{name}.svg").read_text()
        assert drawn == (DOCS / f"pictures/{name}.svg").read_text(), name


def test_the_glossary_is_in_order_and_defines_each_term() -> None:
    """Terms are sorted, none stands twice, and each has a definition."""
    page = (DOCS / "concepts/glossary.md").read_text(encoding="utf-8")
    entries = [entry.partition("\n") for entry in page.split("\n### ")[1:]]
    terms = [term for term, _, _ in entries]
    assert terms == sorted(set(terms), key=str.lower)
    assert [term for term, _, definition in entries if len(definition.split()) < 5] == []
