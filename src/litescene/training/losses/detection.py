"""Loss of the YOLOv5 family: anchor assignment, CIoU, objectness and class terms.

Targets are rows (picture, class, cx, cy, w, h), the last four as shares of the network's input.
A target meets an anchor of a level when neither side differs by more than `ANCHOR_RATIO`, and is
assigned to its own cell and to the nearest neighbour on each axis (one to three cells).

Pictures of a mixed data set are annotated for some classes only. `known` says, for each cell of
the finest level, which classes are annotated there; what is not annotated is no negative:

- an assigned cell learns only the classes known there;
- an unassigned cell is no objectness negative where no class is known (crowds, ambiguous blobs),
  or where the network sees, with a score over `UNKNOWN_SCORE`, an object of an unknown class.

Both terms keep the normaliser of the plain loss, so with everything known nothing changes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.models.detection.anchor_head import Anchors, split_anchors

ANCHOR_RATIO = 4.0
NEIGHBOUR = 0.5
UNKNOWN_SCORE = 0.1
LEVEL_BALANCE = (4.0, 1.0, 0.4)
BOX_GAIN, OBJECT_GAIN, CLASS_GAIN = 0.05, 1.0, 0.5
REFERENCE_SIZE, REFERENCE_CLASSES = 640, 80


def complete_iou(a: Tensor, b: Tensor, eps: float = 1e-7) -> Tensor:
    """CIoU of boxes n×4 (cx, cy, w, h) with boxes n×4: n values, at most 1.

    IoU - centre distance² / enclosing diagonal² - α v, with v the squared difference of the
    aspect angles (times 4/π²) and α without gradient (Zheng et al., AAAI 2020).
    """
    w1, h1, w2, h2 = a[:, 2], a[:, 3] + eps, b[:, 2], b[:, 3] + eps
    low_a, high_a = a[:, :2] - a[:, 2:] / 2, a[:, :2] + a[:, 2:] / 2
    low_b, high_b = b[:, :2] - b[:, 2:] / 2, b[:, :2] + b[:, 2:] / 2
    overlap = (torch.min(high_a, high_b) - torch.max(low_a, low_b)).clamp(min=0)
    inter = overlap[:, 0] * overlap[:, 1]
    iou = inter / (w1 * h1 + w2 * h2 - inter + eps)
    enclosing = torch.max(high_a, high_b) - torch.min(low_a, low_b)
    diagonal = (enclosing**2).sum(1) + eps
    distance = ((low_b + high_b - low_a - high_a) ** 2).sum(1) / 4
    v = (4 / math.pi**2) * (torch.atan(w2 / h2) - torch.atan(w1 / h1)) ** 2
    with torch.no_grad():
        alpha = v / (v - iou + (1 + eps))
    return iou - (distance / diagonal + v * alpha)


@dataclass(frozen=True, slots=True)
class LevelTargets:
    """What one level has to predict: `picture`, `anchor`, `row`, `column`, `cls` (m, int64);
    `box` m×4 (centre relative to the cell, width, height) and `anchor_size` m×2 in grid units."""

    picture: Tensor
    anchor: Tensor
    row: Tensor
    column: Tensor
    cls: Tensor
    box: Tensor
    anchor_size: Tensor


def assign_level(targets: Tensor, anchors: Tensor, height: int, width: int) -> LevelTargets:
    """Assign targets n×6 to the cells of one height×width map; `anchors` a×2 in grid units."""
    gain = targets.new_tensor([1, 1, width, height, width, height])
    scaled = targets * gain
    ratio = scaled[None, :, 4:6] / anchors[:, None]
    fits = torch.max(ratio, 1 / ratio).amax(2) < ANCHOR_RATIO
    anchor, index = fits.nonzero(as_tuple=True)
    row_of = scaled[index]
    centre = row_of[:, 2:4]
    inverse = gain[2:4] - centre
    left, up = ((centre % 1 < NEIGHBOUR) & (centre > 1)).T
    right, down = ((inverse % 1 < NEIGHBOUR) & (inverse > 1)).T
    steps = targets.new_tensor([[0, 0], [1, 0], [0, 1], [-1, 0], [0, -1]]) * NEIGHBOUR
    takes = torch.stack((torch.ones_like(left), left, up, right, down))
    step, pair = takes.nonzero(as_tuple=True)
    anchor, row_of, centre = anchor[pair], row_of[pair], centre[pair]
    cell = (centre - steps[step]).long()
    cell = torch.stack((cell[:, 0].clamp(0, width - 1), cell[:, 1].clamp(0, height - 1)), 1)
    return LevelTargets(
        picture=row_of[:, 0].long(),
        anchor=anchor,
        row=cell[:, 1],
        column=cell[:, 0],
        cls=row_of[:, 1].long(),
        box=torch.cat((centre - cell, row_of[:, 4:6]), 1),
        anchor_size=anchors[anchor],
    )


def _last_writer(flat: Tensor, size: int) -> Tensor:
    """True for the last of several entries with the same flat index (the same on any device)."""
    order = torch.arange(len(flat), device=flat.device)
    last = torch.zeros(size, dtype=order.dtype, device=flat.device)
    last.scatter_reduce_(0, flat, order, "amax")
    return last[flat] == order


@torch.no_grad()
def _negative_weight(prediction: Tensor, known: Tensor) -> Tensor:
    """0 where an unassigned cell is no negative: N×a×H×W, from logits and known N×H×W×C."""
    scores = prediction[..., 5:].sigmoid() * prediction[..., 4:5].sigmoid()
    score, best = scores.max(-1)
    known = known[:, None].expand(-1, prediction.shape[1], -1, -1, -1)
    best_known = known.gather(-1, best[..., None])[..., 0]
    ignored = (~best_known & (score > UNKNOWN_SCORE)) | ~known.any(-1)
    return (~ignored).to(prediction.dtype).contiguous()


def _known_at_level(known: Tensor, height: int, width: int) -> Tensor:
    """`known` of the finest level, N×h×w×C, sampled at the cells of a height×width level."""
    step = known.shape[1] // height
    return known[:, step // 2 :: step, step // 2 :: step][:, :height, :width]


@dataclass(frozen=True, slots=True)
class DetectionLosses:
    """Scalar loss terms: `total` is to be minimised, `box`, `object`, `cls` are its parts."""

    total: Tensor
    box: Tensor
    object: Tensor
    cls: Tensor


class YoloLoss(nn.Module):
    """The loss for one anchor set.

    `box_gain`, `object_gain` and `class_gain` weigh the sums over levels; `smoothing` softens the
    class targets to 1 - s/2 and s/2; `focal_gamma` above 0 adds the focal factor (α = 0.25) to
    objectness and class; `class_weights`, one for each class, multiply the columns of the class
    term.
    """

    class_weights: Tensor | None

    def __init__(
        self,
        anchors: Anchors,
        strides: Sequence[int],
        *,
        box_gain: float = BOX_GAIN,
        object_gain: float = OBJECT_GAIN,
        class_gain: float = CLASS_GAIN,
        smoothing: float = 0.0,
        focal_gamma: float = 0.0,
        class_weights: Sequence[float] = (),
    ) -> None:
        super().__init__()
        self.gains = (box_gain, object_gain, class_gain)
        self.smoothing = smoothing
        self.focal_gamma = focal_gamma
        weights = torch.tensor(class_weights) if class_weights else None
        self.register_buffer("class_weights", weights, persistent=False)
        for i, (sizes, stride) in enumerate(zip(anchors, strides, strict=True)):
            self.register_buffer(f"anchors{i}", torch.tensor(sizes) / stride, persistent=False)

    @classmethod
    def scaled(
        cls,
        anchors: Anchors,
        strides: Sequence[int],
        num_classes: int,
        size: tuple[int, int],
        class_weights: Sequence[float] = (),
    ) -> YoloLoss:
        """The loss with the gains adapted to class count and picture size as published:
        class · C/80, objectness · height·width/640²."""
        return cls(
            anchors,
            strides,
            object_gain=OBJECT_GAIN * (size[0] / REFERENCE_SIZE) * (size[1] / REFERENCE_SIZE),
            class_gain=CLASS_GAIN * num_classes / REFERENCE_CLASSES,
            class_weights=class_weights,
        )

    def assign(self, raw: Sequence[Tensor], targets: Tensor) -> list[LevelTargets]:
        """Targets of every level for raw maps N×(a·(5+C))×H×W."""
        return [
            assign_level(targets, self.get_buffer(f"anchors{i}"), x.shape[2], x.shape[3])
            for i, x in enumerate(raw)
        ]

    def forward(
        self, raw: Sequence[Tensor], targets: Tensor, known: Tensor | None = None
    ) -> DetectionLosses:
        """Raw maps per level, targets n×6, known N×h×w×C bool (finest level) or None for all.

        The terms are means per picture, not multiplied by the batch size.
        """
        zero = raw[0].new_zeros((), dtype=torch.float32)
        box, objectness, cls = zero, zero, zero
        for i, (x, level) in enumerate(zip(raw, self.assign(raw, targets), strict=True)):
            prediction = split_anchors(x, len(self.get_buffer(f"anchors{i}"))).float()
            here = None if known is None else _known_at_level(known, x.shape[2], x.shape[3])
            terms = self._level(prediction, level, here)
            box = box + terms[0]
            objectness = objectness + terms[1] * LEVEL_BALANCE[i]
            cls = cls + terms[2]
        box, objectness, cls = (
            gain * term for gain, term in zip(self.gains, (box, objectness, cls), strict=True)
        )
        return DetectionLosses(box + objectness + cls, box, objectness, cls)

    def _level(
        self, prediction: Tensor, level: LevelTargets, known: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        box = cls = prediction.new_zeros(())
        wanted = prediction.new_zeros(prediction.shape[:4])
        weight = None if known is None else _negative_weight(prediction, known)
        if len(level.picture):
            cells = (level.picture, level.anchor, level.row, level.column)
            at_cells = prediction[cells]
            xy = at_cells[:, :2].sigmoid() * 2 - 0.5
            wh = (at_cells[:, 2:4].sigmoid() * 2) ** 2 * level.anchor_size
            iou = complete_iou(torch.cat((xy, wh), 1), level.box)
            box = (1 - iou).mean()
            flat = _flat_index(cells, wanted.shape)
            last = _last_writer(flat, wanted.numel())
            wanted.view(-1)[flat[last]] = iou.detach().clamp(min=0)[last].to(wanted.dtype)
            if weight is not None:
                weight.view(-1)[flat] = 1.0
            cls = self._class_term(at_cells[:, 5:], level, known)
        return box, self._bce(prediction[..., 4], wanted, weight), cls

    def _class_term(self, logits: Tensor, level: LevelTargets, known: Tensor | None) -> Tensor:
        if logits.shape[1] == 1:
            return logits.new_zeros(())
        wanted = torch.full_like(logits, 0.5 * self.smoothing)
        rows = torch.arange(len(logits), device=logits.device)
        wanted[rows, level.cls] = 1.0 - 0.5 * self.smoothing
        weight = None if self.class_weights is None else self.class_weights.expand_as(logits)
        if known is not None:
            seen = known[level.picture, level.row, level.column].to(logits.dtype)
            seen[rows, level.cls] = 1.0
            weight = seen if weight is None else seen * weight
        return self._bce(logits, wanted, weight)

    def _bce(self, logits: Tensor, wanted: Tensor, weight: Tensor | None) -> Tensor:
        loss = F.binary_cross_entropy_with_logits(logits, wanted, weight, reduction="none")
        if self.focal_gamma > 0:
            p = logits.sigmoid()
            hit = wanted * p + (1 - wanted) * (1 - p)
            alpha = wanted * 0.25 + (1 - wanted) * 0.75
            loss = loss * alpha * (1.0 - hit) ** self.focal_gamma
        return loss.mean()


def _flat_index(cells: tuple[Tensor, ...], shape: torch.Size) -> Tensor:
    flat = cells[0]
    for index, side in zip(cells[1:], shape[1:], strict=True):
        flat = flat * side + index
    return flat
