"""`litescene doctor`: checks the machine and, on request, a data set; changes nothing."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litescene.cli.options import JsonSwitch
from litescene.cli.progress import progress
from litescene.cli.table import format_table
from litescene.core import DataError, InputError
from litescene.data.location import VARIABLE, data_root
from litescene.media.atomic import write_atomic
from litescene.runtime.machine import Check, inspect_machine

if TYPE_CHECKING:
    from litescene.data.doctor import DataReport

EXAMPLES = (
    "litescene doctor",
    "litescene doctor --data camvid:camvid",
    "litescene doctor --data voc:road_signs --json",
    "litescene doctor --data yolo:my_signs --page my_signs.html",
)
PROBLEMS = 2
_SIZES = 3
"""As many sizes of pictures are listed, the commonest."""
_MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


def command(
    data: Annotated[
        str | None,
        typer.Option(help="also read a whole data set, FORMAT:PATH", show_default=False),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            help="with --data: an HTML page of what was found, with pictures and their annotations",
            show_default=False,
        ),
    ] = None,
    as_json: JsonSwitch = False,
) -> int:
    """Check Python, processor, engines, extras, shipped models, cache, disk and data.

    Ends with code 0 when all is well and 2 when something needs to be done. Of boxes, those without
    area, reaching out of their picture and there twice are noted, and so are pictures that are
    there twice; what no training can use (unknown classes, boxes outside of their picture, missing
    pictures and labels, damaged files) and pictures that are in two splits are problems.
    """
    if page is not None and data is None:
        raise InputError(f"--page {page}: the page shows a data set; name it with --data")
    checks = [*inspect_machine(), _data_folder()]
    report = None
    if data is not None:
        try:
            report = _check_data(data, page)
        except DataError as error:  # there is nothing to report on, and the machine's checks stand
            checks.append(Check("data", "problem", str(error)))
    sound = all(c.state != "problem" for c in checks) and (report is None or report.sound)
    if as_json:
        found: dict[str, Any] = {"ok": sound, "checks": [c.to_dict() for c in checks]}
        if report is not None:
            found["data"] = report.to_dict()
        print(json.dumps(found, indent=2))
    else:
        rows = [[_MARKS[c.state], c.name, c.text] for c in checks]
        print(format_table(["state", "check", "found"], rows))
        if report is not None:
            _print_data(report)
    return 0 if sound else PROBLEMS


def _data_folder() -> Check:
    root = data_root()
    said = f"{VARIABLE}={root}" if os.environ.get(VARIABLE) else f"{VARIABLE} not set, {root}"
    if root.is_dir():
        return Check("data folder", "ok", said)
    return Check("data folder", "note", f"{said}: no such folder; needed for training only")


def _check_data(spec: str, page: Path | None) -> DataReport:
    from litescene.data.doctor import check_data
    from litescene.data.doctor_page import Gallery, render_page

    gallery = None if page is None else Gallery()
    with progress(f"reading {spec}") as report:
        found = check_data(spec, report, gallery)
    if page is not None and gallery is not None:
        write_atomic(page, render_page(found, gallery))
    return found


def _print_data(report: DataReport) -> None:
    for split in report.splits:
        sizes = ", ".join(f"{size}: {count}" for size, count in split.sizes.most_common(_SIZES))
        if len(split.sizes) > _SIZES:
            sizes += f", {len(split.sizes) - _SIZES} more sizes"
        print(f"\n{report.spec} {split.split}: {split.pictures} pictures ({sizes})")
        total = max(sum(split.classes.values()), 1)
        rows = [
            [name, f"{count:,}", f"{100 * count / total:.2f}"]
            for name, count in split.classes.items()
        ]
        if rows:
            print(format_table(["class", report.unit, "%"], rows))
        if report.unit == "pixels":
            print(f"void: {split.void:,} pixels")
        for problem in split.unreadable:
            print(f"PROBLEM {problem}")
        for note in split.notes:
            print(f"note {note}")
    for leak in report.leaks:
        print(f"\nPROBLEM {leak}")
    for split_name, reason in report.malformed.items():
        print(f"\nPROBLEM split {split_name}: {reason}")
    for split_name, reason in report.absent.items():
        print(f"\nno split {split_name}: {reason}")
