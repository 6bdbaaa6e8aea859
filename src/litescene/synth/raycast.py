"""Ray casting against triangles with Embree (package `embreex`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import MissingExtraError

F32 = NDArray[np.float32]
MISS = np.float32(0.0)


def load_embree() -> tuple[Any, Any]:
    """The modules `rtcore_scene` and `mesh_construction` of embreex.

    Raises `MissingExtraError` where the extra `synth` is not installed.
    """
    try:
        from embreex import mesh_construction, rtcore_scene
    except ImportError as error:
        raise MissingExtraError("the built-in street", "synth") from error
    return rtcore_scene, mesh_construction


@dataclass(frozen=True, slots=True)
class Hits:
    """Nearest hits of n rays: `triangle` n int32 (-1: none), `distance` n float32 in lengths of
    the ray's direction (0: none), `barycentric` n×2 float32 weights of the second and third
    corner.
    """

    triangle: NDArray[np.int32]
    distance: F32
    barycentric: F32


class Caster:
    """A fixed set of triangles (n×3×3 float32) that answers rays."""

    def __init__(self, corners: F32) -> None:
        scenes, meshes = load_embree()
        self._scene = scenes.EmbreeScene()
        self._mesh = meshes.TriangleMesh(self._scene, np.ascontiguousarray(corners, np.float32))

    def nearest(self, origins: F32, directions: F32, reach: F32 | None = None) -> Hits:
        """First triangle along each ray; `reach` (n) limits the distance of each."""
        answer = self._scene.run(origins, directions, reach, output=True)
        triangle = answer["primID"].astype(np.int32, copy=False)
        distance = np.where(triangle >= 0, answer["tfar"], MISS)
        return Hits(triangle, distance, np.stack([answer["u"], answer["v"]], axis=1))

    def blocked(self, origins: F32, directions: F32, reach: float = 1e4) -> NDArray[np.bool_]:
        """Whether anything lies on each ray between its origin and `reach`."""
        limits = np.full(len(origins), reach, np.float32)
        answer = self._scene.run(origins, directions, limits, query="OCCLUDED")
        return np.asarray(answer != -1)
