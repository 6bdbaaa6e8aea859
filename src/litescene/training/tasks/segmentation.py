"""Semantic segmentation as a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import DataError, Image
from litescene.data.augment import Augmentation, augment_batch, mix_classes, sample_generator
from litescene.data.segmentation import SegmentationData, open_segmentation
from litescene.media.fitting import network_size, resize
from litescene.metrics import ConfusionMatrix
from litescene.metrics.segmentation_report import SegmentationReport
from litescene.models.spec import SMALLEST_SIDE, input_spec_of
from litescene.training.losses.sampling import PixelGrid
from litescene.training.losses.segmentation import class_weights
from litescene.training.recipe import Recipe, stage_at, validated
from litescene.training.tasks.base import (
    build_network,
    optimizer_groups,
    own_steps,
    read_through,
    report_title,
    shuffled,
)
from litescene.training.tasks.segmentation_objective import (
    Objective,
    SegmentationBatch,
    load_teacher,
)
from litescene.training.tasks.segmentation_settings import (
    ExtraPictures,
    SegmentationSettings,
    Stage,
)

Loaded = tuple[NDArray[np.uint8], NDArray[np.uint8]]


def _joined(parts: list[NDArray[np.uint8]]) -> Tensor:
    """One tensor of all; of a single source its own memory, not a copy."""
    if len(parts) == 1:
        return torch.from_numpy(parts[0])
    return torch.cat([torch.from_numpy(part) for part in parts])


class SegmentationTask:
    """Trains and evaluates segmentation networks; metric: mean IoU, ignored pixels left out."""

    metric = "mean_iou"

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.settings = validated(SegmentationSettings, recipe.settings, "[segmentation]")
        self.train = open_segmentation(self.settings.data, "train")
        self.val = open_segmentation(self.settings.data, "val")
        if self.settings.size is None:
            _require_size(self.train.picture(0), self.train, 0)
        images, labels = self.train.load_all(self.settings.size)
        self._require_val()  # what is wrong with it is said now, not after the first epochs
        counts = sum(np.bincount(one.ravel(), minlength=256) for one in labels)
        self.counts = torch.from_numpy(np.asarray(counts))[: len(self.train.taxonomy)]
        if not self.counts.any():
            raise DataError(f"{self.settings.data}: no pixel of the train split has a class")
        teacher = self.settings.teacher
        self.objective = Objective(
            self.settings, load_teacher(teacher, self.train.taxonomy, device) if teacher else None
        )
        # Small data sets live in the device's memory, so that nothing waits for pictures.
        loaded = [(images, labels), *(self._extra(e, images.shape) for e in self.settings.extra)]
        self.images = _joined([i for i, _ in loaded]).to(device)
        self.labels = _joined([y for _, y in loaded]).to(device)
        self.sizes = [len(i) for i, _ in loaded]

    def _require_val(self) -> None:
        """Read all of val once; a `DataError` names what does not fit."""

        def read(index: int) -> None:
            image, _ = self.val.load(index)
            if self.settings.size is None:
                _require_size(image, self.val, index)

        read_through(read, len(self.val))

    @property
    def _size(self) -> tuple[int, int]:
        return int(self.images.shape[1]), int(self.images.shape[2])

    @property
    def _seen_at(self) -> tuple[int, int] | None:
        """As `evaluate_segmentation` has it."""
        return None if self.settings.size is None else self._size

    def _extra(self, extra: ExtraPictures, shape: tuple[int, ...]) -> Loaded:
        data = open_segmentation(extra.data, "train")
        theirs, ours = data.taxonomy.names, self.train.taxonomy.names
        if theirs != ours:
            raise DataError(
                f"{extra.data} has the classes {', '.join(theirs)}, {self.settings.data} "
                f"{', '.join(ours)}; they must agree"
            )
        images, labels = data.load_all(self.settings.size)
        if images.shape[1:] != shape[1:]:
            raise DataError(
                f"{extra.data} has pictures of {images.shape[2]}×{images.shape[1]}, "
                f"{self.settings.data} of {shape[2]}×{shape[1]}; they must agree"
            )
        return images, labels

    def build_model(self) -> nn.Module:
        """The recipe's network for the data's classes."""
        return build_network(self.recipe, len(self.train.taxonomy))

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """See `optimizer_groups`."""
        return optimizer_groups(model, self.recipe.optimizer)

    def steps_per_epoch(self) -> int:
        """Full batches only."""
        return len(self._pictures(0)) // self.recipe.batch_size

    def _pictures(self, epoch: int) -> Tensor:
        """Indices of an epoch's pictures: all of the data, so many of each extra source."""
        pools = [torch.arange(self.sizes[0])]
        first = self.sizes[0]
        for extra, size in zip(self.settings.extra, self.sizes[1:], strict=True):
            pools.append(first + shuffled(size, self.recipe.seed, epoch)[: extra.pictures])
            first += size
        pool = torch.cat(pools)
        return pool[shuffled(len(pool), self.recipe.seed, epoch)]

    def _begin_stage(self, epoch: int) -> Stage:
        stage = stage_at(self.settings.stages, epoch)
        weight = class_weights(
            self.counts, balance=stage.class_balance, inverse_log=stage.inverse_log
        )
        balanced = stage.class_balance or stage.inverse_log
        self.objective.class_weight = weight.to(self.device) if balanced else None
        return stage

    def batches(self, epoch: int, rank: int, world: int) -> Iterator[SegmentationBatch]:
        """An epoch's augmented pictures; the last ones that fill no batch are left out."""
        size, seed, s = self.recipe.batch_size, self.recipe.seed, self.settings
        stage = self._begin_stage(epoch)
        jitter = s.jitter if stage.jitter is None else stage.jitter
        mix = s.mix if stage.mix is None else stage.mix
        augmentation = Augmentation(stage.scale, s.flip, jitter, s.hue)
        order = self._pictures(epoch)
        for step in own_steps(self.steps_per_epoch(), rank, world):
            chosen = order[step * size : (step + 1) * size]
            generators = [sample_generator(seed, epoch, int(i)) for i in chosen]
            where = chosen.to(self.device)
            images, labels = augment_batch(
                self.images[where],
                self.labels[where],
                (stage.height, stage.width),
                augmentation,
                generators,
            )
            if mix:
                images, labels = mix_classes(images, labels, mix, generators)
            row, column = (int(p) for p in generators[0].integers(0, s.loss_stride, 2))
            grid = PixelGrid(s.loss_stride, row, column)
            row, column = (int(p) for p in generators[0].integers(0, 2, 2))
            yield SegmentationBatch(images, labels, grid, grid.coarser(2, row, column))

    def losses(self, model: nn.Module, batch: SegmentationBatch) -> dict[str, Tensor]:
        """See `Objective`."""
        return self.objective(model, batch)

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Mean IoU and IoU per class on val."""
        return evaluate_segmentation(model, self.val, self.device, size=self._seen_at)

    def pictures(self, model: nn.Module) -> dict[str, bytes]:
        """Confusion, and true and found classes of val; see `SegmentationReport`."""
        report = SegmentationReport(ConfusionMatrix(self.val.taxonomy), self.val.names)
        evaluate_segmentation(model, self.val, self.device, size=self._seen_at, report=report)
        return report.files(report_title(self.recipe, self.val.name))

    def card(self) -> dict[str, Any]:
        """Data, classes and training size."""
        return {
            "task": "segmentation",
            "taxonomy": self.train.taxonomy.to_dict(),
            "size": list(self._size),
            "data": {
                "train": [self.settings.data, *(e.data for e in self.settings.extra)],
                "val": self.val.name,
                "pictures": self.sizes,
            },
        }


def _require_size(image: Image, data: SegmentationData, index: int) -> None:
    """Refuse a picture that is smaller than networks take it."""
    height, width = image.shape[:2]
    if min(height, width) < SMALLEST_SIDE:
        raise DataError(
            f"{data.pairs[index][0]} is {width}×{height}; networks take pictures from "
            f"{SMALLEST_SIDE}×{SMALLEST_SIDE} on, so enlarge it and its labels"
        )


@torch.inference_mode()
def evaluate_segmentation(
    model: nn.Module,
    data: SegmentationData,
    device: torch.device,
    table: NDArray[np.uint8] | None = None,
    size: tuple[int, int] | None = None,
    report: SegmentationReport | None = None,
) -> dict[str, Any]:
    """Mean IoU of a network (float32, evaluation mode) at the pictures' own sizes.

    `table` takes the network's labels to the data's, where they are not the same. With `size` the
    network sees pictures as a bundle of that size does (`network_size`), and its logits are brought
    to the pictures' sizes; else it sees them as they are. A `report`, made for this data, sees
    every picture.
    """
    report = report or SegmentationReport(ConfusionMatrix(data.taxonomy))
    network: Any = model
    spec = input_spec_of(model)
    for index in range(len(data)):
        image, labels = data.load(index)
        seen = image
        if size is None:
            _require_size(image, data, index)
        else:
            seen = resize(image, network_size((image.shape[0], image.shape[1]), size))
        x = torch.from_numpy(seen).to(device).permute(2, 0, 1)[None].float()
        head = network.head_logits(spec.normalised(x).contiguous(memory_format=torch.channels_last))
        logits = F.interpolate(
            head, size=labels.shape, mode="bilinear", align_corners=network.align_corners
        )
        predicted = logits[0].argmax(0).to(torch.uint8).cpu().numpy()
        report.add(image, predicted if table is None else table[predicted], labels)
    return report.matrix.figures()
