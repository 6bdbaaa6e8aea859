"""Poolings with parameters of their own, besides AdaPool: mixed, gated, detail-preserving, LIP.

Mixed and gated: Lee, Gallagher and Tu, "Generalizing Pooling Functions in Convolutional Neural
Networks: Mixed, Gated, and Tree", AISTATS 2016. Detail-preserving (DPP): Saeedan et al.,
"Detail-Preserving Pooling in Deep Networks", CVPR 2018. LIP: Gao et al., "LIP: Local
Importance-based Pooling", ICCV 2019.

Readings. The share of mixed pooling is kept in (0, 1) as a sigmoid, which the paper leaves open.
The gate's filter begins at 0, a gate half open. DPP is its light form, whose low-pass is the
window's mean; the paper's full form learns that filter. The released code of DPP (BSD) scales the
squared differences by their mean in the window before the power, for which the paper has no term;
here they are not. LIP's logits are the paper's simplified module: a 3×3 convolution that begins at
0, instance norm, and a sigmoid times 12.

By default every layer learns one value for all channels; `channels` makes it one per channel. LIP
always needs their number.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from litescene.core.errors import OperatorError
from litescene.ops.pooling import weighting
from litescene.ops.pooling.classic import averages, maxima
from litescene.ops.pooling.layer import PoolLayer, as_given, per_output, precise
from litescene.ops.pooling.weighting import Inside, choice, counted
from litescene.ops.pooling.windows import Size, elements, per_axis, traced, windows_for

Form = Literal["symmetric", "asymmetric"]

EPSILON = 1e-3
"""Of DPP: the least difference to the mean that counts."""
LARGEST_LOGIT = 12.0
"""Of LIP: no element weighs more than exp(12) times another."""


def mixed_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    share: float | Tensor = 0.5,
    **how: bool,
) -> Tensor:
    """share·maximum + (1 - share)·mean of every window, paper's section 3.1.

    The share in [0, 1] is a number, or a tensor that broadcasts to C×out.

    >>> mixed_pool(torch.tensor([[[0.0, 4.0]]]), 2, share=0.25)
    tensor([[[2.5000]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    v = precise(x)
    part = per_output("share", share, x, windows)
    return as_given(part * maxima(v, windows) + (1 - part) * averages(v, windows), x)


def gated_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    gate: Tensor,
    **how: bool,
) -> Tensor:
    """Mixed pooling whose share is σ(Σ gate·x) of the window itself, paper's section 3.2.

    `gate` has the kernel's shape, or that per channel: C×kernel. Padding counts 0 in the sum.

    Raises `OperatorError` for a gate of another shape.
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    shape = tuple(gate.shape)
    per_channel = shape[1:] == windows.kernel
    if not per_channel and shape != windows.kernel:
        raise OperatorError(f"gate of shape {shape} does not fit the kernel {windows.kernel}")
    if per_channel and not traced() and shape[0] not in (1, x.shape[1]):
        raise OperatorError(f"gate of shape {shape} does not fit x of shape {tuple(x.shape)}")
    v = precise(x)
    taken, inside = elements(v, windows)
    rows = gate.to(v).reshape(1, -1, windows.count, *(1,) * (x.ndim - 2))
    share = (rows * counted(taken, inside)).sum(2).sigmoid()
    return as_given(share * maxima(v, windows) + (1 - share) * averages(v, windows), x)


def dpp_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    alpha: float | Tensor = 1.0,
    exponent: float | Tensor = 1.0,
    form: Form = "symmetric",
    **how: bool,
) -> Tensor:
    """Elements weighted by α + sqrt(d² + ε²)^λ, d their difference to the mean; paper's eq. 2 to 5.

    α (`alpha`, a floor for what lies at the mean) and λ (`exponent`, how much details count) are
    numbers from 0 up, or tensors that broadcast to C×out. `asymmetric` takes max(d, 0) for d, so
    that only what is above the mean gains. λ = 0 gives the mean.
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    choice("form", form, Form)
    floor = per_output("alpha", alpha, x, windows, math.inf)
    power = per_output("exponent", exponent, x, windows, math.inf)
    v, inside = elements(precise(x), windows)
    weights = _detail(v, inside, _over_elements(floor, x), _over_elements(power, x), form)
    weights = counted(weights, inside)
    return as_given((weights * counted(v, inside)).sum(2) / weights.sum(2), x)


def _over_elements(value: Tensor, x: Tensor) -> Tensor:
    """C×out as C×1×out: the same for all elements of a window."""
    whole = value.reshape(*(1,) * (x.ndim - 1 - value.ndim), *value.shape)
    return whole.unsqueeze(1)


def _detail(v: Tensor, inside: Inside, alpha: Tensor, exponent: Tensor, form: Form) -> Tensor:
    """DPP's weights but for a factor of the window's own."""
    away = v - weighting.mean(v, inside)
    if form == "asymmetric":
        away = away.relu()
    # Divided by what is large in the window, so that no square and no power overflows: it cancels.
    size = counted(away.detach(), inside).abs().amax(2, keepdim=True).clamp(min=1)
    least = (EPSILON / size) ** 2 + torch.finfo(v.dtype).tiny
    size_power = size ** (-exponent)
    return alpha * size_power + ((away / size) ** 2 + least).sqrt() ** exponent


def lip_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    logits: Tensor,
    **how: bool,
) -> Tensor:
    """Elements weighted by exp(logits) at their place, over its sum; paper's eq. 4.

    `logits` has x's size, and x's channels or one for all. With the logits x itself it is eM.

    Raises `OperatorError` for logits of another shape.
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    shape = tuple(logits.shape)
    if not traced() and shape not in (tuple(x.shape), (x.shape[0], 1, *x.shape[2:])):
        raise OperatorError(f"logits of shape {shape} do not fit x of shape {tuple(x.shape)}")
    v, inside = elements(precise(x), windows)
    weights = weighting.softmax(elements(precise(logits), windows)[0], inside)
    return as_given((weights * counted(v, inside)).sum(2), x)


class _PerChannel(PoolLayer):
    """Base of the layers that learn a value for all channels, or one for each."""

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        *,
        channels: int = 1,
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, **options)
        self.channels = channels

    def _learned(self) -> nn.Parameter:
        return nn.Parameter(torch.zeros(self.channels))

    @staticmethod
    def _broad(value: Tensor, x: Tensor) -> Tensor:
        """C or 1 values as C×1×1 (in two dimensions)."""
        return value.reshape(-1, *(1,) * (x.ndim - 2))


class MixedPool(_PerChannel):
    """`mixed_pool` with a learned share, which begins at 0.5."""

    operator = staticmethod(mixed_pool)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.logit = self._learned()

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        share = self._broad(torch.sigmoid(self.logit), x)
        return mixed_pool(x, *self.windows, share=share, **self.options)


class DPPPool(_PerChannel):
    """`dpp_pool` with learned α and λ, above 0 as exponentials; both begin at 1."""

    operator = staticmethod(dpp_pool)

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.log_alpha, self.log_exponent = self._learned(), self._learned()

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        alpha, exponent = (self._broad(p.exp(), x) for p in (self.log_alpha, self.log_exponent))
        return dpp_pool(x, *self.windows, alpha=alpha, exponent=exponent, **self.options)


class GatedPool(_PerChannel):
    """`gated_pool` with a learned gate; `dims` says how many dimensions a plain number is for."""

    operator = staticmethod(gated_pool)

    def __init__(self, *args: Any, dims: int = 2, **options: Any) -> None:
        super().__init__(*args, **options)
        kernel = per_axis("kernel_size", self.windows[0], dims)
        self.gate = nn.Parameter(torch.zeros(self.channels, *kernel))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        return gated_pool(x, *self.windows, gate=self.gate, **self.options)


class LIPPool(PoolLayer):
    """`lip_pool` with logits from a small network of its own; `channels` are those of x.

    `logits` takes another network's place: N×C×size to N×C×size or N×1×size.
    """

    operator = staticmethod(lip_pool)

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        *,
        channels: int,
        dims: int = 2,
        logits: nn.Module | None = None,
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, **options)
        self.logits = logits or SimplifiedLogits(channels, dims)

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        return lip_pool(x, *self.windows, logits=self.logits(x), **self.options)


class SimplifiedLogits(nn.Module):
    """LIP's simplified logit module: 3×3 convolution, instance norm, 12·sigmoid.

    It begins with equal logits: LIP is then the mean.
    """

    def __init__(self, channels: int, dims: int = 2) -> None:
        super().__init__()
        if dims not in (1, 2, 3):
            raise OperatorError(f"dims is {dims!r}; it is 1, 2 or 3")
        convolution: Any = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
        self.conv = convolution(channels, channels, 3, padding=1, bias=False)
        nn.init.zeros_(self.conv.weight)
        self.gain = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to the same shape."""
        y = self.conv(x)
        # Written out: PyTorch's instance norm exports with a warning that it trains.
        axes = tuple(range(2, y.ndim))
        y = y - y.mean(axes, keepdim=True)
        y = y / (y.square().mean(axes, keepdim=True) + 1e-5).sqrt()
        gain, bias = (p.reshape(-1, *(1,) * len(axes)) for p in (self.gain, self.bias))
        return LARGEST_LOGIT * torch.sigmoid(gain * y + bias)
