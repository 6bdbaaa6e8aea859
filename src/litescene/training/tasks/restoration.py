"""Restoration as a task: pictures made larger, and frames between two."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from litescene.core import Image, RecipeError
from litescene.core.taxonomy import PLANES
from litescene.data.augment import sample_generator
from litescene.data.restoration import RestorationData, Sample, open_restoration
from litescene.data.restoration_crops import CropOptions, random_crop
from litescene.metrics.image_quality import ImageQuality
from litescene.metrics.restoration_report import RestorationReport
from litescene.models.spec import input_spec_of
from litescene.training.losses.restoration import charbonnier, l1
from litescene.training.recipe import Recipe, Section, validated
from litescene.training.tasks.base import (
    build_network,
    made_ahead,
    optimizer_groups,
    own_steps,
    report_title,
)
from litescene.training.tasks.segmentation_objective import as_input

LOSSES = {"l1": l1, "charbonnier": charbonnier}


class RestorationSettings(Section):
    """The table `[restoration]` of a recipe."""

    data: str
    """`FORMAT:PATH[@VIEW]`; splits train and val are used."""
    pictures: int = Field(gt=0)
    """Crops in an epoch, drawn from all windows of train."""
    crop: int = Field(ge=64)
    """Side of the true crops; a multiple of the network's factor."""
    frames: int = Field(0, ge=0)
    """Of each training video so many frames at most, the first ones; 0 for all."""
    flip: float = Field(0.5, ge=0, le=1)
    upside_down: float = Field(0.0, ge=0, le=1)
    reverse: float = Field(0.5, ge=0, le=1)
    """Share of crops whose frames come in reverse order; for networks that take two."""
    loss: Literal["l1", "charbonnier"] = "l1"
    val_every: int = Field(1, gt=0)
    """Of the samples of val every so-manieth is measured."""


@dataclass(frozen=True, slots=True)
class RestorationBatch:
    """`inputs` n×3k×h×w float 0..255 of k pictures; `truth` n×3×H×W float 0..1."""

    inputs: Tensor
    truth: Tensor


def _planes(pictures: Sequence[Image], device: torch.device) -> Tensor:
    """Pictures of one size, one after another: 1×3k×H×W float 0..255."""
    joined = np.concatenate(pictures, axis=2)
    return torch.from_numpy(joined).to(device).permute(2, 0, 1)[None].float()


def collate(samples: Sequence[Sample], device: torch.device) -> RestorationBatch:
    """Stack crops of one size into a batch on a device."""
    inputs = torch.cat([_planes(pictures, device) for pictures, _ in samples])
    truth = torch.cat([_planes([picture], device) for _, picture in samples])
    return RestorationBatch(inputs, truth / 255)


class RestorationTask:
    """Trains and evaluates networks that make pictures; metric: PSNR in dB, the mean over val."""

    metric = "psnr"

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self.recipe, self.device = recipe, device
        self.settings = s = validated(RestorationSettings, recipe.settings, "[restoration]")
        with torch.device("meta"):  # what the network takes and gives decides what a sample is
            network: Any = build_network(recipe, len(PLANES))
        self.factor = int(network.factor)
        if s.crop % self.factor:
            raise RecipeError(
                f"restoration.crop = {s.crop} is no multiple of the network's factor {self.factor}"
            )
        self.train, self.val = (
            open_restoration(s.data, split, int(network.pictures)) for split in ("train", "val")
        )
        self.windows = self.train.held(s.frames or None)
        self.options = CropOptions(s.crop, self.factor, s.flip, s.upside_down, s.reverse)
        # What does not fit or cannot be read is said now, not after the first epochs.
        self._crop(0, 0)
        deque(self.val.samples(self.factor, s.val_every), maxlen=0)

    def build_model(self) -> nn.Module:
        """The recipe's network."""
        return build_network(self.recipe, len(PLANES))

    def parameter_groups(self, model: nn.Module) -> list[dict[str, Any]]:
        """See `optimizer_groups`."""
        return optimizer_groups(model, self.recipe.optimizer)

    def steps_per_epoch(self) -> int:
        """Full batches only."""
        return self.settings.pictures // self.recipe.batch_size

    def _crop(self, epoch: int, position: int) -> Sample:
        generator = sample_generator(self.recipe.seed, epoch, position)
        window = self.windows[int(generator.integers(len(self.windows)))]
        return random_crop(window, self.options, generator, self.train.name)

    def batches(self, epoch: int, rank: int, world: int) -> Iterator[RestorationBatch]:
        """Random crops of random windows, made while the step before computes."""
        count = self.recipe.batch_size

        def crop(position: int) -> Sample:
            return self._crop(epoch, position)

        steps = own_steps(self.steps_per_epoch(), rank, world)
        for samples in made_ahead(crop, (range(s * count, (s + 1) * count) for s in steps)):
            yield collate(samples, self.device)

    def losses(self, model: nn.Module, batch: RestorationBatch) -> dict[str, Tensor]:
        """The recipe's loss of the estimate, in float32."""
        outputs: dict[str, Tensor] = model(as_input(model, batch.inputs))
        return {"loss": LOSSES[self.settings.loss](outputs["picture"].float(), batch.truth)}

    def evaluate(self, model: nn.Module) -> dict[str, Any]:
        """Mean PSNR and SSIM on val."""
        return evaluate_restoration(model, self.val, self.device, self.settings.val_every)

    def pictures(self, model: nn.Module) -> dict[str, bytes]:
        """Where val is furthest from the truth; see `RestorationReport`."""
        report = RestorationReport(ImageQuality())
        evaluate_restoration(model, self.val, self.device, self.settings.val_every, report)
        return report.files(report_title(self.recipe, self.val.name))

    def card(self) -> dict[str, Any]:
        """Data, planes and size of the training's inputs."""
        return {
            "task": "restoration",
            "taxonomy": PLANES.to_dict(),
            "size": [self.settings.crop // self.factor] * 2,
            "data": {
                "train": self.settings.data,
                "val": self.val.name,
                "windows": len(self.windows),
            },
        }


@torch.inference_mode()
def evaluate_restoration(
    model: nn.Module,
    data: RestorationData,
    device: torch.device,
    every: int = 1,
    report: RestorationReport | None = None,
) -> dict[str, Any]:
    """Mean PSNR and SSIM of a network (float32, evaluation mode) over whole pictures.

    Of the samples every so-manieth counts. See `data.restoration` for what a sample is and
    `metrics.image_quality` for the metrics. A `report` sees every picture.
    """
    report = report or RestorationReport(ImageQuality(), 0)
    network: Any = model
    for pictures, truth in data.samples(network.factor, every):
        x = input_spec_of(model).normalised(_planes(pictures, device))
        made = model(x.contiguous(memory_format=torch.channels_last))[0]
        report.add(pictures, _as_picture(made), truth)
    return report.quality.to_dict()


def _as_picture(planes: Tensor) -> NDArray[np.uint8]:
    """3×H×W from 0 to 1 as H×W×3 uint8, rounded to even as the runtime does."""
    return (planes * 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
