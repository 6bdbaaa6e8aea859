"""Some pictures of a folder, glob or video, for calibration and proofs."""

from __future__ import annotations

import glob
import logging
from itertools import islice
from pathlib import Path

from litescene.core import Image, SourceError
from litescene.media.picture_source import find_pictures
from litescene.media.pictures import PICTURE_SUFFIXES, read_picture
from litescene.media.sources import open_source

_log = logging.getLogger("litescene")


def sample_pictures(spec: str, count: int) -> list[Image]:
    """At most `count` pictures from all over a source, RGB uint8.

    Args:
        spec: a picture, folder or glob of pictures, which may differ in size; or what
            `open_source` opens. Where a source does not say its length, its first frames.
        count: how many, from 1.

    Raises:
        SourceError: there is no such source, or no picture in it can be read.

    """
    if _names_pictures(spec):
        return _read(find_pictures(spec), spec, count)
    with open_source(spec) as source:
        wanted = _spread(source.frame_count or count, count)
        return list(islice((f.image for f in source if f.index in wanted), count))


def _names_pictures(spec: str) -> bool:
    """Rather than a video, camera or stream."""
    path = Path(spec).expanduser()
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    return (spec != "" and path.is_dir()) or (glob.has_magic(spec) and not path.is_file())


def _spread(length: int, count: int) -> set[int]:
    """At most `count` places, evenly over the length."""
    return {i * length // count for i in range(count)}


def _read(paths: list[Path], spec: str, count: int) -> list[Image]:
    """Readable ones among paths from all over the list; of others it is said that they are not."""
    pictures: list[Image] = []
    reasons: list[str] = []
    for i in sorted(_spread(len(paths), count)):
        try:
            pictures.append(read_picture(paths[i]))
        except SourceError as error:
            reasons.append(str(error))
    if not pictures:
        raise SourceError(f"{spec}: none of its pictures can be read: {reasons[0]}")
    if reasons:
        tried = len(pictures) + len(reasons)
        _log.warning("%d of %d pictures are left out: %s", len(reasons), tried, reasons[0])
    return pictures
