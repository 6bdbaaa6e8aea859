"""The folder of a job: ours alone, and cleared of what the same job left there and nothing else."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from litescene.core import OutputError
from litescene.media.atomic import output_error, unfinished
from litescene.media.claim import claimed
from litescene.media.sources import without_password

LABELS, OVERLAY, SUMMARY = "labels", "overlay.mp4", "summary.json"
"""What the folders of several jobs have; two jobs cannot write into one folder."""

LINES = {
    "run": ("frames.jsonl", "frames.jsonl.part"),
    "segment": ("labels.jsonl",),
    "detect": ("detections.jsonl",),
}
"""The JSON lines, each with the `name` of its frame, with which a job begins its folder.

By them the results of an earlier job are told from files of the user's that are called alike.
"""


@dataclass(frozen=True, slots=True)
class ResultFiles:
    """What a job writes into its folder beside its `LINES`, `overlay.mp4` and `summary.json`.

    With `labels`, the name of a line is also that of a picture in `labels/`. `numbered` matches
    further names in the folder.
    """

    job: str
    fixed: tuple[str, ...] = ()
    labels: bool = False
    numbered: re.Pattern[str] | None = None


def default_folder(source: str | Path, job: str) -> Path:
    """Where the results of `source` go when nobody says: beside the user, named after both.

    Raises `OutputError` where the results of another source of that name are there.

    >>> str(default_folder("clips/drive 1.mp4", "segment"))
    'drive_1_segment'
    """
    stem = "".join(c if c.isalnum() or c in "-_" else "_" for c in Path(source).stem)
    folder = Path(f"{stem.strip('_') or 'source'}_{job}")
    earlier = _earlier_source(folder)
    if earlier is not None and not _same_source(earlier, str(source)):
        raise OutputError(
            f"{folder} holds the results of another source, {earlier}; choose a folder for those "
            f"of {source} with --out"
        )
    return folder


def _earlier_source(folder: Path) -> str | None:
    """What the summary in `folder` names; None without a summary that names a source."""
    try:
        summary = json.loads((folder / SUMMARY).read_text("utf-8"))
        source = summary.get("settings", summary)["source"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return source if isinstance(source, str) else None


def _same_source(first: str, second: str) -> bool:
    if "://" in second:
        return first == without_password(second)
    return os.path.realpath(os.path.expanduser(first)) == os.path.realpath(
        os.path.expanduser(second)
    )


@contextmanager
def prepared_folder(out: Path, files: ResultFiles, source: Path | None = None) -> Iterator[None]:
    """Keep `out` for this job until the end of the block, without results of an earlier one.

    It is made, with `labels/` where the job has some. While another process writes its results
    into it, that is an `OutputError`.

    What is called like a result but was not written by a job, because no lines of one are beside
    it or, for a label picture, in lines of which none names it, may be somebody's work, and is an
    `OutputError`, as is a `source` (file, folder or glob) that is itself a result in `out`.
    """
    if source is not None and _is_result(source.resolve(), out.resolve()):
        raise OutputError(
            f"the source {source} is a result in {out}, which a {files.job} there replaces; "
            "choose another folder for the results"
        )
    with claimed(out) as ours:
        if not ours:
            raise OutputError(
                f"another job writes into {out} just now; choose another folder for the results"
            )
        _clear(out, files)
        yield


def require_no_other_files(out: Path, picture: str, files: ResultFiles) -> None:
    """Refuse to replace files in `out` that are called like results for a single picture's stem.

    Those of an earlier time have the overlay beside them; `OutputError` without it.
    """
    names = ["labels.png"] if files.labels else [*LINES[files.job], *files.fixed]
    there = [path for name in names if (path := out / f"{picture}_{name}").exists()]
    if there and not (out / f"{picture}_overlay.png").exists():
        raise OutputError(
            f"{there[0]} is there, and no {files.job} wrote it; choose another folder for the "
            "results"
        )


def _clear(out: Path, files: ResultFiles) -> None:
    try:
        (out / LABELS if files.labels else out).mkdir(parents=True, exist_ok=True)
        earlier = _written_lines(out, files.job)
        _refuse_foreign(out, files, earlier)
        for name in {name for lines in earlier for name in _names(lines) if files.labels}:
            (out / LABELS / f"{name}.png").unlink(missing_ok=True)
        for path in [*_unfinished(out, files), *_shared(out), *_own(out, files), *earlier]:
            path.unlink(missing_ok=True)  # the lines last: until then they vouch for the others
    except OSError as error:
        raise output_error(out, error) from error


def _refuse_foreign(out: Path, files: ResultFiles, earlier: list[Path]) -> None:
    """Raise `OutputError` for what would be replaced but is not known to be a job's."""
    lines = [out / name for name in LINES[files.job]]
    foreign = [p for p in lines if p.exists() and p not in earlier]
    if not earlier:
        foreign += [p for p in [*_shared(out), *_own(out, files)] if p.exists()]
        foreign += sorted((out / LABELS).glob("*.png")) if files.labels else []
    if foreign:
        raise OutputError(
            f"{foreign[0]} is there, and no {files.job} wrote it; choose another folder for the "
            "results"
        )


def _is_result(source: Path, out: Path) -> bool:
    return source == out / OVERLAY or out / LABELS in (source, *source.parents)


def _shared(out: Path) -> list[Path]:
    return [out / name for name in (OVERLAY, f"{OVERLAY}.part", SUMMARY)]


def _own(out: Path, files: ResultFiles) -> list[Path]:
    numbered = files.numbered
    found = [p for p in out.iterdir() if numbered is not None and numbered.fullmatch(p.name)]
    return [*(out / name for name in files.fixed), *found]


def _unfinished(out: Path, files: ResultFiles) -> list[Path]:
    folders = {out, *(path.parent for path in _own(out, files)), out / LABELS}
    return [path for folder in folders for path in unfinished(folder)]


def _written_lines(out: Path, job: str) -> list[Path]:
    """Lines that a job wrote: empty, if it was stopped at once, or with names of frames."""
    found = [path for name in LINES[job] if (path := out / name).is_file()]
    return [p for p in found if p.stat().st_size == 0 or next(_names(p), None) is not None]


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
