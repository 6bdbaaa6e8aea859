"""From keyframes to the labelled map: depth by the neighbours, then fusion.

A keyframe is mapped when the next one is there, so that it has neighbours on both sides. The work
runs in its own thread, in order, on poses copied at the time of its submission; corrections that
come later move the finished voxels (`SemanticVoxelMap.rebuild`).
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from litescene.core import IGNORE, Camera, Frame, Image, SceneMap, SegmentationMap, Taxonomy
from litescene.geometry import invert, rectified, transform_points
from litescene.scene.depth import DepthSource, PosedView, select_neighbours
from litescene.scene.fusion import SemanticVoxelMap
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.worker import InOrder

WIDEST = 640
"""Pictures are reduced to this width for depth: more pixels cost time and add no edges."""
VIEWS = 12
"""Views kept as possible neighbours: keyframes, and one frame between each two."""
NEIGHBOURS = 4
_BETWEEN = 8
"""Frames of the present interval that are kept to choose its middle one from."""


@dataclass(frozen=True)
class _Seen:
    """A view hung onto a keyframe, so that it moves along with it; `scale` is the keyframe's
    when the view was taken. `instances` of keyframes that are still to be mapped."""

    view: PosedView
    keyframe: Keyframe
    T_keyframe_view: NDArray[np.float64]
    scale: float
    instances: NDArray[np.int32] | None = None

    @property
    def is_keyframe(self) -> bool:
        """Whether this is the keyframe itself."""
        return self.view.index == self.keyframe.frame

    def placed(self) -> PosedView:
        """The view with its present pose."""
        step = self.T_keyframe_view.copy()
        step[:3, 3] *= self.keyframe.scale / self.scale
        return replace(self.view, pose=self.keyframe.pose @ step)


@dataclass(frozen=True)
class _Between:
    """A frame that is no keyframe, hung onto the keyframe before it like `_Seen`."""

    frame: Frame
    labels: SegmentationMap
    T_keyframe_frame: NDArray[np.float64]
    scale: float


class Rectifier:
    """Pictures and labels as an ideal camera of at most `WIDEST` columns sees them."""

    def __init__(self, camera: Camera) -> None:
        ideal = camera
        self._maps: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        if camera.model != "none":
            ideal, map_x, map_y = rectified(camera)
            self._maps = (map_x, map_y)
        self._smaller = ideal.width > WIDEST
        height = round(ideal.height * WIDEST / ideal.width)
        self.camera = ideal.resized(WIDEST, height) if self._smaller else ideal

    def picture(self, image: Image) -> Image:
        """H×W×3 uint8."""
        if self._maps is not None:
            image = np.asarray(cv2.remap(image, *self._maps, cv2.INTER_LINEAR), np.uint8)
        if self._smaller:
            size = (self.camera.width, self.camera.height)
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        return image

    def labels(self, labels: SegmentationMap) -> SegmentationMap:
        """Labels of the nearest pixels; 255 outside the picture."""
        if self._maps is None and not self._smaller:
            return labels
        return SegmentationMap(self._nearest(labels.labels, IGNORE), labels.taxonomy)

    def ids(self, instances: NDArray[np.int32]) -> NDArray[np.int32]:
        """Object ids of the nearest pixels; -1 outside the picture."""
        if self._maps is None and not self._smaller:
            return instances
        # OpenCV moves no int32; ids are far below what float32 holds exactly
        return self._nearest(instances.astype(np.float32), -1).astype(np.int32)

    def _nearest(self, plane: NDArray[Any], outside: int) -> NDArray[Any]:
        if self._maps is not None:
            plane = cv2.remap(
                plane,
                *self._maps,
                cv2.INTER_NEAREST,
                borderMode=cv2.BORDER_CONSTANT,
                borderValue=outside,
            )
        if self._smaller:
            size = (self.camera.width, self.camera.height)
            plane = cv2.resize(plane, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(plane)


class Mapper:
    """Builds the labelled map of one segment of the trajectory."""

    def __init__(
        self, rectifier: Rectifier, taxonomy: Taxonomy, depth: DepthSource, worker: InOrder
    ) -> None:
        self._rectifier, self._depth, self._worker = rectifier, depth, worker
        self._map = SemanticVoxelMap(taxonomy)
        self._recent: deque[_Seen] = deque(maxlen=VIEWS)
        self._between: list[_Between] = []
        self._stride = self._passed = 1
        self._mapped: list[tuple[Keyframe, float]] = []
        self.milliseconds = {"depth": 0.0, "fusion": 0.0}

    def pass_by(self, frame: Frame, labels: SegmentationMap, pose: NDArray[np.float64]) -> None:
        """Take a tracked frame that is no keyframe; `pose` is T_world_camera, as of now.

        One frame between two keyframes becomes a neighbour: its view differs less, so matching
        survives where the camera drives towards things. Before the first keyframe nothing is kept.
        """
        if not self._recent:
            return
        if self._passed % self._stride == 0:
            # The next keyframe's adjustment moves the keyframe before; the frame goes with it.
            before = self._recent[-1].keyframe
            step = invert(before.pose) @ pose
            self._between.append(_Between(frame, labels, step, before.scale))
            if len(self._between) > _BETWEEN:
                del self._between[1::2]
                self._stride *= 2
        self._passed += 1

    def add(
        self,
        keyframe: Keyframe,
        frame: Frame,
        labels: SegmentationMap,
        instances: NDArray[np.int32] | None,
        sparse: SparseMap,
    ) -> None:
        """Take a new keyframe, and map the one before it."""
        if self._between:
            before, middle = self._recent[-1].keyframe, self._between[len(self._between) // 2]
            view = self._view(middle.frame, middle.labels, before.pose @ middle.T_keyframe_frame)
            self._recent.append(_Seen(view, before, middle.T_keyframe_frame, middle.scale))
        self._between, self._stride, self._passed = [], 1, 1
        ids = None if instances is None else self._rectifier.ids(instances)
        view = self._view(frame, labels, keyframe.pose)
        self._recent.append(_Seen(view, keyframe, np.eye(4), keyframe.scale, ids))
        self._submit(-2, sparse)

    def _view(self, frame: Frame, labels: SegmentationMap, pose: NDArray[np.float64]) -> PosedView:
        return PosedView(
            frame.index,
            self._rectifier.picture(frame.image),
            pose,
            self._rectifier.camera,
            None,
            self._rectifier.labels(labels),
        )

    def finish(self, sparse: SparseMap) -> None:
        """Map the last keyframe too, and let all views go; nothing may be added after it."""
        self._submit(-1, sparse)
        self._recent.clear()
        self._between.clear()

    def _submit(self, which: int, sparse: SparseMap) -> None:
        """Have the keyframe `which` (-1 the newest, -2 the one before) mapped, if there is one."""
        keyframes = [seen for seen in self._recent if seen.is_keyframe]
        if len(keyframes) < 2:
            return
        chosen = keyframes[which]
        others = [seen.placed() for seen in self._recent if seen is not chosen]
        marks = visible_landmarks(sparse, chosen.keyframe, self._rectifier.camera)
        view = replace(chosen.placed(), landmarks=marks)
        self._mapped.append((chosen.keyframe, chosen.keyframe.scale))
        self._worker.submit(lambda: self._map_view(view, others, chosen.instances))

    def _map_view(
        self, view: PosedView, others: list[PosedView], instances: NDArray[np.int32] | None
    ) -> None:
        began = time.perf_counter()
        depth = self._depth.depth(view, select_neighbours(view, others, NEIGHBOURS))
        middle = time.perf_counter()
        self.milliseconds["depth"] += (middle - began) * 1e3
        if depth is not None:
            self._map.integrate(view, depth, instances)
        self.milliseconds["fusion"] += (time.perf_counter() - middle) * 1e3

    def preview(self) -> tuple[SceneMap, float]:
        """The map so far and its voxel size; only from the worker's thread."""
        return self._map.snapshot(), self._map.voxel_size or 0.0

    def result(self) -> SceneMap:
        """The map, moved to the keyframes' final poses; the worker must be closed."""
        poses = {keyframe.frame: keyframe.pose for keyframe, _ in self._mapped}
        scales = {keyframe.frame: keyframe.scale / then for keyframe, then in self._mapped}
        self._map.rebuild(poses, scales)
        return self._map.snapshot()


def visible_landmarks(sparse: SparseMap, keyframe: Keyframe, camera: Camera) -> NDArray[np.float64]:
    """Landmarks that a keyframe sees: n×3 column, row (in the ideal `camera`) and z-depth."""
    known = sparse.landmarks.known[keyframe.ids]
    points = sparse.landmarks.points[keyframe.ids[known]]
    depths = transform_points(invert(keyframe.pose), points)[:, 2]
    columns = keyframe.rays[known] * [camera.fx, camera.fy] + [camera.cx, camera.cy]
    front = depths > 0
    return np.column_stack([columns, depths])[front]
