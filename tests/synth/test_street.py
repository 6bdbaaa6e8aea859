"""The street's pictures and their truth agree with one another and with closed forms."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np
import pytest

from litescene.core import CAMVID, STREET_OBJECTS, InputError, MissingExtraError
from litescene.synth import Street, StreetFrame

WIDTH, HEIGHT = 192, 144


@pytest.fixture(scope="module")
def street() -> Street:
    return Street(seed=4, width=WIDTH, height=HEIGHT, seconds=20.0)


@pytest.fixture(scope="module")
def clip(street: Street) -> list[StreetFrame]:
    return list(street.frames(0, 3))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(
    clip: list[StreetFrame],
) -> None:
    again = next(iter(Street(seed=4, width=WIDTH, height=HEIGHT, seconds=20.0).frames(1)))
    other = next(iter(Street(seed=5, width=WIDTH, height=HEIGHT, seconds=20.0).frames(1)))
    for name in ("image", "labels", "instances", "depth", "flow", "flow_valid", "pose"):
        assert getattr(again, name).tobytes() == getattr(clip[1], name).tobytes(), name
    assert again.objects.boxes.tobytes() == clip[1].objects.boxes.tobytes()
    assert other.image.tobytes() != clip[1].image.tobytes()


def test_frames_have_the_stated_types_and_finite_values(clip: list[StreetFrame]) -> None:
    for index, frame in enumerate(clip):
        assert frame.index == index
        assert frame.time == pytest.approx(index / 20.0, abs=1e-12)
        assert frame.image.shape == (HEIGHT, WIDTH, 3)
        assert frame.image.dtype == np.uint8
        assert frame.labels.dtype == np.uint8
        assert frame.instances.dtype == np.int32
        assert frame.depth.dtype == np.float32
        assert frame.flow.shape == (HEIGHT, WIDTH, 2)
        assert np.isfinite(frame.flow).all()
        assert np.isfinite(frame.depth).all()
        assert frame.labels.max() < len(CAMVID)


def test_depth_is_zero_exactly_on_the_sky(clip: list[StreetFrame]) -> None:
    for frame in clip:
        assert np.array_equal(frame.depth == 0, frame.labels == CAMVID.names.index("sky"))


def test_the_road_lies_on_the_plane_of_height_zero(street: Street, clip: list[StreetFrame]) -> None:
    points = unprojected(street, clip[0])
    plain = (clip[0].labels == CAMVID.names.index("road")) & (clip[0].instances == 0)
    assert plain.sum() > 1000
    assert np.abs(points[plain][:, 2]).max() < 2e-3


def unprojected(street: Street, frame: StreetFrame) -> np.ndarray:
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    rays = np.stack([x, y, np.ones_like(x)], axis=-1) @ np.linalg.inv(street.camera.K).T
    points = rays * frame.depth[..., None].astype(np.float64)
    return np.asarray(points @ frame.pose[:3, :3].T + frame.pose[:3, 3])


def test_flow_of_still_things_is_depth_reprojected_with_the_next_pose(
    street: Street, clip: list[StreetFrame]
) -> None:
    now, after = clip[0], clip[1]
    local = (unprojected(street, now) - after.pose[:3, 3]) @ after.pose[:3, :3]
    pixel = local @ street.camera.K.T
    pixel = pixel[..., :2] / np.where(pixel[..., 2:] == 0, 1, pixel[..., 2:])
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    expected = pixel - np.stack([x, y], axis=-1)
    names = ("road", "pavement", "building", "tree", "pole", "fence", "sign_symbol")
    still = np.isin(now.labels, CAMVID.indices(names))
    still &= (now.depth > 0.5) & (local[..., 2] > 0.5)
    assert np.abs(now.flow - expected)[still].max() < 0.02


def test_flow_carries_colours_to_the_next_picture(clip: list[StreetFrame]) -> None:
    now, after = clip[1], clip[2]
    y, x = np.nonzero(now.flow_valid)
    end = np.stack([x, y], axis=1) + now.flow[y, x]
    ix, iy = np.round(end).astype(int).T
    here = now.image[y, x].astype(float)
    there = after.image[iy, ix].astype(float)
    moved = np.abs(here - there).mean()
    unmoved = np.abs(here - after.image[y, x]).mean()
    assert moved < 0.75 * unmoved
    assert np.median(np.abs(here - there).max(axis=1)) < 12


def test_depth_of_visible_points_agrees_with_the_next_frame(
    street: Street, clip: list[StreetFrame]
) -> None:
    now, after = clip[0], clip[1]
    building = now.labels == CAMVID.names.index("building")
    y, x = np.nonzero(now.flow_valid & building)
    points = unprojected(street, now)[y, x]
    z = ((points - after.pose[:3, 3]) @ after.pose[:3, :3])[:, 2]
    ix, iy = np.round(np.stack([x, y], axis=1) + now.flow[y, x]).astype(int).T
    seen = after.depth[iy, ix]
    same = after.labels[iy, ix] == CAMVID.names.index("building")
    assert same.mean() > 0.95
    assert np.median(np.abs(seen[same] - z[same]) / z[same]) < 0.01


def test_boxes_are_the_extents_of_the_instance_map(clip: list[StreetFrame]) -> None:
    count = 0
    for frame in clip:
        for box, instance, pixels in zip(
            frame.objects.boxes, frame.objects.ids, frame.objects.pixels, strict=True
        ):
            y, x = np.nonzero(frame.instances == instance)
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]
            assert len(x) == pixels
            count += 1
    assert count > 10


def test_objects_have_classes_that_fit_their_pixels(clip: list[StreetFrame]) -> None:
    allowed = {
        "person": {"pedestrian", "bicyclist"},
        "bicycle": {"bicyclist"},
        "car": {"car"},
        "truck_bus": {"car"},
        "traffic_light": {"sign_symbol"},
        "stop_sign": {"sign_symbol"},
        "speed_limit": {"sign_symbol"},
        "crosswalk": {"road"},
    }
    for frame in clip:
        objects = frame.objects
        for kind, instance in zip(objects.classes, objects.ids, strict=True):
            seen = {CAMVID.names[k] for k in np.unique(frame.labels[frame.instances == instance])}
            assert seen <= allowed[STREET_OBJECTS.names[kind]]
        assert np.all((objects.visible > 0) & (objects.visible <= 1))
        assert np.all((objects.truncated >= 0) & (objects.truncated <= 1))
        assert len(objects.detections()) == len(objects)


def test_all_eleven_classes_appear_in_a_drive(street: Street) -> None:
    seen: set[int] = set()
    for start in range(0, len(street), 30):
        frame = next(iter(street.frames(start, start + 1)))
        seen |= set(np.unique(frame.labels).tolist())
    assert seen == set(range(len(CAMVID)))


def test_moving_objects_have_flow_of_their_own(street: Street) -> None:
    car = CAMVID.names.index("car")
    own = []
    for start in range(0, len(street), 60):
        frame = next(iter(street.frames(start, start + 1)))
        after = street.motion.at(frame.time + 1 / 20.0).poses[0]
        local = (unprojected(street, frame) - after[:3, 3]) @ after[:3, :3]
        moving = (frame.labels == car) & (local[..., 2] > 0.5) & frame.flow_valid
        pixel = local[moving] @ street.camera.K.T
        y, x = np.nonzero(moving)
        still = pixel[:, :2] / pixel[:, 2:] - np.stack([x, y], axis=1)
        own.append(np.abs(frame.flow[moving] - still).max(initial=0.0))
    assert max(own) > 1.0


def test_frames_do_not_depend_on_where_rendering_starts(
    street: Street, clip: list[StreetFrame]
) -> None:
    alone = next(iter(street.frames(2, 3)))
    assert alone.image.tobytes() == clip[2].image.tobytes()
    assert alone.flow.tobytes() == clip[2].flow.tobytes()


@pytest.mark.parametrize(
    "options", [{"width": 8}, {"height": 9000}, {"seconds": 0.0}, {"rate": 1000.0}, {"seed": -1}]
)
def test_sizes_out_of_range_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not"):
        Street(**{"seed": 0, **options})


def test_a_missing_embreex_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **named: Any) -> Any:
        if name.split(".")[0] == "embreex":
            raise ImportError(name)
        return real(name, *rest, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match=r"litescene\[synth\]"):
        Street(seed=0, width=64, height=48, seconds=1.0)
