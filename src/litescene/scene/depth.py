"""Depth of keyframes: the interface of every depth source, and the epipolar matcher behind it.

A source gets a posed picture and, if it wants them, other posed pictures of the same place. A
matcher and a multi-view network use the neighbours; a monocular network uses the picture alone
and brings its scale to the landmarks'.
"""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from litescene.core import (
    MOVERS,
    SKY,
    Camera,
    CameraError,
    DepthMap,
    Image,
    Scale,
    SegmentationMap,
)


@dataclass(frozen=True, slots=True)
class PosedView:
    """A picture with its pose, as depth sources see it.

    `index` identifies the picture (the frame's index); `image` H×W×3 uint8 RGB without lens
    distortion; `pose` 4×4 T_world_camera; `camera` its pinhole camera (model `none`);
    `landmarks` n×3 (column, row, z-depth) of mapped points seen in it; `labels` of the same size
    as the picture, to leave movers and sky out.
    """

    index: int
    image: Image
    pose: NDArray[np.float64]
    camera: Camera
    landmarks: NDArray[np.float64] | None = None
    labels: SegmentationMap | None = None

    def __post_init__(self) -> None:
        height, width = self.image.shape[:2]
        if (self.camera.width, self.camera.height) != (width, height):
            raise CameraError(
                f"the camera is for {self.camera.width}×{self.camera.height} pictures, this one "
                f"is {width}×{height}; use Camera.resized"
            )
        if self.camera.model != "none":
            raise CameraError(
                f"depth needs pictures without distortion, not '{self.camera.model}'; undistort"
            )
        if self.labels is not None and self.labels.labels.shape != (height, width):
            raise ValueError(
                f"labels are {self.labels.labels.shape}, the picture is {(height, width)}"
            )

    @property
    def median_depth(self) -> float | None:
        """Median z-depth of the landmarks; None without landmarks."""
        if self.landmarks is None or len(self.landmarks) == 0:
            return None
        return float(np.median(self.landmarks[:, 2]))


class DepthSource(Protocol):
    """Anything that gives a keyframe its depth, in the units of the poses."""

    def depth(self, view: PosedView, neighbours: Sequence[PosedView]) -> DepthMap | None:
        """Depth of `view`, or None where it cannot tell (no baseline, no texture)."""


def select_neighbours(
    view: PosedView, candidates: Sequence[PosedView], count: int = 3
) -> list[PosedView]:
    """The `count` candidates that suit multi-view matching with `view` best, best first.

    Looks for baselines of 4 % to 50 % of the median depth, as near as possible to 15 %, and for
    viewing directions within 30 degrees; prefers baselines that differ, since equal ones
    repeat each other's ambiguities. Without landmarks the candidates with the widest baselines
    and similar directions are taken.
    """
    median = view.median_depth
    scored: list[tuple[float, float, PosedView]] = []
    for other in candidates:
        baseline = float(np.linalg.norm(other.pose[:3, 3] - view.pose[:3, 3]))
        turn = float(other.pose[:3, 2] @ view.pose[:3, 2])
        if other.index == view.index or baseline <= 0 or turn < np.cos(np.radians(30.0)):
            continue
        if median is None:
            scored.append((-baseline, baseline, other))
        elif 0.04 <= baseline / median <= 0.5:
            scored.append((abs(float(np.log(baseline / median / 0.15))), baseline, other))
    chosen: list[PosedView] = []
    while scored and len(chosen) < count:
        best = min(scored, key=lambda entry: entry[0])
        chosen.append(best[2])
        place = best[2].pose[:3, 3]
        scored = [
            (score + (0.5 if _near(other, place, best[1]) else 0.0), baseline, other)
            for score, baseline, other in scored
            if other.index != best[2].index
        ]
    return chosen


def _near(view: PosedView, place: NDArray[np.float64], baseline: float) -> bool:
    return bool(np.linalg.norm(view.pose[:3, 3] - place) < 0.3 * baseline)


@dataclass(frozen=True, slots=True)
class _Prepared:
    image: weakref.ref[NDArray[np.uint8]]
    """Whose this is; weak, so that the pictures can go."""
    gray: NDArray[np.float32]
    codes: NDArray[np.uint32]
    usable: NDArray[np.bool_]


class EpipolarDepth:
    """Semi-dense depth by matching edge pixels along their epipolar lines, with uncertainty.

    Every view it matched is prepared once (grey values, census codes) and kept for a while.

    Args:
        scale: what the poses' unit is; copied to the depth maps.
        cells: about how many square cells the picture is cut into; the steepest pixel of each is
            tried, so this bounds the work whatever the picture's size.
        min_gradient: least gradient of a tried pixel along its epipolar line, grey values
            (0..255) per pixel.
    """

    _KEPT = 16
    # noise of grey values, epipolar line's deviation in pixels, most Hamming bits, ratio
    _SEARCH = (2.0, 0.5, 9.0, 0.85)
    _MOST_RELATIVE = 0.12

    def __init__(
        self, scale: Scale = "arbitrary", *, cells: int = 20_000, min_gradient: float = 1.5
    ) -> None:
        self.scale: Scale = scale
        self.cells = cells
        self.min_gradient = min_gradient
        self._prepared: OrderedDict[int, _Prepared] = OrderedDict()

    def depth(self, view: PosedView, neighbours: Sequence[PosedView]) -> DepthMap | None:
        """Semi-dense depth of `view` with `sigma`; None without a usable neighbour.

        With two or more neighbours a depth must be confirmed by at least two of them. All views
        must have the same size.
        """
        from litescene.scene.depth_kernels import edge_pixels, regularise
        from litescene.scene.epipolar_kernels import match

        others = [other for other in neighbours if other.index != view.index]
        self._check_sizes(view, others)
        if not others:
            return None
        own = self._prepare(view)
        prepared = [self._prepare(other) for other in others]
        H, b = relative_projections(view, others)
        if not np.any(np.linalg.norm(b, axis=1) > 0):
            return None
        block = max(1, round(float(np.sqrt(own.gray.size / self.cells))))
        pixels, gradients, cells = edge_pixels(
            own.gray, own.usable, block, self.min_gradient, epipoles(view, others)
        )
        need = 2.0 if len(others) > 1 else 1.0
        found, deviation = match(
            own.gray,
            own.codes,
            pixels,
            gradients,
            _search_ranges(view, b, pixels),
            np.stack([p.gray for p in prepared]),
            np.stack([p.codes for p in prepared]),
            np.stack([p.usable for p in prepared]),
            H.astype(np.float32),
            b.astype(np.float32),
            np.array([*self._SEARCH, self._MOST_RELATIVE, need]),
        )
        found = regularise(found, deviation, cells, 2)
        return self._scatter(own.gray.shape, pixels, found, deviation)

    def _scatter(
        self,
        shape: tuple[int, ...],
        pixels: NDArray[np.int32],
        inverse_depth: NDArray[np.float32],
        deviation: NDArray[np.float32],
    ) -> DepthMap:
        known = inverse_depth > 0
        columns, rows = pixels[known].T
        depth, sigma = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        depth[rows, columns] = 1.0 / inverse_depth[known]
        sigma[rows, columns] = deviation[known]
        return DepthMap(depth, self.scale, sigma)

    @staticmethod
    def _check_sizes(view: PosedView, others: Sequence[PosedView]) -> None:
        for other in others:
            if other.image.shape != view.image.shape:
                raise ValueError(
                    f"views {view.index} and {other.index} have sizes {view.image.shape} and "
                    f"{other.image.shape}; matching needs equal sizes"
                )

    def _prepare(self, view: PosedView) -> _Prepared:
        known = self._prepared.get(view.index)
        if known and known.image() is view.image:
            self._prepared.move_to_end(view.index)
            return known
        import cv2

        from litescene.scene.depth_kernels import census

        gray = cv2.cvtColor(view.image, cv2.COLOR_RGB2GRAY)
        gray = cv2.GaussianBlur(gray.astype(np.float32), (3, 3), 0.6)
        usable = static_pixels(view.labels, gray.shape)
        prepared = _Prepared(weakref.ref(view.image), gray, census(gray), usable)
        self._prepared[view.index] = prepared
        while len(self._prepared) > self._KEPT:
            self._prepared.popitem(last=False)
        return prepared


def static_pixels(labels: SegmentationMap | None, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """H×W bool: pixels that are neither movers nor sky, two pixels away from both."""
    if labels is None:
        return np.ones(shape[:2], np.bool_)
    import cv2

    table = np.zeros(256, np.uint8)
    table[list(labels.taxonomy.indices(MOVERS | SKY))] = 1
    grown = cv2.dilate(table[labels.labels], np.ones((5, 5), np.uint8))
    return np.asarray(grown == 0)


def relative_projections(
    view: PosedView, others: Sequence[PosedView]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`H` (n×3×3) and `b` (n×3): pixel (u, v, 1) of `view` at inverse depth q is at H p + q b."""
    inverse_k = np.linalg.inv(view.camera.K)
    H, b = np.empty((len(others), 3, 3)), np.empty((len(others), 3))
    for n, other in enumerate(others):
        relative = np.linalg.inv(other.pose) @ view.pose
        H[n] = other.camera.K @ relative[:3, :3] @ inverse_k
        b[n] = other.camera.K @ relative[:3, 3]
    return H, b


def epipoles(view: PosedView, others: Sequence[PosedView]) -> NDArray[np.float64]:
    """Camera centres of `others` in the picture of `view`, homogeneous, n×3."""
    centres = np.stack([other.pose[:3, 3] for other in others]) - view.pose[:3, 3]
    return np.ascontiguousarray(centres @ view.pose[:3, :3] @ view.camera.K.T)


_CELL = 48


def _search_ranges(
    view: PosedView, b: NDArray[np.float64], pixels: NDArray[np.int32]
) -> NDArray[np.float64]:
    """Inverse depths to search for every pixel, n×2: what landmarks near it and all together say.

    The landmarks' range in the neighbourhood of three cells, widened by a factor of two on both
    sides; where fewer than four landmarks are near, the range of the whole picture. Without
    landmarks: from infinity to where the widest baseline moves the picture by a fifth.
    """
    landmarks = view.landmarks
    if landmarks is None or len(landmarks) < 4:
        widest = np.linalg.norm(b, axis=1).max()
        limits = np.array([1e-6, 0.2 * view.camera.width]) / max(widest, 1e-12)
        return np.tile(limits, (len(pixels), 1))
    inverse = 1.0 / np.maximum(landmarks[:, 2], 1e-9)
    low, high = np.quantile(inverse, [0.02, 0.98])
    rows, columns = view.camera.height // _CELL + 1, view.camera.width // _CELL + 1
    table = np.tile(np.array([0.5 * low, 2.0 * high]), (rows, columns, 1))
    at_row, at_column = landmarks[:, 1] // _CELL, landmarks[:, 0] // _CELL
    for row in range(rows):
        in_rows = np.abs(at_row - row) <= 1
        for column in range(columns):
            near = inverse[in_rows & (np.abs(at_column - column) <= 1)]
            if len(near) >= 4:
                table[row, column] = 0.4 * near.min(), 2.5 * near.max()
    cells = pixels // _CELL
    return np.ascontiguousarray(table[cells[:, 1], cells[:, 0]])
