"""The words everybody speaks: frames, cameras, taxonomies, results, contracts, errors."""

from litescene.core.camera import Camera, DistortionModel
from litescene.core.contract import Contract
from litescene.core.errors import (
    BundleError,
    CameraError,
    CheckpointError,
    DataError,
    DivergedError,
    InputError,
    LitesceneError,
    MissingExtraError,
    OutputError,
    ParityError,
    RecipeError,
    SourceError,
    UnknownNameError,
)
from litescene.core.frame import Frame, Image
from litescene.core.results import (
    DepthMap,
    Detections,
    Scale,
    SceneMap,
    SegmentationMap,
    Trajectory,
)
from litescene.core.taxonomy import (
    CAMVID,
    CITYSCAPES,
    IGNORE,
    MOVERS,
    SKY,
    STREET_OBJECTS,
    Taxonomy,
    distinct_colors,
)

__all__ = [
    "CAMVID",
    "CITYSCAPES",
    "IGNORE",
    "MOVERS",
    "SKY",
    "STREET_OBJECTS",
    "BundleError",
    "Camera",
    "CameraError",
    "CheckpointError",
    "Contract",
    "DataError",
    "DepthMap",
    "Detections",
    "DistortionModel",
    "DivergedError",
    "Frame",
    "Image",
    "InputError",
    "LitesceneError",
    "MissingExtraError",
    "OutputError",
    "ParityError",
    "RecipeError",
    "Scale",
    "SceneMap",
    "SegmentationMap",
    "SourceError",
    "Taxonomy",
    "Trajectory",
    "UnknownNameError",
    "distinct_colors",
]
