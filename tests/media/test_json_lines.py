"""Growing files of JSON lines: whole lines on the disk, whatever ends the job."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from litescene.core import OutputError
from litescene.media.json_lines import JsonLines, read_json_lines


def test_every_line_is_on_the_disk_as_soon_as_it_is_added(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lines.jsonl"
    lines = JsonLines(path)
    lines.add({"frame": 0, "name": "süd"})
    lines.add({"frame": 1, "name": None})
    assert [json.loads(line) for line in path.read_text("utf-8").splitlines()] == [
        {"frame": 0, "name": "süd"},
        {"frame": 1, "name": None},
    ]
    lines.close()
    lines.close()


def test_a_last_line_that_was_cut_off_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "cut.jsonl").write_text('{"frame": 0}\n{"frame": 1}\n{"fra')
    assert list(read_json_lines(tmp_path / "cut.jsonl")) == [{"frame": 0}, {"frame": 1}]


def test_numbers_that_json_does_not_have_are_refused_and_leave_no_half_line(tmp_path: Path) -> None:
    lines = JsonLines(tmp_path / "lines.jsonl")
    with pytest.raises(ValueError, match="JSON"):
        lines.add({"time": float("nan")})
    lines.close()
    assert (tmp_path / "lines.jsonl").read_bytes() == b""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_line_that_does_not_fit_on_the_disk_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").symlink_to("/dev/full")
    lines = JsonLines(tmp_path / "lines.jsonl")
    with pytest.raises(OutputError, match="the disk is full"):
        lines.add({"frame": 0})
    lines.close()


def test_lines_that_cannot_be_begun_are_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "lines.jsonl").mkdir()
    with pytest.raises(OutputError, match=r"lines\.jsonl"):
        JsonLines(tmp_path / "lines.jsonl")
