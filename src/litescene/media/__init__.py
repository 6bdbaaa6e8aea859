"""Where frames come from and where pictures, trajectories and maps go.

The names below are loaded on first use, so that reading a trajectory does not load a video
library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from litescene.media.atomic import atomic_write, write_atomic
    from litescene.media.camera_files import read_camera
    from litescene.media.colmap_files import Tracks, write_colmap
    from litescene.media.map_files import read_ply, write_ply
    from litescene.media.overlay import (
        blend_labels,
        draw_detections,
        draw_legend,
        draw_status,
        draw_tracks,
    )
    from litescene.media.pictures import read_labels, read_picture, write_png_labels
    from litescene.media.sources import Source, open_source
    from litescene.media.trajectory_files import (
        read_trajectory,
        write_euroc,
        write_kitti,
        write_tum,
    )
    from litescene.media.video_writer import VideoWriter

_HOMES = {
    "Source": "sources",
    "Tracks": "colmap_files",
    "VideoWriter": "video_writer",
    "atomic_write": "atomic",
    "blend_labels": "overlay",
    "draw_detections": "overlay",
    "draw_legend": "overlay",
    "draw_status": "overlay",
    "draw_tracks": "overlay",
    "open_source": "sources",
    "read_camera": "camera_files",
    "read_labels": "pictures",
    "read_picture": "pictures",
    "read_ply": "map_files",
    "read_trajectory": "trajectory_files",
    "write_atomic": "atomic",
    "write_colmap": "colmap_files",
    "write_euroc": "trajectory_files",
    "write_kitti": "trajectory_files",
    "write_ply": "map_files",
    "write_png_labels": "pictures",
    "write_tum": "trajectory_files",
}
"""The file of this room in which each public name lives."""

__all__ = [
    "Source",
    "Tracks",
    "VideoWriter",
    "atomic_write",
    "blend_labels",
    "draw_detections",
    "draw_legend",
    "draw_status",
    "draw_tracks",
    "open_source",
    "read_camera",
    "read_labels",
    "read_picture",
    "read_ply",
    "read_trajectory",
    "write_atomic",
    "write_colmap",
    "write_euroc",
    "write_kitti",
    "write_ply",
    "write_png_labels",
    "write_tum",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
