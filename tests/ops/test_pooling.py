"""AdaPool's family against the reference cases, PyTorch's own poolings, and closed forms."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pooling_cases import GEOMETRIES, noise, onnx_outputs, picture
from torch import Tensor
from torch.nn import functional as F

from litescene.core import OperatorError
from litescene.ops.pooling import (
    AdaPool,
    AdaUnPool,
    EDSCWPool,
    EMPool,
    IDWPool,
    ada_pool,
    ada_pool_with_masks,
    ada_unpool,
    ada_unpool_into,
    edscw_pool,
    em_pool,
    idw_pool,
)
from litescene.ops.pooling.windows import elements, windows_for

Pool = Callable[..., Tensor]

POOLS: dict[str, Pool] = {
    "em": em_pool,
    "edscw": edscw_pool,
    "idw": idw_pool,
    "ada": partial(ada_pool, beta=0.3),
}
VARIANTS: dict[str, Pool] = POOLS | {
    "edscw_channel": partial(edscw_pool, over="channel"),
    "pce": partial(edscw_pool, similarity="pce"),
    "pce_channel": partial(edscw_pool, similarity="pce", over="channel"),
    "cosine_channel": partial(edscw_pool, similarity="cosine", over="channel"),
    "idw_l1_channel": partial(idw_pool, distance="l1", over="channel"),
    "idw_l2_channel": partial(idw_pool, over="channel"),
    "idw_huber": partial(idw_pool, distance="huber", delta=0.5),
}
CASES = ["1d_k2s2", "1d_k3s2_odd", "2d_k2s2", "2d_k2s2_odd", "2d_k3s2_even", "2d_k3s1", "2d_k23s32",
         "2d_k4s4_odd", "3d_k2s2", "3d_k3s2_odd", "3d_k223s212"]  # fmt: skip


@pytest.fixture(scope="module")
def parity(parity_folder: Path) -> Any:
    return np.load(parity_folder / "adapool" / "adapool_cases.npz")


class Case:
    """Arrays of one reference case, and the largest difference from them."""

    def __init__(self, arrays: Any, name: str) -> None:
        self.arrays, self.name = arrays, name
        (entry,) = (e for e in json.loads(str(arrays["index"])) if e["name"] == name)
        self.windows = tuple(entry["kernel"]), tuple(entry["stride"])

    def get(self, key: str, dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.from_numpy(self.arrays[f"{self.name}/{key}"]).to(dtype)

    def holds(self, key: str, found: Tensor | None, within: float = 1e-12) -> None:
        assert found is not None
        expected = self.get(key)
        torch.testing.assert_close(found.detach().double(), expected, rtol=within, atol=within)


@pytest.mark.parametrize("name", CASES)
def test_reference_cases_agree(name: str, parity: Any) -> None:
    case = Case(parity, name)
    g = case.get("grad_out")
    for key in ("em", "edscw", "idw"):
        for grad, prefix in (("exact", "grad"), ("detached", "detached")):
            x = case.get("x").requires_grad_()
            y = POOLS[key](x, *case.windows, grad=grad)
            case.holds(key, y)
            y.backward(g)
            case.holds(f"{prefix}_{key}", x.grad)
        single = POOLS[key](case.get("x", torch.float32), *case.windows)
        assert single.dtype == torch.float32
        case.holds(key, single, 1e-6)
    case.holds("edscw_channel", edscw_pool(case.get("x"), *case.windows, over="channel"))


@pytest.mark.parametrize("name", CASES)
def test_reference_cases_of_adapool_and_the_way_back_agree(name: str, parity: Any) -> None:
    case = Case(parity, name)
    x = case.get("x").requires_grad_()
    beta = case.get("beta").clamp(0, 1).requires_grad_()  # the cases go beyond, and are clipped
    y, masks = ada_pool_with_masks(x, *case.windows, beta=beta)
    case.holds("ada", y)
    y.backward(case.get("grad_out"))
    case.holds("grad_ada", x.grad)
    case.holds("grad_beta", beta.grad)
    case.holds("mask_edscw", masks.similar)
    case.holds("mask_em", masks.largest)
    case.holds("unpool", ada_unpool(y, masks, beta))
    case.holds("unpool_balanced", ada_unpool(y, masks, beta, normalize="mean"))
    single = ada_pool(case.get("x", torch.float32), *case.windows, beta=beta.detach().float())
    case.holds("ada", single, 1e-6)


# Window, eDSCW, eM and IDW: the fact sheet's table of special windows.
SPECIAL: list[tuple[list[float], float, float, float]] = [
    ([0, 0, 0, 0], 0, 0, 0),
    ([5, 5, 5, 5], 5, 5, 5),
    ([1, 2, 3, 2], 2.0286, 2.4621, 2),
    ([1, -1, 0, 0], 0, 0.4621, 0),
    ([0, 0, 1, -1], 0, 0.4621, 0),
    ([90, 1, 2, 3], 29.93, 90, 10.816),
    ([100, 100, 100, 100], 100, 100, 100),
    ([110, 110, 110, 110], 110, 110, 110),
    ([-110, -110, -110, -110], -110, -110, -110),
    ([1e-40, 1e-40, 1e-40, 1e-40], 1e-40, 1e-40, 1e-40),
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("window", "edscw", "em", "idw"), SPECIAL)
def test_special_windows(
    window: list[float], edscw: float, em: float, idw: float, dtype: torch.dtype
) -> None:
    x = torch.tensor(window, dtype=dtype).reshape(1, 1, 2, 2).requires_grad_()
    for expected, pool in ((edscw, edscw_pool), (em, em_pool), (idw, idw_pool)):
        y = pool(x, 2)
        torch.testing.assert_close(
            y.item(), float(expected), rtol=1e-4 if abs(expected) > 1e-30 else 0.1, atol=1e-45
        )
        (gradient,) = torch.autograd.grad(y, x)
        assert bool(gradient.isfinite().all())


def test_huge_windows_stay_finite() -> None:
    x = torch.tensor([1e20, 2e20, 1.0, 0.0]).reshape(1, 1, 4)
    for pool in VARIANTS.values():
        assert 0 < float(pool(x, 4)) <= 2e20 * 1.0001
    assert float(em_pool(x, 4)) == pytest.approx(2e20)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", VARIANTS)
def test_what_is_not_finite_is_seen(name: str, bad: float) -> None:
    x = noise(1, 2, 6, 6)
    x[0, 0, 1, 2] = bad
    y = VARIANTS[name](x, 3)
    assert bool(y[0, 0, 0, 0].isnan())
    assert int(y.isnan().sum()) == (2 if name.endswith("channel") else 1)


@pytest.mark.parametrize(("dims", "how"), GEOMETRIES)
def test_windows_are_those_of_torch(dims: int, how: dict[str, Any]) -> None:
    x = picture(dims)
    v, inside = elements(x, windows_for(x, **how))
    kernel, stride, padding, dilation = (
        how["kernel_size"], how.get("stride"), how.get("padding", 0), how.get("dilation", 1),
    )  # fmt: skip
    ceil = how.get("ceil_mode", False)
    if not how.get("count_include_pad"):
        highest = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[dims - 1]
        expected = highest(x, kernel, stride, padding, dilation, ceil)
        found = v if inside is None else v.masked_fill(~inside, -torch.inf)
        assert torch.equal(found.amax(2), expected)
    if dilation == 1:
        average = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[dims - 1]
        expected = average(x, kernel, stride, padding, ceil, how.get("count_include_pad", False))
        if inside is None:
            found = v.mean(2)
        else:
            found = v.masked_fill(~inside, 0).sum(2) / inside.sum(2)
        torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("dims", "how"), GEOMETRIES)
@pytest.mark.parametrize("name", VARIANTS)
def test_gradients_are_exact_twice(name: str, dims: int, how: dict[str, Any]) -> None:
    x = noise(1, 2, *(5, 4, 4)[:dims]).requires_grad_()
    pool = partial(VARIANTS[name], **how)
    assert torch.autograd.gradcheck(pool, x)
    assert torch.autograd.gradgradcheck(pool, x)


def test_the_gradient_of_beta_and_of_the_way_back_is_exact() -> None:
    x = noise(1, 2, 5, 4).requires_grad_()
    share = torch.full((2, 1, 1), 0.4, dtype=torch.float64, requires_grad=True)

    def there(x: Tensor, beta: Tensor) -> Tensor:
        return ada_pool(x, 2, 1, beta=beta)

    def and_back(x: Tensor, beta: Tensor) -> Tensor:
        y, masks = ada_pool_with_masks(x, (3, 2), 1, beta=beta)
        return ada_unpool_into(y, masks, (5, 4), (3, 2), 1, beta=beta, normalize="mean")

    assert torch.autograd.gradcheck(there, (x, share))
    assert torch.autograd.gradgradcheck(there, (x, share))
    assert torch.autograd.gradcheck(and_back, (x, share))


def test_each_pooling_has_its_own_symmetries() -> None:
    """eM follows shifts, eDSCW every factor, IDW both; eM is above the mean."""
    x = picture(2)
    torch.testing.assert_close(em_pool(x + 3, 2), em_pool(x, 2) + 3)
    torch.testing.assert_close(edscw_pool(-2.5 * x, 2), -2.5 * edscw_pool(x, 2))
    torch.testing.assert_close(idw_pool(2 * x + 1, 2), 2 * idw_pool(x, 2) + 1)
    assert bool((em_pool(x, 2) >= F.avg_pool2d(x, 2) - 1e-12).all())
    assert torch.equal(ada_pool(x, 2, beta=1.0), edscw_pool(x, 2))
    assert torch.equal(ada_pool(x, 2, beta=0.0), em_pool(x, 2))
    # per element all products are as large as can be: the cosine weighs all alike
    torch.testing.assert_close(edscw_pool(x, 2, similarity="cosine"), F.avg_pool2d(x, 2))
    torch.testing.assert_close(idw_pool(x, 2, distance="l1"), idw_pool(x, 2))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("name", VARIANTS)
def test_types_forms_and_empty_batches(name: str, dtype: torch.dtype) -> None:
    pool = VARIANTS[name]
    exact = picture(2)
    x = exact.to(dtype)
    y = pool(x, 3, 2, 1)
    assert (y.dtype, y.is_contiguous(), tuple(y.shape)) == (dtype, True, (2, 3, 4, 4))
    tolerance = 4 * torch.finfo(dtype).eps
    expected = pool(x.double(), 3, 2, 1).to(dtype)
    torch.testing.assert_close(y, expected, rtol=tolerance, atol=tolerance)
    last = pool(x.contiguous(memory_format=torch.channels_last), 3, 2, 1)
    assert last.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(last, y, rtol=tolerance, atol=tolerance)
    torch.testing.assert_close(
        pool(x.transpose(2, 3), 3, 2, 1).transpose(2, 3), y, rtol=tolerance, atol=tolerance
    )
    assert tuple(pool(x[:0], 3, 2, 1).shape) == (0, 3, 4, 4)


@pytest.mark.parametrize("name", POOLS)
def test_gradients_of_single_pictures_by_vmap_are_theirs(name: str) -> None:
    x = noise(3, 2, 7, 8, dtype=torch.float32)
    pool = partial(POOLS[name], kernel_size=3, stride=2, padding=1)
    each = torch.func.vmap(torch.func.grad(lambda one: pool(one[None]).square().sum()))(x)
    x.requires_grad_()
    (exact,) = torch.autograd.grad(pool(x).square().sum(), x)
    torch.testing.assert_close(each, exact)


@pytest.mark.parametrize("name", ["ada", "idw"])
def test_compiled_poolings_are_the_same(name: str) -> None:
    x = picture(2, torch.float32)
    compiled = torch.compile(partial(POOLS[name], kernel_size=2), backend="aot_eager")
    torch.testing.assert_close(compiled(x), POOLS[name](x, 2))


@pytest.mark.parametrize("name", VARIANTS)
def test_exports_to_standard_operators_for_any_size(name: str, tmp_path: Path) -> None:
    pool = partial(VARIANTS[name], kernel_size=3, stride=2, padding=1)
    inputs = (picture(2, torch.float32), noise(1, 3, 12, 9, dtype=torch.float32))
    for x, found in zip(inputs, onnx_outputs(pool, inputs, tmp_path), strict=True):
        torch.testing.assert_close(found, pool(x))


@pytest.mark.parametrize(
    ("shape", "how", "said"),
    [
        ((2, 3, 4, 4), {"kernel_size": 5}, "does not fit"),
        ((2, 3, 4, 4), {"kernel_size": 3, "dilation": 2}, r"size \(4, 4\)"),
        ((2, 3, 4, 4), {"kernel_size": 2, "stride": 0}, "stride is"),
        ((2, 3, 4, 4), {"kernel_size": 2, "stride": -1}, "at least 1"),
        ((2, 3, 4, 4), {"kernel_size": 0}, "kernel is"),
        ((2, 3, 4, 4), {"kernel_size": 2, "padding": 2}, "half the kernel"),
        ((2, 3, 4, 4), {"kernel_size": (2, 2, 2)}, "2 dimensions"),
        ((2, 3), {"kernel_size": 2}, r"not a tensor of shape \(2, 3\)"),
        ((1, 1, 3), {"kernel_size": 2, "padding": 1, "dilation": 4}, "no element of the input"),
    ],
)
def test_numbers_that_make_no_windows_are_refused(
    shape: tuple[int, ...], how: dict[str, Any], said: str
) -> None:
    with pytest.raises(OperatorError, match=said) as raised:
        em_pool(torch.zeros(shape), **how)
    assert isinstance(raised.value, ValueError)


def test_tensors_and_words_that_do_not_fit_are_refused() -> None:
    x = torch.zeros(2, 3, 4, 4)
    with pytest.raises(OperatorError, match=r"int64 \(shape \(2, 3, 4, 4\)\)"):
        em_pool(x.long(), 2)
    with pytest.raises(OperatorError, match=r"beta is in \[0, 1\], not 1.5 to 1.5"):
        ada_pool(x, 2, beta=1.5)
    with pytest.raises(OperatorError, match=r"beta of shape \(3, 3\)"):
        ada_pool(x, 2, beta=torch.zeros(3, 3))
    with pytest.raises(OperatorError, match="similarity is one of dice"):
        edscw_pool(x, 2, similarity="dise")  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="delta"):
        idw_pool(x, 2, delta=0.0)
    y, masks = ada_pool_with_masks(x, 2)
    with pytest.raises(OperatorError, match=r"do not fit a tensor of shape \(2, 1, 2, 2\)"):
        ada_unpool(y[:, :1], masks)
    with pytest.raises(OperatorError, match=r"pooled to \(3, 3\)"):
        ada_unpool_into(y, masks, (6, 6), 2)
    with pytest.raises(OperatorError, match=r"their size would be \(6, 6\)"):
        ada_unpool_into(y, masks, (6, 6), 3)


@pytest.mark.parametrize(
    ("size", "how"),
    [
        ((7, 9), {"kernel_size": 2}),
        ((7, 9), {"kernel_size": 3, "stride": 2, "padding": 1}),
        ((8,), {"kernel_size": 3, "stride": 1}),
        ((4, 5, 6), {"kernel_size": 2}),
        ((7, 7), {"kernel_size": 2, "stride": 3}),
        ((7, 9), {"kernel_size": 2, "ceil_mode": True}),
        ((6, 7, 5), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True}),
    ],
)
def test_a_constant_comes_back_where_windows_were(size: tuple[int, ...], how: Any) -> None:
    x = torch.full((1, 2, *size), 2.0, dtype=torch.float64)
    y, masks = ada_pool_with_masks(x, **how)
    back = ada_unpool_into(y, masks, size, normalize="mean", **how)
    assert back.shape == x.shape
    covered = torch.ones_like(x)
    v, _ = elements(torch.arange(covered[0, 0].numel()).reshape(1, 1, *size).double() + 1,
                    windows_for(x, **how))  # fmt: skip
    seen = torch.zeros(covered[0, 0].numel() + 1)
    seen[v.long().flatten()] = 1
    there = seen[1:].reshape(size).bool().expand_as(x)
    assert not bool(back[~there].any())
    torch.testing.assert_close(back[there], x[there])
    empty, masks = ada_pool_with_masks(x[:0], **how)
    assert ada_unpool_into(empty, masks, size, **how).shape == (0, 2, *size)


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("channels", [1, 3, 512])
def test_a_beta_of_other_channels_is_refused_by_the_layer(channels: int, backend: str) -> None:
    x = torch.randn(1, channels, 8, 8).contiguous(memory_format=torch.channels_last)
    for layer in (AdaPool(2, channels=5, backend=backend),
                  AdaPool(2, channels=5, positions=(4, 4), backend=backend)):  # fmt: skip
        for call in (layer, layer.with_masks):
            with pytest.raises(OperatorError, match=f"beta has 5 channels.* {channels}$"):
                call(x)


@pytest.mark.parametrize("beta", [2.0, -1.0, float("nan"), torch.rand(5), torch.full((3, 1, 1), 2)])
def test_a_beta_that_cannot_be_is_refused_by_unpooling(beta: Any) -> None:
    y, masks = ada_pool_with_masks(torch.randn(1, 3, 8, 8), 2)
    with pytest.raises(OperatorError, match="beta"):
        ada_unpool(y, masks, beta)
    with pytest.raises(OperatorError, match="beta"):
        ada_unpool_into(y, masks, (8, 8), 2, beta=beta)


def test_layers_call_the_functions() -> None:
    x = picture(2)
    assert torch.equal(EMPool(2)(x), em_pool(x, 2))
    assert torch.equal(
        EDSCWPool(3, 2, 1, over="channel")(x), edscw_pool(x, 3, 2, 1, over="channel")
    )
    assert torch.equal(IDWPool(2, distance="huber")(x), idw_pool(x, 2, distance="huber"))
    assert repr(EMPool(2, grad="detached")) == (
        "EMPool(kernel_size=2, stride=None, padding=0, dilation=1, grad=detached)"
    )


@pytest.mark.parametrize("options", [{}, {"channels": 3}, {"positions": (3, 4)}])
def test_beta_is_learned_and_begins_in_the_middle(options: dict[str, Any]) -> None:
    x = picture(2)
    layer = AdaPool(2, **options)
    assert torch.equal(layer(x), ada_pool(x, 2))
    with torch.no_grad():
        layer.logit += noise(*layer.logit.shape).to(layer.logit.dtype) * 50
    share = layer.beta((3, 4))
    assert 0 <= float(share.detach().min()) <= float(share.detach().max()) <= 1
    torch.testing.assert_close(layer(x), ada_pool(x, 2, beta=share.detach().double()))
    layer(x).sum().backward()
    assert layer.logit.grad is not None
    larger = noise(1, 3, 20, 24)
    assert tuple(layer(larger).shape) == (1, 3, 10, 12)
    y, masks, beta = layer.with_masks(x)
    back = AdaUnPool()(y, masks, beta)
    torch.testing.assert_close(back, ada_unpool(y, masks, beta, normalize="mean"))
    torch.testing.assert_close(F.avg_pool2d(back, 2), y)
