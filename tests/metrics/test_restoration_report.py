"""The sheet of restored pictures shows the worst ones, and each where it is worst."""

from __future__ import annotations

import io

import cv2
import numpy as np
import PIL.Image
import pytest

from litescene.metrics import psnr, restoration_report
from litescene.metrics.image_quality import ImageQuality
from litescene.metrics.restoration_report import SHOWN, TILE, TIMES, RestorationReport


def test_the_worst_pictures_come_first_at_their_worst_places() -> None:
    rng = np.random.default_rng(0)
    report, samples = RestorationReport(ImageQuality()), []
    for strength in rng.permutation(12) + 1:
        truth = rng.integers(60, 200, (400, 500, 3), dtype=np.uint8)
        given = np.ascontiguousarray(truth[::2, ::2])
        made = truth.copy()
        top, left = (int(rng.integers(0, side - 100)) for side in truth.shape[:2])
        made[top : top + 100, left : left + 100] += np.uint8(strength)
        report.add((given,), made, truth)
        samples.append((given, made, truth, top, left))
    assert report.quality.psnrs == [psnr(made, truth) for _, made, truth, _, _ in samples]

    (file,) = report.files("a title").items()
    assert file[0] == "worst.png"
    sheet = np.asarray(PIL.Image.open(io.BytesIO(file[1])))[24:]
    assert sheet.shape == (SHOWN * TILE, 4 * TILE, 3)
    ranked = np.argsort(report.quality.psnrs)[:SHOWN]
    for row, index in enumerate(ranked):
        given, made, truth, top, left = samples[index]
        tiles = np.split(sheet[row * TILE : (row + 1) * TILE], 4, axis=1)
        # Where a part of the made picture lies in it: its lower half, which no words cover.
        match = cv2.matchTemplate(made, np.ascontiguousarray(tiles[1][TILE // 2 :]),
                                  cv2.TM_SQDIFF)  # fmt: skip
        y, x = np.unravel_index(match.argmin(), match.shape)
        y = int(y) - TILE // 2
        assert match.min() < 1e3  # rounded
        assert y <= top <= y + TILE - 100
        assert x <= left <= x + TILE - 100
        low = slice(y + TILE // 2, y + TILE), slice(x, x + TILE)
        enlarged = given.repeat(2, 0).repeat(2, 1)
        for tile, whole in (
            (tiles[0], enlarged), (tiles[2], truth), (tiles[3], TIMES * (made - truth))
        ):  # fmt: skip
            np.testing.assert_array_equal(tile[TILE // 2 :], whole[low])


def test_nothing_is_drawn_of_an_evaluation_that_shows_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restoration_report, "_tiles", lambda *_: pytest.fail("drawn for nothing"))
    report, truth = RestorationReport(ImageQuality(), 0), np.full((64, 96, 3), 90, np.uint8)
    report.add((truth,), truth, truth)
    assert len(report.quality.psnrs) == 1


def test_pictures_smaller_than_a_tile_and_two_given_frames_are_shown() -> None:
    report = RestorationReport(ImageQuality())
    truth = np.full((64, 96, 3), 90, np.uint8)
    report.add((truth, truth), truth, truth)
    sheet = np.asarray(PIL.Image.open(io.BytesIO(report.files("t")["worst.png"])))
    assert sheet.shape == (24 + 64, 4 * TILE, 3)
