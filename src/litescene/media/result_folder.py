"""The folder of a job: made, or cleared of what the same job left there, and of nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from litescene.core import OutputError
from litescene.media.atomic import output_error

LABELS, OVERLAY, SUMMARY = "labels", "overlay.mp4", "summary.json"
"""What the folders of several jobs have."""

_UNFINISHED = re.compile(r"\..+\.\d+-\d+\.part")
"""Files of `media.atomic` that a killed process left."""


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """What a job writes into its folder, beside `overlay.mp4` and `summary.json`.

    `lines` are files of JSON lines whose `name` is that of the frame's picture in `labels/`; a
    job without any writes no label pictures. `numbered` matches further names in the folder.
    """

    job: str
    fixed: tuple[str, ...] = ()
    lines: tuple[str, ...] = ()
    numbered: re.Pattern[str] | None = None


def prepare_folder(out: Path, files: ResultFiles, source: Path | None = None) -> None:
    """Make `out`, with `labels/` where the job has lines, without results of an earlier job.

    Label pictures are removed when the lines of the earlier job name them; label pictures that
    it did not write may be somebody's work, and are an `OutputError`, as is a `source` (file,
    folder or glob) that is itself a result in `out`.
    """
    labels = out / LABELS
    if source is not None and _is_result(source.resolve(), out.resolve()):
        raise OutputError(
            f"the source {source} is a result in {out}, which a {files.job} there replaces; "
            "choose another folder for the results"
        )
    try:
        (labels if files.lines else out).mkdir(parents=True, exist_ok=True)
        earlier = [out / name for name in files.lines if (out / name).is_file()]
        if files.lines and not earlier and next(labels.glob("*.png"), None) is not None:
            raise OutputError(
                f"the folder {labels} holds pictures that no {files.job} wrote; choose another "
                "folder for the results"
            )
        for name in {name for lines in earlier for name in _names(lines)}:
            (labels / f"{name}.png").unlink(missing_ok=True)
        for path in _known(out, files):
            path.unlink(missing_ok=True)
    except OSError as error:
        raise output_error(out, error) from error


def _is_result(source: Path, out: Path) -> bool:
    return source == out / OVERLAY or out / LABELS in (source, *source.parents)


def _known(out: Path, files: ResultFiles) -> Iterator[Path]:
    fixed = [out / name for name in (OVERLAY, f"{OVERLAY}.part", SUMMARY, *files.fixed)]
    yield from (*fixed, *(out / name for name in files.lines))
    folders = {out, *(path.parent for path in fixed), *([out / LABELS] if files.lines else [])}
    for folder in folders:
        if folder.is_dir():
            yield from [p for p in folder.iterdir() if _UNFINISHED.fullmatch(p.name)]
    if files.numbered is not None:
        yield from [p for p in out.iterdir() if files.numbered.fullmatch(p.name)]


def _names(lines: Path) -> Iterator[str]:
    """Names of frames in the lines of an earlier job; what is no such line is left out."""
    with open(lines, encoding="utf-8", errors="replace") as file:
        for line in file:
            try:
                name = json.loads(line)["name"]
            except (ValueError, KeyError, TypeError):
                continue
            if isinstance(name, str) and Path(name).name == name:
                yield name
