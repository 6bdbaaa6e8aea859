"""What the parts of litescene give each other: small frozen records of arrays.

Drawing and saving them are functions of `litescene.media`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from litescene.core.taxonomy import IGNORE, Taxonomy

Scale = Literal["metric", "arbitrary"]


def _check(name: str, array: NDArray[Any], shape: tuple[int | None, ...], dtype: type) -> None:
    fits = array.ndim == len(shape) and all(
        want is None or have == want for have, want in zip(array.shape, shape, strict=True)
    )
    if not fits or array.dtype != dtype:
        expected = "×".join("n" if s is None else str(s) for s in shape)
        raise ValueError(
            f"{name} must be {expected} {np.dtype(dtype).name}, not "
            f"{'×'.join(map(str, array.shape))} {array.dtype}"
        )


@dataclass(frozen=True, slots=True)
class SegmentationMap:
    """A class for every pixel: `labels` H×W uint8, 255 where there is none."""

    labels: NDArray[np.uint8]
    taxonomy: Taxonomy

    def __post_init__(self) -> None:
        _check("labels", self.labels, (None, None), np.uint8)
        if len(self.taxonomy) > IGNORE:
            raise ValueError(
                f"labels of pixels are 1 to {IGNORE} classes, not {len(self.taxonomy)}"
            )

    def shares(self) -> dict[str, float]:
        """Share of the picture per class, 0 to 1."""
        counts = np.bincount(self.labels.ravel(), minlength=256)
        return {
            name: float(counts[i]) / self.labels.size for i, name in enumerate(self.taxonomy.names)
        }

    def to_dict(self) -> dict[str, Any]:
        """Size and class shares; the label picture itself belongs in a PNG."""
        height, width = self.labels.shape
        return {
            "height": height,
            "width": width,
            "taxonomy": self.taxonomy.name,
            "shares": self.shares(),
        }


@dataclass(frozen=True, slots=True)
class Detections:
    """Boxes found in one picture.

    `boxes` n×4 float32: x1, y1, x2, y2 in pixels of the picture; `scores` n float32 in 0..1;
    `classes` n int32; `ids` n int32, stable over time, -1 where an object is not tracked (yet).
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    classes: NDArray[np.int32]
    taxonomy: Taxonomy
    ids: NDArray[np.int32] | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        _check("boxes", self.boxes, (n, 4), np.float32)
        _check("scores", self.scores, (n,), np.float32)
        _check("classes", self.classes, (n,), np.int32)
        if self.ids is not None:
            _check("ids", self.ids, (n,), np.int32)

    def __len__(self) -> int:
        return len(self.boxes)

    @classmethod
    def empty(cls, taxonomy: Taxonomy) -> Detections:
        """No boxes."""
        return cls(
            np.zeros((0, 4), np.float32),
            np.zeros(0, np.float32),
            np.zeros(0, np.int32),
            taxonomy,
            np.zeros(0, np.int32),
        )

    def to_dict(self) -> list[dict[str, Any]]:
        """One plain record per box: class name, score, box in pixels, id."""
        ids = self.ids if self.ids is not None else np.full(len(self), -1, np.int32)
        return [
            {
                "class": self.taxonomy.names[int(c)],
                "score": round(float(s), 4),
                "box": [round(float(v), 2) for v in box],
                "id": int(i),
            }
            for box, s, c, i in zip(self.boxes, self.scores, self.classes, ids, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Classification:
    """The likeliest classes of one picture, the likeliest first.

    `classes` n int32; `probabilities` n float32 in 0..1, not rising.
    """

    classes: NDArray[np.int32]
    probabilities: NDArray[np.float32]
    taxonomy: Taxonomy

    def __post_init__(self) -> None:
        n = len(self.classes)
        _check("classes", self.classes, (n,), np.int32)
        _check("probabilities", self.probabilities, (n,), np.float32)
        if not n:
            raise ValueError("a classification has at least one class")

    def __len__(self) -> int:
        return len(self.classes)

    @classmethod
    def of(
        cls, probabilities: NDArray[np.floating[Any]], taxonomy: Taxonomy, top: int = 5
    ) -> Classification:
        """The `top` likeliest classes by the probabilities of all, C; the first of equal ones."""
        if probabilities.shape != (len(taxonomy),):
            raise ValueError(f"{probabilities.shape} probabilities for {len(taxonomy)} classes")
        order = np.argsort(-probabilities, kind="stable")[:top]
        return cls(order.astype(np.int32), probabilities[order].astype(np.float32), taxonomy)

    @property
    def name(self) -> str:
        """The likeliest class."""
        return self.taxonomy.names[int(self.classes[0])]

    def to_dict(self) -> list[dict[str, Any]]:
        """One plain record per class: name, index, probability."""
        return [
            {
                "class": self.taxonomy.names[int(c)],
                "index": int(c),
                "probability": round(float(p), 6),
            }
            for c, p in zip(self.classes, self.probabilities, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class DepthMap:
    """z-depth of every pixel: H×W float32, 0 where unknown, never NaN.

    `sigma` (H×W float32, optional) is the standard deviation of the inverse depth.
    """

    depth: NDArray[np.float32]
    scale: Scale
    sigma: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        _check("depth", self.depth, (None, None), np.float32)
        if not np.all(np.isfinite(self.depth)) or np.any(self.depth < 0):
            raise ValueError("depth must be finite and not negative; 0 means unknown")
        if self.sigma is not None:
            _check("sigma", self.sigma, self.depth.shape, np.float32)

    def to_dict(self) -> dict[str, Any]:
        """Size, share of known pixels and the range of depths."""
        known = self.depth[self.depth > 0]
        return {
            "height": self.depth.shape[0],
            "width": self.depth.shape[1],
            "scale": self.scale,
            "known": float(known.size / max(self.depth.size, 1)),
            "range": [float(known.min()), float(known.max())] if known.size else None,
        }


@dataclass(frozen=True, slots=True)
class Trajectory:
    """Camera poses over time: `poses` n×4×4 float64 T_world_camera, `times` n float64 seconds."""

    times: NDArray[np.float64]
    poses: NDArray[np.float64]
    scale: Scale

    def __post_init__(self) -> None:
        n = len(self.times)
        _check("times", self.times, (n,), np.float64)
        _check("poses", self.poses, (n, 4, 4), np.float64)
        if not (np.all(np.isfinite(self.times)) and np.all(np.isfinite(self.poses))):
            raise ValueError("times and poses must be finite")

    def __len__(self) -> int:
        return len(self.times)

    @property
    def positions(self) -> NDArray[np.float64]:
        """Camera centres in the world, n×3."""
        return np.ascontiguousarray(self.poses[:, :3, 3])

    @property
    def length(self) -> float:
        """Length of the path."""
        return float(np.linalg.norm(np.diff(self.positions, axis=0), axis=1).sum())

    def to_dict(self) -> dict[str, Any]:
        """Number of poses, span, path length and scale."""
        span = [float(self.times[0]), float(self.times[-1])] if len(self) else None
        return {"poses": len(self), "span": span, "length": self.length, "scale": self.scale}


@dataclass(frozen=True, slots=True)
class SceneMap:
    """A labelled point map in world coordinates.

    `points` n×3 float32; `colors` n×3 uint8 RGB; `labels` n uint8 (255 unknown); `confidence`
    n float32 in 0..1 (posterior of the label); `instances` n int32, number of distinct tracked
    objects seen there; `observations` n int32, measurements fused. `objects_per_class` counts the
    distinct tracked objects of the whole map, which a map read from a file does not know.
    """

    points: NDArray[np.float32]
    colors: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    instances: NDArray[np.int32]
    observations: NDArray[np.int32]
    taxonomy: Taxonomy
    scale: Scale
    objects_per_class: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.points)
        _check("points", self.points, (n, 3), np.float32)
        _check("colors", self.colors, (n, 3), np.uint8)
        _check("labels", self.labels, (n,), np.uint8)
        _check("confidence", self.confidence, (n,), np.float32)
        _check("instances", self.instances, (n,), np.int32)
        _check("observations", self.observations, (n,), np.int32)

    def __len__(self) -> int:
        return len(self.points)

    def to_dict(self) -> dict[str, Any]:
        """Number of points, points and tracked objects per class, scale."""
        counts = np.bincount(self.labels, minlength=256)
        per_class = {name: int(counts[i]) for i, name in enumerate(self.taxonomy.names)}
        return {
            "points": len(self),
            "classes": per_class,
            "objects": dict(self.objects_per_class),
            "scale": self.scale,
        }
