"""Non-maximum suppression in tensors, against a plain reference and the published results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from litescene.models.detection.anchor_head import COCO_ANCHORS, decode_level
from litescene.models.detection.postprocess import MAX_BOXES, candidates, detect, suppress


def iou(a: np.ndarray, b: np.ndarray) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1])
    return width * height / (areas - width * height)


def plain_suppression(rows: np.ndarray, threshold: float, agnostic: bool) -> list[np.ndarray]:
    kept: list[np.ndarray] = []
    for row in sorted(rows, key=lambda r: -r[4]):
        rivals = [k for k in kept if agnostic or k[5] == row[5]]
        if all(iou(row, k) <= threshold for k in rivals):
            kept.append(row)
    return kept


@pytest.mark.parametrize("agnostic", [False, True])
def test_suppression_equals_the_plain_loop(agnostic: bool) -> None:
    g = np.random.default_rng(3)
    corner, extent = g.uniform(0, 60, (120, 2)), g.uniform(5, 40, (120, 2))
    rows = np.column_stack((corner, corner + extent, g.random(120), g.integers(0, 3, 120)))
    found = suppress(torch.from_numpy(rows), 0.45, agnostic=agnostic).numpy()
    np.testing.assert_allclose(found, plain_suppression(rows, 0.45, agnostic), rtol=1e-12)


def test_multi_label_keeps_every_class_above_the_score() -> None:
    row = torch.tensor([[50.0, 50, 20, 10, 0.9, 0.8, 0.7, 0.1]])
    assert candidates(row, 0.5)[:, 5].tolist() == [0]
    both = candidates(row, 0.5, multi_label=True)
    assert both[:, 5].tolist() == [0, 1]
    torch.testing.assert_close(both[0, :4], torch.tensor([40.0, 45, 60, 55]))
    torch.testing.assert_close(both[:, 4], torch.tensor([0.72, 0.63]))


def test_no_rows_give_no_boxes_and_many_are_limited() -> None:
    assert detect(torch.zeros(0, 9), 0.5, 0.5).shape == (0, 6)
    x = torch.arange(400.0) * 20
    rows = torch.stack((x, x, x * 0 + 4, x * 0 + 4, x * 0 + 1, x * 0 + 1), 1)
    assert len(detect(rows, 0.5, 0.5)) == MAX_BOXES


@pytest.mark.data
def test_decoding_and_suppression_equal_the_published_results(parity_folder: Path) -> None:
    cases = np.load(parity_folder / "yolov5_lite" / "loss_nms_cases.npz")
    levels = []
    for level, anchors, stride in zip((3, 4, 5), COCO_ANCHORS, (8, 16, 32), strict=True):
        raw = torch.from_numpy(cases[f"pred_p{level}"]).permute(0, 1, 4, 2, 3)
        raw = raw.reshape(2, 255, *raw.shape[3:])
        levels.append(decode_level(raw, torch.tensor(anchors), stride))
    rows = torch.cat(levels, 1)
    ends = torch.cat((rows[:, :3], rows[:, -3:]), 1).numpy()
    np.testing.assert_allclose(ends, cases["decoded_first3_last3"], rtol=1e-6)
    for i in (0, 1):
        for name, found in {
            "default_c88_i45": detect(rows[i], 0.88, 0.45),
            "multilabel_c86_i60": detect(rows[i], 0.86, 0.6, multi_label=True),
            "agnostic_c88_i45": detect(rows[i], 0.88, 0.45, agnostic=True),
        }.items():
            np.testing.assert_allclose(found.numpy(), cases[f"nms_{name}_{i}"], rtol=1e-6)
