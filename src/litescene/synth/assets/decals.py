"""Signs, shop boards and number plates: small pictures drawn once, with their mip levels."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = 128
STOP, LIMIT_20, LIMIT_30, LIMIT_50, YIELD, NO_ENTRY, PARKING, WARNING, BUS_STOP = range(9)
PLATE, LAMP_FACE, MANHOLE = 9, 10, 11
BOARDS = 12
NAMES = ("BAKERY", "BOOKS", "CAFE", "FLOWERS", "TAILOR", "TOOLS", "PHARMACY", "MARKET")

Picture = NDArray[np.uint8]
_RED, _WHITE, _BLACK, _BLUE = (196, 24, 32), (240, 240, 236), (20, 20, 22), (30, 70, 170)


def _blank(color: tuple[int, int, int]) -> Picture:
    return np.full((SIZE, SIZE, 3), color, np.uint8)


def _text(
    picture: Picture, text: str, color: tuple[int, int, int], width: int, y: int, thick: int
) -> None:
    scale = 1.0
    (w, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
    scale = min(width / w, 2.6)
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, thick)
    where = ((SIZE - w) // 2, y + h // 2)
    cv2.putText(picture, text, where, cv2.FONT_HERSHEY_DUPLEX, scale, color, thick, cv2.LINE_AA)


def _stop() -> Picture:
    p = _blank(_WHITE)
    angles = np.pi / 8 + np.arange(8) * np.pi / 4
    ring = 64 + 62 * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    cv2.fillPoly(p, [np.round(ring).astype(np.int32)], _RED, cv2.LINE_AA)
    _text(p, "STOP", _WHITE, 96, 64, 5)
    return p


def _limit(speed: int) -> Callable[[], Picture]:
    def draw() -> Picture:
        p = _blank(_RED)
        cv2.circle(p, (64, 64), 47, _WHITE, -1, cv2.LINE_AA)
        _text(p, str(speed), _BLACK, 68, 64, 6)
        return p

    return draw


def _yield() -> Picture:
    p = _blank(_RED)
    inner = np.array([[26, 22], [102, 22], [64, 92]], np.int32)
    cv2.fillPoly(p, [inner], _WHITE, cv2.LINE_AA)
    return p


def _no_entry() -> Picture:
    p = _blank(_RED)
    cv2.rectangle(p, (18, 50), (110, 78), _WHITE, -1)
    return p


def _parking() -> Picture:
    p = _blank(_BLUE)
    _text(p, "P", _WHITE, 60, 64, 9)
    return p


def _warning() -> Picture:
    p = _blank(_RED)
    cv2.fillPoly(p, [np.array([[64, 34], [22, 108], [106, 108]], np.int32)], _WHITE, cv2.LINE_AA)
    cv2.line(p, (64, 58), (64, 86), _BLACK, 9, cv2.LINE_AA)
    cv2.circle(p, (64, 99), 5, _BLACK, -1, cv2.LINE_AA)
    return p


def _bus_stop() -> Picture:
    p = _blank((30, 110, 70))
    cv2.circle(p, (64, 44), 34, (236, 200, 40), -1, cv2.LINE_AA)
    _text(p, "BUS", _WHITE, 90, 104, 4)
    return p


def _plate() -> Picture:
    p = _blank((228, 222, 190))
    _text(p, "LS 71 KT", _BLACK, 112, 64, 5)
    return p


def _lamp_face() -> Picture:
    p = _blank((235, 232, 220))
    for r in range(60, 0, -12):
        cv2.circle(p, (64, 64), r, (200 + r // 2, 200 + r // 2, 190 + r // 2), 3, cv2.LINE_AA)
    return p


def _manhole() -> Picture:
    p = _blank((62, 60, 58))
    for x in range(8, SIZE, 16):
        cv2.line(p, (x, 0), (x, SIZE), (38, 37, 36), 5)
        cv2.line(p, (0, x), (SIZE, x), (38, 37, 36), 5)
    cv2.circle(p, (64, 64), 58, (80, 78, 74), 6, cv2.LINE_AA)
    return p


def _board(name: str, index: int) -> Picture:
    hues = [
        (128, 24, 30),
        (22, 60, 40),
        (24, 40, 96),
        (232, 226, 206),
        (40, 40, 44),
        (190, 120, 20),
        (16, 110, 110),
        (120, 30, 90),
    ]
    color = hues[index % len(hues)]
    ink = _BLACK if sum(color) > 500 else (244, 232, 190)
    p = _blank(color)
    (w, h), _ = cv2.getTextSize(name, cv2.FONT_HERSHEY_DUPLEX, 1.0, 2)
    strip = np.full((h + 14, w + 24, 3), color, np.uint8)
    cv2.putText(strip, name, (12, h + 6), cv2.FONT_HERSHEY_DUPLEX, 1.0, ink, 2, cv2.LINE_AA)
    p[:] = cv2.resize(strip, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    return p


def atlas() -> Picture:
    """All decals: k×256×128×3 uint8 sRGB; the mip levels of each lie below one another."""
    draw = [
        _stop,
        _limit(20),
        _limit(30),
        _limit(50),
        _yield,
        _no_entry,
        _parking,
        _warning,
        _bus_stop,
        _plate,
        _lamp_face,
        _manhole,
    ]
    pictures = [d() for d in draw] + [_board(name, i) for i, name in enumerate(NAMES)]
    return np.stack([_with_levels(p) for p in pictures])


def _with_levels(picture: Picture) -> Picture:
    out = np.zeros((2 * SIZE, SIZE, 3), np.uint8)
    top, size = 0, SIZE
    while size >= 2:
        out[top : top + size, :size] = cv2.resize(
            picture, (size, size), interpolation=cv2.INTER_AREA
        )
        top, size = top + size, size // 2
    return out
