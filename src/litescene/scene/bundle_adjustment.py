"""Bundle adjustment: poses and points that explain all observations best.

Minimises the sum of Huber(|f (π(T_camera_world X) - ray)|) over all observations, in pixels, with
Levenberg-Marquardt. The points are eliminated by the Schur complement (Triggs et al., "Bundle
Adjustment: A Modern Synthesis", 2000), so that only a 6K×6K system over the free poses is solved.

Why not GTSAM here: on one core, for 10 poses, 500 points and about 3,000 observations, GTSAM 4.3
through Python took 224 ms of CPU time (17 ms to build the graph, 207 ms for five iterations);
these kernels take 4 to 5 ms for the same five iterations. A keyframe comes every two or three
frames, so that is the difference between real time and not. GTSAM solves the Sim(3) pose graph of
`loop_closing`, where it is not in the way.

Poses are n×3×4 float64 `T_camera_world`; tangents are (translation, rotation), applied on the
left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from litescene.scene.bundle_kernels import (
    observation_errors,
    reduced_system,
    refined_pose,
    reprojection_errors,
    robust_cost,
    updated,
)

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Problem:
    """Poses, points and observations of one adjustment.

    `poses` K×3×4 T_camera_world; `free` K bool, which poses may move; `points` P×3 world;
    observations sorted by point and, within a point, by camera: `starts` P+1 (those of point i are
    `starts[i]:starts[i + 1]`), `cameras` M indices into `poses`, `rays` M×2 normalised image
    coordinates; `focal` pixels.
    """

    poses: Floats
    free: NDArray[np.bool_]
    points: Floats
    starts: Ints
    cameras: Ints
    rays: Floats
    focal: float


@dataclass(frozen=True, slots=True)
class Solution:
    """Adjusted `poses` and `points`, `errors` (M, pixels) and the robust cost that is left."""

    poses: Floats
    points: Floats
    errors: Floats
    final_cost: float


def adjust(problem: Problem, *, huber: float = 1.5, iterations: int = 6) -> Solution:
    """Solve `problem`; `huber` is the threshold in pixels where the cost becomes linear.

    At least one pose should be fixed (the gauge); with fewer, Levenberg-Marquardt's damping
    leaves the free directions where they were.
    """
    poses, points = problem.poses.copy(), problem.points.copy()
    slots = np.where(problem.free, np.cumsum(problem.free) - 1, -1).astype(np.int64)
    unknowns = int(problem.free.sum())
    damping = 1e-4
    cost = robust_cost(
        poses, points, problem.starts, problem.cameras, problem.rays, problem.focal, huber
    )
    for _ in range(iterations):
        system, rhs, inverses, gradients, couplings = reduced_system(
            poses, points, problem.starts, problem.cameras, problem.rays, problem.focal,
            huber, slots, unknowns, damping,
        )  # fmt: skip
        step = np.linalg.solve(system, rhs) if unknowns else rhs
        new_poses, new_points = updated(
            poses, points, problem.starts, problem.cameras, slots, step, inverses, gradients,
            couplings,
        )  # fmt: skip
        new_cost = robust_cost(
            new_poses, new_points, problem.starts, problem.cameras, problem.rays, problem.focal,
            huber,
        )  # fmt: skip
        if not new_cost < cost:
            damping *= 10.0
            continue
        converged = cost - new_cost < 1e-5 * cost
        poses, points, cost, damping = new_poses, new_points, new_cost, max(damping * 0.2, 1e-7)
        if converged:
            break
    errors = observation_errors(
        poses, points, problem.starts, problem.cameras, problem.rays, problem.focal
    )
    return Solution(poses, points, errors, float(cost))


def refine_pose(
    pose: Floats,
    points: Floats,
    rays: Floats,
    focal: float,
    *,
    huber: float = 1.5,
    iterations: int = 10,
) -> tuple[Floats, Floats]:
    """Robust pose of one camera against fixed points, starting from `pose` (3×4 T_camera_world).

    Returns the pose (3×4) and every point's reprojection error in pixels (infinite behind).
    """
    refined = refined_pose(pose, points, rays, focal, huber, iterations)
    return refined, reprojection_errors(refined, points, rays, focal)
