from __future__ import annotations

import numpy as np
import PIL.Image
import PIL.ImageDraw
import pytest

from litescene.core import CAMVID, IGNORE, STREET_OBJECTS, Detections, Taxonomy, distinct_colors
from litescene.media.lettering import font_for
from litescene.media.overlay import (
    blend_labels,
    draw_box,
    draw_detections,
    draw_legend,
    draw_status,
    draw_tracks,
)


def scene(height: int = 37, width: int = 53) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    image = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
    labels = rng.integers(0, 256, (height, width), dtype=np.uint8)
    labels[rng.random(labels.shape) < 0.2] = IGNORE
    return image, labels, rng.integers(0, 256, (256, 3), dtype=np.uint8)


def boxes(*corners: tuple[float, float, float, float], ids: bool = True) -> Detections:
    n = len(corners)
    return Detections(
        np.array(corners, np.float32).reshape(n, 4),
        np.linspace(0.9, 0.5, n, dtype=np.float32),
        np.arange(n, dtype=np.int32) % len(STREET_OBJECTS),
        STREET_OBJECTS,
        np.arange(n, dtype=np.int32) - 1 if ids else None,
    )


@pytest.mark.parametrize("alpha", [0.0, 0.2, 0.5, 0.77, 1.0])
def test_the_blend_is_the_exact_mix_within_one_level(alpha: float) -> None:
    image, labels, palette = scene()
    exact = (1 - alpha) * image.astype(np.float64) + alpha * palette[labels].astype(np.float64)
    blended = blend_labels(image, labels, palette, alpha)
    known = labels != IGNORE
    assert np.abs(blended[known] - exact[known]).max() <= 1.0
    np.testing.assert_array_equal(blended[~known], image[~known])
    assert not np.shares_memory(blended, image)


def test_the_blend_reaches_both_ends_exactly() -> None:
    image, labels, palette = scene()
    np.testing.assert_array_equal(blend_labels(image, labels, palette, 0.0), image)
    labels[labels == IGNORE] = 0
    np.testing.assert_array_equal(blend_labels(image, labels, palette, 1.0), palette[labels])


def test_the_blend_takes_views_that_are_not_contiguous() -> None:
    image, labels, palette = scene()
    np.testing.assert_array_equal(
        blend_labels(image[:, ::-1], labels[:, ::-1], palette),
        blend_labels(image, labels, palette)[:, ::-1],
    )


def test_the_blend_refuses_what_does_not_fit() -> None:
    image, labels, palette = scene()
    with pytest.raises(ValueError, match="do not fit"):
        blend_labels(image, labels[1:], palette)
    with pytest.raises(ValueError, match="do not fit"):
        blend_labels(image, labels.astype(np.int32), palette)
    with pytest.raises(ValueError, match="256×3"):
        blend_labels(image, labels, palette[:11])
    with pytest.raises(ValueError, match="from 0 to 1"):
        blend_labels(image, labels, palette, 1.5)


def test_a_box_is_drawn_in_its_classs_colour_and_nothing_inside_it() -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    drawn = draw_detections(image, boxes((30, 40, 100, 90)))
    assert drawn is image
    person = np.array(STREET_OBJECTS.colors[0])
    for y, x in ((40, 100), (90, 60), (65, 30), (65, 100)):
        np.testing.assert_array_equal(image[y, x], person)
    assert not image[50:85, 40:95].any()
    assert image[25:39, 30:90].any(axis=-1).mean() > 0.5  # the tag above the box
    assert not image[95:].any()


def test_ids_and_scores_change_what_is_written() -> None:
    box = (30, 40, 100, 90)
    without = draw_detections(np.zeros((120, 160, 3), np.uint8), boxes(box, box, ids=False))
    with_id = draw_detections(np.zeros((120, 160, 3), np.uint8), boxes(box, box))
    assert (without != with_id).any()


def test_the_most_certain_box_lies_on_top() -> None:
    image = draw_detections(np.zeros((120, 160, 3), np.uint8), boxes(*[(30, 40, 100, 90)] * 3))
    np.testing.assert_array_equal(image[65, 100], STREET_OBJECTS.colors[0])


@pytest.mark.parametrize(
    "box",
    [
        (-50, -50, 20, 20),
        (150, 110, 400, 300),
        (-9, -9, 500, 500),
        (1e4, 1e4, 2e4, 2e4),
        (5, 5, 5, 5),
    ],
)
def test_boxes_beyond_the_border_are_drawn_as_far_as_they_are_visible(
    box: tuple[float, float, float, float],
) -> None:
    image = np.zeros((120, 160, 3), np.uint8)
    draw_detections(image, boxes(box))
    assert image.shape == (120, 160, 3)
    assert image.any()


def test_tiny_pictures_can_be_drawn_on() -> None:
    image = np.zeros((5, 7, 3), np.uint8)
    draw_detections(image, boxes((1, 1, 4, 4)))
    draw_status(image, "a long line of text")
    draw_legend(image, CAMVID)
    draw_tracks(image, {0: np.array([[1.0, 1.0], [3.0, 3.0]])})
    assert image.any()


def test_a_track_runs_through_its_points_in_its_ids_colour() -> None:
    image = np.zeros((80, 100, 3), np.uint8)
    path = np.array([[10.0, 40.0], [50.0, 40.0], [90.0, 40.0]])
    assert draw_tracks(image, {3: path, 4: np.zeros((0, 2))}) is image
    assert image[40, 12:88].any(axis=-1).all()
    assert not image[:34].any()
    again = draw_tracks(np.zeros_like(image), {3: path[:, ::-1] + 5})
    assert {tuple(image[40, 30])} == {tuple(again[35, 45])}
    other = draw_tracks(np.zeros_like(image), {5: path})
    assert (other[40, 30] != image[40, 30]).any()


def test_the_legend_shows_every_class_colour_at_the_bottom() -> None:
    image = np.full((360, 480, 3), 255, np.uint8)
    assert draw_legend(image, CAMVID) is image
    shown = {tuple(int(v) for v in c) for c in image[280:].reshape(-1, 3)}
    assert set(CAMVID.colors) <= shown
    assert (image[:280] == 255).all()


def colors_in(image: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(int(v) for v in c) for c in image.reshape(-1, 3)}


def test_a_legend_of_many_classes_leaves_the_picture_to_be_seen() -> None:
    many = Taxonomy("many", tuple(f"class number {i}" for i in range(150)), distinct_colors(150))
    image = np.full((360, 480, 3), 255, np.uint8)
    draw_legend(image, many, [140, 3, 77])
    assert {many.colors[i] for i in (140, 3, 77)} <= colors_in(image)
    assert (image[:320] == 255).all()
    everything = draw_legend(np.full((360, 480, 3), 255, np.uint8), many, range(149, -1, -1))
    assert (everything[:240] == 255).all()
    assert many.colors[149] in colors_in(everything[240:])
    small = draw_legend(np.full((64, 64, 3), 255, np.uint8), CAMVID)
    assert (small[:43] == 255).all()


NAMES = ["Straße", "Überweg für Fußgänger", "дорога"]


def assert_written(ink: np.ndarray, text: str) -> None:
    """The text as Pillow alone draws it has nearly the same share of ink in every column."""
    font = font_for(text, round(30 * 0.45))
    canvas = PIL.Image.new("L", (640, 40))
    PIL.ImageDraw.Draw(canvas).text((0, 20), text, 255, font, "ls")
    width = round(font.getlength(text))
    drawn, wanted = (v.sum(axis=0) / v.sum() for v in (ink, np.asarray(canvas, float)))
    offset = int(np.argmax(drawn > 0)) - int(np.argmax(wanted > 0))
    assert np.abs(drawn[offset : offset + width] - wanted[:width]).sum() < 0.1


@pytest.mark.parametrize("name", NAMES)
def test_names_in_a_legend_have_their_own_letters_and_not_question_marks(name: str) -> None:
    image = draw_legend(np.zeros((480, 640, 3), np.uint8), Taxonomy("x", (name,), ((0, 0, 0),)))
    assert_written(np.clip(image.max(axis=2).astype(float) - 24, 0, None), name)  # on its ground


@pytest.mark.parametrize("name", NAMES)
def test_names_over_a_box_have_their_own_letters_and_not_question_marks(name: str) -> None:
    image = np.full((480, 640, 3), 255, np.uint8)
    draw_box(image, np.array([100.0, 200.0, 500.0, 400.0]), f"{name} #7 0.90", (255, 255, 255))
    assert_written(255 - image.min(axis=2).astype(float), f"{name} #7 0.90")


def test_the_status_is_readable_on_any_ground() -> None:
    for ground in (0, 255):
        image = draw_status(np.full((120, 300, 3), ground, np.uint8), "frame 12")
        corner = image[:14, :60]
        assert corner.min() < 40
        assert corner.max() > 200
        assert (image[40:] == ground).all()
