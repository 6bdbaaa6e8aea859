"""How good results are: segmentation, detection, trajectory, depth and pictures, in NumPy."""

from litescene.metrics.box_matching import box_areas, box_iou, match_greedily
from litescene.metrics.depth import DepthScores, depth_errors
from litescene.metrics.detection import (
    BoxTruth,
    DetectionMetric,
    DetectionScores,
    PrecisionRecall,
)
from litescene.metrics.image_quality import ImageQuality, psnr, ssim
from litescene.metrics.scene_map import MapScores, TrueView, map_label_scores
from litescene.metrics.segmentation import ConfusionMatrix
from litescene.metrics.trajectory import (
    Alignment,
    ErrorStatistics,
    SegmentErrors,
    TrajectoryScores,
    absolute_errors,
    align_trajectory,
    associate,
    evaluate_trajectory,
    kitti_segment_errors,
    match_trajectories,
    relative_errors,
)

__all__ = [
    "Alignment",
    "BoxTruth",
    "ConfusionMatrix",
    "DepthScores",
    "DetectionMetric",
    "DetectionScores",
    "ErrorStatistics",
    "ImageQuality",
    "MapScores",
    "PrecisionRecall",
    "SegmentErrors",
    "TrajectoryScores",
    "TrueView",
    "absolute_errors",
    "align_trajectory",
    "associate",
    "box_areas",
    "box_iou",
    "depth_errors",
    "evaluate_trajectory",
    "kitti_segment_errors",
    "map_label_scores",
    "match_greedily",
    "match_trajectories",
    "psnr",
    "relative_errors",
    "ssim",
]
