from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from litescene.runtime.nms import decode, suppress, suppress_softly
from tiny_bundles import ANCHORS

STRIDES = (8, 16, 32)


def sigmoid(t: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-t.astype(np.float64)))


def reference_rows(
    heads: list[np.ndarray], anchors: tuple = ANCHORS, strides: tuple = STRIDES
) -> np.ndarray:
    """All rows x, y, w, h, objectness, classes in float64, by the formulas."""
    rows = []
    for head, sizes, stride in zip(heads, anchors, strides, strict=True):
        channels, height, width = head.shape
        s = sigmoid(head.reshape(len(sizes), -1, height, width)).transpose(0, 2, 3, 1)
        column, line = np.meshgrid(np.arange(width), np.arange(height))
        s[..., 0] = (2 * s[..., 0] - 0.5 + column) * stride
        s[..., 1] = (2 * s[..., 1] - 0.5 + line) * stride
        s[..., 2:4] = (2 * s[..., 2:4]) ** 2 * np.array(sizes)[:, None, None]
        rows.append(s.reshape(-1, channels // len(sizes)))
    return np.concatenate(rows)


def reference_nms(
    rows: np.ndarray, score: float, iou: float, multi_label: bool, agnostic: bool
) -> np.ndarray:
    """Plain greedy suppression in float64."""
    found = []
    for x, y, w, h, objectness, *classes in rows:
        if objectness <= score:
            continue
        products = objectness * np.array(classes)
        chosen = range(len(products)) if multi_label else [int(products.argmax())]
        box = [x - w / 2, y - h / 2, x + w / 2, y + h / 2]
        found += [[*box, products[c], c] for c in chosen if products[c] > score]
    boxes = np.array(sorted(found, key=lambda r: -r[4])).reshape(-1, 6)
    kept: list[np.ndarray] = []
    for box in boxes:
        rivals = [k for k in kept if agnostic or k[5] == box[5]]
        if all(_iou(box, k) <= iou for k in rivals):
            kept.append(box)
    return np.array(kept[:300]).reshape(-1, 6)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.clip(np.minimum(a[2:4], b[2:4]) - np.maximum(a[:2], b[:2]), 0, None)
    areas = [(r[2] - r[0]) * (r[3] - r[1]) for r in (a, b)]
    return float(sides.prod() / (sum(areas) - sides.prod()))


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_boxes_are_those_of_the_float64_reference(
    multi_label: bool, agnostic: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    heads = [
        (2 * rng.standard_normal((3 * 9, 64 // s, 96 // s))).astype(np.float32) for s in (8, 16, 32)
    ]
    got = suppress(
        decode(heads, ANCHORS, STRIDES, 0.7, multi_label=multi_label), 0.5, agnostic=agnostic
    )
    want = reference_nms(reference_rows(heads), 0.7, 0.5, multi_label, agnostic)
    assert got.shape == want.shape
    assert len(want) > 15
    np.testing.assert_allclose(got[:, :5], want[:, :5], rtol=1e-5, atol=1e-3)
    np.testing.assert_array_equal(got[:, 5], want[:, 5])


@pytest.mark.data
@pytest.mark.parametrize("picture", [0, 1])
@pytest.mark.parametrize(
    ("case", "score", "iou", "multi_label", "agnostic"),
    [
        ("default_c88_i45", 0.88, 0.45, False, False),
        ("multilabel_c86_i60", 0.86, 0.60, True, False),
        ("agnostic_c88_i45", 0.88, 0.45, False, True),
    ],
)
def test_boxes_are_those_of_the_original_detector(
    parity_folder: Path,
    picture: int,
    case: str,
    score: float,
    iou: float,
    multi_label: bool,
    agnostic: bool,
) -> None:
    cases = np.load(parity_folder / "yolov5_lite" / "loss_nms_cases.npz")
    heads = []
    for level in ("p3", "p4", "p5"):
        maps = cases[f"pred_{level}"][picture].transpose(0, 3, 1, 2)
        heads.append(np.ascontiguousarray(maps).reshape(-1, *maps.shape[2:]))
    rows = reference_rows(heads)
    ends = np.concatenate([rows[:3], rows[-3:]])
    np.testing.assert_allclose(cases["decoded_first3_last3"][picture], ends, rtol=1e-4)
    got = suppress(
        decode(heads, ANCHORS, STRIDES, score, multi_label=multi_label), iou, agnostic=agnostic
    )
    want = cases[f"nms_{case}_{picture}"]
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, atol=1e-3)


def reference_soft(rows: np.ndarray, score: float, sigma: float, agnostic: bool) -> np.ndarray:
    """Figure 2 of the paper, in float64: the best box is taken, and lowers the others' scores."""
    waiting = [row.astype(np.float64) for row in rows]
    kept: list[np.ndarray] = []
    while waiting:
        best = max(range(len(waiting)), key=lambda i: waiting[i][4])
        box = waiting.pop(best)
        if box[4] <= score:
            break
        kept.append(box)
        for row in waiting:
            if agnostic or row[5] == box[5]:
                row[4] *= np.exp(-(_iou(box, row) ** 2) / sigma)
    return np.array(kept).reshape(-1, 6)


@pytest.mark.parametrize("agnostic", [False, True])
@pytest.mark.parametrize("sigma", [0.1, 0.5])
def test_soft_suppression_is_the_papers(agnostic: bool, sigma: float) -> None:
    rng = np.random.default_rng(3)
    corner = rng.uniform(0, 60, (150, 2))
    sides, scores = rng.uniform(10, 60, (150, 2)), rng.uniform(0.1, 1, (150, 1))
    rows = np.hstack([corner, corner + sides, scores, rng.integers(0, 3, (150, 1))])
    given = rows.astype(np.float32)
    before = given.copy()
    got = suppress_softly(given, 0.3, sigma=sigma, agnostic=agnostic)
    want = reference_soft(given, 0.3, sigma, agnostic)
    assert 3 < len(want) < 100
    np.testing.assert_allclose(got, want, rtol=1e-5)
    np.testing.assert_array_equal(given, before)
    assert len(suppress_softly(given, 0.0, limit=4)) == 4
    with pytest.raises(ValueError, match="sigma"):
        suppress_softly(given, 0.3, sigma=0)


def test_at_most_three_hundred_boxes_are_given_best_first() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 1e6, (2000, 2))
    rows = np.hstack([corner, corner + 5, rng.uniform(0, 1, (2000, 1)), np.zeros((2000, 1))])
    kept = suppress(rows.astype(np.float32), 0.5)
    np.testing.assert_allclose(kept[:, 4], np.sort(rows[:, 4])[::-1][:300], rtol=1e-6)


def test_nothing_above_the_threshold_gives_no_boxes() -> None:
    heads = [np.full((21, 4, 4), -20, np.float32) for _ in range(3)]
    rows = decode(heads, ANCHORS, STRIDES, 0.1)
    assert rows.shape == (0, 6)
    assert suppress(rows, 0.5).shape == (0, 6)


@pytest.mark.parametrize("score", [0.0, 1.0])
def test_the_thresholds_ends_keep_all_and_nothing(score: float) -> None:
    heads = [np.random.default_rng(0).standard_normal((21, 4, 4)).astype(np.float32)] * 3
    assert len(decode(heads, ANCHORS, STRIDES, score)) == (144 if score == 0 else 0)


@pytest.mark.parametrize(("channels", "score"), [(20, 0.5), (15, 0.5), (21, 1.5)])
def test_maps_and_thresholds_that_cannot_be_are_refused(channels: int, score: float) -> None:
    with pytest.raises(ValueError, match=r"does not fit|between 0 and 1"):
        decode([np.zeros((channels, 2, 2), np.float32)] * 3, ANCHORS, STRIDES, score)
