"""Samples of classification: what is cut out of a file, and what a network gets of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from litescene.data.augment import Color, change_colors
from litescene.data.classification import ClassificationData, Clip
from litescene.media.fitting import centre_crop
from litescene.models.spec import input_spec_of
from litescene.training.tasks.base import takes_clips

UNCHANGED: Color = (1.0, 1.0, 1.0, 0.0)
"""As a picture is."""


@dataclass(frozen=True, slots=True)
class Sample:
    """`images` T×h×w×3 uint8 (T = 1 for a picture), the colours to give them, the class."""

    images: NDArray[np.uint8]
    color: Color
    label: int


@dataclass(frozen=True, slots=True)
class ClassificationBatch:
    """`images` n×3×T×h×w float 0..255, `labels` n int64."""

    images: Tensor
    labels: Tensor


@dataclass(frozen=True, slots=True)
class View:
    """What the network sees of a file in evaluation: a square from the centre; `clip` frames."""

    size: int
    crop_share: float
    clip: Clip

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> View:
        """As the card of a checkpoint says it."""
        clip = Clip(int(card.get("frames", 1)), int(card.get("frame_stride", 1)))
        return cls(int(card["size"][0]), float(card.get("crop_share", 1.0)), clip)

    def images(
        self, data: ClassificationData, index: int, place: float = 0.5
    ) -> Iterator[NDArray[np.uint8]]:
        """The whole picture, or the whole frames of a clip, H×W×3 each."""
        if data.has_clips:
            return data.clip(index, self.clip, place)
        return iter([data.picture(index)])

    def sample(self, data: ClassificationData, index: int) -> Sample:
        """The square of a picture, or of the frames in the middle of a clip."""
        size = (self.size, self.size)
        parts = [centre_crop(i, size, self.crop_share) for i in self.images(data, index)]
        return Sample(np.stack(parts), UNCHANGED, int(data.labels[index]))


def collate(samples: Sequence[Sample], device: torch.device) -> ClassificationBatch:
    """Stack samples of one size into a batch on a device, in the colours that they are to have."""
    labels = torch.tensor([s.label for s in samples], device=device)
    images = torch.from_numpy(np.stack([s.images for s in samples])).to(device)
    images = images.permute(0, 4, 1, 2, 3).float()
    if all(s.color == UNCHANGED for s in samples):
        return ClassificationBatch(images, labels)
    # The frames of a clip, one below the other, are one picture with one mean.
    tall = change_colors(images.flatten(2, 3), [s.color for s in samples])
    return ClassificationBatch(tall.view(images.shape), labels)


def network_input(images: Tensor, model: Any) -> Tensor:
    """n×3×T×h×w in 0..255 to what a network takes: clips like that, or pictures n×3×h×w (T = 1)."""
    tall = input_spec_of(model).normalised(images.flatten(2, 3))
    if takes_clips(model):
        return tall.view(images.shape).contiguous(memory_format=torch.channels_last_3d)
    return tall.contiguous(memory_format=torch.channels_last)
