"""Where frames come from and where pictures, trajectories and maps go.

The names below are loaded on first use, so that reading a trajectory does not load a video
library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litescene.media.atomic import atomic_write, write_atomic
    from litescene.media.overlay import (
        blend_labels,
        draw_detections,
        draw_legend,
        draw_status,
        draw_tracks,
    )
    from litescene.media.pictures import read_labels, read_picture, write_png_labels
    from litescene.media.sources import Source, open_source
    from litescene.media.video_writer import VideoWriter

_HOMES = {
    "Source": "sources",
    "VideoWriter": "video_writer",
    "atomic_write": "atomic",
    "blend_labels": "overlay",
    "draw_detections": "overlay",
    "draw_legend": "overlay",
    "draw_status": "overlay",
    "draw_tracks": "overlay",
    "open_source": "sources",
    "read_labels": "pictures",
    "read_picture": "pictures",
    "write_atomic": "atomic",
    "write_png_labels": "pictures",
}
"""The file of this room in which each public name lives."""

__all__ = [
    "Source",
    "VideoWriter",
    "atomic_write",
    "blend_labels",
    "draw_detections",
    "draw_legend",
    "draw_status",
    "draw_tracks",
    "open_source",
    "read_labels",
    "read_picture",
    "write_atomic",
    "write_png_labels",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
