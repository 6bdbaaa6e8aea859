"""The page of `litescene doctor`: what a data set holds, with pictures, in one HTML file."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import Image, Taxonomy
from litescene.data.detection_records import DetectionSample
from litescene.media.overlay import blend_labels, draw_box

if TYPE_CHECKING:
    from litescene.data.doctor import DataReport, SplitReport

SHOWN = 24
"""Pictures of a split on the page."""
SIDE = 480
"""Pixels of their longest side, at most."""
_JPEG_QUALITY = 85
_CROWD = (160, 160, 160)
_MOST_LINES = 200

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;color:#222;max-width:1240px;margin:2em auto;padding:0 1em}
h1{font-size:1.6em;margin-bottom:.1em}h2{font-size:1.15em;margin:2em 0 .5em}
.facts{color:#555}.row{display:flex;flex-wrap:wrap;gap:12px}
figure{margin:0;flex:0 1 280px}figure img{width:100%;border-radius:4px;display:block}
figcaption{color:#666;font-size:.85em;overflow-wrap:anywhere}table{border-collapse:collapse}
td,th{padding:.15em .8em .15em 0;text-align:left}td.n{text-align:right}
.bar{background:#8fb3d9;height:.8em;border-radius:2px}.bad{color:#a33}.odd{color:#a60}
"""


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A picture of the gallery, with its annotations drawn in, and what is said of it."""

    name: str
    image: Image
    said: str
    odd: Sequence[str] = ()


class Gallery:
    """Collects `SHOWN` pictures of each split, evenly spread."""

    def __init__(self) -> None:
        self.figures: dict[str, list[str]] = {}

    def wants(self, index: int, total: int) -> bool:
        """Whether a split's picture of this index is one of those that are shown."""
        shown = min(SHOWN, total)
        return (index * shown) // total != ((index - 1) * shown) // total

    def add(self, split: str, exhibit: Exhibit) -> None:
        """Keep a picture, shrunk."""
        ratio = min(SIDE / max(exhibit.image.shape[:2]), 1.0)
        size = [max(round(side * ratio), 1) for side in exhibit.image.shape[1::-1]]
        small = cv2.resize(exhibit.image, size, interpolation=cv2.INTER_AREA)
        bgr = cv2.cvtColor(np.asarray(small), cv2.COLOR_RGB2BGR)
        _, file = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
        self.figures.setdefault(split, []).append(_figure(exhibit, file.tobytes()))


def boxed(
    name: str, image: Image, sample: DetectionSample, taxonomy: Taxonomy, odd: Sequence[str]
) -> Exhibit:
    """A picture with its boxes; crowds are grey."""
    drawn = image.copy()
    for box, c, crowd in zip(sample.boxes, sample.classes, sample.crowd, strict=True):
        called, color = taxonomy.names[int(c)], taxonomy.colors[int(c)]
        draw_box(drawn, box, f"{called} (crowd)" if crowd else called, _CROWD if crowd else color)
    return Exhibit(name, drawn, f"{len(sample.boxes)} boxes", odd)


def labelled(name: str, image: Image, labels: NDArray[np.uint8], taxonomy: Taxonomy) -> Exhibit:
    """A picture with the classes of its pixels."""
    present = [taxonomy.names[c] for c in np.unique(labels) if c < len(taxonomy)]
    return Exhibit(name, blend_labels(image, labels, taxonomy.palette), ", ".join(present))


def render_page(report: DataReport, gallery: Gallery) -> str:
    """The page as HTML text; pictures are inside."""
    title = html.escape(report.spec)
    parts = [
        f"<!doctype html><html lang=en><meta charset=utf-8><title>{title}</title>",
        f"<meta name=viewport content='width=device-width'><style>{_STYLE}</style>",
        f"<h1>{title}</h1>",
        _lines("bad", [f"split {name}: {why}" for name, why in report.malformed.items()]),
        _lines("bad", report.leaks),
        _lines("facts", [f"no split {name}: {why}" for name, why in report.absent.items()]),
    ]
    for split in report.splits:
        parts += _split(split, report.unit, gallery)
    return "\n".join(parts) + "\n"


def _split(split: SplitReport, unit: str, gallery: Gallery) -> list[str]:
    sizes = ", ".join(f"{size}: {count}" for size, count in split.sizes.most_common(5))
    return [
        f"<h2>{html.escape(split.split)}</h2>",
        f"<p class=facts>{split.pictures:,} pictures ({html.escape(sizes)})</p>",
        _lines("bad", split.unreadable),
        _lines("odd", split.notes),
        _table(split.classes, unit) if split.classes else "",
        f"<div class=row>{''.join(gallery.figures.get(split.split, []))}</div>",
    ]


def _lines(kind: str, lines: Sequence[str]) -> str:
    shown = [f"<p class={kind}>{html.escape(line)}</p>" for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        shown.append(f"<p class={kind}>and {len(lines) - _MOST_LINES:,} more</p>")
    return "".join(shown)


def _table(classes: Mapping[str, int], unit: str) -> str:
    total, most = max(sum(classes.values()), 1), max(*classes.values(), 1)
    rows: Iterable[str] = (
        f"<tr><td>{html.escape(name)}<td class=n>{count:,}<td class=n>{100 * count / total:.2f} %"
        f"<td><div class=bar style='width:{200 * count / most:.0f}px'></div>"
        for name, count in classes.items()
    )
    return f"<table><tr><th>class<th>{unit}<th>share<th>{''.join(rows)}</table>"


def _figure(exhibit: Exhibit, file: bytes) -> str:
    data = base64.b64encode(file).decode()
    odd = "".join(f"<br><span class=odd>{html.escape(said)}</span>" for said in exhibit.odd)
    caption = f"{html.escape(exhibit.name)}: {html.escape(exhibit.said)}{odd}"
    return (
        f"<figure><img alt='{html.escape(exhibit.name, quote=True)}' "
        f"src='data:image/jpeg;base64,{data}'><figcaption>{caption}</figcaption></figure>"
    )
