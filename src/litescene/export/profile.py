"""Parameters and multiply-accumulates of a network.

Convention (the one of the published counts that the project compares with): parameters are the
trainable ones; MACs are the multiply-accumulates of convolutions, transposed convolutions and
linear layers at batch 1 in evaluation, without biases, batch norms, activations, pooling,
interpolation and products of attention. One MAC is two FLOPs. Batch norms are counted apart, two
operations for each of their outputs, for counts that include them (thop's).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from litescene.export.graph import planes_of

_CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True, slots=True)
class Layer:
    """Counts of one layer; `output` is the shape of what it gave last, batch first."""

    name: str
    kind: str
    output: tuple[int, ...]
    parameters: int
    macs: int


@dataclass(frozen=True, slots=True)
class Profile:
    """Counts of a network at one input size; `layers` are the counted ones as they are used.

    The parameters of the others (norms, activations) are in the total only.
    """

    parameters: int
    macs: int
    layers: tuple[Layer, ...] = field(default=(), repr=False)
    norm_operations: int = field(default=0, repr=False)
    """Two per output of a batch norm."""

    @property
    def flops(self) -> int:
        """Two per multiply-accumulate."""
        return 2 * self.macs

    @property
    def flops_with_norms(self) -> int:
        """As thop's figures are usually doubled: multiply-accumulates and operations of norms."""
        return 2 * (self.macs + self.norm_operations)


def profile(model: nn.Module, size: tuple[int, ...], channels: int | None = None) -> Profile:
    """Count a network at (height, width), one for clips at (frames, height, width).

    Without `channels` its input has the planes of the pictures that it takes.

    >>> profile(nn.Conv2d(3, 32, 3, 2, 1, bias=False), (640, 640))
    Profile(parameters=864, macs=88473600)
    """
    planes = planes_of(model) if channels is None else channels
    names = {module: name for name, module in model.named_modules()}
    layers: dict[str, Layer] = {}
    norms: list[int] = []

    def count_norm(_module: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> None:
        norms.append(2 * output.numel())

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        name = names[module]
        macs = _layer_macs(module, inputs[0], output)
        if name in layers:  # used once more
            macs += layers[name].macs
        kind, shape = type(module).__name__, tuple(output.shape)
        layers[name] = Layer(name, kind, shape, _trainable(module), macs)

    counted = (*_CONVOLUTIONS, *_TRANSPOSED, nn.Linear)
    hooks = [m.register_forward_hook(count) for m in model.modules() if isinstance(m, counted)]
    hooks += [m.register_forward_hook(count_norm) for m in model.modules() if isinstance(m, _NORMS)]
    was_training = model.training
    reference = next(model.parameters(), torch.empty(0))
    try:
        with torch.inference_mode():
            model.eval()(torch.zeros(1, planes, *size, device=reference.device))
    finally:
        model.train(was_training)
        for hook in hooks:
            hook.remove()
    macs = sum(layer.macs for layer in layers.values())
    return Profile(_trainable(model), macs, tuple(layers.values()), sum(norms))


def _trainable(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters() if p.requires_grad)


def _layer_macs(module: nn.Module, source: Tensor, output: Tensor) -> int:
    if isinstance(module, nn.Linear):
        return output.numel() * module.in_features
    if isinstance(module, _CONVOLUTIONS):
        taps = math.prod(module.kernel_size) * module.in_channels // module.groups
        return output.numel() * taps
    if isinstance(module, _TRANSPOSED):
        taps = math.prod(module.kernel_size) * module.out_channels // module.groups
        return source.numel() * taps
    raise TypeError(f"no rule for {type(module).__name__}")
