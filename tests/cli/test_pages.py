"""The README and the pages of the documentation show what really happens."""

from __future__ import annotations

import doctest
import re
from pathlib import Path

import pytest

import dualbound

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "benchmarks/RESULTS.md"])
WITH_EXAMPLES = ["README.md", "docs/cli.md", "docs/learning.md", "docs/python.md"]


def blocks(page: Path) -> list[str]:
    found = re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    return [block for block in found if ">>>" in block]


@pytest.mark.parametrize("page", WITH_EXAMPLES)
def test_its_python_examples_run(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = blocks(ROOT / page)
    assert found
    monkeypatch.chdir(tmp_path)
    for block in found:
        test = doctest.DocTestParser().get_doctest(block, {}, page, None, 0)
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        runner = doctest.DocTestRunner(optionflags=flags)
        assert runner.run(test).failed == 0


def test_no_page_with_examples_is_forgotten() -> None:
    assert [str(page.relative_to(ROOT)) for page in PAGES if blocks(page)] == WITH_EXAMPLES


def anchors(page: Path) -> set[str]:
    """Of its headings, as forges make them."""
    heads = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", [str(page.relative_to(ROOT)) for page in PAGES])
def test_its_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        to = (path.parent / file).resolve() if file else path
        assert to.exists(), link
        assert not anchor or anchor in anchors(to), link


def test_every_public_name_is_on_the_page_of_python() -> None:
    text = (ROOT / "docs/python.md").read_text(encoding="utf-8")
    missing = [name for name in dualbound.__all__ if not re.search(rf"\b{name}\b", text)]
    assert not missing
