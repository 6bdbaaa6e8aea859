"""Learning rate over time."""

from __future__ import annotations

import math

from litescene.training.recipe import ScheduleSection


def learning_rate_factor(section: ScheduleSection, epoch: float, epochs: int) -> float:
    """Factor on the base learning rate when `epoch` of `epochs` are done, fractions included.

    It rises linearly over `warmup_epochs`. After them: poly (1 - t)^power or cosine, from 1 to
    `final`, t being the share of the remaining epochs up to the end or the next restart, and the
    same from each restart times its factor; or step, `gamma` at each milestone.
    """
    past = [restart for restart in section.restarts if restart.epoch <= epoch]
    ends = [min(restart.epoch, epochs) for restart in section.restarts] + [epochs]
    begin, scale = (past[-1].epoch, past[-1].factor) if past else (section.warmup_epochs, 1.0)
    if epoch < begin:
        return max(epoch / begin, 1e-3)
    if section.name == "step":
        return section.gamma ** sum(epoch >= milestone for milestone in section.milestones)
    t = min((epoch - begin) / max(ends[len(past)] - begin, 1e-9), 1.0)
    if section.name == "poly":
        falling = (1.0 - t) ** section.power
    else:
        falling = 0.5 * (1.0 + math.cos(math.pi * t))
    return scale * (section.final + (1.0 - section.final) * falling)
