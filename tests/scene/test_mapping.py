"""Which views become neighbours of a keyframe, and what of them is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from litescene.core import CAMVID, Camera, DepthMap, Frame, SegmentationMap
from litescene.scene.depth import PosedView
from litescene.scene.keyframes import Keyframe, SparseMap
from litescene.scene.mapping import WIDEST, Mapper, Rectifier
from litescene.scene.settings import OdometrySettings
from litescene.scene.worker import InOrder

CAMERA = Camera.from_fov(96, 64, 70)


class Recorder:
    """A depth source that only notes what it was given."""

    def __init__(self) -> None:
        self.calls: list[tuple[int, set[int]]] = []
        self.poses: dict[int, np.ndarray] = {}

    def depth(self, view: PosedView, neighbours: Sequence[PosedView]) -> DepthMap | None:
        self.calls.append((view.index, {n.index for n in neighbours}))
        self.poses |= {v.index: v.pose for v in (view, *neighbours)}


def frame(index: int) -> Frame:
    return Frame(index, index / 10, np.zeros((64, 96, 3), np.uint8))


LABELS = SegmentationMap(np.zeros((64, 96), np.uint8), CAMVID)


def pose(index: int) -> np.ndarray:
    moved = np.eye(4)
    moved[2, 3] = 0.1 * index
    return moved


def keyframe(number: int, index: int) -> Keyframe:
    none = np.zeros((0, 2))
    ids = np.zeros(0, np.int64)
    return Keyframe(number, index, index / 10, 0, pose(index), ids, none.astype(np.float32), none)


def drive(gap: int, count: int = 3) -> tuple[Recorder, Mapper, list[Keyframe]]:
    """Keyframes every `gap` frames, all frames between them passed by."""
    recorder, worker = Recorder(), InOrder("map")
    mapper = Mapper(Rectifier(CAMERA), CAMVID, recorder, worker)
    sparse = SparseMap(CAMERA.fx, OdometrySettings())
    for index in range(gap * (count - 1) + 1):
        if index % gap:
            mapper.pass_by(frame(index), LABELS, pose(index))
            continue
        made = keyframe(index // gap, index)
        sparse.add_keyframe(made)
        mapper.add(made, frame(index), LABELS, None, sparse)
    mapper.finish(sparse)
    worker.close()
    return recorder, mapper, sparse.keyframes


def test_every_keyframe_is_mapped_once_with_neighbours_on_both_sides() -> None:
    recorder, _, _ = drive(gap=10)
    assert [index for index, _ in recorder.calls] == [0, 10, 20]
    assert {0, 20} <= recorder.calls[1][1]


def test_the_middle_frame_between_two_keyframes_is_a_neighbour() -> None:
    recorder, _, _ = drive(gap=10)
    between = {n for _, neighbours in recorder.calls for n in neighbours if n % 10}
    assert between == {5, 15}
    np.testing.assert_allclose(recorder.poses[15], pose(15))


@pytest.mark.parametrize("gap", [3, 40, 333])
def test_however_long_no_keyframe_comes_few_frames_are_kept(gap: int) -> None:
    worker = InOrder("map")
    mapper = Mapper(Rectifier(CAMERA), CAMVID, Recorder(), worker)
    mapper.pass_by(frame(0), LABELS, pose(0))
    assert not mapper._between  # there is no keyframe yet to hang it onto
    sparse = SparseMap(CAMERA.fx, OdometrySettings())
    sparse.add_keyframe(keyframe(0, 0))
    mapper.add(sparse.keyframes[0], frame(0), LABELS, None, sparse)
    for index in range(1, gap):
        mapper.pass_by(frame(index), LABELS, pose(index))
        assert len(mapper._between) <= 8
    kept = [between.frame.index for between in mapper._between]
    assert kept[0] <= 2
    assert kept[-1] >= 0.6 * (gap - 1)
    worker.close()


def test_a_frame_between_moves_along_when_its_keyframe_is_adjusted() -> None:
    recorder, worker = Recorder(), InOrder("map")
    mapper = Mapper(Rectifier(CAMERA), CAMVID, recorder, worker)
    sparse = SparseMap(CAMERA.fx, OdometrySettings())
    shift = np.eye(4)
    shift[0, 3] = 0.5
    for number in range(2):
        for passed in range(10 * number - 9, 10 * number):
            if passed > 0:
                mapper.pass_by(frame(passed), LABELS, pose(passed))
        if number:  # as a local adjustment or a loop does it, before the mapper hears of it
            sparse.keyframes[0].pose = shift @ sparse.keyframes[0].pose
            sparse.keyframes[0].scale = 2.0
        sparse.add_keyframe(keyframe(number, 10 * number))
        mapper.add(sparse.keyframes[-1], frame(10 * number), LABELS, None, sparse)
    mapper.finish(sparse)
    worker.close()
    expected = shift.copy()
    expected[2, 3] = 2 * 0.1 * 5
    np.testing.assert_allclose(recorder.poses[5], expected)


def test_a_finished_mapper_holds_no_pictures_and_maps_nothing_twice() -> None:
    recorder, mapper, keyframes = drive(gap=10)
    assert not mapper._recent
    assert not mapper._between
    sparse = SparseMap(CAMERA.fx, OdometrySettings())
    sparse.keyframes = keyframes
    mapper.finish(sparse)
    assert [index for index, _ in recorder.calls] == [0, 10, 20]


def test_without_frames_between_keyframes_serve_alone() -> None:
    recorder, _, _ = drive(gap=1, count=4)
    assert [index for index, _ in recorder.calls] == [0, 1, 2, 3]


def test_wide_pictures_are_reduced_with_their_camera() -> None:
    camera = Camera(1226, 370, 707, 707, 601.9, 183.1)
    rectifier = Rectifier(camera)
    height = round(370 * WIDEST / 1226)
    assert (rectifier.camera.width, rectifier.camera.height) == (WIDEST, height)
    assert rectifier.camera.fx == pytest.approx(707 * WIDEST / 1226)
    labels = np.zeros((370, 1226), np.uint8)
    labels[:, 613:] = 3
    moved = rectifier.labels(SegmentationMap(labels, CAMVID)).labels
    assert moved.shape == (height, WIDEST)
    assert set(np.unique(moved)) == {0, 3}
    np.testing.assert_array_equal(moved[0, [318, 322]], [0, 3])
    assert rectifier.picture(np.zeros((370, 1226, 3), np.uint8)).shape == (height, WIDEST, 3)
    assert rectifier.ids(np.full((370, 1226), 70_001, np.int32)).max() == 70_001
