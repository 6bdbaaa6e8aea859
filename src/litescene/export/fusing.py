"""Networks for inference alone: branches joined, batch norms folded into convolutions.

A layer with a method `deployed()` is replaced by what that gives: the same map with fewer or
plainer operators (RepVGG's branches as one convolution, Focus as a 6×6 one). Then batch norms are
folded: in evaluation y = γ (conv(x) - μ) / √(σ² + ε) + β is again a convolution, with the kernel
scaled by γ / √(σ² + ε) per output channel. All in float64, so that it costs nothing of the float32
accuracy.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn


@runtime_checkable
class Deployable(Protocol):
    """A layer that has another form for inference."""

    def deployed(self) -> nn.Module:
        """The layer that computes the same in evaluation."""
        ...


def fuse(model: nn.Module, run: Callable[[nn.Module, Tensor], Any], example: Tensor) -> nn.Module:
    """A copy of `model` in evaluation, its layers deployed and its batch norms folded.

    Which convolution feeds which batch norm is observed while `run(model, example)` computes the
    network once, so the structure of the modules does not matter. Layers that are used more than
    once stay as they are.

    Args:
        model: any network; it is not changed.
        run: calls the part of the network that is exported.
        example: an input for `run`; the copy has its precision.

    """
    fused = copy.deepcopy(model).eval().double()
    for layer in list(fused.modules()):
        if isinstance(layer, Deployable):
            _replace(fused, layer, layer.deployed())
    for convolution, norm in norms_behind(fused, run, example.double()):
        _fold(convolution, norm)
        _replace(fused, norm, nn.Identity())
    return fused.to(example.dtype)


def norms_behind(
    model: nn.Module, run: Callable[[nn.Module, Tensor], Any], example: Tensor
) -> list[tuple[nn.Conv2d, nn.BatchNorm2d]]:
    """The batch norms that take what a convolution gives, each with it, where both are used once.

    Observed while `run(model, example)` computes the network once; arguments as of `fuse`.
    """
    made: list[tuple[Tensor, nn.Conv2d]] = []
    uses: dict[nn.Module, int] = {}
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []

    def observe(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        uses[module] = uses.get(module, 0) + 1
        if isinstance(module, nn.Conv2d):
            made.append((output, module))
        elif isinstance(module, nn.BatchNorm2d):
            pairs.extend((conv, module) for tensor, conv in made if tensor is inputs[0])

    kinds = (nn.Conv2d, nn.BatchNorm2d)
    hooks = [m.register_forward_hook(observe) for m in model.modules() if isinstance(m, kinds)]
    try:
        with torch.inference_mode():
            run(model, example)
    finally:
        for hook in hooks:
            hook.remove()
    return [(conv, norm) for conv, norm in pairs if uses[conv] == uses[norm] == 1]


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    mean, variance = norm.running_mean, norm.running_var
    if mean is None or variance is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    gain = norm.weight if norm.affine else torch.ones_like(variance)
    shift = norm.bias if norm.affine else torch.zeros_like(mean)
    with torch.no_grad():
        scale = gain / torch.sqrt(variance + norm.eps)
        bias = convolution.bias if convolution.bias is not None else torch.zeros_like(mean)
        convolution.weight.mul_(scale[:, None, None, None])
        convolution.bias = nn.Parameter((bias - mean) * scale + shift)


def _replace(model: nn.Module, old: object, new: nn.Module) -> None:
    for parent in model.modules():
        for name, child in list(parent.named_children()):
            if child is old:
                setattr(parent, name, new)
