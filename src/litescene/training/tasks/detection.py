"""Object detection as a task."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import numpy as np
import torch
from pydantic import AfterValidator, Field, model_validator
from torch import Tensor, nn

from litescene.core import (
    STREET_OBJECTS,
    DataError,
    Detections,
    Image,
    RecipeError,
    Taxonomy,
    UnknownNameError,
)
from litescene.data.anchors import ENOUGH, fit_anchors, possible_recall
from litescene.data.detection import DetectionData, open_detection
from litescene.data.detection_mix import STRIDE, DetectionMix
from litescene.data.mosaic import MosaicOptions, TrainingPicture
from litescene.media.letterbox import Letterbox
from litescene.media.pictures import read_picture
from litescene.metrics.detection import BoxTruth, DetectionMetric
from litescene.metrics.detection_report import DetectionReport
from litescene.models.detection.postprocess import detect
from litescene.training.losses.detection import YoloLoss
from litescene.training.recipe import (
    Recipe,
    Section,
    StageSection,
    in_order,
    rising,
    stage_at,
    validated,
)
from litescene.training.tasks.base import (
    build_network,
    made_ahead,
    optimizer_groups,
    own_steps,
    read_through,
    report_title,
)

log = logging.getLogger("litescene")

SCORE, IOU = 0.001, 0.6
"""Thresholds of the evaluation, as published: nearly everything, for the whole curve."""


class Source(Section):
    """A training source `FORMAT:PATH` (split train) and how often it is drawn."""

    data: str
    weight: float = Field(1.0, gt=0)


class SizeStage(StageSection):
    """From this epoch on: side of the training pictures and the share of mosaics."""

    size: int = Field(ge=64, multiple_of=32)
    mosaic: float = Field(0.8, ge=0, le=1)
    rectangular: bool = False
    """Batches of one aspect each, their longest side `size`, instead of squares; no mosaics."""

    @model_validator(mode="after")
    def _rectangles_are_no_mosaics(self) -> Self:
        if self.rectangular and self.mosaic:
            raise ValueError("a rectangular stage has no mosaics; set its mosaic = 0")
        return self


_Share = Annotated[float, Field(ge=0, le=1)]


class DetectionSettings(Section):
    """The table `[detection]` of a recipe."""

    train: list[Source] = Field(min_length=1)
    val: list[str] = Field(min_length=1)
    """`FORMAT:PATH`, split val."""
    taxonomy: Literal["street", "own"] = "street"
    """The eight classes of the street mix, or the classes of the only source."""
    pictures: int = Field(gt=0)
    """Training pictures in an epoch."""
    stages: Annotated[list[SizeStage], AfterValidator(in_order)]
    size: int = Field(ge=64, multiple_of=32)
    """Side of the square that pictures are fitted into for evaluation and use."""
    scale: Annotated[tuple[float, float], AfterValidator(rising)] = (0.5, 1.5)
    """Least and largest size of a picture in a mosaic, relative to the training size."""
    anchors: Literal["network", "auto"] = "network"
    """The network's own, or fitted to the training boxes where its own meet too few of them."""
    flip: float = Field(0.5, ge=0, le=1)
    hsv: tuple[_Share, _Share, _Share] = (0.015, 0.7, 0.4)
    """Hue, saturation and value change by at most these shares, either way."""
    turn: float = Field(0.0, ge=0, le=180)
    """Pictures are turned by at most so many degrees, either way."""
    shear: float = Field(0.0, ge=0, le=45)
    """And sheared along their rows by at most so many degrees."""
    mixup: float = Field(0.0, ge=0, le=1)
    """Share of the mosaics that are blended with another one."""
    multi_scale: float = Field(0.0, ge=0, lt=1)
    """Each batch's size is drawn from the stage's, times 1 ± this."""
    class_weights: Literal["inverse"] | dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=dict
    )
    """Weights of the classes in the class term, 1 where none is named; `inverse`: in inverse
    proportion to the boxes of the class, 1 on average."""


@dataclass(frozen=True, slots=True)
class DetectionBatch:
    """`images` n×3×h×w float 0..1; `targets` m×6 (picture, class, cx, cy, w, h as shares);
    `known` n×(h/8)×(w/8)×C bool."""

    images: Tensor
    targets: Tensor
    known: Tensor


def sizes_of(size: int, spread: float) -> list[int]:
    """Multiples of the stride in size · (1 ± spread), and the size itself."""
    least, most = (size * share / STRIDE for share in (1 - spread, 1 + spread))
    steps = range(max(math.ceil(least), 2), math.floor(most) + 1)
    return sorted({size, *(STRIDE * step for step in steps)})


def collate(pictures: Sequence[TrainingPicture], device: torch.device) -> DetectionBatch:
    """Stack training pictures of one size into a batch on a device."""
    height, width = pictures[0].image.shape[:2]
    # n×h×w×3 in memory is what channels-last networks want.
    images = torch.from_numpy(np.stack([p.image for p in pictures])).to(device)
    rows = []
    for index, p in enumerate(pictures):
        boxes = p.boxes.astype(np.float64) / np.array([width, height] * 2)
        centre, extent = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        rows.append(np.column_stack((np.full(len(boxes), index), p.classes, centre, extent)))
    targets = torch.from_numpy(np.concatenate(rows).astype(np.float32)).to(device)
    known = torch.from_numpy(np.stack([p.known for p in pictures])).to(device)
    return DetectionBatch(images.permute(0, 3, 1, 2).float() / 255, targets, known)


def _require_objects(specs: Sequence[str], split: str, *data: DetectionData) -> None:
    """Refuse sources in which together there is nothing to learn or to measure."""
    samples = [sample for one in data for sample in one.samples]
    if all(sample.crowd.all() for sample in samples):
        raise DataError(
            f"[detection]: {', '.join(specs)}, split {split}: none of {len(samples)} pictures has "
            "a box of an object (crowd regions are none); see litescene doctor --data"
        )


def _require_readable(data: DetectionData) -> None:
    """Read all pictures once: what is wrong with them is said now, not after the first epochs."""
    read_through(lambda index: read_picture(data.samples[index].picture), len(data))


def _warn_of_shared_pictures(train: Sequence[DetectionData], val: Sequence[DetectionData]) -> None:
    """Say so where pictures are validated on that are trained on as well."""
    learned = {sample.picture for data in train for sample in data.samples}
    for data in val:
        shared = sum(sample.picture in learned for sample in data.samples)
        if shared:
            log.warning(
                "%d of the %d pictures of %s are trained on as well: its figures say little of "
                "new pictures", shared, len(data), data.name,
            )  # fmt: skip


class DetectionTask:
    """Trains and evaluates anchor detectors; metric: AP50, the mean over the val sources."""

    metric = "ap50"

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.settings = s = validated(DetectionSettings, recipe.settings, "[detection]")
        if s.taxonomy == "own" and len(s.train) > 1:
            raise RecipeError(
                f"[detection]: taxonomy = 'own' takes the classes of one source, and train lists "
                f"{len(s.train)}; use 'street' to train on several"
            )
        target = STREET_OBJECTS if s.taxonomy == "street" else None
        sources = [open_detection(source.data, "train", target) for source in s.train]
        self.taxonomy = sources[0].taxonomy
        self.val = [open_detection(spec, "val", self.taxonomy) for spec in s.val]
        _require_objects([source.data for source in s.train], "train", *sources)
        for spec, data in zip(s.val, self.val, strict=True):
            _require_objects([spec], "val", data)
            _require_readable(data)
        _warn_of_shared_pictures(sources, self.val)
        names = [data.samples[0].source for data in self.val]
        if len(set(names)) < len(names):
            raise RecipeError(
                f"[detection]: val lists two sources of one name ({', '.join(names)}), under which "
                "their results are kept; rename a folder or leave one out"
            )
        longest = max(sizes_of(stage.size, s.multi_scale)[-1] for stage in s.stages)
        options = MosaicOptions(s.scale, s.flip, s.hsv, s.turn, s.shear, s.mixup)
        self.mix = DetectionMix(sources, [x.weight for x in s.train], longest, options)
        self._class_weights = self._weights_of_classes()
        self._losses: dict[tuple[int, int], YoloLoss] = {}
        if s.anchors == "auto" and "anchors" not in recipe.model.options:
            self.recipe = self._with_fitted_anchors()

    def _with_fitted_anchors(self) -> Recipe:
        """The recipe with anchors among the network's options, if its own meet too few boxes."""
        with torch.random.fork_rng(devices=[]):  # as when the recipe has them already
            network: Any = self.build_model()
        own = np.array([size for level in network.anchors for size in level], np.float64)
        sizes = self.mix.box_sizes(self.settings.size)
        before = possible_recall(sizes, own)
        if before >= ENOUGH:
            return self.recipe
        try:
            fitted = fit_anchors(sizes, len(own), self.recipe.seed)
        except ValueError as error:
            raise RecipeError(f"[detection].anchors = 'auto': {error}") from error
        after = possible_recall(sizes, fitted)
        log.info(
            "anchors: the network's meet %.1f %% of the boxes, fitted ones %.1f %%",
            100 * before, 100 * after,
        )  # fmt: skip
        if after <= before:
            return self.recipe
        levels = np.round(fitted, 1).reshape(*np.array(network.anchors).shape).tolist()
        model = self.recipe.model
        options = {**model.options, "anchors": levels}
        return self.recipe.model_copy(
            update={"model": model.model_copy(update={"options": options})}
        )

    def _weights_of_classes(self) -> tuple[float, ...]:
        """By the order of the taxonomy; empty where all weigh the same."""
        given, names = self.settings.class_weights, self.taxonomy.names
        if given == "inverse":
            counts = self.mix.class_counts()
            absent = [name for name, count in zip(names, counts, strict=True) if not count]
            if absent:
                raise RecipeError(
                    f"[detection].class_weights = 'inverse': the training pictures have no box of "
                    f"{', '.join(absent)}; give weights by name"
                )
            inverse = 1 / counts
            return (*(inverse / inverse.mean()).tolist(),)
        for name in given:
            if name not in names:
                raise RecipeError(
                    f"[detection].class_weights: {UnknownNameError('class', name, names)}"
                )
        return tuple(given.get(name, 1.0) for name in names) if given else ()

    def build_model(self) -> nn.Module:
        """The recipe's network for the taxonomy's classes."""
        return build_network(self.recipe, len(self.taxonomy))

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """See `optimizer_groups`."""
        return optimizer_groups(model, self.recipe.optimizer)

    def steps_per_epoch(self) -> int:
        """Full batches only."""
        return self.settings.pictures // self.recipe.batch_size

    def batches(self, epoch: int, rank: int, world: int) -> Iterator[DetectionBatch]:
        """Training pictures of this epoch's size, made while the step before computes."""
        stage = stage_at(self.settings.stages, epoch)
        count, seed = self.recipe.batch_size, self.recipe.seed
        sizes = self._sizes(stage, epoch)
        if stage.rectangular:
            planned = self.mix.rectangles(seed, epoch, sizes, count)

        def picture(position: int) -> TrainingPicture:
            batch, index = divmod(position, count)
            if stage.rectangular:
                return self.mix.rectangle(planned[batch], index)
            return self.mix.picture(seed, epoch, position, sizes[batch], stage.mosaic)

        steps = own_steps(self.steps_per_epoch(), rank, world)
        for pictures in made_ahead(picture, (range(s * count, (s + 1) * count) for s in steps)):
            yield collate(pictures, self.device)

    def _sizes(self, stage: SizeStage, epoch: int) -> list[int]:
        """The size of every batch of an epoch."""
        choice = sizes_of(stage.size, self.settings.multi_scale)
        g = np.random.default_rng((self.recipe.seed, epoch))
        return [choice[i] for i in g.integers(0, len(choice), self.steps_per_epoch())]

    def losses(self, model: nn.Module, batch: DetectionBatch) -> dict[str, Tensor]:
        """Box, objectness and class terms."""
        outputs: dict[str, list[Tensor]] = model(batch.images)
        height, width = batch.images.shape[2:]
        size = (int(height), int(width))
        if size not in self._losses:
            network: Any = model
            self._losses[size] = YoloLoss.scaled(
                network.anchors, network.strides, len(self.taxonomy), size, self._class_weights
            ).to(self.device)
        found = self._losses[size](outputs["raw"], batch.targets, batch.known)
        return {
            "loss": found.total, "box": found.box, "object": found.object, "class": found.cls,
        }  # fmt: skip

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """AP50 per source and class, and their mean over the sources."""
        results = {
            data.samples[0].source: evaluate_detection(model, data, self.settings.size, self.device)
            for data in self.val
        }
        record: dict[str, Any] = {
            f"ap50_{name}": float(scores["ap50"]) for name, scores in results.items()
        }
        mean = float(np.mean(list(record.values())))
        return {"ap50": mean, **record, "sources": results}

    def pictures(self, model: nn.Module) -> dict[str, bytes]:
        """Curves, confusion and found boxes of every val source; see `DetectionReport`."""
        files: dict[str, bytes] = {}
        for data in self.val:
            report = DetectionReport(DetectionMetric(self.taxonomy), len(data))
            evaluate_detection(model, data, self.settings.size, self.device, report)
            source = data.samples[0].source
            drawn = report.files(report_title(self.recipe, f"{source}, val"))
            files |= {f"{source}_{name}": file for name, file in drawn.items()}
        return files

    def card(self) -> dict[str, Any]:
        """Data, classes and input size."""
        return {
            "task": "detection",
            "taxonomy": self.taxonomy.to_dict(),
            "size": [self.settings.size, self.settings.size],
            "data": {
                "train": {x.name: len(x) for x in self.mix.sources},
                "val": {x.name: len(x) for x in self.val},
            },
        }


def detect_picture(
    model: nn.Module,
    image: Image,
    taxonomy: Taxonomy,
    size: int,
    device: torch.device,
    *,
    score: float = SCORE,
    iou: float = IOU,
    multi_label: bool = True,
    layout: torch.memory_format = torch.channels_last,
) -> Detections:
    """Boxes of one picture H×W×3 uint8 in its own pixels, by the network in evaluation mode.

    `layout` is that of the picture in memory.
    """
    box = Letterbox.plan(image.shape[:2], (size, size), auto=True)
    x = torch.from_numpy(box.apply(image)).to(device).permute(2, 0, 1)[None].float() / 255
    rows = model(x.contiguous(memory_format=layout))[0]
    found = detect(rows, score, iou, multi_label=multi_label).cpu().numpy()
    return Detections(
        box.to_picture(found[:, :4]),
        found[:, 4].astype(np.float32),
        found[:, 5].astype(np.int32),
        taxonomy,
    )


@torch.inference_mode()
def evaluate_detection(
    model: nn.Module,
    data: DetectionData,
    size: int,
    device: torch.device,
    report: DetectionReport | None = None,
) -> dict[str, Any]:
    """COCO average precision over the classes that the source annotates (float32).

    A `report`, made for this data, sees every picture.
    """
    report = report or DetectionReport(DetectionMetric(data.taxonomy), 0)
    for sample in data.samples:
        image = read_picture(sample.picture)
        truth = BoxTruth(sample.boxes, sample.classes, crowd=sample.crowd, known=sample.known)
        report.add(image, detect_picture(model, image, data.taxonomy, size, device), truth)
    return report.metric.scores().to_dict()
