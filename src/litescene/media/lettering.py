"""Fonts for words in any script.

Pillow's own font, which is always there, has the letters of ASCII. For others one of the fonts that
operating systems bring is taken, the first that has all of them.
"""

from __future__ import annotations

import functools
import logging

import PIL.ImageFont

_log = logging.getLogger("litescene")

Font = PIL.ImageFont.FreeTypeFont | PIL.ImageFont.ImageFont

FONTS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "Arial.ttf",
    "arial.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-zenhei.ttc",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "PingFang.ttc",
    "Arial Unicode.ttf",
)
"""Files that Linux, Windows and macOS have; Pillow knows their folders."""
_UNASSIGNED = "\U0010ffff"
"""A character that no font has: what is drawn in its place is the mark of a missing one."""


def font_for(text: str, size: int) -> Font:
    """A font of `size` pixels with the letters of a text.

    Where no font has them all it is Pillow's own, which draws boxes in their place; the log says
    so once.
    """
    return _open(_file_with("".join(sorted({c for c in text if not c.isascii()}))), size)


@functools.lru_cache(maxsize=1024)
def _file_with(letters: str) -> str | None:
    """The first font file that has all letters, None for Pillow's own."""
    if all(_has(None, letter) for letter in letters):
        return None
    for file in FONTS:
        try:
            if all(_has(file, letter) for letter in letters):
                return file
        except OSError:  # not on this system
            continue
    _log.warning(
        "no font of this system has all of the letters %s, which are drawn as boxes; install one "
        "that has, as Noto Sans CJK",
        letters,
    )
    return None


def _has(file: str | None, letter: str) -> bool:
    """Whether a font draws a letter otherwise than one that it lacks."""
    font = _open(file, 32)
    return letter.isspace() or bytes(font.getmask(letter)) != bytes(font.getmask(_UNASSIGNED))


@functools.lru_cache(maxsize=64)
def _open(file: str | None, size: int) -> Font:
    return PIL.ImageFont.load_default(size) if file is None else PIL.ImageFont.truetype(file, size)
