"""A calibrated camera: intrinsics in pixels and a distortion model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from litescene.core.errors import CameraError

DistortionModel = Literal["none", "radtan", "fisheye"]

_COEFFICIENTS: dict[str, tuple[int, ...]] = {"none": (0,), "radtan": (4, 5, 8), "fisheye": (4,)}


@dataclass(frozen=True, slots=True)
class Camera:
    """Pinhole camera with optional distortion; pixel centres are integers.

    `distortion` holds OpenCV's coefficients: `radtan` (k1, k2, p1, p2[, k3[, k4, k5, k6]]) or
    `fisheye` (k1, k2, k3, k4, Kannala-Brandt).
    """

    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    model: DistortionModel = "none"
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.width < 1 or self.height < 1:
            raise CameraError(
                f"a camera's picture size must be positive, not {self.width}×{self.height}"
            )
        values = (self.fx, self.fy, self.cx, self.cy, *self.distortion)
        if not np.all(np.isfinite(values)):
            raise CameraError(f"camera parameters must be finite numbers, not {values}")
        if self.fx == 0 or self.fy == 0:
            raise CameraError("focal lengths must not be zero")
        if self.model not in _COEFFICIENTS:
            raise CameraError(
                f"unknown distortion model '{self.model}'; known: none, radtan, fisheye"
            )
        if len(self.distortion) not in _COEFFICIENTS[self.model]:
            raise CameraError(
                f"distortion model '{self.model}' takes {_COEFFICIENTS[self.model]} coefficients, "
                f"not {len(self.distortion)}"
            )

    @classmethod
    def from_fov(cls, width: int, height: int, horizontal_degrees: float) -> Camera:
        """Ideal camera with square pixels and the given horizontal field of view in degrees."""
        if not 1.0 <= horizontal_degrees <= 170.0:
            raise CameraError(
                f"fov={horizontal_degrees:g} is not a horizontal angle from 1 to 170 degrees"
            )
        focal = 0.5 * width / float(np.tan(np.radians(horizontal_degrees) / 2))
        return cls(width, height, focal, focal, (width - 1) / 2, (height - 1) / 2)

    @property
    def K(self) -> NDArray[np.float64]:
        """Intrinsic matrix, 3×3 float64."""
        return np.array([[self.fx, 0, self.cx], [0, self.fy, self.cy], [0, 0, 1]], np.float64)

    def resized(self, width: int, height: int) -> Camera:
        """The camera of the same pictures resized (half-pixel centres) to `width`×`height`."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self,
            width=width,
            height=height,
            fx=self.fx * sx,
            fy=self.fy * sy,
            cx=(self.cx + 0.5) * sx - 0.5,
            cy=(self.cy + 0.5) * sy - 0.5,
        )
