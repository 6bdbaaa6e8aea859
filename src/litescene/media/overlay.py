"""Results drawn over pictures: labels, boxes, tracks, legend, status."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import cv2
import numpy as np
import PIL.Image
import PIL.ImageDraw
from numpy.typing import NDArray

from litescene.core import IGNORE, Detections, Image, Taxonomy, distinct_colors
from litescene.core.njit import njit
from litescene.media.lettering import font_for

Color = tuple[int, int, int]
"""RGB, 0 to 255."""

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_DARK, _WHITE = (24, 24, 24), (255, 255, 255)
_TRACK_COLORS = distinct_colors(31)
_SAME_LETTERS = 30
"""Pixels of a font whose letters are as high as OpenCV's at scale 1."""
_DESIGN_HEIGHT = 480.0
"""Picture height for which sizes of text and lines are given; they scale with it."""
_DESIGN_SCALE = 0.45
"""Of OpenCV's letters at that height."""


def blend_labels(
    image: Image, labels: NDArray[np.uint8], palette: NDArray[np.uint8], alpha: float = 0.5
) -> Image:
    """Mix each pixel with its class's colour: `(1 - alpha)·image + alpha·palette[label]`.

    `image` H×W×3 uint8, `labels` H×W uint8, `palette` 256×3 uint8 (`Taxonomy.palette`), `alpha`
    0 to 1 in steps of 1/256. Pixels labelled 255 keep their colour. Gives a new picture, within
    one level of the exact mix.

    >>> image, labels = np.full((1, 2, 3), 100, np.uint8), np.array([[0, 255]], np.uint8)
    >>> palette = np.full((256, 3), 200, np.uint8)
    >>> blend_labels(image, labels, palette, 0.5).tolist()
    [[[150, 150, 150], [100, 100, 100]]]
    """
    if image.shape != (*labels.shape, 3) or image.dtype != np.uint8 or labels.dtype != np.uint8:
        raise ValueError(
            f"picture {image.shape} {image.dtype} and labels {labels.shape} {labels.dtype} do not "
            "fit; expected H×W×3 and H×W, both uint8"
        )
    if palette.shape != (256, 3) or palette.dtype != np.uint8:
        raise ValueError(f"a palette is 256×3 uint8, not {palette.shape} {palette.dtype}")
    if not 0.0 <= alpha <= 1.0:
        raise ValueError(f"alpha is a share from 0 to 1, not {alpha}")
    weight = round(alpha * 256)
    keep = np.full(256, 256 - weight, np.uint16)
    add = palette.astype(np.uint16) * np.uint16(weight) + np.uint16(128)
    keep[IGNORE], add[IGNORE] = 256, 0
    blended = np.empty(image.shape, np.uint8)
    flat = np.ascontiguousarray(image).reshape(-1)
    _mix(flat, np.ascontiguousarray(labels).reshape(-1), keep, add, blended.reshape(-1))
    return blended


@njit(cache=True, nogil=True)
def _mix(
    image: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    keep: NDArray[np.uint16],
    add: NDArray[np.uint16],
    out: NDArray[np.uint8],
) -> None:
    for i in range(labels.size):
        label = labels[i]
        k = np.uint32(keep[label])
        for c in range(3):
            out[3 * i + c] = (image[3 * i + c] * k + add[label, c]) >> np.uint32(8)


def draw_detections(image: Image, detections: Detections) -> Image:
    """Draw boxes with class name, id and score into `image` (in place) and give it back.

    A box has its class's colour; ids of -1 are not written. The most certain boxes come last,
    so that their text stays readable.
    """
    taxonomy = detections.taxonomy
    for i in np.argsort(detections.scores, kind="stable"):
        tracked = detections.ids is not None and int(detections.ids[i]) >= 0
        name = taxonomy.names[int(detections.classes[i])]
        identity = f" #{detections.ids[i]}" if tracked and detections.ids is not None else ""
        text = f"{name}{identity} {detections.scores[i]:.2f}"
        draw_box(image, detections.boxes[i], text, taxonomy.colors[int(detections.classes[i])])
    return image


def draw_box(image: Image, box: NDArray[np.floating], text: str, color: Color) -> None:
    """Draw one box x1, y1, x2, y2 (pixels) with a text at its upper edge, in place."""
    thickness = max(1, round(image.shape[0] / 300))
    x1, y1, x2, y2 = (round(float(v)) for v in box)
    cv2.rectangle(image, (x1, y1), (x2, y2), color, thickness)
    _tag(image, text, x1, y1, color)


def draw_tracks(image: Image, tracks: Mapping[int, NDArray[np.floating]]) -> Image:
    """Draw the path of each tracked object into `image` (in place) and give it back.

    `tracks` gives for every id its n×2 points (x, y in pixels), oldest first. The colour belongs
    to the id; a dot marks the newest point.
    """
    thickness = max(1, round(image.shape[0] / 300))
    for identity, points in tracks.items():
        if len(points) == 0:
            continue
        color = _TRACK_COLORS[identity % len(_TRACK_COLORS)]
        path = np.round(np.asarray(points, np.float64)).astype(np.int32).reshape(-1, 1, 2)
        cv2.polylines(image, [path], False, color, thickness, cv2.LINE_AA)
        newest = (int(path[-1, 0, 0]), int(path[-1, 0, 1]))
        cv2.circle(image, newest, 2 * thickness, color, cv2.FILLED, cv2.LINE_AA)
    return image


def draw_legend(image: Image, taxonomy: Taxonomy, present: Sequence[int] = ()) -> Image:
    """Draw a strip with class colours and names along the bottom of `image` (in place).

    All classes of the taxonomy; but where they would take more than a third of the height, those
    of `present` (indices, the most important first) as far as there is room.
    """
    scale, most = _scale(image), image.shape[0] // 3
    entries = tuple(zip(taxonomy.names, taxonomy.colors, strict=True))
    strip = _legend_strip(entries, image.shape[1], scale)
    if strip.shape[0] > most and present:
        strip = _legend_strip(tuple(entries[i] for i in present), image.shape[1], scale)
    row = _row_height(scale)
    height = min(strip.shape[0], most // row * row)
    image[image.shape[0] - height :] = strip[:height]
    return image


def legend(taxonomy: Taxonomy, width: int, present: Sequence[int]) -> Image:
    """A strip of the colours and names of the classes `present` (indices), `width` pixels wide."""
    entries = tuple((taxonomy.names[i], taxonomy.colors[i]) for i in present)
    return _legend_strip(entries, width, _DESIGN_SCALE).copy()


def caption(lines: Sequence[str], width: int, ground: Color) -> Image:
    """A strip with lines of text, `width` pixels wide; what is longer is cut."""
    row, (_, _, below) = _row_height(_DESIGN_SCALE), _text_size("Ag", _DESIGN_SCALE)
    strip = np.full((row * len(lines), width, 3), ground, np.uint8)
    for index, text in enumerate(lines, start=1):
        _write(strip, text, 3, row * index - 3 - below, _DESIGN_SCALE, _ink(ground))
    return strip


def draw_status(image: Image, text: str) -> Image:
    """Write one line on a dark ground at the top left of `image` (in place)."""
    _tag(image, text, 0, 0, _DARK)
    return image


def _scale(image: Image) -> float:
    return max(0.35, _DESIGN_SCALE * image.shape[0] / _DESIGN_HEIGHT)


@lru_cache(maxsize=256)
def _text_size(text: str, scale: float) -> tuple[int, int, int]:
    """Width, height above and depth below the base line, in pixels.

    Few are kept: texts with times, ids and scores hardly come again.
    """
    if not text.isascii():
        mask, height = _letters(text, scale)
        return mask.shape[1], height, mask.shape[0] - height
    (width, height), below = cv2.getTextSize(text, _FONT, scale, 1)
    return int(width), int(height), int(below)


@lru_cache(maxsize=256)
def _letters(text: str, scale: float) -> tuple[NDArray[np.uint8], int]:
    """A text in letters that OpenCV lacks: 0 to 255 for its ink, and its height above the base."""
    font = font_for(text, round(_SAME_LETTERS * scale))
    _, top, right, bottom = font.getbbox(text, anchor="ls")
    height = max(math.ceil(-top), 1)
    canvas = PIL.Image.new("L", (math.ceil(right), height + max(math.ceil(bottom), 1)))
    PIL.ImageDraw.Draw(canvas).text((0, height), text, 255, font, "ls")
    return np.asarray(canvas), height


def _tag(image: Image, text: str, x: int, y: int, ground: Color) -> None:
    """Text on a filled ground whose lower left is (x, y), moved into the picture."""
    scale = _scale(image)
    width, height, below = _text_size(text, scale)
    left = max(0, min(x, image.shape[1] - width - 4))
    bottom = max(height + below + 2, min(y, image.shape[0]))
    top = bottom - height - below - 2
    image[top:bottom, left : left + width + 4] = ground
    _write(image, text, left + 2, bottom - below, scale, _ink(ground))


def _write(image: Image, text: str, x: int, y: int, scale: float, color: Color) -> None:
    if text.isascii():
        cv2.putText(image, text, (x, y), _FONT, scale, color, 1, cv2.LINE_AA)
        return
    mask, height = _letters(text, scale)
    ground = image[max(y - height, 0) :, max(x, 0) :][: mask.shape[0], : mask.shape[1]]
    share = mask[: ground.shape[0], : ground.shape[1], None] / 255.0
    ground[:] = np.round(ground * (1 - share) + np.array(color) * share)


def _ink(ground: Color) -> Color:
    """Black or white, whichever is easier to read on `ground` (Rec. 601 luma)."""
    luma = 0.299 * ground[0] + 0.587 * ground[1] + 0.114 * ground[2]
    return _DARK if luma > 140 else _WHITE


def _row_height(scale: float) -> int:
    _, height, below = _text_size("Ag", scale)
    return height + below + 6


@lru_cache(maxsize=8)
def _legend_strip(entries: tuple[tuple[str, Color], ...], width: int, scale: float) -> Image:
    """Names and colours, row by row."""
    row, (_, _, below) = _row_height(scale), _text_size("Ag", scale)
    places, x, y = [], 4, 0
    for name, _ in entries:
        wide = row + _text_size(name, scale)[0] + 6
        if x > 4 and x + wide > width:
            x, y = 4, y + row
        places.append((x, y))
        x += wide
    strip = np.full((y + row, width, 3), _DARK, np.uint8)
    for (name, color), (left, top) in zip(entries, places, strict=True):
        strip[top + 3 : top + row - 3, left : left + row - 6] = color
        _write(strip, name, left + row - 2, top + row - 3 - below, scale, _WHITE)
    return strip
