"""The detection loss: published values, closed forms, and partly annotated pictures."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from litescene.models.detection.anchor_head import COCO_ANCHORS
from litescene.training.losses.detection import YoloLoss, assign_level, complete_iou

STRIDES = (8, 16, 32)


def random_raw(classes: int, size: int = 64, batch: int = 2) -> list[Tensor]:
    g = torch.Generator().manual_seed(1)
    return [
        torch.randn(batch, 3 * (5 + classes), size // s, size // s, generator=g).requires_grad_()
        for s in STRIDES
    ]


TARGETS = torch.tensor(
    [[0, 1, 0.4, 0.3, 0.3, 0.4], [0, 0, 0.7, 0.7, 0.2, 0.2], [1, 2, 0.5, 0.5, 0.9, 0.8]]
)


def test_the_complete_iou_has_its_closed_form() -> None:
    a, b = (2.0, 3.0, 4.0, 2.0), (3.0, 3.5, 2.0, 3.0)
    inter = (min(4, 4) - max(0, 2)) * (min(4, 5) - max(2, 2))
    iou = inter / (8 + 6 - inter)
    diagonal = 4**2 + 3**2
    v = 4 / math.pi**2 * (math.atan(2 / 3) - math.atan(4 / 2)) ** 2
    expected = iou - (1 + 0.25) / diagonal - v * v / (v - iou + 1)
    found = complete_iou(torch.tensor([a]).double(), torch.tensor([b]).double())
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_a_centred_target_takes_its_own_cell_only() -> None:
    anchors = torch.tensor([[2.0, 2.0]])
    target = torch.tensor([[0, 0, 3.5 / 8, 4.5 / 8, 0.25, 0.25]])
    level = assign_level(target, anchors, 8, 8)
    assert list(zip(level.column.tolist(), level.row.tolist(), strict=True)) == [(3, 4)]
    torch.testing.assert_close(level.box, torch.tensor([[0.5, 0.5, 2, 2]]))


def test_a_target_beside_the_centre_takes_the_nearest_neighbours() -> None:
    target = torch.tensor([[0, 0, 3.2 / 8, 4.9 / 8, 0.25, 0.25]])
    level = assign_level(target, torch.tensor([[2.0, 2.0]]), 8, 8)
    cells = set(zip(level.column.tolist(), level.row.tolist(), strict=True))
    assert cells == {(3, 4), (2, 4), (3, 5)}


def test_an_anchor_four_times_off_is_not_matched() -> None:
    target = torch.tensor([[0, 0, 0.5, 0.5, 0.25, 0.25]])
    assert len(assign_level(target, torch.tensor([[0.5, 2.0]]), 8, 8).cls) == 0
    assert len(assign_level(target, torch.tensor([[0.51, 2.0]]), 8, 8).cls) > 0


def test_a_batch_without_objects_teaches_objectness_only() -> None:
    raw = random_raw(3)
    loss = YoloLoss.scaled(COCO_ANCHORS, STRIDES, 3, (64, 64))(raw, torch.zeros(0, 6))
    loss.total.backward()
    assert float(loss.box.detach()) == float(loss.cls.detach()) == 0.0
    grad = raw[0].grad
    assert grad is not None
    assert set(grad.view(2, 3, 8, 8, 8).abs().sum((0, 1, 3, 4)).nonzero().flatten().tolist()) == {4}


def test_everything_known_is_bit_equal_to_the_plain_loss() -> None:
    loss = YoloLoss.scaled(COCO_ANCHORS, STRIDES, 3, (64, 64))
    results = []
    for known in (None, torch.ones(2, 8, 8, 3, dtype=torch.bool)):
        raw = random_raw(3)
        out = loss(raw, TARGETS, known)
        out.total.backward()
        results.append([out.total, out.box, out.object, out.cls, *(r.grad for r in raw)])
    for plain, masked in zip(*results, strict=True):
        assert torch.equal(plain, masked)


def test_unknown_classes_of_a_picture_get_no_class_gradient() -> None:
    raw = random_raw(3)
    known = torch.ones(2, 8, 8, 3, dtype=torch.bool)
    known[0, ..., 2] = False
    YoloLoss.scaled(COCO_ANCHORS, STRIDES, 3, (64, 64))(raw, TARGETS, known).total.backward()
    grads = [x.grad.view(2, 3, 8, *x.shape[2:]) for x in raw if x.grad is not None]
    assert sum(float(g[0, :, 5 + 2].abs().sum()) for g in grads) == 0.0
    assert sum(float(g[0, :, 5 + 1].abs().sum()) for g in grads) > 0.0
    assert sum(float(g[1, :, 5 + 2].abs().sum()) for g in grads) > 0.0


def test_a_probable_object_of_an_unknown_class_is_no_negative() -> None:
    def objectness_gradient(known_class: bool, logit: float) -> float:
        raw = [torch.full((1, 3 * 7, 8 // k, 8 // k), -3.0) for k in (1, 2, 4)]
        raw[0][0, 4, 5, 6] = logit
        raw[0][0, 6, 5, 6] = 2.0
        raw[0].requires_grad_()
        known = torch.ones(1, 8, 8, 2, dtype=torch.bool)
        known[..., 1] = known_class
        YoloLoss.scaled(COCO_ANCHORS, STRIDES, 2, (64, 64))(
            raw, torch.zeros(0, 6), known
        ).total.backward()
        assert raw[0].grad is not None
        return float(raw[0].grad[0, 4, 5, 6])

    assert objectness_gradient(known_class=True, logit=2.0) > 0
    assert objectness_gradient(known_class=False, logit=2.0) == 0
    # The network is not sure: the cell stays a negative.
    assert objectness_gradient(known_class=False, logit=-4.0) > 0


def test_cells_of_a_crowd_are_no_negatives_but_their_neighbours_are() -> None:
    raw = random_raw(2, batch=1)
    known = torch.ones(1, 8, 8, 2, dtype=torch.bool)
    known[0, 2:4, 4:8] = False
    YoloLoss.scaled(COCO_ANCHORS, STRIDES, 2, (64, 64))(
        raw, torch.zeros(0, 6), known
    ).total.backward()
    assert raw[0].grad is not None
    objectness = raw[0].grad.view(3, 7, 8, 8)[:, 4]
    assert float(objectness[:, 2:4, 4:8].abs().sum()) == 0.0
    assert bool((objectness[:, 4:] > 0).all())


def test_an_assigned_cell_learns_objectness_even_inside_a_crowd() -> None:
    raw = random_raw(3)
    known = torch.zeros(2, 8, 8, 3, dtype=torch.bool)
    out = YoloLoss.scaled(COCO_ANCHORS, STRIDES, 3, (64, 64))(raw, TARGETS, known)
    out.total.backward()
    assert float(out.object.detach()) > 0
    assert all(x.grad is not None and bool(torch.isfinite(x.grad).all()) for x in raw)


@pytest.fixture
def cases(parity_folder: Path) -> dict[str, np.ndarray]:
    return dict(np.load(parity_folder / "yolov5_lite" / "loss_nms_cases.npz"))


def published_raw(cases: dict[str, np.ndarray]) -> list[Tensor]:
    raw = []
    for level in (3, 4, 5):
        x = torch.from_numpy(cases[f"pred_p{level}"]).permute(0, 1, 4, 2, 3)
        raw.append(x.reshape(2, 255, *x.shape[3:]).clone().requires_grad_())
    return raw


@pytest.mark.data
def test_the_assignment_is_the_published_one(cases: dict[str, np.ndarray]) -> None:
    loss = YoloLoss.scaled(COCO_ANCHORS, STRIDES, 80, (320, 320))
    levels = loss.assign(published_raw(cases), torch.from_numpy(cases["targets"]))
    for name, level in zip(("p3", "p4", "p5"), levels, strict=True):
        rows = torch.stack((level.picture, level.anchor, level.row, level.column, level.cls), 1)
        np.testing.assert_array_equal(rows.numpy(), cases[f"bt_{name}"])
        np.testing.assert_array_equal(level.box.numpy(), cases[f"bt_box_{name}"])
        np.testing.assert_array_equal(level.anchor_size.numpy(), cases[f"bt_anchor_{name}"])


@pytest.mark.data
def test_loss_items_and_gradients_are_the_published_ones(cases: dict[str, np.ndarray]) -> None:
    raw = published_raw(cases)
    targets = torch.from_numpy(cases["targets"])
    out = YoloLoss.scaled(COCO_ANCHORS, STRIDES, 80, (320, 320))(raw, targets)
    items = [float(v.detach()) for v in (out.box, out.object, out.cls, out.total)]
    np.testing.assert_allclose(items, cases["items_box_obj_cls_total"], rtol=1e-6)
    (out.total * 2).backward()
    for name, x in zip(("p3", "p4", "p5"), raw, strict=True):
        assert x.grad is not None
        grad = x.grad.view(2, 3, 85, *x.shape[2:])
        np.testing.assert_allclose(
            float(grad.abs().sum()), cases[f"grad_{name}_sum_abs"], rtol=1e-5
        )
        row = grad[:, :, :8, 0, 0].numpy()
        np.testing.assert_allclose(row, cases[f"grad_{name}_row"], rtol=1e-4, atol=1e-9)


@pytest.mark.data
def test_the_focal_and_smoothed_variant_is_the_published_one(
    cases: dict[str, np.ndarray],
) -> None:
    loss = YoloLoss(
        COCO_ANCHORS, STRIDES, object_gain=0.25, class_gain=0.5, smoothing=0.1, focal_gamma=1.5
    )
    out = loss(published_raw(cases), torch.from_numpy(cases["targets"]))
    items = [float(v.detach()) for v in (out.box, out.object, out.cls, out.total)]
    np.testing.assert_allclose(items, cases["items_fl15_ls01"], rtol=1e-5)


@pytest.mark.data
def test_the_complete_iou_is_the_published_one(cases: dict[str, np.ndarray]) -> None:
    a, b = torch.from_numpy(cases["ciou_a"]), torch.from_numpy(cases["ciou_b"])
    np.testing.assert_allclose(complete_iou(a, b).numpy(), cases["ciou"], rtol=1e-4, atol=1e-6)


def test_weights_of_classes_multiply_their_columns_of_the_class_term() -> None:
    torch.manual_seed(0)
    raw = [torch.randn(2, 3 * 8, side, side) for side in (8, 4, 2)]
    plain, first, both = (
        YoloLoss.scaled(COCO_ANCHORS, STRIDES, 3, (64, 64), weights)(raw, TARGETS)
        for weights in ((), (2.0, 1.0, 1.0), (2.0, 2.0, 2.0))
    )
    assert float(both.cls) == pytest.approx(2 * float(plain.cls), rel=1e-6)
    assert float(both.object) == float(plain.object) == float(first.object)
    only = YoloLoss.scaled(COCO_ANCHORS, STRIDES, 3, (64, 64), (1.0, 0.0, 0.0))(raw, TARGETS)
    assert float(first.cls) == pytest.approx(float(plain.cls + only.cls), rel=1e-6)


def test_the_objectness_of_a_rectangle_counts_by_its_area() -> None:
    square, wide = (YoloLoss.scaled(COCO_ANCHORS, STRIDES, 3, s) for s in ((64, 64), (64, 128)))
    assert wide.gains[1] == pytest.approx(2 * square.gains[1])
    assert YoloLoss.scaled(COCO_ANCHORS, STRIDES, 80, (640, 640)).gains == (0.05, 1.0, 0.5)
