"""The other poolings against loops in NumPy, PyTorch's own operators, and closed forms."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pooling_cases import GEOMETRIES, noise, onnx_outputs, picture
from torch import Tensor
from torch.nn import functional as F

from litescene.core import OperatorError, UnknownNameError
from litescene.ops.pooling import (
    POOLINGS,
    AdaPool,
    EMPool,
    GatedPool,
    LIPPool,
    MaxPool,
    PoolLayer,
    avg_pool,
    create_pool,
    dpp_pool,
    em_pool,
    gated_pool,
    lip_pool,
    lp_pool,
    max_pool,
    mixed_pool,
    needs_channels,
    s3_pool,
    stochastic_pool,
)
from litescene.ops.pooling.windows import Windows

Pool = Callable[..., Tensor]


@dataclass
class Window:
    """A window as the loops see it."""

    values: NDArray[np.float64]
    """The elements that count."""
    whole: NDArray[np.float64]
    """All elements of the kernel, 0 where none is."""


def with_gate(x: Tensor, kernel_size: Any, *numbers: Any, **how: Any) -> Tensor:
    kernel = (kernel_size,) * (x.ndim - 2) if isinstance(kernel_size, int) else kernel_size
    gate = torch.linspace(-1, 1, math.prod(kernel), dtype=torch.float64).reshape(kernel)
    return gated_pool(x, kernel_size, *numbers, gate=gate, **how)


def of_gate(w: Window) -> float:
    share = 1 / (1 + np.exp(-np.linspace(-1, 1, len(w.whole)) @ w.whole))
    return float(share * w.values.max() + (1 - share) * w.values.mean())


def with_logits(x: Tensor, *numbers: Any, **how: Any) -> Tensor:
    return lip_pool(x, *numbers, logits=torch.sin(3 * x), **how)


def of_logits(w: Window) -> float:
    weights = np.exp(np.sin(3 * w.values))
    return float(weights @ w.values / weights.sum())


def of_chances(w: Window) -> float:
    positive = np.maximum(w.values, 0)
    chances = positive if positive.any() else np.ones_like(positive)
    return float(chances @ w.values / chances.sum())


def of_details(w: Window, asymmetric: bool = False) -> float:
    away = w.values - w.values.mean()
    if asymmetric:
        away = np.maximum(away, 0)
    weights = 0.5 + (away**2 + 1e-6) ** (1.5 / 2)
    return float(weights @ w.values / weights.sum())


POOLS: dict[str, tuple[Pool, Callable[[Window], float]]] = {
    "average": (avg_pool, lambda w: float(w.values.mean())),
    "max": (max_pool, lambda w: float(w.values.max())),
    "lp": (lp_pool, lambda w: float(np.sqrt((w.values**2).mean()))),
    "lp_3_sum": (
        partial(lp_pool, power=3, normalize="sum"),
        lambda w: float(np.cbrt((np.abs(w.values) ** 3).sum())),
    ),
    "stochastic": (stochastic_pool, of_chances),
    "mixed": (
        partial(mixed_pool, share=0.3),
        lambda w: float(0.3 * w.values.max() + 0.7 * w.values.mean()),
    ),
    "gated": (with_gate, of_gate),
    "dpp": (partial(dpp_pool, alpha=0.5, exponent=1.5), of_details),
    "dpp_asymmetric": (
        partial(dpp_pool, alpha=0.5, exponent=1.5, form="asymmetric"),
        partial(of_details, asymmetric=True),
    ),
    "lip": (with_logits, of_logits),
}


def per_axis(value: Any, dims: int) -> tuple[int, ...]:
    return (value,) * dims if isinstance(value, int) else tuple(value)


def by_loops(x: Tensor, of: Callable[[Window], float], how: dict[str, Any]) -> Tensor:
    """Every window picked out by plain loops, which know torch's positions and nothing else."""
    dims, size = x.ndim - 2, x.shape[2:]
    kernel = per_axis(how["kernel_size"], dims)
    stride = per_axis(how.get("stride", kernel), dims)
    padding = per_axis(how.get("padding", 0), dims)
    dilation = per_axis(how.get("dilation", 1), dims)
    like = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
    y = like(x, kernel, stride, padding, dilation, how.get("ceil_mode", False)).clone()
    for n, c, *out in itertools.product(*(range(length) for length in y.shape)):
        values, whole = [], []
        for tap in itertools.product(*(range(k) for k in kernel)):
            numbers = zip(out, stride, padding, tap, dilation, strict=True)
            at = [o * s - p + t * d for o, s, p, t, d in numbers]
            inside = all(0 <= a < length for a, length in zip(at, size, strict=True))
            padded = all(
                -p <= a < length + p for a, length, p in zip(at, size, padding, strict=True)
            )
            value = float(x[n, c, *at]) if inside else 0.0
            whole.append(value)
            if inside or (padded and how.get("count_include_pad", False)):
                values.append(value)
        y[n, c, *out] = of(Window(np.array(values), np.array(whole)))
    return y


@pytest.mark.parametrize(("dims", "how"), GEOMETRIES)
@pytest.mark.parametrize("name", POOLS)
def test_every_window_is_that_of_the_loops(name: str, dims: int, how: dict[str, Any]) -> None:
    x = picture(dims)
    pool, of = POOLS[name]
    expected = by_loops(x, of, how)
    torch.testing.assert_close(pool(x, **how), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(pool(x.float(), **how), expected.float(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dims", "how"), GEOMETRIES)
@pytest.mark.parametrize("name", POOLS)
def test_gradients_are_exact_twice(name: str, dims: int, how: dict[str, Any]) -> None:
    x = noise(1, 2, *(5, 4, 4)[:dims]).requires_grad_()
    pool = partial(POOLS[name][0], **how)
    fast = dims == 3  # along a random direction
    assert torch.autograd.gradcheck(pool, x, fast_mode=fast)
    assert torch.autograd.gradgradcheck(pool, x, fast_mode=fast)


def test_a_window_without_positive_values_is_drawn_from_evenly() -> None:
    x = torch.tensor([[[-1.0, -3.0, -2.0, -6.0]]])
    assert float(stochastic_pool(x, 4)) == -3
    drawn = {float(stochastic_pool(x, 4, training=True)) for _ in range(100)}
    assert drawn == {-1, -3, -2, -6}


@pytest.mark.parametrize("name", ["stochastic", "s3"])
def test_the_mean_of_many_draws_is_the_evaluation(name: str) -> None:
    pool = {"stochastic": stochastic_pool, "s3": s3_pool}[name]
    torch.manual_seed(0)
    x, draws = noise(1, 1, 5, 4), 1000
    many = torch.stack([pool(x, 2, training=True) for _ in range(draws)])
    spread = many.std(0) / math.sqrt(draws)
    away = (many.mean(0) - pool(x, 2)).abs()
    assert bool((away <= 4.5 * spread + 1e-12).all())
    assert float(spread.max()) > 0


@pytest.mark.parametrize("name", ["stochastic", "s3"])
def test_draws_are_those_of_the_seed_and_the_mode(name: str) -> None:
    x = noise(2, 3, 12, 12)
    layer = create_pool(name, 2, channels=3)
    found = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        found.append(layer(x))
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    layer.eval()
    assert torch.equal(layer(x), layer(x))


def test_what_is_drawn_is_an_element_and_gets_the_gradient() -> None:
    x = noise(2, 3, 7, 9).requires_grad_()
    torch.manual_seed(1)
    y = stochastic_pool(x, 3, 2, 1, training=True)
    y.sum().backward()
    assert x.grad is not None
    assert float(x.grad.sum()) == y.numel()
    assert set(y.detach().flatten().tolist()) <= set(x.detach().flatten().tolist())
    assert float(torch.autograd.gradcheck(seeded(stochastic_pool), noise(1, 2, 5).requires_grad_()))
    assert float(torch.autograd.gradcheck(seeded(s3_pool), noise(1, 2, 5).requires_grad_()))


def seeded(pool: Pool) -> Callable[[Tensor], Tensor]:
    def call(x: Tensor) -> Tensor:
        torch.manual_seed(2)
        return pool(x, 2, training=True)

    return call


def s3_by_loops(x: Tensor, kernel: int, stride: int, padding: int) -> Tensor:
    """Maxima with stride 1, then the means of cells, the last one perhaps smaller."""
    dense = F.max_pool2d(x, kernel, 1, padding)
    rows, columns = (-(-length // stride) for length in dense.shape[2:])
    y = dense.new_zeros(*x.shape[:2], rows, columns)
    for i, j in itertools.product(range(rows), range(columns)):
        cell = dense[:, :, i * stride : (i + 1) * stride, j * stride : (j + 1) * stride]
        y[:, :, i, j] = cell.mean((2, 3))
    return y


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 3, 0)])
def test_s3_averages_the_dense_maxima_in_evaluation(kernel: int, stride: int, padding: int) -> None:
    x = picture(2)
    found = s3_pool(x, kernel, stride, padding)
    torch.testing.assert_close(found, s3_by_loops(x, kernel, stride, padding))
    check = partial(s3_pool, kernel_size=kernel, stride=stride, padding=padding)
    small = noise(1, 2, 5, 4).requires_grad_()
    assert torch.autograd.gradcheck(check, small)
    assert torch.autograd.gradgradcheck(check, small)


@pytest.mark.parametrize("grid", [2, 4, 6, 12])
def test_s3_draws_its_share_of_every_strip(grid: int) -> None:
    """On a ramp the drawn rows can be read off the values."""
    ramp = torch.arange(23, dtype=torch.float64)
    x = (100 * ramp[:, None] + ramp).reshape(1, 1, 23, 23)
    for _ in range(20):
        y = s3_pool(x, 2, grid=grid, training=True)[0, 0]
        assert y.shape == (11, 11)
        dense = F.max_pool2d(x, 2, 1)[0, 0]
        rows = ((y[:, 0] - y[0, 0]) / 100 + (y[0, 0] // 100) - 1).round().int()
        assert bool((rows.diff() > 0).all())
        assert torch.equal(dense[rows.long()][:, (y[0] % 100 - 1).long()], y)
        for first in range(0, 22, grid):
            here = ((rows >= first) & (rows < min(first + grid, 22))).sum()
            assert int(here) == (min(first + grid, 22) - first + 1) // 2


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize(("dims", "how"), GEOMETRIES)
def test_every_pooling_takes_the_place_of_a_maximum(
    name: str, dims: int, how: dict[str, Any]
) -> None:
    how = {"kernel_size": 2, "ceil_mode": True} if name == "lift" else how
    if name == "lift" or "dilation" not in how:
        x = noise(2, 3, *(7, 8, 6)[:dims], dtype=torch.float32)
        like = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
        numbers = {k: v for k, v in how.items() if k != "count_include_pad"}
        numbers.setdefault("stride", numbers["kernel_size"])
        extra = {} if name == "lift" else {"count_include_pad": how.get("count_include_pad", False)}
        kernel, stride = numbers.pop("kernel_size"), numbers.pop("stride")
        layer = create_pool(
            name, kernel, stride, numbers.pop("padding", 0), channels=3, dims=dims,
            **numbers, **extra,
        )  # fmt: skip
        expected = like(x, kernel, stride, how.get("padding", 0), 1, how.get("ceil_mode", False))
        for training in (True, False):
            y = layer.train(training)(x)
            assert y.shape == expected.shape
            assert bool(y.isfinite().all())


def created(name: str, kernel: int = 3, stride: int = 2, padding: int = 1, **how: Any) -> PoolLayer:
    """In evaluation and in single precision, with parameters that are not where they begin."""
    if name == "lift":
        kernel, stride, padding = 2, 2, 0
    layer = create_pool(name, kernel, stride, padding, channels=3, **how).eval()
    with torch.no_grad():
        for index, parameter in enumerate(layer.parameters()):
            parameter += 0.3 * noise(*parameter.shape, dtype=torch.float32) + 0.1 * index
    assert isinstance(layer, PoolLayer)
    return layer


@pytest.mark.parametrize("name", POOLINGS)
def test_exports_to_standard_operators_for_any_size(name: str, tmp_path: Path) -> None:
    layer = created(name)
    inputs = (picture(2, torch.float32), noise(1, 3, 12, 9, dtype=torch.float32))
    with torch.no_grad():
        for x, found in zip(inputs, onnx_outputs(layer, inputs, tmp_path), strict=True):
            torch.testing.assert_close(found, layer(x))


@pytest.mark.parametrize("geometry", [(2, 2, 0), (3, 2, 0), (2, 3, 1)])
@pytest.mark.parametrize("name", POOLINGS)
def test_incomplete_windows_export_for_any_size(
    name: str, geometry: tuple[int, int, int], tmp_path: Path
) -> None:
    """Whether a size has them or not is decided in the graph."""
    layer = created(name, *geometry, ceil_mode=True)
    sizes = ((8, 6), (7, 9), (9, 8), (10, 11))
    inputs = tuple(noise(1, 3, *size, dtype=torch.float32) for size in sizes)
    with torch.no_grad():
        for x, found in zip(inputs, onnx_outputs(layer, inputs, tmp_path), strict=True):
            torch.testing.assert_close(found, layer(x))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", POOLS)
def test_types_forms_and_empty_batches(name: str, dtype: torch.dtype) -> None:
    pool = POOLS[name][0]
    x = picture(2).to(dtype)
    y = pool(x, 3, 2, 1)
    assert (y.dtype, y.is_contiguous(), tuple(y.shape)) == (dtype, True, (2, 3, 4, 4))
    tolerance = 8 * torch.finfo(dtype).eps
    if name == "lip":  # its logits here are made in x's own type
        tolerance *= 8
    expected = pool(x.double(), 3, 2, 1).to(dtype)
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
    last = pool(x.contiguous(memory_format=torch.channels_last), 3, 2, 1)
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, y, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        pool(x.transpose(2, 3), 3, 2, 1), pool(x.transpose(2, 3).contiguous(), 3, 2, 1)
    )
    assert tuple(pool(x[:0], 3, 2, 1).shape) == (0, 3, 4, 4)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", POOLS)
def test_what_is_not_finite_is_seen(name: str, training: bool, bad: float) -> None:
    x = noise(1, 2, 6, 6).abs()
    x[0, 0, 1, 2] = bad
    how = {"training": training} if name == "stochastic" else {}
    y = POOLS[name][0](x, 3, **how)
    unseen = bad == -float("inf") and name in ("max", "stochastic")  # a maximum is above it
    assert bool(y[0, 0, 0, 0].isfinite()) == (
        unseen and not (name == "stochastic" and not training)
    )
    y[0, 0, 0, 0] = 0
    assert bool(y.isfinite().all())


@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("scale", [1e20, 1e-30])
def test_huge_and_tiny_windows_stay_finite_and_right(name: str, scale: float) -> None:
    x = (torch.tensor([1.0, 2.0, 0.5, 0.0]) * scale).reshape(1, 1, 4).requires_grad_()
    y = POOLS[name][0](x, 4)
    assert 0 < y.item() <= 3 * scale
    y.backward()
    assert x.grad is not None
    assert bool(x.grad.isfinite().all())


def test_poolings_meet_where_they_should() -> None:
    x = picture(2)
    torch.testing.assert_close(lp_pool(x, 2, power=1), avg_pool(x.abs(), 2))
    torch.testing.assert_close(lp_pool(x, 2, power=300), max_pool(x.abs(), 2), rtol=0.01, atol=0)
    torch.testing.assert_close(lp_pool(x, 2), F.lp_pool2d(x, 2, 2) / 2)
    torch.testing.assert_close(lp_pool(x, 2, normalize="sum"), F.lp_pool2d(x, 2, 2))
    torch.testing.assert_close(lip_pool(x, 3, 2, 1, logits=x), em_pool(x, 3, 2, 1))
    torch.testing.assert_close(dpp_pool(x, 3, 2, 1, exponent=0.0), avg_pool(x, 3, 2, 1))
    torch.testing.assert_close(mixed_pool(x, 2, share=0.0), F.avg_pool2d(x, 2))
    assert torch.equal(mixed_pool(x, 2, share=1.0), F.max_pool2d(x, 2))
    gate = torch.zeros(3, 2, 2)
    torch.testing.assert_close(gated_pool(x, 2, gate=gate), mixed_pool(x, 2))
    layer = LIPPool(2, channels=3).double()
    torch.testing.assert_close(layer(x), F.avg_pool2d(x, 2))
    flat = torch.full((1, 1, 4), 7.0)
    for pool, _ in POOLS.values():
        normed = {"normalize": "mean"} if "normalize" in getattr(pool, "keywords", {}) else {}
        assert float(pool(flat, 4, **normed)) == pytest.approx(7)


LEARNING = ["mixed", "gated", "dpp", "lip", "lift", "adapool"]


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("name", LEARNING)
def test_gradients_of_what_is_learned_are_exact(name: str, per_channel: bool) -> None:
    layer = created(name, 2, 2, 0, per_channel=per_channel).double()
    names, values = zip(*layer.named_parameters(), strict=True)
    inputs = tuple(value.detach().clone().requires_grad_() for value in values)
    x = noise(1, 3, 4, 5)

    def call(*parameters: Tensor) -> Tensor:
        found = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))
        assert isinstance(found, Tensor)
        return found

    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, fast_mode=True)


@pytest.mark.parametrize(
    ("name", "shared", "each"),
    [("mixed", 1, 3), ("gated", 9, 27), ("dpp", 2, 6), ("lip", 87, 87), ("adapool", 1, 3),
     ("em", 0, 0)],
)  # fmt: skip
def test_the_count_of_what_is_learned(name: str, shared: int, each: int) -> None:
    for per_channel, expected in ((False, shared), (True, each)):
        layer = create_pool(name, 3, 2, 1, channels=3, per_channel=per_channel)
        assert sum(p.numel() for p in layer.parameters()) == expected


@pytest.mark.parametrize("name", ["mixed", "dpp", "stochastic", "lift", "lip"])
def test_compiled_poolings_are_the_same(name: str) -> None:
    layer, x = created(name, 2, 2, 0), picture(2, torch.float32)
    compiled = torch.compile(layer, backend="aot_eager")
    torch.testing.assert_close(compiled(x), layer(x))


def test_names_options_and_windows_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean adapool"):
        create_pool("adapol", 2, channels=3)
    with pytest.raises(OperatorError, match=r"'lp' has no option powr; it has ceil_mode, count"):
        create_pool("lp", 2, channels=3, powr=3)
    with pytest.raises(OperatorError, match=r"lifting halves: .*; not kernel \(3, 3\)"):
        create_pool("lift", 3, 2, 1, channels=3)
    with pytest.raises(OperatorError, match="stride is"):
        create_pool("em", 2, 0, channels=3)
    with pytest.raises(OperatorError, match="2 dimensions"):
        create_pool("em", (2, 2, 2), channels=3)
    assert [name for name in POOLINGS if needs_channels(name)] == ["lip", "lift"]


@pytest.mark.parametrize(
    ("layer", "words", "says"),
    [
        (MaxPool, {"kernel_size": 0}, "kernel is (0,)"),
        (AdaPool, {"kernel_size": (2, 2), "stride": -1}, "stride is (-1, -1)"),
        (EMPool, {"kernel_size": 2, "padding": (1, 2)}, "padding is (1, 2)"),
        (EMPool, {"kernel_size": (2, 2), "stride": (1, 1, 1)}, "kernel_size is (2, 2)"),
        (AdaPool, {"kernel_size": 2, "gradient": "exact"}, "'AdaPool' has no option gradient"),
        (LIPPool, {"kernel_size": 2, "channels": 3, "dims": 4}, "dims is 4"),
    ],
)
def test_layers_refuse_what_no_input_fits_when_they_are_made(
    layer: type[PoolLayer], words: dict[str, Any], says: str
) -> None:
    with pytest.raises(OperatorError, match=re.escape(says)):
        layer(**words)


def test_tensors_and_numbers_that_do_not_fit_are_refused() -> None:
    x = torch.zeros(2, 3, 4, 4)
    for name, (pool, _) in POOLS.items():
        with pytest.raises(OperatorError, match="does not fit into"):
            pool(x, 5)
        with pytest.raises(OperatorError, match="stride is"):
            pool(x, 2, -1)
        if name != "lip":
            with pytest.raises(OperatorError, match="int64"):
                pool(x.long(), 2)
    for power in (0.5, math.inf, math.nan):
        with pytest.raises(OperatorError, match="power is"):
            lp_pool(x, 2, power=power)
    with pytest.raises(OperatorError, match="normalize is one of mean, sum"):
        lp_pool(x, 2, normalize="max")  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match=r"grid is \(3, 3\); it must be a multiple of \(2, 2\)"):
        s3_pool(x, 2, grid=3)
    with pytest.raises(OperatorError, match=r"share is in \[0, 1\], not 1.5 to 1.5"):
        mixed_pool(x, 2, share=1.5)
    with pytest.raises(OperatorError, match=r"alpha is at least 0, not -1 to -1"):
        dpp_pool(x, 2, alpha=-1.0)
    with pytest.raises(OperatorError, match=r"exponent of shape \(5, 1, 1\) does not fit"):
        dpp_pool(x, 2, exponent=torch.ones(5, 1, 1))
    with pytest.raises(OperatorError, match="form is one of symmetric, asymmetric"):
        dpp_pool(x, 2, form="sym")  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match=r"gate of shape \(3, 3\) does not fit the kernel"):
        gated_pool(x, 2, gate=torch.zeros(3, 3))
    with pytest.raises(OperatorError, match=r"logits of shape \(2, 3, 4, 5\) do not fit x"):
        lip_pool(x, 2, logits=torch.zeros(2, 3, 4, 5))


def test_a_gate_for_one_dimension_and_for_three() -> None:
    assert tuple(GatedPool(2, dims=1).gate.shape) == (1, 2)
    assert tuple(GatedPool(2, dims=3, channels=4).gate.shape) == (4, 2, 2, 2)
    assert Windows((2,), (2,), (0,), (1,)).overhang((5,)) == (0,)
    assert Windows((2,), (2,), (0,), (1,), ceil_mode=True).overhang((5,)) == (1,)
