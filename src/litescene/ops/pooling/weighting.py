"""How the elements of a window are weighted: formulas that need nothing but PyTorch's operators.

Everywhere v is N×C×K×out, `inside` a mask that broadcasts to it, or None where every element
counts; weights have v's shape, sum to 1 over K and are 0 for elements that do not count. m is the
mean of a window. Source: Stergiou and Poppe, "AdaPool: Exponential Adaptive Pooling for
Information-Retaining Downsampling", IEEE TIP 32 (2023).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from litescene.core.errors import OperatorError

Similarity = Literal["dice", "cosine", "pce"]
Distance = Literal["l1", "l2", "huber"]
Over = Literal["element", "channel"]

Inside = Tensor | None

EM, SIMILAR, INVERSE = 1, 2, 4
"""Bits of what the fused kernel computes: eM, eDSCW, or with both AdaPool; or IDW."""


def choice(name: str, value: str, kinds: object) -> None:
    """Refuse a word that is none of a `Literal`'s."""
    known = get_args(kinds)
    if value not in known:
        raise OperatorError(f"{name} is one of {', '.join(known)}, not '{value}'")


def counted(v: Tensor, inside: Inside) -> Tensor:
    """v with 0 where elements do not count."""
    return v if inside is None else v.masked_fill(~inside, 0)


def mean(v: Tensor, inside: Inside) -> Tensor:
    """Mean of every window, N×C×1×out."""
    if inside is None:
        return v.mean(2, keepdim=True)
    return counted(v, inside).sum(2, keepdim=True) / inside.sum(2, keepdim=True)


def softmax(v: Tensor, inside: Inside) -> Tensor:
    """exp(v) over its sum in the window: the exponential maximum's weights (eM, SoftPool's)."""
    return (v if inside is None else v.masked_fill(~inside, -torch.inf)).softmax(2)


def _unit(v: Tensor, inside: Inside, over: Over) -> Tensor:
    """v divided by the largest magnitude of its window, so that squares stay finite.

    The similarities do not depend on the scale, so it may count as constant.
    """
    size = counted(v.detach(), inside).abs().amax(2, keepdim=True)
    if over == "channel":
        size = size.amax(1, keepdim=True)
    return v / torch.where(size == 0, torch.ones_like(size), size)


def similarities(v: Tensor, inside: Inside, kind: Similarity, over: Over) -> Tensor:
    """Likeness of each element to its window's mean, in [0, 1]; 1 between two zeros.

    Products count by their magnitude, as in the released Dice-Sørensen coefficient:
    dice 2|xm| / (x² + m²), cosine |xm| / (|x||m|), pce (peak-correlation energy, Kumar and
    Hassebrook) |xm| / (x² + m² - |xm|). `over="channel"` takes the vectors of all channels at a
    position for x and m, as the paper's text has it; the weights are then equal in all channels.
    """
    x = _unit(v, inside, over)
    m = mean(x, inside)
    if kind == "cosine":
        return _cosine_of_numbers(v, m) if over == "element" else _cosine_of_vectors(v, m)
    # To the scale of the two, as the mean may cancel: neither their squares nor gradients vanish.
    size = _size(torch.maximum(x.detach().abs(), m.detach().abs()), over)
    product, squares, square = _products(x / size, m / size, over)
    return _LIKENESS[kind](product, squares, square)


def _size(magnitude: Tensor, over: Over) -> Tensor:
    """The largest magnitude of the channels if these are a vector; 1 where it is 0."""
    size = magnitude.amax(1, keepdim=True) if over == "channel" else magnitude
    return torch.where(size == 0, torch.ones_like(size), size)


def _products(x: Tensor, m: Tensor, over: Over) -> tuple[Tensor, Tensor, Tensor]:
    """|xm|, x² and m², of numbers or of vectors."""
    product, squares, square = x * m, x * x, m * m
    if over == "channel":
        product, squares, square = (t.sum(1, keepdim=True) for t in (product, squares, square))
    return product.abs(), squares, square


def _dice(product: Tensor, squares: Tensor, square: Tensor) -> Tensor:
    return _quotient(2 * product, squares + square)


def _pce(product: Tensor, squares: Tensor, square: Tensor) -> Tensor:
    return _quotient(product, squares + square - product)


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    """above / below, and 1 where that would be 0 / 0."""
    none = below == 0
    return torch.where(none, 1.0, above / torch.where(none, torch.ones_like(below), below))


_LIKENESS: dict[Similarity, Callable[[Tensor, Tensor, Tensor], Tensor]] = {
    "dice": _dice,
    "pce": _pce,
}


def _cosine_of_numbers(v: Tensor, m: Tensor) -> Tensor:
    """1, or 0 if just one of the two is 0: constants, which no division has to find.

    Where the mean is NaN, as in windows that are not finite, so is the cosine.
    """
    alike = ((v == 0) == (m == 0)).to(m.dtype)
    return torch.where(m.isnan(), m, alike)


def _cosine_of_vectors(v: Tensor, m: Tensor) -> Tensor:
    """Of vectors over the channels, each to its own scale, which cancels."""
    x, m = (t / _size(t.detach().abs(), "channel") for t in (v, m))
    product, squares, square = _products(x, m, "channel")
    both = ((squares == 0) & (square == 0)).to(product.dtype)
    none = (squares == 0) | (square == 0)
    # A vector that is not 0 now has a component of 1, so that neither root is near 0.
    roots = [torch.where(t == 0, torch.ones_like(t), t).sqrt() for t in (squares, square)]
    return torch.where(none, both, product / (roots[0] * roots[1]))


def by_similarity(
    v: Tensor, inside: Inside, kind: Similarity = "dice", over: Over = "element"
) -> Tensor:
    """exp(similarity to the mean) over its sum: eDSCW's weights for `dice`."""
    choice("similarity", kind, Similarity)
    choice("over", over, Over)
    return softmax(similarities(v, inside, kind, over), inside).expand_as(v)


def by_distance(
    v: Tensor,
    inside: Inside,
    distance: Distance = "l2",
    over: Over = "element",
    delta: float = 1.0,
) -> Tensor:
    """1 / distance to the mean over its sum: IDW's weights; elements at the mean share them.

    `l1` sums magnitudes over the channels, `l2` is the Euclidean distance (per element the two are
    the same), `huber` the pseudo-Huber δ²(sqrt(1 + (d/δ)²) - 1), summed like `l1`.
    """
    choice("distance", distance, Distance)
    choice("over", over, Over)
    away = (v - mean(v, inside)).abs()
    if distance == "huber":
        # d² / (sqrt(1 + (d/δ)²) + 1) is the same without cancellation; nothing is squared unscaled
        ratio = away / delta
        size = ratio.detach().clamp(min=1)
        slant = size * ((1 / size) ** 2 + (ratio / size) ** 2).sqrt()
        away = away * (away / (slant + 1))
    if over == "channel":
        away = _over_channels(away, distance)
    far = away if inside is None else away.masked_fill(~inside, torch.inf)
    nearest = far.detach().amin(2, keepdim=True)
    here = away == 0 if inside is None else (away == 0) & inside
    # The nearest distance cancels in the quotient; with it no inverse overflows.
    inverse = nearest / torch.where(here, torch.ones_like(far), far)
    weights = torch.where(here.any(2, keepdim=True), here.to(v.dtype), inverse)
    weights = weights + 0 * nearest  # a window with NaN has no nearest element
    return (weights / weights.sum(2, keepdim=True)).expand_as(v)


def _over_channels(away: Tensor, distance: Distance) -> Tensor:
    if distance != "l2":
        return away.sum(1, keepdim=True)
    size = away.detach().amax(1, keepdim=True)
    size = torch.where(size == 0, torch.ones_like(size), size)
    squares = ((away / size) ** 2).sum(1, keepdim=True)
    none = squares == 0
    root = torch.where(none, torch.ones_like(squares), squares).sqrt()
    return torch.where(none, torch.zeros_like(root), root * size)
