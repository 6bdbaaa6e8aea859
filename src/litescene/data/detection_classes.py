"""Classes of the known data sets in the words of `STREET_OBJECTS`.

A source annotates some classes of the street mix and leaves others without a box:

| source | person | bicycle | car | truck, bus | traffic light | stop | speed limit | crosswalk |
|---|---|---|---|---|---|---|---|---|
| COCO's 80 names | yes | yes | yes | yes | yes | yes | - | - |
| road signs (VOC) | - | - | - | - | yes | yes | yes | yes |
| road cars (box CSV) | - | - | yes | - | - | - | - | - |
| Penn pedestrians | yes | - | - | - | - | - | - | - |
| CamVid boxes | yes | yes (with its rider) | yes (vans too) | - | - | - | - | - |

A `-` means: may be visible without a box, so its absence is no negative example.
"""

from __future__ import annotations

import numpy as np

from litescene.core import STREET_OBJECTS, DataError, Taxonomy, distinct_colors
from litescene.data.detection_records import Annotated, Annotations, DetectionSample

STREET_NAMES: dict[str, str] = {
    "person": "person",
    "pedestrian": "person",
    "PASpersonWalking": "person",
    "PASpersonStanding": "person",
    "bicycle": "bicycle",
    "bicyclist": "bicycle",
    "car": "car",
    "truck": "truck_bus",
    "bus": "truck_bus",
    "traffic light": "traffic_light",
    "trafficlight": "traffic_light",
    "stop sign": "stop_sign",
    "stop": "stop_sign",
    "speedlimit": "speed_limit",
    "crosswalk": "crosswalk",
    **{name: name for name in STREET_OBJECTS.names},
}
"""Class names of data sets, and the class of `STREET_OBJECTS` they stand for."""


def own_taxonomy(annotations: Annotations, name: str) -> Taxonomy:
    """The set's own classes, in its own order."""
    return Taxonomy(name, annotations.classes, distinct_colors(len(annotations.classes)))


def _target_names(annotations: Annotations, taxonomy: Taxonomy) -> dict[str, int]:
    names = {}
    for name in annotations.classes:
        target = STREET_NAMES.get(name) if taxonomy == STREET_OBJECTS else name
        if target in taxonomy.names:
            names[name] = taxonomy.names.index(str(target))
    return names


def map_to_taxonomy(
    annotations: Annotations, taxonomy: Taxonomy, source: str
) -> list[DetectionSample]:
    """Translate a set's boxes; classes that the taxonomy lacks are dropped.

    Raises `DataError` when no class of the set exists in the taxonomy.
    """
    names = _target_names(annotations, taxonomy)
    if not names:
        raise DataError(
            f"{source}: none of its classes ({', '.join(annotations.classes)}) is in taxonomy "
            f"'{taxonomy.name}' ({', '.join(taxonomy.names)})"
        )
    known = frozenset(names.values())
    return [_sample(one, names, known, source) for one in annotations.pictures]


def _sample(
    one: Annotated, names: dict[str, int], known: frozenset[int], source: str
) -> DetectionSample:
    kept = [i for i, name in enumerate(one.names) if name in names]
    classes = np.array([names[one.names[i]] for i in kept], np.int32)
    return DetectionSample(one.picture, one.boxes[kept], classes, one.crowd[kept], known, source)
