"""Moving average of a network's weights and statistics."""

from __future__ import annotations

import copy
import math

import torch
from torch import nn

from litescene.training.recipe import EmaSection


class MovingAverage:
    """Keeps `shadow`, a copy of the network averaged over the steps.

    All floating entries of the state, buffers included, follow
    `d·shadow + (1 - d)·current` with d = decay·(1 - exp(-step / ramp)); others are copied.
    """

    def __init__(self, model: nn.Module, section: EmaSection) -> None:
        self.shadow = copy.deepcopy(model).eval().requires_grad_(False)
        self.section = section
        self.step = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take one step towards the current weights."""
        self.step += 1
        decay = self.section.decay * (1.0 - math.exp(-self.step / self.section.ramp))
        current = model.state_dict()
        floating, targets = [], []
        for name, value in self.shadow.state_dict().items():
            if value.is_floating_point():
                floating.append(value)
                targets.append(current[name].detach().to(value.dtype))
            else:
                value.copy_(current[name])
        torch._foreach_lerp_(floating, targets, 1.0 - decay)
