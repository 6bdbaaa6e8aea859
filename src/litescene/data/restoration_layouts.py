"""The layouts in which pictures and videos for restoration lie; see `restoration`."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from litescene.core import DataError
from litescene.core.errors import AbsentSplitError
from litescene.data.restoration_clips import SIZES, Clip, PictureClip, VideoClip, View
from litescene.data.text_files import read_text
from litescene.media.picture_source import natural_key
from litescene.media.pictures import is_picture

VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpg", ".webm"})
"""Endings of files that count as videos in folders."""
TRAIN_SHARE = 0.8
"""Share of the frames or pictures that are learned from where nothing else divides them."""
HELD_BACK = 20
"""One in so many triplets of Vimeo-90K's train list, the last ones, is val."""

Reader = Callable[[Path, str, View, int], list[Clip]]
"""From (root, split, view, pictures of a window) to the clips."""


def read_inter4k(root: Path, split: str, view: View, length: int) -> list[Clip]:
    """Inter4K: `60fps/UHD/N.mp4`, or another rate and size, and lists `SPLIT.txt` (or `.csv`).

    A line of a list names a clip by its number, file or path; what follows a comma is not read.
    Without a view it is UHD. Where there is no folder of the view's size and rate, frames are
    derived from 60fps/UHD.
    """
    del length
    view = View(view.size or SIZES["UHD"], view.rate)
    folder = _inter4k_folder(root, view)
    clips: list[Clip] = []
    for where, line in _listed(root, split):
        file = folder / f"{Path(line.partition(',')[0].strip()).stem}.mp4"
        if not file.is_file():
            raise DataError(f"{where}: there is no clip {file}")
        clips.append(VideoClip(file, view=view))
    return clips


def _inter4k_folder(root: Path, view: View) -> Path:
    name = next((n for n, size in SIZES.items() if size == view.size), "UHD")
    rate = f"{view.rate or 60:g}fps"
    wanted = [root / rate / name, root / "60fps" / name, root / "60fps" / "UHD"]
    found = next((folder for folder in wanted if folder.is_dir()), None)
    if found is None:
        raise DataError(f"{root} has no clips in {wanted[0]} nor in {wanted[-1]}")
    return found


def _listed(root: Path, split: str) -> list[tuple[str, str]]:
    """Lines of a split's list, each with its place."""
    files = [root / f"{split}{ending}" for ending in (".txt", ".csv")]
    file = next((f for f in files if f.is_file()), None)
    if file is None:
        raise AbsentSplitError(f"{root} has no list of split {split}: neither {files[0]} nor .csv")
    return _lines(file)


def _lines(file: Path) -> list[tuple[str, str]]:
    lines = read_text(file).splitlines()
    return [(f"{file}, line {i}", x.strip()) for i, x in enumerate(lines, 1) if x.strip()]


def read_vimeo(root: Path, split: str, view: View, length: int) -> list[Clip]:
    """Vimeo-90K's triplets: `sequences/00001/0001/im1.png` to `im3.png`, `tri_trainlist.txt`.

    The last twentieth of the train list is val; the test list is test. Single pictures are the
    middle ones.
    """
    file = root / f"tri_{'test' if split == 'test' else 'train'}list.txt"
    if not file.is_file():
        raise AbsentSplitError(f"{root} has no {file.name}, the list of split {split}")
    lines = _lines(file)
    if split != "test":
        first = len(lines) - max(len(lines) // HELD_BACK, 1)
        lines = lines[:first] if split == "train" else lines[first:]
    clips: list[Clip] = []
    for where, line in lines:
        if not re.fullmatch(r"\d{5}/\d{4}", line):
            raise DataError(f"{where}: '{line}' is no triplet; expected one such as 00001/0001")
        folder = root / "sequences" / line
        if not folder.is_dir():
            raise DataError(f"{where}: there is no folder {folder}")
        numbers = (1, 2, 3) if length == 3 else (2,)
        clips.append(PictureClip(tuple(folder / f"im{n}.png" for n in numbers), view))
    return clips


def read_videos(root: Path, split: str, view: View, length: int) -> list[Clip]:
    """A video, a folder of videos, or a folder of numbered frames.

    With folders `train` and `val` in it these are the splits. Otherwise of each video, or of the
    frames, the first 80 % are train and the rest is val.
    """
    del length
    folder, part = _part(root, split)
    if folder.is_file():
        return [VideoClip(folder, part, view)]
    videos = sorted((p for p in folder.iterdir() if p.suffix.lower() in VIDEOS), key=natural_key)
    if videos:
        return [VideoClip(path, part, view) for path in videos]
    frames = _in_part(_pictures(folder), part)
    if view.rate is not None:
        raise DataError(f"{folder} holds pictures, which have no rate to lower; leave it out")
    return [PictureClip(frames, view)] if frames else []


def read_pictures(root: Path, split: str, view: View, length: int) -> list[Clip]:
    """A folder of pictures, each for itself; splits like those of `read_videos`, in order."""
    if length > 1:
        raise DataError(
            f"{root} holds single pictures; frames between need a video or triplets (inter4k, "
            "vimeo, video)"
        )
    folder, part = _part(root, split)
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of pictures")
    return [PictureClip((path,), view) for path in _in_part(_pictures(folder), part)]


def _part(root: Path, split: str) -> tuple[Path, tuple[float, float]]:
    """Where a split is, and which share of it."""
    if (root / "train").is_dir() and (root / "val").is_dir():
        if not (root / split).is_dir():
            raise AbsentSplitError(f"{root} has no folder {split}")
        return root / split, (0.0, 1.0)
    if split == "test":
        raise AbsentSplitError(f"{root} is divided in train and val; it has no split test")
    return root, (0.0, TRAIN_SHARE) if split == "train" else (TRAIN_SHARE, 1.0)


def _in_part(paths: list[Path], part: tuple[float, float]) -> tuple[Path, ...]:
    first, end = (round(share * len(paths)) for share in part)
    return tuple(paths[first:end])


def _pictures(folder: Path) -> list[Path]:
    return sorted(filter(is_picture, folder.iterdir()), key=natural_key)


READERS: dict[str, Reader] = {
    "inter4k": read_inter4k,
    "vimeo": read_vimeo,
    "video": read_videos,
    "pictures": read_pictures,
}
