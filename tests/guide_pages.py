"""The code of a page of the documentation, to run what it tells people to run."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def blocks(page: str, language: str) -> list[str]:
    """The blocks of code in a language, in the page's order."""
    text = (DOCS / page).read_text("utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def commands(page: str) -> list[str]:
    """The lines of the blocks of `sh`."""
    return [line for block in blocks(page, "sh") for line in block.splitlines()]
