"""Learning rate over time."""

from __future__ import annotations

import math

from litescene.training.recipe import ScheduleSection


def learning_rate_factor(section: ScheduleSection, progress: float, warmup: float) -> float:
    """Factor on the base learning rate.

    `progress` is the share of the training that is done, 0 to 1; `warmup` the share that warms up
    linearly. After it: poly (1 - t)^power or cosine, from 1 to `section.final`.
    """
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    t = (progress - warmup) / max(1.0 - warmup, 1e-9)
    if section.name == "poly":
        falling = (1.0 - min(t, 1.0)) ** section.power
    else:
        falling = 0.5 * (1.0 + math.cos(math.pi * min(t, 1.0)))
    return section.final + (1.0 - section.final) * falling
