"""Every script of `benchmarks/` can be started: it parses its words and finds what it imports."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SCRIPTS = sorted(p.stem for p in (Path(__file__).parent.parent / "benchmarks").glob("*.py"))


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_finds_what_it_imports(name: str) -> None:
    module = importlib.import_module(name)
    assert module.__doc__
    if name not in ("variants", "pooled"):  # shared by several of them
        assert callable(module.main)
