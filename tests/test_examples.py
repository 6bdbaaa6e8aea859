"""The examples in docstrings run, and the pages that people read point to files that exist."""

from __future__ import annotations

import doctest
import re
from importlib import import_module
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
SOURCE = CHECKOUT / "src"
WITH_EXAMPLES = sorted(
    ".".join(path.relative_to(SOURCE).with_suffix("").parts)
    for path in SOURCE.rglob("*.py")
    if "    >>> " in path.read_text("utf-8")
)
PAGES = sorted([CHECKOUT / "README.md", CHECKOUT / "CONTRIBUTING.md", *CHECKOUT.glob("docs/*.md")])
GENERATED = {CHECKOUT / "docs" / "models.md"}


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_the_examples_of_a_module_give_what_they_say(name: str) -> None:
    name = name.removesuffix(".__init__")
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    result = doctest.testmod(import_module(name), optionflags=options)
    assert result.failed == 0


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text("utf-8"))
    local = [page.parent / target for target in targets if "://" not in target]
    missing = [str(path) for path in local if not path.exists() and path not in GENERATED]
    assert missing == []


def test_the_examples_of_the_page_on_adapool_run() -> None:
    page = (CHECKOUT / "docs" / "adapool.md").read_text("utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 6
    names: dict[str, object] = {}
    for example in examples:  # one after the other, like a reader
        exec(example, names)


def test_the_readme_begins_with_the_two_commands() -> None:
    lines = (CHECKOUT / "README.md").read_text("utf-8").splitlines()
    assert "make demo" in lines
    assert "make test" in lines


def test_the_verbs_that_the_pages_name_exist() -> None:
    from litescene.cli.verbs import VERBS

    for page in PAGES:
        used = re.findall(r"^litescene ([a-z]+)", page.read_text("utf-8"), re.MULTILINE)
        assert set(used) <= set(VERBS), page
