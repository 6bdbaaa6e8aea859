"""The family of poolings by name, each as a layer that takes another pooling's place."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import nn

from litescene.core.errors import OperatorError, UnknownNameError
from litescene.ops.pooling import classic, exponential, learned, lifting, stochastic
from litescene.ops.pooling.layer import PoolLayer, options_of, require_options
from litescene.ops.pooling.windows import Size, Windows


class Pooling(NamedTuple):
    """An entry: what the pooling does, its layer, and what that has to be told.

    `shared` layers learn numbers for all channels alike or, told how many there are, for each;
    `whole` ones have weights between channels. Both of `dims` have weights over the windows.
    """

    says: str
    layer: type[PoolLayer]
    shared: bool = False
    whole: bool = False
    dims: bool = False


_FAMILY: dict[str, Pooling] = {
    "average": Pooling("mean", classic.AvgPool),
    "max": Pooling("maximum", classic.MaxPool),
    "lp": Pooling("power average of magnitudes, p = 2", classic.LpPool),
    "stochastic": Pooling(
        "an element drawn by its value; in evaluation its expectation",
        stochastic.StochasticPool,
    ),
    "s3": Pooling("maximum with stride 1, of which rows and columns are drawn", stochastic.S3Pool),
    "mixed": Pooling("maximum and mean in a learned share", learned.MixedPool, shared=True),
    "gated": Pooling(
        "maximum and mean in a share that a learned gate finds per window",
        learned.GatedPool,
        shared=True,
        dims=True,
    ),
    "dpp": Pooling(
        "detail-preserving: more weight to what differs from the mean, as far as learned",
        learned.DPPPool,
        shared=True,
    ),
    "lip": Pooling(
        "weights that a small network finds in the surroundings",
        learned.LIPPool,
        whole=True,
        dims=True,
    ),
    "lift": Pooling(
        "sum of the sub-bands of a learned lifting scheme; only halves",
        lifting.LiftPool,
        whole=True,
        dims=True,
    ),
    "em": Pooling("weights by the exponential of the values (SoftPool)", exponential.EMPool),
    "softpool": Pooling("another name of em", exponential.EMPool),
    "edscw": Pooling("weights by the likeness to the mean", exponential.EDSCWPool),
    "idw": Pooling("weights by the inverse distance to the mean", exponential.IDWPool),
    "adapool": Pooling("edscw and em in a learned share", exponential.AdaPool, shared=True),
}

POOLINGS: dict[str, str] = {name: entry.says for name, entry in _FAMILY.items()}
"""The names of the poolings, and what each does."""

_NO_OPTIONS = {
    "alpha", "backend", "beta", "exponent", "gate", "lifts", "logits", "share", "training",
}  # fmt: skip
"""What functions are given, but layers learn or find themselves."""


def create_pool(
    name: str,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    *,
    channels: int,
    dims: int = 2,
    per_channel: bool = False,
    **how: Any,
) -> nn.Module:
    """A pooling layer of the family.

    Args:
        name: one of `POOLINGS`.
        kernel_size: side of the windows, or one per dimension.
        stride: distance of the windows; by default the kernel.
        padding: positions around the input.
        channels: of the input; they matter to those of `needs_channels`, and to `per_channel`.
        dims: dimensions that are pooled, 1 to 3.
        per_channel: whether a learned share, exponent or gate is one per channel. By default it
            is the same for all.
        how: `dilation`, `ceil_mode`, `count_include_pad`, and what the pooling's function takes
            besides: `power`, `normalize`, `grid`, `form`, `output`, `similarity`, `distance` ...

    Raises:
        UnknownNameError: there is no pooling of that name.
        OperatorError: the pooling has no such option, or cannot have such windows.

    """
    entry = _entry(name)
    if not isinstance(dims, int) or not 1 <= dims <= 3:
        raise OperatorError(f"dims is {dims!r}; it is 1, 2 or 3")
    require_options(name, how, options_of(entry.layer.operator) - _NO_OPTIONS | {"dilation"})
    windows = Windows.of(dims, kernel_size, stride, padding, how.pop("dilation", 1))
    if entry.layer is lifting.LiftPool:
        lifting.require_halves(windows)
    if entry.whole or (entry.shared and per_channel):
        how["channels"] = channels
    if entry.dims:
        how["dims"] = dims
    return entry.layer(windows.kernel, windows.stride, windows.padding, windows.dilation, **how)


def needs_channels(name: str) -> bool:
    """Whether a pooling has weights between channels, and so serves one number of them only."""
    return _entry(name).whole


def _entry(name: str) -> Pooling:
    if name not in _FAMILY:
        raise UnknownNameError("pooling", name, _FAMILY)
    return _FAMILY[name]
