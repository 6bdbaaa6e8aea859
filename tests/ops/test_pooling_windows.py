"""Numbers of windows that are none, and inputs at the edge of what fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from litescene.core import OperatorError
from litescene.ops.pooling import (
    ada_pool,
    avg_pool,
    create_pool,
    edscw_pool,
    gated_pool,
    idw_pool,
    max_pool,
    max_pool_with_places,
    mixed_pool,
)
from litescene.ops.pooling.weighting import similarities
from litescene.ops.pooling.windows import per_axis

Array = NDArray[np.float64]

NO_NUMBERS: list[Any] = [
    2.0, None, "2", (2.5, 2), (2, "a"), (2, None), [[2], [2]], torch.tensor(2.0), np.float64(2),
    torch.tensor([2.0, 2.0]),
]  # fmt: skip
NUMBERS: list[Any] = [
    2, (2, 2), [2, 2], np.int64(2), torch.tensor(2), np.array(2), np.array([2, 2]),
    torch.tensor([2, 2]), (np.int32(2), torch.tensor(2)),
]  # fmt: skip


@pytest.mark.parametrize("value", NUMBERS, ids=repr)
def test_whole_numbers_of_any_type_make_windows(value: Any) -> None:
    assert per_axis("stride", value, 2) == (2, 2)
    assert all(type(number) is int for number in per_axis("stride", value, 2))


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_other_numbers_are_refused_by_name(value: Any) -> None:
    x = torch.ones(1, 1, 4, 4)
    for pool in (ada_pool, max_pool, avg_pool, idw_pool):
        with pytest.raises(OperatorError, match=r"kernel_size is .*whole number"):
            pool(x, value)
    for place, name in enumerate(("stride", "padding", "dilation")):
        if value is not None or name != "stride":
            with pytest.raises(OperatorError, match=f"{name} is .*whole number"):
                ada_pool(x, 2, *(1, 0)[:place], value)


def test_a_tensor_of_one_number_is_no_number_for_all_dimensions() -> None:
    with pytest.raises(OperatorError, match="2 dimensions"):
        per_axis("stride", torch.tensor([2]), 2)  # type: ignore[arg-type]


@pytest.mark.parametrize("dims", [0, 4, -1, None, 2.0, "2"])
@pytest.mark.parametrize("name", ["adapool", "gated", "lip"])
def test_dimensions_of_a_layer_are_one_to_three(name: str, dims: Any) -> None:
    with pytest.raises(OperatorError, match=r"dims is .*1, 2 or 3"):
        create_pool(name, 2, channels=2, dims=dims)


@pytest.mark.parametrize(
    ("numbers", "options"),
    [((0,), {}), ((2, -1), {}), ((2.5,), {}), ((2, "1"), {}), ((2,), {"betaa": 3})],
)
def test_layers_are_refused_when_they_are_made(
    numbers: tuple[Any, ...], options: dict[str, Any]
) -> None:
    with pytest.raises(OperatorError):
        create_pool("adapool", *numbers, channels=2, **options)


def by_hand(x: Array, kernel: tuple[int, ...], padding: tuple[int, ...], counts: bool) -> Array:
    """Means of all windows of stride 1; padding is NaN or, where it counts, 0."""
    sides = [(0, 0), (0, 0), *((p, p) for p in padding)]
    padded = np.pad(x, sides, constant_values=0 if counts else np.nan)
    taken = np.lib.stride_tricks.sliding_window_view(padded, kernel, (2, 3, 4))
    return np.asarray(np.nanmean(taken, (-3, -2, -1)))


@pytest.mark.parametrize("counts", [False, True])
@pytest.mark.parametrize(
    ("size", "kernel", "padding"),
    [((3, 6, 3), (4, 4, 3), (2, 0, 0)), ((2, 2, 1), (3, 4, 2), (1, 2, 1))],
)
def test_an_average_of_a_kernel_that_only_padding_makes_fit(
    size: tuple[int, ...], kernel: tuple[int, ...], padding: tuple[int, ...], counts: bool
) -> None:
    x = torch.randn(1, 2, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    x.requires_grad_()
    y = avg_pool(x, kernel, 1, padding, count_include_pad=counts)
    expected = by_hand(x.detach().numpy(), kernel, padding, counts)
    np.testing.assert_allclose(y.detach().numpy(), expected, rtol=1e-12)
    assert torch.autograd.gradcheck(
        lambda v: avg_pool(v, kernel, 1, padding, count_include_pad=counts), (x,)
    )
    highest = max_pool(x, kernel, 1, padding, count_include_pad=counts)
    mixed = mixed_pool(x, kernel, 1, padding, count_include_pad=counts)
    gated = gated_pool(x, kernel, 1, padding, gate=torch.zeros(kernel), count_include_pad=counts)
    torch.testing.assert_close(mixed, (highest + y) / 2)
    torch.testing.assert_close(gated, (highest + y) / 2)


@pytest.mark.parametrize("size", [(8,), (8, 8), (8, 8, 8)], ids=len)
@pytest.mark.parametrize("pool", [avg_pool, max_pool, mixed_pool, ada_pool])
def test_an_input_without_channels_gives_an_output_without(
    pool: Callable[..., Tensor], size: tuple[int, ...]
) -> None:
    x = torch.zeros(2, 0, *size, requires_grad=True)
    for how in ({}, {"ceil_mode": True, "count_include_pad": True}):
        y = pool(x, 3, 2, 1, **how)
        assert y.shape == pool(torch.zeros(2, 1, *size), 3, 2, 1, **how)[:, :0].shape
        y.sum().backward()


def test_maxima_without_channels_have_no_places() -> None:
    y, places = max_pool_with_places(torch.zeros(2, 0, 8, 8), 2)
    assert y.shape == places.shape == (2, 0, 4, 4)
    assert places.dtype == torch.int64


FAR_APART = [
    [1e20, 2e20, 1, 0], [1, 1e-20, 0, 0], [1, 1e-21, 0.3, 0.2], [1, 2, 1e-19, 3],
    [1e-40, -2e-40, 1, 2], [0.5, 1e-23, 0.5, 0.2], [1e38, 1e-30, -1e10, 3], [0, 0, 0, 0],
    [1e-42, 0, 2e-42, 0], [1, -1, 2, -2],
]  # fmt: skip


def cosine_pooled(values: list[float]) -> float:
    """Each number's cosine to the mean is 1, but 0 if just one of the two is 0."""
    x = np.array(values, dtype=np.float64)
    weights = np.exp(((x == 0) == (x.mean() == 0)).astype(np.float64))
    return float(weights @ x / weights.sum())


@pytest.mark.parametrize("values", FAR_APART, ids=str)
def test_cosines_of_numbers_far_apart(values: list[float]) -> None:
    x = torch.tensor([[values]], dtype=torch.float32, requires_grad=True)
    y = edscw_pool(x, 4, similarity="cosine")
    np.testing.assert_allclose(y.item(), cosine_pooled(values), rtol=1e-6, atol=1e-44)
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    torch.testing.assert_close(first.sum(), torch.ones(()))  # the weights, which are constant
    assert torch.equal(second, torch.zeros_like(second))


@pytest.mark.parametrize("value", [torch.inf, -torch.inf, torch.nan])
def test_cosines_of_what_is_not_finite_are_no_numbers(value: float) -> None:
    x = torch.tensor([[[1.0, value, 2.0, 0.0]]])
    assert edscw_pool(x, 4, similarity="cosine").isnan().all()


@pytest.mark.parametrize("scale", [1.0, 1e-15, 1e-30])
def test_cosines_of_vectors_far_apart(scale: float) -> None:
    x = torch.randn(1, 3, 4, generator=torch.Generator().manual_seed(3))
    x[..., 1] *= scale
    x = x.unsqueeze(-1).requires_grad_()  # N×C×K×out
    found = similarities(x, None, "cosine", "channel")[0, 0, :, 0]
    v = x.detach().double().numpy()[0, :, :, 0]
    m = v.mean(1)
    expected = np.abs(m @ v) / np.linalg.norm(v, axis=0) / np.linalg.norm(m)
    np.testing.assert_allclose(found.detach().numpy(), expected, rtol=1e-5)
    (first,) = torch.autograd.grad(found.sum(), x)
    wide = x.detach().double().requires_grad_()
    (exact,) = torch.autograd.grad(similarities(wide, None, "cosine", "channel").sum(), wide)
    torch.testing.assert_close(first.double(), exact, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["dice", "pce"])
@pytest.mark.parametrize("small", [1e-9, 1e-10, 1e-11])
def test_gradients_of_a_mean_that_cancels_are_finite(kind: Any, small: float) -> None:
    x = torch.tensor([[[2.5e9, -2.5e9, 0, -small]]], requires_grad=True)
    y = edscw_pool(x, 4, similarity=kind, backend="reference")
    (first,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), x)
    assert first.isfinite().all()
    assert second.isfinite().all()


@pytest.mark.parametrize("kind", ["dice", "pce"])
@pytest.mark.parametrize(
    "values", [[1, -1, 0, 1e-20], [1, -1, 0, 1e-25], [1, -1, 0, 1e-37], [1, -1, 3e-22, 1e-22]],
    ids=str,
)  # fmt: skip
def test_a_mean_far_below_the_largest_counts(kind: Any, values: list[float]) -> None:
    x = torch.tensor([[values]], dtype=torch.float32, requires_grad=True)
    wide = torch.tensor([[values]], dtype=torch.float64, requires_grad=True)
    y = edscw_pool(x, 4, similarity=kind, backend="reference")
    exact = edscw_pool(wide, 4, similarity=kind)
    torch.testing.assert_close(y.double(), exact, rtol=1e-5, atol=0)
    y.sum().backward()
    exact.sum().backward()
    assert x.grad is not None
    assert wide.grad is not None
    torch.testing.assert_close(x.grad.double(), wide.grad, rtol=1e-5, atol=0)
