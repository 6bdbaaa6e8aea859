"""Any pooling of the family in the place of a network's own.

What counts as a pooling: every layer that pools over windows, `nn.MaxPool…d` and `nn.AvgPool…d` in
one to three dimensions and what derives from them, wherever it stands: after a stem, between
stages, beside a strided convolution, in the pyramid of the input picture (ESPNet) and, with stride
1, in a context block. What does not: pooling to a fixed grid or to one value (SPPM, pyramid
pooling, squeeze and excitation, global means, `adaptive_average`), whose windows depend on the
size, and the block means by which SCTF decides where to look.

The windows are those of the experiments of SoftPool and AdaPool (released code, MIT): where a
network pools with kernel 3, stride 2 and padding 1, the new pooling has kernel 2, stride 2 and no
padding. So that every size still fits, it has `ceil_mode`: ⌈n/2⌉ as before, and an odd side's last
windows have fewer elements, where plain windows of 2 would lose a row. All other windows stay, such
as kernel 3, stride 2 without padding (Inception) and those of stride 1. In those experiments the
averages between DenseNet's stages stayed averages; here they are replaced as well.

Networks that unpool by the places of maxima (ENet, DSNet) go back by what the new pooling offers:
AdaPool by AdaUnPool with its own weights, LiftPool by its inverse; all others have nothing to
remember and resize bilinearly. A maximum still unpools by its places.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from litescene.core import InputError, OperatorError
from litescene.models.blocks import Back, MaxPoolAndBack, resize_to
from litescene.ops.pooling import (
    AdaPool,
    LiftPool,
    LiftUpPool,
    ada_unpool,
    create_pool,
    needs_channels,
)
from litescene.ops.pooling.windows import Windows, per_axis

_DIMENSIONS: dict[type[nn.Module], int] = {
    nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3,
    nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3,
    MaxPoolAndBack: 2,
}  # fmt: skip
_MAXIMA = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
_EXAMPLE = (64, 64)
"""Height and width of the picture that shows how many channels each pooling sees."""

Network = TypeVar("Network", bound=nn.Module)


class PoolAndBack(nn.Module):
    """A pooling of the family where a network unpools, with its way back."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> tuple[Tensor, Back]:
        """N×C×h×w to N×C×h/2×w/2, and back from any map of that shape."""
        pool = self.pool
        if isinstance(pool, AdaPool):
            y, masks, beta = pool.with_masks(x)
            # of the map's own type, which under autocast the weights are not
            return y, lambda z: ada_unpool(z, masks, beta, normalize="mean").to(z.dtype)
        if isinstance(pool, LiftPool):
            y, details = pool.with_details(x)
            up = LiftUpPool(pool)
            return y, lambda z: up(z, details)
        return pool(x), lambda z: resize_to(z, x)


def pools_of(network: nn.Module) -> dict[str, nn.Module]:
    """The layers that count as poolings, by the name of their first place; see the module."""
    kinds = tuple(_DIMENSIONS)
    layers = network.named_modules()
    return {name: layer for name, layer in layers if name and isinstance(layer, kinds)}


def replace_pools(network: Network, name: str, **options: Any) -> Network:
    """Put a pooling of the family in the place of each of a network's poolings.

    Args:
        network: any network; it is changed.
        name: one of `ops.pooling.POOLINGS`. The new layers are untrained.
        options: of the pooling, see `create_pool`; e.g. `per_channel=True`.

    Returns:
        The network.

    Raises:
        UnknownNameError: there is no such pooling.
        InputError: the network has no pooling, or one whose place this pooling cannot take.

    """
    pools = pools_of(network)
    if not pools:
        raise InputError(f"{type(network).__name__} has no pooling layer that could be replaced")
    asks = needs_channels(name) or bool(options.get("per_channel"))
    channels = observed_channels(network, pools) if asks else {}
    for place, old in pools.items():
        new = _instead_of(old, name, channels.get(place, 1), options, place)
        for path in _paths(network, old):
            parent, _, attribute = path.rpartition(".")
            setattr(network.get_submodule(parent), attribute, new)
    unpools = any(isinstance(old, MaxPoolAndBack) for old in pools.values())
    if unpools and name != "max":
        changed: Any = network
        changed.unpools = False  # no maximum's place depends on last digits any more
    return network


def _paths(network: nn.Module, layer: nn.Module) -> list[str]:
    """All names of a layer, which stays one where it stands in several places."""
    every = network.named_modules(remove_duplicate=False)
    return [path for path, other in every if other is layer]


def _instead_of(
    old: nn.Module, name: str, channels: int, options: Mapping[str, Any], place: str
) -> nn.Module:
    back = isinstance(old, MaxPoolAndBack)
    if back and name == "max":
        return old
    windows = _as_in_the_experiments(_windows(old, place))
    how: dict[str, Any] = dict(options)
    if windows.ceil_mode:
        how.setdefault("ceil_mode", True)
    if windows.count_include_pad:
        how.setdefault("count_include_pad", True)
    if set(windows.dilation) != {1}:
        how["dilation"] = windows.dilation
    numbers = windows.kernel, windows.stride, windows.padding
    try:
        new = create_pool(name, *numbers, channels=channels, dims=len(windows.kernel), **how)
    except OperatorError as error:
        raise InputError(f"{place} ({old}): {error}") from error
    return PoolAndBack(new) if back else new


def _windows(layer: Any, place: str) -> Windows:
    """A layer's windows."""
    dims = next(d for kind, d in _DIMENSIONS.items() if isinstance(layer, kind))
    if isinstance(layer, MaxPoolAndBack):
        return Windows((2, 2), (2, 2), (0, 0), (1, 1))
    if getattr(layer, "return_indices", False):
        raise InputError(f"{place} gives its indices away, which no other pooling has")
    kernel, stride, padding, dilation = (
        per_axis(key, getattr(layer, key, 1), dims)
        for key in ("kernel_size", "stride", "padding", "dilation")
    )
    counts = not isinstance(layer, _MAXIMA) and any(padding) and bool(layer.count_include_pad)
    return Windows(kernel, stride, padding, dilation, bool(layer.ceil_mode), counts)


def _as_in_the_experiments(windows: Windows) -> Windows:
    """Kernel 3, stride 2, padding 1 becomes kernel 2, stride 2; the module says why."""
    dims = len(windows.kernel)
    twos, zeros, ones = (2,) * dims, (0,) * dims, (1,) * dims
    numbers = (windows.kernel, windows.stride, windows.padding, windows.dilation)
    if numbers != ((3,) * dims, twos, ones, ones) or windows.ceil_mode:
        return windows
    return Windows(twos, twos, zeros, ones, ceil_mode=True)


def observed_channels(network: nn.Module, pools: Mapping[str, nn.Module]) -> dict[str, int]:
    """How many channels each pooling sees, found by one picture in evaluation.

    Raises `InputError` for a pooling that sees several numbers of channels, or no picture.
    """
    seen: dict[str, set[int]] = {name: set() for name in pools}

    def watch(name: str) -> Any:
        return lambda _, inputs: seen[name].add(int(inputs[0].shape[1]))

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in pools.items()]
    was_training = network.training
    like = next(network.parameters(), torch.zeros(()))
    depth = [16] if any(isinstance(p, nn.MaxPool3d | nn.AvgPool3d) for p in pools.values()) else []
    try:
        with torch.no_grad():
            network.eval()(like.new_zeros(1, 3, *depth, *_EXAMPLE))
    finally:
        network.train(was_training)
        for hook in hooks:
            hook.remove()
    for name, counts in seen.items():
        if len(counts) != 1:
            raise InputError(
                f"{name} sees {sorted(counts) or 'no'} channels; a pooling with weights for each "
                "needs one number of them"
            )
    return {name: counts.pop() for name, counts in seen.items()}
