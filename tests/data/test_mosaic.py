"""Training pictures: boxes follow the pixels, everything is repeatable, nothing is invented."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from litescene.core import DataError, Taxonomy
from litescene.data.box_transforms import (
    about,
    clip_boxes,
    jitter_hsv,
    limit_size,
    place,
    place_boxes,
)
from litescene.data.detection import DetectionData
from litescene.data.detection_mix import DetectionMix, load_tile, rarity_weights
from litescene.data.detection_records import DetectionSample
from litescene.data.mosaic import CELL, MosaicOptions, Tile, blended, mosaic, single
from litescene.media.letterbox import PAD_VALUE

STILL = MosaicOptions(hsv=(0.0, 0.0, 0.0))


def marked_tile(seed: int, classes: int = 3, known: tuple[int, ...] = (0, 1, 2)) -> Tile:
    """A dark picture with one white rectangle, whose box is known."""
    g = np.random.default_rng(seed)
    image = np.full((120, 160, 3), 10, np.uint8)
    x, y = (int(v) for v in g.integers(20, 60, 2))
    w, h = (int(v) for v in g.integers(30, 50, 2))
    image[y : y + h, x : x + w] = 255
    mask = np.isin(np.arange(classes), known)
    box = np.array([[x, y, x + w, y + h]], np.float32)
    return Tile(image, box, np.array([seed % classes], np.int32), np.zeros(1, bool), mask)


@pytest.mark.parametrize("seed", range(20))
def test_boxes_enclose_the_pixels_of_their_object(seed: int) -> None:
    g = np.random.default_rng(seed)
    made = single(marked_tile(seed), 192, 192, STILL, g)
    white = made.image[..., 0] > 132
    assert len(made.boxes) == 1
    columns, rows = np.flatnonzero(white.any(0)), np.flatnonzero(white.any(1))
    seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
    np.testing.assert_allclose(made.boxes[0], seen, atol=1.01)


@pytest.mark.parametrize("seed", range(20))
def test_boxes_enclose_the_pixels_of_what_was_turned_and_sheared(seed: int) -> None:
    g = np.random.default_rng(seed)
    turned = MosaicOptions(hsv=(0.0, 0.0, 0.0), turn=40.0, shear=10.0)
    made = single(marked_tile(seed), 192, 256, turned, g)
    assert made.image.shape == (192, 256, 3)
    assert made.known.shape == (24, 32, 3)
    white = made.image[..., 0] > 132
    for x1, y1, x2, y2 in made.boxes:
        columns, rows = np.flatnonzero(white.any(0)), np.flatnonzero(white.any(1))
        seen = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
        # A corner of the rectangle is a tip of less than half a pixel's light.
        np.testing.assert_allclose([x1, y1, x2, y2], seen, atol=2.5)


def test_a_quarter_turn_takes_boxes_and_pixels_to_the_same_place() -> None:
    tile = marked_tile(3)
    matrix = about((60.0, 60.0), 90.0, 0.0)[:2]
    canvas = np.zeros((160, 120, 3), np.uint8)
    place(tile.image, canvas, (0, 0, 120, 160), matrix)
    np.testing.assert_array_equal(canvas, np.rot90(tile.image, -1))
    x1, y1, x2, y2 = tile.boxes[0]
    np.testing.assert_allclose(
        place_boxes(tile.boxes, matrix), [[120 - y2, x1, 120 - y1, x2]], atol=1e-4
    )


def test_a_shear_moves_rows_by_their_distance_to_the_centre() -> None:
    matrix = about((50.0, 20.0), 0.0, 45.0)[:2]
    box = np.array([[10, 10, 20, 30]], np.float32)
    np.testing.assert_allclose(place_boxes(box, matrix), [[0, 10, 30, 30]], atol=1e-4)


def test_a_blend_is_both_pictures_and_knows_what_both_know() -> None:
    one = single(marked_tile(1, known=(0, 1)), 64, 64, STILL, np.random.default_rng(1))
    other = single(marked_tile(2, known=(1, 2)), 64, 64, STILL, np.random.default_rng(2))
    g = np.random.default_rng(3)
    share = np.random.default_rng(3).beta(8.0, 8.0)
    made = blended(one, other, g)
    wanted = share * one.image.astype(np.float64) + (1 - share) * other.image
    np.testing.assert_allclose(made.image, wanted, atol=0.51)
    np.testing.assert_array_equal(made.boxes, np.concatenate((one.boxes, other.boxes)))
    np.testing.assert_array_equal(made.known, one.known & other.known)


@pytest.mark.parametrize("seed", range(20))
def test_mosaic_boxes_hold_bright_pixels_and_bright_pixels_lie_in_boxes(seed: int) -> None:
    g = np.random.default_rng(seed)
    made = mosaic([marked_tile(seed + i) for i in range(4)], 256, STILL, g)
    covered = np.zeros((256, 256), bool)
    for x1, y1, x2, y2 in made.boxes:
        inside = made.image[int(y1) + 2 : int(y2) - 2, int(x1) + 2 : int(x2) - 2]
        assert inside.size == 0 or inside.min() > 200
        covered[int(y1) : int(np.ceil(y2)), int(x1) : int(np.ceil(x2))] = True
    uncovered = (made.image[..., 0] > 200) & ~covered
    # What a quadrant cut off too far has no box, but is marked as unknown.
    cells = np.add.reduceat(
        np.add.reduceat(uncovered, np.arange(0, 256, CELL), 0, dtype=int),
        np.arange(0, 256, CELL), 1,
    )  # fmt: skip
    assert not made.known[cells == CELL * CELL].any()


def test_the_same_seed_gives_the_same_picture() -> None:
    tiles = [marked_tile(i) for i in range(4)]
    a, b = (mosaic(tiles, 160, MosaicOptions(), np.random.default_rng(5)) for _ in range(2))
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.boxes, b.boxes)
    c = mosaic(tiles, 160, MosaicOptions(), np.random.default_rng(6))
    assert not np.array_equal(a.image, c.image)


def test_mirrored_pixels_and_boxes_agree() -> None:
    tile = marked_tile(1)
    matrix = np.array([[-1.0, 0.0, 160.0], [0.0, 1.0, 0.0]])
    canvas = np.zeros((120, 160, 3), np.uint8)
    place(tile.image, canvas, (0, 0, 160, 120), matrix)
    np.testing.assert_array_equal(canvas, tile.image[:, ::-1])
    x1, y1, x2, y2 = tile.boxes[0]
    np.testing.assert_array_equal(place_boxes(tile.boxes, matrix), [[160 - x2, y1, 160 - x1, y2]])


def test_unknown_classes_are_marked_under_the_tile_only() -> None:
    tile = marked_tile(0, known=(1,))
    made = single(
        tile, 192, 192, MosaicOptions(scale=(1.0, 1.0), flip=0.0), np.random.default_rng(0)
    )
    rows = made.known[..., 0].all(1)
    grey_rows = (made.image.reshape(24, 8, 192, 3) == PAD_VALUE).all((1, 2, 3))
    assert made.known[..., 1].all()
    assert 0 < rows.sum() <= 24 - 144 // CELL + 1
    assert rows[grey_rows].all()


def test_crowds_are_no_objects_and_their_cells_are_unknown() -> None:
    tile = marked_tile(0)
    crowd = Tile(tile.image, tile.boxes, tile.classes, np.ones(1, bool), tile.known)
    made = single(crowd, 192, 192, STILL, np.random.default_rng(2))
    assert len(made.boxes) == 0
    assert not made.known.all()
    unknown = ~made.known.any(2)
    centres = made.image[CELL // 2 :: CELL, CELL // 2 :: CELL, 0]
    assert (centres[unknown] > 100).all()


def test_hsv_jitter_of_nothing_keeps_greys_and_extremes_stay_in_range() -> None:
    g = np.random.default_rng(0)
    grey = np.full((4, 4, 3), 77, np.uint8)
    np.testing.assert_array_equal(jitter_hsv(grey, (0.0, 0.0, 0.0), g), grey)
    colors = g.integers(0, 256, (16, 16, 3), dtype=np.uint8)
    assert jitter_hsv(colors, (0.5, 0.9, 0.9), g).shape == (16, 16, 3)


def test_pictures_are_shrunk_but_never_enlarged() -> None:
    assert limit_size(np.zeros((100, 400, 3), np.uint8), 200).shape == (50, 200, 3)
    assert limit_size(np.zeros((100, 150, 3), np.uint8), 200).shape == (100, 150, 3)
    clipped = clip_boxes(np.array([[-5, 2, 30, 40]], np.float32), (0, 0, 20, 20))
    np.testing.assert_array_equal(clipped, [[0, 2, 20, 20]])


TWO = Taxonomy("two", ("common", "rare"), ((1, 1, 1), (2, 2, 2)))


def source(folder: Path, name: str, classes: list[list[int]]) -> DetectionData:
    samples = []
    for i, found in enumerate(classes):
        path = folder / f"{name}{i}.png"
        cv2.imwrite(str(path), np.full((60, 80, 3), 40, np.uint8))
        boxes = np.array([[5, 5, 30, 30]] * len(found), np.float32).reshape(-1, 4)
        flags = np.zeros(len(found), bool)
        samples.append(
            DetectionSample(path, boxes, np.array(found, np.int32), flags, frozenset({0, 1}), name)
        )
    return DetectionData(name, tuple(samples), TWO)


def test_rare_classes_are_drawn_more_often(tmp_path: Path) -> None:
    data = source(tmp_path, "a", [[0]] * 7 + [[1]] + [[]])
    weights = rarity_weights(data.samples)
    assert weights.mean() == pytest.approx(1.0)
    assert weights[7] / weights[0] == pytest.approx((0.5 * 9) ** 0.5)
    assert weights[8] == weights[0]


def test_sources_are_drawn_in_proportion_to_their_weights(tmp_path: Path) -> None:
    sources = [source(tmp_path, "a", [[0]] * 30), source(tmp_path, "b", [[1]] * 3)]
    mix = DetectionMix(sources, (1.0, 3.0), 64)
    drawn = mix._draw(4000, np.random.default_rng(0))
    from_b = sum(int(t.classes[0]) == 1 for t in drawn) / len(drawn)
    assert from_b == pytest.approx(0.75, abs=0.03)


def test_a_training_picture_depends_on_seed_epoch_and_position_alone(tmp_path: Path) -> None:
    sources = [source(tmp_path, "a", [[0], [1], [0, 1]])]
    one, two = DetectionMix(sources, (1.0,), 64), DetectionMix(sources, (1.0,), 64)
    one.picture(0, 0, 1, 64, 0.5)
    a, b = one.picture(3, 4, 5, 64, 0.5), two.picture(3, 4, 5, 64, 0.5)
    np.testing.assert_array_equal(a.image, b.image)
    np.testing.assert_array_equal(a.known, b.known)
    assert a.image.shape == (64, 64, 3)
    assert a.known.shape == (8, 8, 2)


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    data = source(tmp_path, "a", [[0]])
    (tmp_path / "a0.png").write_bytes(b"nothing")
    with pytest.raises(DataError, match=r"a0\.png is not a picture"):
        load_tile(data.samples[0], 2, 64)


def test_a_mix_needs_a_weight_for_every_source(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="1 sources and 2 weights"):
        DetectionMix([source(tmp_path, "a", [[0]])], (1.0, 2.0), 64)


def test_rectangles_hold_pictures_of_one_aspect_with_little_grey(tmp_path: Path) -> None:
    samples = []
    for i, (height, width) in enumerate([(60, 120), (120, 60), (80, 80), (64, 128), (100, 50)] * 2):
        path = tmp_path / f"{i}.png"
        cv2.imwrite(str(path), np.full((height, width, 3), 40, np.uint8))
        box = np.array([[5, 5, 30, 30]], np.float32)
        sample = DetectionSample(
            path, box, np.array([0], np.int32), np.zeros(1, bool), frozenset({0, 1}), "x"
        )
        samples.append(sample)
    mix = DetectionMix([DetectionData("x", tuple(samples), TWO)], [1.0], 128)
    planned = mix.rectangles(3, 1, [128] * 6, 4)
    assert [r.number for r in planned] == list(range(6))
    shapes = {(r.height, r.width) for r in planned}
    assert shapes >= {(64, 128), (128, 64)}
    for r in planned:
        aspects = [t.image.shape[0] / t.image.shape[1] for t in r.tiles]
        # All fit in, and with a stride less on either side one of them would not.
        for height, width in (t.image.shape[:2] for t in r.tiles):
            assert 128 * height / max(height, width) <= r.height
            assert 128 * width / max(height, width) <= r.width
        assert r.height - 32 < 128 * min(1, max(aspects)) <= r.height
        assert r.width - 32 < 128 * min(1, 1 / min(aspects)) <= r.width
        made = mix.rectangle(r, 0)
        assert made.image.shape == (r.height, r.width, 3)
    again = mix.rectangles(3, 1, [128] * 6, 4)
    assert [id(t) for r in again for t in r.tiles] == [id(t) for r in planned for t in r.tiles]
    other = mix.rectangles(3, 2, [128] * 6, 4)
    assert [id(t) for r in other for t in r.tiles] != [id(t) for r in planned for t in r.tiles]
