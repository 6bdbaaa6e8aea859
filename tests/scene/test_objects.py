import numpy as np
import pytest

from litescene.core import CAMVID, COCO, STREET_OBJECTS, Detections, SegmentationMap
from litescene.scene.instances import instance_picture
from litescene.scene.objects import ObjectTracker

PERSON, CAR, TRUCK = 0, 2, 3


def found(*boxes: tuple[float, float, float, float, int, float]) -> Detections:
    """Detections from (centre x, centre y, width, height, class, score)."""
    rows = np.array(boxes, float).reshape(-1, 6)
    centre, half = rows[:, :2], rows[:, 2:4] / 2
    return Detections(
        np.concatenate([centre - half, centre + half], 1).astype(np.float32),
        rows[:, 5].astype(np.float32),
        rows[:, 4].astype(np.int32),
        STREET_OBJECTS,
    )


def test_an_object_gets_its_id_with_the_second_detection_and_keeps_it():
    tracker = ObjectTracker()
    ids = [
        tracker.update(found((100 + 6 * i, 50, 40, 30, CAR, 0.9)), i / 15).ids[0] for i in range(30)
    ]
    assert ids == [-1] + [0] * 29


def test_a_detection_seen_once_never_gets_an_id():
    tracker = ObjectTracker()
    tracker.update(found((100, 50, 40, 30, CAR, 0.9)), 0.0)
    tracker.update(found(), 0.1)
    assert tracker.update(found((100, 50, 40, 30, CAR, 0.9)), 0.2).ids.tolist() == [-1]
    assert tracker.objects_over_time() == []


def test_an_occluded_object_comes_back_with_its_id_because_its_motion_is_predicted():
    tracker = ObjectTracker()
    ids = []
    for i in range(40):
        # Hidden for 0.6 s, in which it moves by more than two of its widths.
        hidden = 15 <= i < 27
        boxes = () if hidden else ((50 + 8.0 * i, 60, 40, 40, CAR, 0.8),)
        ids += tracker.update(found(*boxes), i * 0.05).ids.tolist()
    assert set(ids[1:]) == {0}


def test_an_object_away_for_longer_than_is_waited_for_is_a_new_one():
    tracker = ObjectTracker(keep=1.0)
    for i in range(5):
        tracker.update(found((50, 60, 40, 40, CAR, 0.8)), i * 0.1)
    for i in range(15):
        tracker.update(found(), 0.5 + i * 0.1)
    tracker.update(found((50, 60, 40, 40, CAR, 0.8)), 2.1)
    assert tracker.update(found((50, 60, 40, 40, CAR, 0.8)), 2.2).ids.tolist() == [1]


def test_crossing_objects_of_two_classes_keep_their_ids():
    tracker = ObjectTracker()
    for i in range(40):
        car = (40 + 5.0 * i, 100, 80, 50, CAR, 0.9)
        person = (240 - 5.0 * i, 100, 30, 60, PERSON, 0.8)
        boxes = (car, person) if i % 2 else (person, car)
        result = tracker.update(found(*boxes), i / 20)
        if i > 0:
            expected = {CAR: 1, PERSON: 0}
            assert dict(zip(result.classes.tolist(), result.ids.tolist(), strict=True)) == expected


def test_crossing_objects_of_one_class_keep_their_ids():
    tracker = ObjectTracker()
    for i in range(40):
        first = (40 + 6.0 * i, 100 - 0.6 * i, 60, 40, CAR, 0.9)
        second = (280 - 6.0 * i, 96 + 0.6 * i, 60, 40, CAR, 0.9)
        result = tracker.update(found(first, second), i / 20)
        if i > 0:
            assert result.ids.tolist() == [0, 1]


def test_uneven_frame_times_do_not_lose_an_object():
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.choice([0.02, 0.04, 0.2, 0.45], 60))
    tracker = ObjectTracker()
    ids = []
    for time in times:
        noise = rng.normal(0, 1.0, 2)
        box = (30 + 60 * time + noise[0], 80 + noise[1], 70, 50, CAR, 0.7)
        ids += tracker.update(found(box), float(time)).ids.tolist()
    assert set(ids[1:]) == {0}


def test_two_pictures_a_second_apart_still_pair_at_very_low_frame_rates():
    tracker = ObjectTracker(keep=1.0)
    ids = [tracker.update(found((100, 60, 40, 40, CAR, 0.8)), 2.0 * i).ids[0] for i in range(4)]
    assert ids == [-1, 0, 0, 0]


def test_a_doubtful_detection_continues_a_track_but_starts_none():
    tracker = ObjectTracker(high=0.4, low=0.1)
    for i in range(3):
        tracker.update(found((50, 60, 40, 40, CAR, 0.8)), i * 0.1)
    result = tracker.update(found((50, 60, 40, 40, CAR, 0.2), (200, 60, 40, 40, CAR, 0.2)), 0.3)
    assert result.ids.tolist() == [0]
    assert result.scores.tolist() == [pytest.approx(0.2)]
    assert tracker.update(found((200, 60, 40, 40, CAR, 0.2)), 0.4).ids.tolist() == []
    assert tracker.update(found((50, 60, 40, 40, CAR, 0.05)), 0.5).ids.tolist() == []


def test_a_doubtful_detection_confirms_nothing():
    tracker = ObjectTracker(high=0.4, low=0.1)
    first = tracker.update(found((50, 60, 40, 40, CAR, 0.8)), 0.0)
    assert first.ids.tolist() == [-1]  # sure of itself, so it is shown
    assert tracker.update(found((50, 60, 40, 40, CAR, 0.2)), 0.1).ids.tolist() == []
    assert tracker.objects_over_time() == []


def test_a_flickering_class_stays_one_object_and_the_majority_names_it():
    tracker = ObjectTracker()
    ids = [
        tracker.update(found((50 + i, 60, 40, 40, TRUCK if i % 4 == 2 else CAR, 0.8)), i * 0.1).ids[
            0
        ]
        for i in range(12)
    ]
    assert set(ids[1:]) == {0}
    (summary,) = tracker.objects_over_time()
    assert summary.name == "car"


def test_summaries_tell_when_objects_were_seen():
    tracker = ObjectTracker(keep=0.5)
    for i in range(30):
        boxes = [(50, 60, 40, 40, CAR, 0.8)] if i < 10 else []
        boxes += [(200, 60, 20, 50, PERSON, 0.6)] if i >= 5 else []
        tracker.update(found(*boxes), i * 0.1)
    car, person = tracker.objects_over_time()
    assert (car.id, car.name, car.frames) == (0, "car", 10)
    assert (person.id, person.name, person.frames) == (1, "person", 25)
    assert (car.first_time, car.last_time) == (0.0, pytest.approx(0.9))
    assert (person.first_time, person.last_time) == (pytest.approx(0.5), pytest.approx(2.9))
    assert person.score == pytest.approx(0.6)
    assert car.to_dict()["class"] == "car"


def test_times_that_go_backwards_are_refused():
    tracker = ObjectTracker()
    tracker.update(found(), 1.0)
    with pytest.raises(ValueError, match="backwards"):
        tracker.update(found(), 0.5)


def test_detections_of_another_taxonomy_are_refused():
    tracker = ObjectTracker()
    tracker.update(found(), 0.0)
    with pytest.raises(ValueError, match="camvid11"):
        tracker.update(Detections.empty(CAMVID), 0.1)


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="0 ≤ low ≤ high"):
        ObjectTracker(low=0.6)


def with_ids(detections: Detections, *ids: int) -> Detections:
    return Detections(
        detections.boxes,
        detections.scores,
        detections.classes,
        detections.taxonomy,
        np.array(ids, np.int32),
    )


def test_instances_are_painted_where_the_class_fits_and_the_nearer_box_wins():
    labels = np.full((100, 120), CAMVID.names.index("road"), np.uint8)
    labels[20:60, 10:80] = CAMVID.names.index("car")
    boxes = found((30, 40, 40, 40, CAR, 0.9), (60, 45, 40, 40, CAR, 0.9), (60, 80, 20, 20, CAR, 1))
    picture = instance_picture(with_ids(boxes, 4, 7, 9), SegmentationMap(labels, CAMVID))
    assert picture.dtype == np.int32
    assert picture[30, 20] == 4
    assert picture[30, 45] == 7  # both boxes, the second stands lower
    assert picture[63, 60] == -1  # inside a box but road
    assert 9 not in picture  # no car pixels in that box


@pytest.mark.parametrize(
    ("name", "labels"),
    [
        ("truck", "car"), ("bus", "car"), ("train", "car"), ("motorcycle", "bicyclist"),
        ("stop sign", "sign_symbol"), ("traffic light", "sign_symbol"), ("person", "pedestrian"),
    ],
)  # fmt: skip
def test_objects_of_a_coco_detector_are_painted_on_camvids_classes(name: str, labels: str):
    seen = SegmentationMap(np.full((50, 60), CAMVID.names.index(labels), np.uint8), CAMVID)
    box = Detections(
        np.array([[10, 10, 20, 20]], np.float32), np.ones(1, np.float32),
        np.array([COCO.names.index(name)], np.int32), COCO,
    )  # fmt: skip
    assert (instance_picture(with_ids(box, 3), seen) == 3).sum() == 121


def test_boxes_beyond_the_picture_and_without_ids_paint_nothing_wrong():
    labels = np.full((50, 60), CAMVID.names.index("pedestrian"), np.uint8)
    boxes = found((-50, -50, 20, 20, PERSON, 1), (55, 45, 40, 40, PERSON, 1))
    segmentation = SegmentationMap(labels, CAMVID)
    assert np.all(instance_picture(boxes, segmentation) == -1)
    assert np.all(instance_picture(with_ids(boxes, 0, -1), segmentation) == -1)
    painted = instance_picture(with_ids(boxes, 0, 3), segmentation)
    assert set(np.unique(painted)) == {-1, 3}
