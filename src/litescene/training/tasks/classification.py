"""Classification of pictures and of clips as a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import AfterValidator, Field
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import RecipeError
from litescene.data.augment import Augmentation, draw_color, sample_generator
from litescene.data.classification import ClassificationData, Clip, open_classification
from litescene.data.random_crop import Crop, CropRange
from litescene.metrics.classification import TopAccuracy, known_classes
from litescene.metrics.classification_report import ClassificationReport
from litescene.models.spec import SMALLEST_SIDE
from litescene.training.recipe import (
    Recipe,
    Section,
    StageSection,
    in_order,
    stage_at,
    validated,
)
from litescene.training.tasks.base import (
    build_network,
    made_ahead,
    optimizer_groups,
    own_steps,
    report_title,
    shuffled,
    takes_clips,
)
from litescene.training.tasks.classification_samples import (
    ClassificationBatch,
    Sample,
    View,
    collate,
    network_input,
)

EVALUATION_BATCH = 16
_KIND = {True: "clips", False: "pictures"}


class CropStage(StageSection):
    """From this epoch on: side of the training pictures, share of the area that they show."""

    size: int = Field(ge=SMALLEST_SIDE)
    scale: tuple[float, float] = (0.25, 1.0)


def _rising_shares(stages: list[CropStage]) -> list[CropStage]:
    for stage in stages:
        low, high = stage.scale
        if not 0 < low <= high <= 1:
            raise ValueError(
                f"scale is two shares of the area, 0 < least <= most <= 1, not {low}, {high}"
            )
    return stages


class ClassificationSettings(Section):
    """The table `[classification]` of a recipe."""

    data: str
    """`FORMAT:PATH`; splits train and val are used."""
    stages: Annotated[list[CropStage], AfterValidator(in_order), AfterValidator(_rising_shares)]
    size: int = Field(ge=SMALLEST_SIDE)
    """Side of the square that is cut out of pictures for evaluation and use."""
    crop_share: float = Field(1.0, gt=0, le=1)
    """That square as a share of the picture's shorter side."""
    flip: float = Field(0.5, ge=0, le=1)
    jitter: float = Field(0.4, ge=0, lt=1)
    hue: float = Field(0.05, ge=0, le=0.5)
    label_smoothing: float = Field(0.1, ge=0, lt=1)
    auxiliary: float = Field(0.3, ge=0)
    """Weight of a training head."""
    frames: int = Field(16, gt=0)
    """Of clips: how many frames the network sees, and every so-manieth of the video they are."""
    frame_stride: int = Field(1, gt=0)


class ClassificationTask:
    """Trains and evaluates classifiers; metric: top-1 accuracy on val."""

    metric = "top1"

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.settings = s = validated(ClassificationSettings, recipe.settings, "[classification]")
        self.train = open_classification(s.data, "train")
        self.val = open_classification(s.data, "val")
        self.view = View(s.size, s.crop_share, Clip(s.frames, s.frame_stride))
        self.augmentation = Augmentation(flip=s.flip, jitter=s.jitter, hue=s.hue)

    def build_model(self) -> nn.Module:
        """The recipe's network for the data's classes."""
        network = build_network(self.recipe, len(self.train.taxonomy))
        taken, had = takes_clips(network), self.train.has_clips
        if taken != had:
            raise RecipeError(
                f"model.name = '{self.recipe.model.name}' takes {_KIND[taken]}, and "
                f"{self.settings.data} has {_KIND[had]}; choose another network or other data"
            )
        return network

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """See `optimizer_groups`."""
        return optimizer_groups(model, self.recipe.optimizer)

    def steps_per_epoch(self) -> int:
        """Full batches only."""
        return len(self.train) // self.recipe.batch_size

    def batches(self, epoch: int, rank: int, world: int) -> Iterator[ClassificationBatch]:
        """An epoch's pictures, cut and coloured anew; the last that fill no batch are left out."""
        stage, seed = stage_at(self.settings.stages, epoch), self.recipe.seed
        count = self.recipe.batch_size
        order = shuffled(len(self.train), seed, epoch)

        def sample(position: int) -> Sample:
            index = int(order[position])
            return self._sample(index, stage, sample_generator(seed, epoch, index))

        steps = own_steps(self.steps_per_epoch(), rank, world)
        for samples in made_ahead(sample, (range(s * count, (s + 1) * count) for s in steps)):
            yield collate(samples, self.device)

    def _sample(self, index: int, stage: CropStage, g: np.random.Generator) -> Sample:
        limits, crop, parts = CropRange(stage.scale), None, []
        place = float(g.random()) if self.train.has_clips else 0.5
        for image in self.view.images(self.train, index, place):
            if crop is None:  # one for all frames of a clip
                crop = Crop.draw(
                    (image.shape[0], image.shape[1]), limits, self.augmentation.flip, g
                )
            parts.append(crop.cut(image, (stage.size, stage.size)))
        color = draw_color(self.augmentation, g)
        return Sample(np.stack(parts), color, int(self.train.labels[index]))

    def losses(self, model: nn.Module, batch: ClassificationBatch) -> dict[str, Tensor]:
        """Cross-entropy with smoothed labels, of the main head and of training heads."""
        outputs: dict[str, Tensor] = model(network_input(batch.images, model))
        smoothing = self.settings.label_smoothing
        terms = {
            name: F.cross_entropy(logits.float(), batch.labels, label_smoothing=smoothing)
            for name, logits in outputs.items()
        }
        main = terms.pop("logits")
        loss = main + self.settings.auxiliary * sum(terms.values(), main.new_zeros(()))
        return {"loss": loss, **({"main": main, **terms} if terms else {})}

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Top-1 and top-5 accuracy on val, in all and per class."""
        return evaluate_classification(model, self.val, self.view, self.device)

    def pictures(self, model: nn.Module) -> dict[str, bytes]:
        """Confusion and pictures of val; see `ClassificationReport`."""
        report = ClassificationReport(TopAccuracy(self.val.taxonomy), self.val.names)
        evaluate_classification(model, self.val, self.view, self.device, report)
        return report.files(report_title(self.recipe, self.val.name))

    def card(self) -> dict[str, Any]:
        """Data, classes and input."""
        s = self.settings
        clips = {"frames": s.frames, "frame_stride": s.frame_stride} if self.train.has_clips else {}
        return {
            "task": "classification",
            "taxonomy": self.train.taxonomy.to_dict(),
            "size": [s.size, s.size],
            "crop_share": s.crop_share,
            **clips,
            "data": {
                "train": s.data,
                "val": self.val.name,
                "pictures": [len(self.train), len(self.val)],
            },
        }


@torch.inference_mode()
def evaluate_classification(
    model: nn.Module,
    data: ClassificationData,
    view: View,
    device: torch.device,
    report: ClassificationReport | None = None,
) -> dict[str, Any]:
    """Top-1 and top-5 accuracy of a network (float32, evaluation mode).

    A `report`, made for these data, sees every picture, of a clip the frame in its middle. The
    classes of its metric are the network's, which may be more than those of the data; without a
    report they are those of the data. Raises `DataError` for data with a class that it does not
    know.
    """
    report = report or ClassificationReport(TopAccuracy(data.taxonomy))
    table = known_classes(report.metric.taxonomy, data.taxonomy)
    starts = range(0, len(data), EVALUATION_BATCH)
    groups = (range(s, min(s + EVALUATION_BATCH, len(data))) for s in starts)
    for samples in made_ahead(lambda index: view.sample(data, index), groups):
        batch = collate(samples, device)
        scores = model(network_input(batch.images, model)).float().cpu().numpy()
        shown = [sample.images[len(sample.images) // 2] for sample in samples]
        report.add(shown, scores, table[batch.labels.cpu().numpy()])
    return report.metric.to_dict()
