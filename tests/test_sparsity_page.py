"""The table of what skipping blocks saves in the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest


def test_the_table_has_a_line_for_each_network_engine_and_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "docs")
    from sparsity import sparsity

    file = tmp_path / "sparse_speed.json"
    assert sparsity(file) == ""
    share = {
        "share": 0.125, "macs": 3_042_612_736, "ratio": {"median": 0.294},
        "ms": {"median": 445.5, "q1": 396.5, "q3": 456.7},
    }  # fmt: skip
    case = {"network": "sctf", "engine": "e", "size": [512, 1024], "block": 64, "shares": [share]}
    machine = {"threads": 1, "processor": "P", "date": "2026-01-02", "commit": "abc"}
    file.write_text(json.dumps({"machine": machine, "results": [case]}))
    text = sparsity(file)
    assert "| `sctf` | e | 12.5% | 3.04 | 446 (396-457) | 0.29 |" in text
    assert "At 1024×512 in blocks of 64, 1 threads" in text
    assert "(P, 2026-01-02, commit abc)" in text
