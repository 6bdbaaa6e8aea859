"""What a segmentation network is to minimise on a batch, from a recipe's settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from litescene.core import IGNORE, RecipeError, Taxonomy
from litescene.models.spec import input_spec_of
from litescene.training.checkpoint import load_model
from litescene.training.losses.detail import detail_loss, label_details, near_borders
from litescene.training.losses.distillation import distillation
from litescene.training.losses.sampling import PixelGrid, logits_on_grid
from litescene.training.losses.segmentation import (
    ohem_cross_entropy,
    soft_jaccard,
    weighted_cross_entropy,
)
from litescene.training.tasks.segmentation_settings import SegmentationSettings, TeacherSection


@dataclass(frozen=True, slots=True)
class SegmentationBatch:
    """`images` n×3×h×w float 0..255, `labels` n×h×w int64, and the pixels that the losses see.

    `grid` is the main head's, `heads_grid` that of training heads with classes.
    """

    images: Tensor
    labels: Tensor
    grid: PixelGrid
    heads_grid: PixelGrid

    def on(self, grid: PixelGrid, network: Any, logits: Tensor) -> Tensor:
        """A network's logits at pixels of the pictures, float32."""
        size = (int(self.labels.shape[1]), int(self.labels.shape[2]))
        return logits_on_grid(logits, size, grid, align_corners=network.align_corners)


def as_input(network: nn.Module, images: Tensor) -> Tensor:
    """Pictures n×3×h×w in 0..255 as the network wants them, in the training's precision."""
    x = input_spec_of(network).normalised(images)
    if torch.is_autocast_enabled(images.device.type):
        # Networks that concatenate the picture would go on in float32 from there.
        x = x.to(torch.get_autocast_dtype(images.device.type))
    return x.contiguous(memory_format=torch.channels_last)


def load_teacher(section: TeacherSection, taxonomy: Taxonomy, device: torch.device) -> nn.Module:
    """The teacher in evaluation mode; a `RecipeError` if it is none for these classes."""
    network, card = load_model(Path(section.checkpoint))
    where = f"segmentation.teacher.checkpoint = '{section.checkpoint}'"
    if card.get("task") != "segmentation":
        raise RecipeError(f"{where} is a network for {card.get('task')}, not for segmentation")
    theirs = Taxonomy.from_dict(card["taxonomy"])
    if theirs.names != taxonomy.names:
        raise RecipeError(
            f"{where} knows the classes of {theirs.name} ({', '.join(theirs.names)}), the data "
            f"those of {taxonomy.name} ({', '.join(taxonomy.names)}); they must agree"
        )
    network.requires_grad_(False).to(device)
    return network


class Objective:
    """The losses of a batch; `class_weight` (C, or None for equal ones) may change over epochs."""

    def __init__(self, settings: SegmentationSettings, teacher: nn.Module | None = None) -> None:
        self.settings, self.teacher = settings, teacher
        self.class_weight: Tensor | None = None

    def __call__(self, model: nn.Module, batch: SegmentationBatch) -> dict[str, Tensor]:
        """Named losses, `loss` being their weighted sum.

        The main head and training heads are held against the batch's grids of pixels, a detail
        head against all pixels: on every second one the details of stride 2 are those of stride 1.
        """
        outputs: dict[str, Tensor] = model(as_input(model, batch.images))
        weights = self._weights([name for name in outputs if name.startswith("aux_")])
        parts = self._main_head(batch.on(batch.grid, model, outputs["logits"]), batch)
        for name in [name for name in outputs if name != "logits"]:
            grid = PixelGrid() if name == "detail" else batch.heads_grid
            logits = batch.on(grid, model, outputs[name])
            parts[name] = self._training_head(name, logits, grid.of(batch.labels))
        total = sum(weights[name] * value for name, value in parts.items())
        return {"loss": torch.as_tensor(total), **parts}

    def _weights(self, auxiliary: list[str]) -> dict[str, float]:
        s = self.settings
        weights = {"logits": 1.0, "jaccard": s.jaccard, "detail": s.detail}
        if s.teacher is not None:
            weights["teacher"] = s.teacher.weight
        if not isinstance(s.auxiliary, dict):
            return weights | dict.fromkeys(auxiliary, s.auxiliary)
        if s.auxiliary.keys() != set(auxiliary):
            raise RecipeError(
                f"segmentation.auxiliary has weights for {', '.join(s.auxiliary) or 'nothing'}; "
                f"the network's training heads are {', '.join(auxiliary) or 'none'}"
            )
        return weights | s.auxiliary

    def _main_head(self, logits: Tensor, batch: SegmentationBatch) -> dict[str, Tensor]:
        s, grid = self.settings, batch.grid
        labels = grid.of(batch.labels)
        emphasis = None
        if s.boundary:
            emphasis = 1 + s.boundary * grid.of(near_borders(batch.labels))
        parts = {"logits": self._pixel_loss(logits, labels, emphasis)}
        if s.jaccard:
            thin = 2 if grid.stride == 1 else 1
            parts["jaccard"] = soft_jaccard(logits[:, :, ::thin, ::thin], labels[:, ::thin, ::thin])
        if s.teacher is not None:
            parts["teacher"] = distillation(
                logits, self._taught(batch), labels, s.teacher.temperature
            )
        return parts

    @torch.no_grad()
    def _taught(self, batch: SegmentationBatch) -> Tensor:
        teacher: Any = self.teacher
        return batch.on(batch.grid, teacher, teacher.head_logits(as_input(teacher, batch.images)))

    def _training_head(self, name: str, logits: Tensor, labels: Tensor) -> Tensor:
        if name == "detail":
            return detail_loss(logits[:, 0], label_details(labels), labels != IGNORE)
        return self._pixel_loss(logits, labels)

    def _pixel_loss(self, logits: Tensor, labels: Tensor, emphasis: Tensor | None = None) -> Tensor:
        weight = emphasis
        if self.class_weight is not None:
            of_class = self.class_weight[labels * (labels != IGNORE)]
            weight = of_class if emphasis is None else of_class * emphasis
        if self.settings.loss == "cross_entropy":
            return weighted_cross_entropy(logits, labels, weight)
        return ohem_cross_entropy(
            logits,
            labels,
            threshold=self.settings.ohem_threshold,
            min_kept=int(labels.numel() * self.settings.ohem_share),
            weight=weight,
        )
