"""The picture of tracked objects: which pixels of a frame belong to which object."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from litescene.core import Detections, SegmentationMap

_ALSO_KNOWN_AS: dict[str, frozenset[str]] = {
    "person": frozenset({"person", "pedestrian", "rider", "bicyclist"}),
    "bicycle": frozenset({"bicycle", "bicyclist", "rider", "motorcycle"}),
    "car": frozenset({"car", "truck", "bus"}),
    "truck_bus": frozenset({"truck", "bus", "car", "train"}),
    "traffic_light": frozenset({"traffic light", "sign_symbol"}),
    "stop_sign": frozenset({"traffic sign", "sign_symbol"}),
    "speed_limit": frozenset({"traffic sign", "sign_symbol"}),
    "crosswalk": frozenset({"road"}),
    "truck": frozenset({"truck", "bus", "car"}),
    "bus": frozenset({"truck", "bus", "car"}),
    "train": frozenset({"train", "car"}),
    "motorcycle": frozenset({"motorcycle", "bicycle", "bicyclist", "rider"}),
    "traffic light": frozenset({"traffic light", "sign_symbol"}),
    "stop sign": frozenset({"traffic sign", "sign_symbol"}),
}
"""Segmentation classes that an object's pixels may have, by the detector's class name: those of
`street8`, then COCO's where they are called otherwise."""


def instance_picture(detections: Detections, segmentation: SegmentationMap) -> NDArray[np.int32]:
    """Object id of every pixel, H×W int32, -1 where there is none.

    A pixel belongs to a box when it lies in it and its class fits the box's class (the same name,
    or one that the object's class is known as). Where boxes overlap the lower one in the picture
    wins: it stands nearer to the camera. Detections without an id are not painted.
    """
    height, width = segmentation.labels.shape
    picture = np.full((height, width), -1, np.int32)
    if detections.ids is None:
        return picture
    for i in np.argsort(detections.boxes[:, 3], kind="stable"):
        identity = int(detections.ids[i])
        if identity < 0:
            continue
        name = detections.taxonomy.names[int(detections.classes[i])]
        fitting = np.zeros(256, np.bool_)
        names = _ALSO_KNOWN_AS.get(name, frozenset()) | {name}
        fitting[list(segmentation.taxonomy.indices(names))] = True
        x1, y1, x2, y2 = np.round(detections.boxes[i]).astype(int)
        rows = slice(max(y1, 0), max(min(y2 + 1, height), 0))
        columns = slice(max(x1, 0), max(min(x2 + 1, width), 0))
        region = picture[rows, columns]
        region[fitting[segmentation.labels[rows, columns]]] = identity
    return picture
