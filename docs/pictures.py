"""Pictures of a finished run for the README and the documentation.

    python docs/pictures.py demo/run docs/pictures/street --overlay
    python docs/pictures.py out/kitti07 docs/pictures/kitti07

writes NAME_map.png (classes from above beside colours at an angle) and, with --overlay, for
videos that may be shown, NAME_overlay.jpg.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import PIL.Image

from litescene.media import open_source
from litescene.media.map_files import read_ply
from litescene.media.map_picture import draw_map_at_angle, draw_map_from_above
from litescene.media.trajectory_files import read_trajectory


def map_picture(run: Path) -> PIL.Image.Image:
    """Top view in classes, view at an angle in colours."""
    scene_map, path = read_ply(run / "map.ply"), read_trajectory(run / "trajectory.txt")
    above = draw_map_from_above(scene_map, path, 560, 420)
    angle = draw_map_at_angle(scene_map, path, 560, 420, paint="colors")
    return PIL.Image.fromarray(np.hstack([above, angle]))


def overlay_picture(run: Path, share: float) -> PIL.Image.Image:
    """One frame of the overlay video, at `share` of its length."""
    with open_source(run / "overlay.mp4") as frames:
        wanted = int(share * ((frames.frame_count or 1) - 1))
        for frame in frames:
            if frame.index == wanted:
                return PIL.Image.fromarray(frame.image)
    raise SystemExit(f"{run / 'overlay.mp4'} has no frame {wanted}")


def main() -> None:
    """Read the arguments and write the pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, help="folder of a finished `litescene run`")
    parser.add_argument("name", type=Path, help="folder and first part of the pictures' names")
    parser.add_argument("--overlay", action="store_true", help="also show a frame")
    parser.add_argument("--at", type=float, default=0.5, help="which frame, 0 to 1")
    arguments = parser.parse_args()
    arguments.name.parent.mkdir(parents=True, exist_ok=True)
    map_picture(arguments.run).save(f"{arguments.name}_map.png", optimize=True)
    if arguments.overlay:
        overlay_picture(arguments.run, arguments.at).save(
            f"{arguments.name}_overlay.jpg", quality=88
        )


if __name__ == "__main__":
    main()
