"""Learning rate over time."""

from __future__ import annotations

import math

from litescene.training.recipe import ScheduleSection


def learning_rate_factor(section: ScheduleSection, epoch: float, epochs: int) -> float:
    """Factor on the base learning rate when `epoch` of `epochs` are done, fractions included.

    It rises linearly over `warmup_epochs`. After them: poly (1 - t)^power or cosine, from 1 to
    `final`, t being the share of the remaining epochs; or step, `gamma` at each milestone.
    """
    progress, warmup = epoch / epochs, section.warmup_epochs / epochs
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    if section.name == "step":
        return section.gamma ** sum(epoch >= milestone for milestone in section.milestones)
    t = (progress - warmup) / max(1.0 - warmup, 1e-9)
    if section.name == "poly":
        falling = (1.0 - min(t, 1.0)) ** section.power
    else:
        falling = 0.5 * (1.0 + math.cos(math.pi * min(t, 1.0)))
    return section.final + (1.0 - section.final) * falling
