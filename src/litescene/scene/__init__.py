"""The scene builder: odometry, keyframes, loop closing, depth, fusion, the labelled map."""

from litescene.scene.depth import DepthSource, EpipolarDepth, PosedView
from litescene.scene.fusion import SemanticVoxelMap
from litescene.scene.objects import ObjectTracker
from litescene.scene.odometry import Odometry, TrackResult
from litescene.scene.odometry_result import OdometryResult
from litescene.scene.pipeline import SceneResult, run

__all__ = [
    "DepthSource",
    "EpipolarDepth",
    "ObjectTracker",
    "Odometry",
    "OdometryResult",
    "PosedView",
    "SceneResult",
    "SemanticVoxelMap",
    "TrackResult",
    "run",
]
