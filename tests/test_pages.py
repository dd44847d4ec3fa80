"""Every example in the README and in the pages for users runs, and its transcript is true."""

from __future__ import annotations

from pathlib import Path

import pytest

import pages

MOST_BLOCKS_NOT_RUN = 5
"""The number of blocks with a comment `not run: REASON`. It may only fall."""

NOT_YET = frozenset[str]()
"""Pages whose examples nothing runs so far. It may only become shorter."""


def names() -> list[str]:
    """The pages to run; the tutorial once, since its chapters share a folder."""
    found = [str(path.relative_to(pages.ROOT)) for path in pages.user_pages()]
    alone = [name for name in found if "tutorial/" not in name and name not in NOT_YET]
    return [*alone, *(["docs/tutorial"] if pages.tutorial() else [])]


def with_blocks(name: str) -> bool:
    """Whether a page has anything to run."""
    path = pages.ROOT / name
    return path.is_dir() or bool(pages.blocks(path.read_text(encoding="utf-8")))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", [name for name in names() if with_blocks(name)])
def test_the_examples_of_a_page_run_as_written(name: str, tmp_path: Path) -> None:
    """Each block of a page works, and each transcript is what a real run prints."""
    group = pages.tutorial() if name == "docs/tutorial" else [pages.ROOT / name]
    problems = [
        f"{page.relative_to(pages.ROOT)}, {problem}"
        for page, outcome in zip(group, pages.run(group, tmp_path), strict=True)
        for problem in outcome.problems
    ]
    assert problems == [], "\n".join([*problems, f"python tests/pages.py --update {name}"])


def test_few_blocks_are_not_run_and_each_says_why() -> None:
    """The number of blocks that are not run is at most the ceiling."""
    found = {
        f"{page.relative_to(pages.ROOT)}:{block.line}": block.not_run
        for page in pages.user_pages()
        for block in pages.not_run(page.read_text(encoding="utf-8"))
    }
    report = "\n".join(f"{where}: {why}" for where, why in found.items())
    print(f"{len(found)} blocks are not run:\n{report}")
    assert len(found) <= MOST_BLOCKS_NOT_RUN, report


def test_a_page_is_run_in_order_and_its_mistakes_are_found(tmp_path: Path) -> None:
    """A page with one mistake of each kind has exactly these problems; `--update` fixes output."""
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    outcome = pages.run([page], tmp_path / "run")[0]
    lines = [problem.partition(":")[0] for problem in outcome.problems]
    assert lines == ["line 9", "line 20", "line 24", "line 32", "line 36"], outcome.problems
    assert "$ cat greeting.txt\nhello from 3\n$ echo" in outcome.text


def test_a_transcript_may_leave_out_lines_and_differ_in_times() -> None:
    """`...` stands for lines, times and last digits do not count, other words do."""
    real = ["started    a", "completed  a  accuracy 0.917  0.5s", "1 completed"]
    assert pages.same(["started a", "...", "1 completed"], real)
    assert pages.same(["started a", "completed a accuracy 0.9171 12.1s", "1 completed"], real)
    assert not pages.same(["started b", "...", "1 completed"], real)
    assert not pages.same(["...", "2 completed"], real)
    assert not pages.same(["started a", "completed a accuracy 0.8 12.1s", "1 completed"], real)
    assert pages.same([real[1], real[0], real[2]], real, any_order=True)
    assert not pages.same([real[1], real[0], real[2]], real)


PAGE = """\
```bash
export NUMBER=3
mkdir here
cd here
```

```console
$ echo hello from $NUMBER > greeting.txt
$ cat greeting.txt
hello from 4
$ echo "one \\
> two"
one two
```

<!-- hidden
[ -f greeting.txt ]
-->

```bash
false
```

```python
assert open("greeting.txt").read() == "hello"
```

```python
greeting = open("greeting.txt").read()
```

```json
{"space": {"lr": [1]}, "maximze": "accuracy"}
```

```toml
jobs = 2
```

<!-- not run: it takes an hour -->
```console
$ sleep 3600
```

```python title="train.py"
print(5)
```

```console
$ python train.py
5
```
"""
