"""The pictures of a segmenter's evaluation show what was put into them."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest

from litescene.core import Taxonomy
from litescene.media.accuracy_charts import draw_confusion
from litescene.media.contact_sheet import place, spread, thumbnail
from litescene.media.drawing import Patch, Words
from litescene.metrics import ConfusionMatrix
from litescene.metrics.segmentation_report import SHOWN, TILE, WRONG, SegmentationReport

THREE = Taxonomy("three", ("a", "b", "c"), ((255, 0, 0), (0, 255, 0), (0, 0, 255)))
HIGH = TILE * 3 // 4


def opened(files: dict[str, bytes]) -> dict[str, np.ndarray]:
    return {n: np.asarray(PIL.Image.open(io.BytesIO(data))) for n, data in files.items()}


def sample(grey: int, wrong: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A grey picture of class a above and b below, with so many of its lowest rows found as c."""
    truth = np.zeros((HIGH, TILE), np.uint8)
    truth[HIGH // 2 :] = 1
    predicted = truth.copy()
    predicted[HIGH - wrong :] = 2
    return np.full((HIGH, TILE, 3), grey, np.uint8), predicted, truth


def test_the_worst_pictures_come_first_and_others_are_evenly_spread() -> None:
    wrong = np.random.default_rng(0).permutation(20) * 5
    report = SegmentationReport(ConfusionMatrix(THREE), [f"{i}.png" for i in range(20)])
    for index in range(20):
        report.add(*sample(10 * index, int(wrong[index])))
    files = opened(report.files("a title"))
    assert set(files) == {"confusion.png", "pictures.png", "worst.png"}
    middles = slice(HIGH // 2, SHOWN * HIGH, HIGH)
    for name, indices in (
        ("worst.png", np.argsort(-wrong)[:SHOWN]),
        ("pictures.png", [0, 3, 5, 8, 11, 14, 16, 19]),
    ):
        sheet = files[name]
        assert sheet.shape[1] == 4 * TILE
        assert sheet.shape[0] > SHOWN * HIGH
        assert sheet[middles, TILE // 2, 0].tolist() == [10 * int(i) for i in indices]


def test_a_picture_is_shown_with_its_true_found_and_wrong_classes() -> None:
    report = SegmentationReport(ConfusionMatrix(THREE), ["first.png"])
    image, predicted, truth = sample(100, 30)
    truth[:, :20] = 255
    report.add(image, predicted, truth)
    sheet = opened(report.files("a title"))["worst.png"].astype(int)
    _, true, found, errors = np.split(sheet[:HIGH], 4, axis=1)
    mixed = [40 + 0.6 * np.array(color) for color in THREE.colors]
    np.testing.assert_allclose(true[60, 200], mixed[0], atol=1)
    np.testing.assert_allclose(true[HIGH - 10, 200], mixed[1], atol=1)
    np.testing.assert_allclose(found[HIGH - 10, 200], mixed[2], atol=1)
    np.testing.assert_array_equal(true[60, 10], 100)  # has no class
    red = (errors[40:] == WRONG).all(axis=2)
    assert red[-30:, 20:].all()
    assert red.sum() == 30 * (TILE - 20)
    assert not errors[40:, :20].any()
    np.testing.assert_array_equal(errors[60, 200], 50)
    names = {tuple(color) for color in sheet[HIGH:].reshape(-1, 3).tolist()}
    assert set(THREE.colors) <= names


def test_pictures_of_several_sizes_are_shown() -> None:
    report = SegmentationReport(ConfusionMatrix(THREE), ["wide.png", "high.png", "small.png"])
    for height, width in ((100, 640), (640, 100), (9, 7)):
        labels = np.zeros((height, width), np.uint8)
        report.add(np.full((height, width, 3), 90, np.uint8), labels, labels)
    sheet = opened(report.files("a title"))["pictures.png"]
    assert sheet.shape[1] == 4 * TILE
    assert sheet.shape[0] > 50 + 2 * TILE


def test_pictures_without_names_leave_the_confusion() -> None:
    report = SegmentationReport(ConfusionMatrix(THREE))
    report.add(*sample(0, 1))
    assert set(report.files("a title")) == {"confusion.png"}
    assert report.matrix.pixels == HIGH * TILE


def test_a_confusion_says_shares_of_rows_and_words_beside_them() -> None:
    counts = np.array([[995, 3, 2], [250, 750, 0]])
    words = ["IoU 0.797", "IoU 0.748"]
    drawing = draw_confusion(counts, ["a", "b"], "t", "c", percent=True, beside=words)
    said = [item.text for item in drawing.items if isinstance(item, Words)]
    assert [text for text in said if text.isdecimal()] == ["1", "2", "3", "100", "25", "75"]
    assert [text for text in said if text.startswith("IoU")] == words
    assert max(i.x + i.width for i in drawing.items if isinstance(i, Words)) <= drawing.width
    patches = [item for item in drawing.items if isinstance(item, Patch)]
    assert "b found as a: 250 (25.0%)" in [patch.name for patch in patches]
    assert "a found as nothing: 2 (0.2%)" in [patch.name for patch in patches]


def test_a_long_title_fits_on_its_sheet() -> None:
    long = "runs/a_folder_with_a_long_name/best.safetensors on masks:another/long/path, val"
    drawing = draw_confusion(np.eye(2, dtype=np.int64), ["a", "b"], long, "conditions")
    (title,) = [i for i in drawing.items if isinstance(i, Words) and i.text == long]
    assert title.x + title.width <= drawing.width


@pytest.mark.parametrize(
    ("count", "most", "places"),
    [(0, 4, []), (1, 4, [0]), (3, 4, [0, 1, 2]), (4, 4, [0, 1, 2, 3]), (100, 3, [0, 50, 99])],
)
def test_places_are_spread_from_the_first_to_the_last(
    count: int, most: int, places: list[int]
) -> None:
    assert spread(count, most) == places


def test_tiles_lie_in_the_middle_of_their_fields() -> None:
    tiles = [np.full((h, w, 3), 200, np.uint8) for h, w in ((10, 20), (30, 10), (8, 8))]
    sheet = place([tiles[:2], tiles[2:]], 20)
    assert sheet.shape == (38, 40, 3)
    assert (sheet[10:20, :20] == 200).all()
    assert (sheet[:30, 25:35] == 200).all()
    assert (sheet[30:38, 6:14] == 200).all()
    assert (sheet == 200).sum() == 3 * (200 + 300 + 64)
    assert place([], 20).shape == (20, 20, 3)
    assert place([tiles], 20, 40).shape == (40, 60, 3)


def test_a_thumbnail_keeps_the_aspect_and_the_mean() -> None:
    image = np.random.default_rng(0).integers(0, 256, (360, 480, 3), dtype=np.uint8)
    small = thumbnail(image, 240)
    assert small.shape == (180, 240, 3)
    np.testing.assert_allclose(small, image.reshape(180, 2, 240, 2, 3).mean((1, 3)), atol=1)
    assert thumbnail(image[:1], 320).shape == (1, 320, 3)
