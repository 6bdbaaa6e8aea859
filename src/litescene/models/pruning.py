"""Channel pruning by the L1 norm of the kernels, with a smaller network as the result.

From ICNet (Zhao et al., ECCV 2018, section 3.4): of every layer's kernels those with the largest
sum of absolute weights are kept, in steps (3/4 of the channels, then 1/2) with training after
each. Layers whose outputs are summed share their channels; there the norms are added up.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self, TypeVar

import torch
from torch import Tensor, nn


class Prunable(nn.Module):
    """A network that tells about its channels; `width` scales their numbers."""

    width: float

    def channel_groups(self) -> Mapping[str, tuple[str, str]]:
        """Layer to the names of its input's and its output's channels.

        A layer is a convolution, alone or with its batch norm in one module. Channels of one name
        are kept or dropped together; every convolution of the network must be there.
        """
        raise NotImplementedError

    def narrowed(self, rate: float) -> Self:
        """An untrained network of the same kind with `rate` of the channels."""
        raise NotImplementedError


Network = TypeVar("Network", bound=Prunable)


def prune_channels(model: Network, rate: float) -> Network:
    """A smaller network with the weights of the channels that weigh most.

    Args:
        model: the network; it is not changed.
        rate: share of the channels to keep, above 0 and at most 1. For half the channels in two
            steps: 3/4, training, 2/3, training.

    Returns:
        A working network of the same class. What the dropped channels carried is missing, so it
        has to be trained further.

    """
    if not 0 < rate <= 1:
        raise ValueError(f"rate is {rate}; give a share above 0 and at most 1")
    small = model.narrowed(rate).to(next(model.parameters()))
    kept = kept_channels(model, small)
    source, target = model.state_dict(), small.state_dict()
    with torch.no_grad():
        for layer, (inputs, outputs) in model.channel_groups().items():
            for key in (k for k in target if k.startswith(f"{layer}.")):
                target[key].copy_(_chosen(source[key], kept.get(inputs), kept[outputs]))
    return small.train(model.training)


def kept_channels(model: Prunable, small: nn.Module) -> dict[str, Tensor]:
    """Name of the channels to the indices, ascending, that stay in the smaller network."""
    norms: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for layer, (_, outputs) in model.channel_groups().items():
        norm = _kernel(model.get_submodule(layer)).detach().abs().sum((1, 2, 3))
        norms[outputs] = norms.get(outputs, torch.zeros_like(norm)) + norm
        counts[outputs] = len(_kernel(small.get_submodule(layer)))
    return {name: norm.topk(counts[name]).indices.sort().values for name, norm in norms.items()}


def _kernel(layer: nn.Module) -> Tensor:
    return next(m.weight for m in layer.modules() if isinstance(m, nn.Conv2d))


def _chosen(values: Tensor, inputs: Tensor | None, outputs: Tensor) -> Tensor:
    """The kept part of a kernel (out×in×k×k), of a value per channel, or a plain number."""
    if values.ndim:
        values = values[outputs]
    return values[:, inputs] if values.ndim == 4 and inputs is not None else values
