"""Frames come out of the networks in order, whole, and before the error that follows them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import cast

import numpy as np
import pytest

from litescene.core import CAMVID, STREET_OBJECTS, Detections, Frame, SegmentationMap, SourceError
from litescene.runtime import Detector, Segmenter
from litescene.scene.perception import Perception


class Slow:
    """A segmenter whose frames of even brightness take longer than the odd ones after them."""

    def another(self) -> Slow:
        return Slow()

    def __call__(self, image: np.ndarray) -> SegmentationMap:
        value = int(image[0, 0, 0])
        time.sleep(0.0 if value % 2 else 0.03)
        if value == 99:
            raise RuntimeError("the network broke")
        return SegmentationMap(np.full((2, 2), value, np.uint8), CAMVID)


def detect(image: np.ndarray) -> Detections:
    none = Detections.empty(STREET_OBJECTS)
    return Detections(none.boxes, none.scores, none.classes, STREET_OBJECTS)


def frames(values: list[int], error: Exception | None = None) -> Iterator[Frame]:
    for index, value in enumerate(values):
        yield Frame(index, float(index), np.full((2, 2, 3), value, np.uint8))
    if error is not None:
        raise error


def perception() -> Perception:
    return Perception(cast(Segmenter, Slow()), cast(Detector, detect))


@pytest.mark.parametrize("count", [0, 1, 2, 3, 8])
def test_every_frame_comes_out_in_order_with_its_own_labels(count: int) -> None:
    seen = list(perception().over(frames(list(range(count)))))
    assert [p.frame.index for p in seen] == list(range(count))
    assert [int(p.labels.labels[0, 0]) for p in seen] == list(range(count))
    assert all(p.detections is not None for p in seen)


def test_frames_before_an_error_of_the_source_come_out_first() -> None:
    taken = perception().over(frames([0, 1, 2, 3, 4], SourceError("it is gone")))
    for expected in range(5):
        assert next(taken).frame.index == expected
    with pytest.raises(SourceError, match="gone"):
        next(taken)


def test_an_error_of_a_network_comes_out_at_its_frame() -> None:
    taken = perception().over(frames([0, 1, 99, 3]))
    assert [next(taken).frame.index, next(taken).frame.index] == [0, 1]
    with pytest.raises(RuntimeError, match="broke"):
        next(taken)


def test_the_time_of_each_network_is_counted() -> None:
    one = perception()
    list(one.over(frames([0, 2, 4, 6])))
    assert one.milliseconds["segmentation"] >= 4 * 30
    assert one.milliseconds["detection"] >= 0
