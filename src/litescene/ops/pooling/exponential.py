"""AdaPool and the poolings that it is made of, in one, two and three dimensions.

Stergiou and Poppe, "AdaPool: Exponential Adaptive Pooling for Information-Retaining Downsampling",
IEEE TIP 32 (2023), doi 10.1109/TIP.2022.3227503; Stergiou, Poppe and Kalliatakis, "Refining
activation downsampling with SoftPool", ICCV 2021. With m the mean of a window, every output is
Σ w·x over the window's elements x, and the weights are

    eM (SoftPool)  exp(x) / Σ exp(x)
    eDSCW          exp(s) / Σ exp(s),  s = 2|xm| / (x² + m²)
    IDW            (1/|x - m|) / Σ (1/|x - m|)
    AdaPool        β·eDSCW + (1 - β)·eM

The released code (MIT) is CUDA only; what it does otherwise: it takes the weights for constants in
training (here `grad="detached"`; by default gradients are exact), lets β leave [0, 1], starts most
of a β per position at exactly 0 or 1, hides NaN, and answers nothing sensible for strides other
than the kernel, for flat windows (IDW) and for values above 88. Here infinities and NaN give NaN.

Weighted per element, all of them run in fused kernels on the CPU and, but for the pseudo-Huber
distance, in Triton's on GPUs, for up to float32 (`backend="reference"` does without); float64,
other devices and gradients of gradients are left to PyTorch's operators.

Every function takes N×C×L, N×C×H×W or N×C×D×H×W of floating point, keeps type and memory format,
and raises `OperatorError` (a `ValueError`) for what it cannot take. Half precision is computed in
float32. The windows are described in `windows`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core.errors import OperatorError
from litescene.ops.pooling import fused, weighting
from litescene.ops.pooling.layer import PoolLayer, as_given, per_output, precise
from litescene.ops.pooling.weighting import (
    EM,
    INVERSE,
    SIMILAR,
    Distance,
    Inside,
    Over,
    Similarity,
    choice,
)
from litescene.ops.pooling.windows import Size, Windows, elements, traced, windows_for

Gradient = Literal["exact", "detached"]
Backend = Literal["auto", "reference"]
Weigh = Callable[[Tensor, Inside], Tensor]
Reference = Callable[..., Tensor]


class Masks(NamedTuple):
    """Weights of every window as tiles: N×C×(k·o) along each axis, windows side by side."""

    similar: Tensor
    """eDSCW's."""
    largest: Tensor
    """eM's."""


def _weighted(v: Tensor, inside: Inside, weigh: Weigh, grad: Gradient) -> tuple[Tensor, Tensor]:
    """Weighted sum of every window, and the weights."""
    choice("grad", grad, Gradient)
    w = weigh(v, inside)
    if grad == "detached":
        w = w.detach()
    return (w * weighting.counted(v, inside)).sum(2), w


def pooled_by(x: Tensor, windows: Windows, weigh: Weigh, grad: Gradient = "exact") -> Tensor:
    """Σ w·x of every window with the weights of a function; N×C×out."""
    v, inside = elements(precise(x), windows)
    return as_given(_weighted(v, inside, weigh, grad)[0], x)


def _em(x: Tensor, beta: Tensor, windows: Windows, grad: Gradient = "exact") -> Tensor:
    del beta
    return pooled_by(x, windows, weighting.softmax, grad)


def _edscw(x: Tensor, beta: Tensor, windows: Windows, grad: Gradient = "exact") -> Tensor:
    del beta
    return pooled_by(x, windows, weighting.by_similarity, grad)


def _both(x: Tensor, beta: Tensor, windows: Windows, grad: Gradient = "exact") -> Tensor:
    return _ada(x, windows, beta, "element", grad)[0]


def _idw(
    x: Tensor, beta: Tensor, windows: Windows, grad: Gradient = "exact",
    *, distance: Distance, over: Over, delta: float,
) -> Tensor:  # fmt: skip
    del beta

    def weigh(v: Tensor, inside: Inside) -> Tensor:
        return weighting.by_distance(v, inside, distance, over, delta)

    return pooled_by(x, windows, weigh, grad)


_REFERENCES: dict[int, Reference] = {EM: _em, SIMILAR: _edscw, EM | SIMILAR: _both}


def _on(
    backend: Backend,
    x: Tensor,
    beta: Tensor,
    windows: Windows,
    grad: Gradient,
    mode: int,
    reference: Reference | None = None,
    delta: float | None = None,
) -> Tensor:
    """By the fused kernel where it can, unless the reference is asked for."""
    choice("backend", backend, Backend)
    choice("grad", grad, Gradient)
    reference = reference or _REFERENCES[mode]
    if backend == "reference" or not fused.takes(x, windows, delta):
        return reference(x, beta, windows, grad)
    twice = functools.partial(reference, grad=grad)
    return as_given(fused.pool(x, beta, windows, mode, grad == "exact", twice, delta), x)


def em_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    grad: Gradient = "exact",
    backend: Backend = "auto",
    **how: bool,
) -> Tensor:
    """Exponential maximum, known as SoftPool: every element weighted by its exponential.

    >>> em_pool(torch.tensor([[[90.0, 1.0, 2.0, 3.0]]]), 4)
    tensor([[[90.]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    return _on(backend, x, torch.zeros(()), windows, grad, EM)


def edscw_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    similarity: Similarity = "dice",
    over: Over = "element",
    grad: Gradient = "exact",
    backend: Backend = "auto",
    **how: bool,
) -> Tensor:
    """Elements weighted by the exponential of their similarity to the window's mean.

    With the Dice-Sørensen coefficient per element, as released, it is eDSCW; see
    `weighting.similarities` for the others.
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    if (similarity, over) == ("dice", "element"):
        return _on(backend, x, torch.zeros(()), windows, grad, SIMILAR)

    def weigh(v: Tensor, inside: Inside) -> Tensor:
        return weighting.by_similarity(v, inside, similarity, over)

    return pooled_by(x, windows, weigh, grad)


def idw_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    distance: Distance = "l2",
    over: Over = "element",
    delta: float = 1.0,
    grad: Gradient = "exact",
    backend: Backend = "auto",
    **how: bool,
) -> Tensor:
    """Inverse distance weighting: elements by the inverse of their distance to the mean.

    `delta` is the pseudo-Huber distance's. Elements at the mean share the window.

    >>> idw_pool(torch.tensor([[[1.0, 2.0, 3.0, 2.0]]]), 4)
    tensor([[[2.]]])
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    if delta <= 0:
        raise OperatorError(f"delta is {delta}; a distance is above 0")
    reference = functools.partial(_idw, distance=distance, over=over, delta=delta)
    if over != "element":
        return reference(x, x.new_zeros(()), windows, grad)
    choice("distance", distance, Distance)
    bowed = delta if distance == "huber" else 0.0  # of one number l1 and l2 are the same
    return _on(backend, x, torch.zeros(()), windows, grad, INVERSE, reference, bowed)


def ada_pool(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    beta: float | Tensor = 0.5,
    over: Over = "element",
    grad: Gradient = "exact",
    backend: Backend = "auto",
    **how: bool,
) -> Tensor:
    """β·eDSCW + (1 - β)·eM.

    β in [0, 1] is a number, or a tensor that broadcasts to C×out: one value, out per position,
    C×1×1 (in two dimensions) per channel.
    """
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    return _pooled(x, checked_beta(beta, x, windows), windows, over, grad, backend)


def ada_pool_with_masks(
    x: Tensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    beta: float | Tensor = 0.5,
    over: Over = "element",
    grad: Gradient = "exact",
    **how: bool,
) -> tuple[Tensor, Masks]:
    """`ada_pool`, and the weights that `ada_unpool` goes back with."""
    windows = windows_for(x, kernel_size, stride, padding, dilation, **how)
    y, weights = _ada(x, windows, checked_beta(beta, x, windows), over, grad)
    return y, Masks(*(_tiles(w.to(x.dtype), windows) for w in weights))


def _pooled(
    x: Tensor, beta: Tensor, windows: Windows, over: Over, grad: Gradient, backend: Backend = "auto"
) -> Tensor:
    if over == "element":
        return _on(backend, x, beta, windows, grad, EM | SIMILAR)
    return _ada(x, windows, beta, over, grad)[0]


def _ada(
    x: Tensor, windows: Windows, beta: Tensor, over: Over, grad: Gradient
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    v, inside = elements(precise(x), windows)

    def weigh(v: Tensor, inside: Inside) -> Tensor:
        return weighting.by_similarity(v, inside, "dice", over)

    similar, w_similar = _weighted(v, inside, weigh, grad)
    largest, w_largest = _weighted(v, inside, weighting.softmax, grad)
    share = beta.to(v.dtype)
    return as_given(share * similar + (1 - share) * largest, x), (w_similar, w_largest)


def checked_beta(beta: float | Tensor, x: Tensor, windows: Windows) -> Tensor:
    """β as a tensor that broadcasts to N×C×out; see `per_output`."""
    return per_output("beta", beta, x, windows)


def _tiles(weights: Tensor, windows: Windows) -> Tensor:
    """Weights N×C×K×out as N×C×(k·o) along each axis."""
    dims = len(windows.kernel)
    n, c, _, *out = weights.shape
    apart = weights.reshape(n, c, *windows.kernel, *out)
    order = [axis for i in range(dims) for axis in (2 + dims + i, 2 + i)]
    tiled = [o * k for o, k in zip(out, windows.kernel, strict=True)]
    return apart.permute(0, 1, *order).reshape(n, c, *tiled)


class EMPool(PoolLayer):
    """`em_pool` as a layer."""

    operator = staticmethod(em_pool)


class EDSCWPool(PoolLayer):
    """`edscw_pool` as a layer."""

    operator = staticmethod(edscw_pool)


class IDWPool(PoolLayer):
    """`idw_pool` as a layer."""

    operator = staticmethod(idw_pool)


class AdaPool(PoolLayer):
    """`ada_pool` with a β that is learned, and stays in (0, 1) as the sigmoid of its parameter.

    One value for all without `channels` and `positions`; per channel with the number of channels;
    per position with the output's size, for which inputs are expected: for others β is resized
    linearly. It begins at 0.5.
    """

    operator = staticmethod(ada_pool)

    def __init__(
        self,
        kernel_size: Size,
        stride: Size | None = None,
        padding: Size = 0,
        dilation: Size = 1,
        *,
        channels: int = 1,
        positions: tuple[int, ...] = (),
        **options: Any,
    ) -> None:
        super().__init__(kernel_size, stride, padding, dilation, **options)
        self.positions = positions
        self.logit = nn.Parameter(torch.zeros(channels, *positions))

    def beta(self, out: tuple[int, ...]) -> Tensor:
        """β for an output of this size: C×out, or 1 where it is the same for all."""
        share = torch.sigmoid(self.logit)
        if not self.positions:
            return share.reshape(-1, *(1 for _ in out))
        if self.positions == tuple(out):
            return share
        if len(out) != len(self.positions):
            raise OperatorError(f"beta has positions {self.positions}, the output has size {out}")
        mode = ("linear", "bilinear", "trilinear")[len(out) - 1]
        return F.interpolate(share[None], size=out, mode=mode, align_corners=False)[0]

    def _share(self, x: Tensor) -> tuple[Windows, Tensor]:
        how = {k: v for k, v in self.options.items() if k not in ("over", "grad", "backend")}
        windows = windows_for(x, *self.windows, **how)
        if self.logit.shape[0] not in (1, x.shape[1]) and not traced():
            raise OperatorError(
                f"beta has {self.logit.shape[0]} channels, the input of shape {tuple(x.shape)} "
                f"{x.shape[1]}"
            )
        if not self.positions:  # the output's size, no number while a graph is traced, is not asked
            return windows, self.beta(windows.kernel)
        return windows, self.beta(windows.output_size(tuple(x.shape[2:])))

    def _weights(self) -> tuple[Over, Gradient]:
        return self.options.get("over", "element"), self.options.get("grad", "exact")

    def forward(self, x: Tensor) -> Tensor:
        """N×C×size to N×C×out."""
        windows, beta = self._share(x)
        return _pooled(x, beta, windows, *self._weights(), self.options.get("backend", "auto"))

    def with_masks(self, x: Tensor) -> tuple[Tensor, Masks, Tensor]:
        """The output, the weights, and β: what `ada_unpool` takes."""
        windows, beta = self._share(x)
        y, weights = _ada(x, windows, beta, *self._weights())
        return y, Masks(*(_tiles(w.to(x.dtype), windows) for w in weights)), beta
