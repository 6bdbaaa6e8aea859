"""The live 3D page: camera, trajectory and labelled map in a browser while a run goes on."""

from __future__ import annotations

import logging
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera, Image, MissingExtraError, SceneMap
from litescene.geometry import matrix_to_quaternion_wxyz

_PICTURE_WIDTH = 240
_PATH_COLOR = (225, 45, 45)
_HOST = "127.0.0.1"
"""Only for this machine: pictures of a street are nobody else's business."""
_SMALLEST_POINT = 1e-3
_log = logging.getLogger("litescene")


class LiveView:
    """A viser server on this machine, for this machine; `url` is where to look.

    It serves from threads of its own until `close` or the end of the program.
    """

    def __init__(self, camera: Camera) -> None:
        try:
            import viser
        except ImportError as error:
            raise MissingExtraError("the live 3D page", "view") from error
        self._camera = camera
        with redirect_stdout(StringIO()):  # its banner; ours is a log line
            self._server: Any = viser.ViserServer(host=_HOST, verbose=False)
        self._server.scene.set_up_direction("-y")
        self.url = f"http://localhost:{self._server.get_port()}"
        _log.info("live 3D page: %s", self.url)

    def show_camera(
        self, pose: NDArray[np.float64], image: Image, path: NDArray[np.float64]
    ) -> None:
        """Move the camera to `pose` (4×4 T_world_camera), show its picture and its `path` (n×3)."""
        camera = self._camera
        height = max(round(image.shape[0] * _PICTURE_WIDTH / image.shape[1]), 1)
        small = cv2.resize(image, (_PICTURE_WIDTH, height), interpolation=cv2.INTER_AREA)
        self._server.scene.add_camera_frustum(
            "/camera",
            fov=2 * float(np.arctan(camera.height / (2 * abs(camera.fy)))),
            aspect=camera.width / camera.height,
            scale=0.2,
            image=small,
            wxyz=matrix_to_quaternion_wxyz(pose[:3, :3]),
            position=pose[:3, 3],
        )
        if len(path) > 1:
            self._server.scene.add_spline_catmull_rom("/path", path, color=_PATH_COLOR)

    def show_map(self, scene_map: SceneMap, point_size: float) -> None:
        """Show the labelled map in the classes' colours; `point_size` in the map's unit."""
        self._server.scene.add_point_cloud(
            "/map",
            points=scene_map.points,
            colors=scene_map.taxonomy.palette[scene_map.labels],
            point_size=max(point_size, _SMALLEST_POINT),
        )

    def close(self) -> None:
        """Stop serving."""
        with redirect_stdout(StringIO()):
            self._server.stop()
