"""The ways back: unpooling by places, and lifting that is undone."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import torch
from pooling_cases import noise, onnx_outputs, picture
from safetensors.torch import save
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import OperatorError
from litescene.ops.pooling import (
    LiftPool,
    LiftUpPool,
    MaxUnPool,
    lift_pool,
    lift_pool_with_details,
    lift_unpool,
    max_pool,
    max_pool_with_places,
    max_unpool,
)

UNPOOLS: list[tuple[int, int, int, int]] = [(1, 2, 2, 0), (2, 2, 2, 0), (2, 3, 2, 1), (3, 2, 2, 0)]


@pytest.mark.parametrize(("dims", "kernel", "stride", "padding"), UNPOOLS)
def test_unpooling_by_places_is_torchs_own(
    dims: int, kernel: int, stride: int, padding: int
) -> None:
    """Also where windows overlap and values of two of them meet."""
    x = picture(dims)
    y, places = max_pool_with_places(x, kernel, stride, padding)
    assert torch.equal(y, max_pool(x, kernel, stride, padding))
    other = noise(*y.shape)
    unpool: Any = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[dims - 1]
    size = tuple(x.shape[2:])
    expected = unpool(other, places, kernel, stride, padding, output_size=size)
    assert torch.equal(MaxUnPool()(other, places, size), expected)
    assert torch.equal(max_unpool(other.float(), places, size), expected.float())


def test_maxima_come_back_to_where_they_were() -> None:
    x = noise(2, 3, 9, 7)
    y, places = max_pool_with_places(x, 3, 2, ceil_mode=True)
    back = max_unpool(y, places, (9, 7))
    there = back != 0
    assert torch.equal(back[there], x[there])
    assert torch.equal(max_pool(back.masked_fill(~there, -torch.inf), 3, 2, ceil_mode=True), y)
    half = max_unpool(y.bfloat16(), places, (9, 7))
    assert half.dtype == torch.bfloat16


def test_gradients_of_unpooling_are_exact() -> None:
    x = noise(1, 2, 5, 4)
    y, places = max_pool_with_places(x, 2)
    given = y.clone().requires_grad_()

    def back(y: Tensor) -> Tensor:
        return max_unpool(y, places, (5, 4))

    assert torch.autograd.gradcheck(back, given)
    assert torch.autograd.gradgradcheck(back, given)


def test_unpooling_exports_for_any_size(tmp_path: Path) -> None:
    class There(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y, places = max_pool_with_places(x, 2)
            return max_unpool(y, places, (x.shape[2], x.shape[3]))

    inputs = (picture(2, torch.float32), noise(1, 3, 12, 10, dtype=torch.float32))
    for x, found in zip(inputs, onnx_outputs(There(), inputs, tmp_path), strict=True):
        assert torch.equal(found, There()(x))


def test_places_that_do_not_fit_are_refused() -> None:
    y, places = max_pool_with_places(noise(1, 2, 4, 4), 2)
    with pytest.raises(OperatorError, match=r"y \(1, 1, 2, 2\) and places \(1, 2, 2, 2\)"):
        max_unpool(y[:, :1], places, (4, 4))
    with pytest.raises(OperatorError, match="places int64"):
        max_unpool(y, places.float(), (4, 4))
    with pytest.raises(OperatorError, match="the 2 dimensions of y"):
        max_unpool(y, places, (4,))
    with pytest.raises(OperatorError, match=r"do not lie in a size of \(2, 3\)"):
        max_unpool(y, places, (2, 3))


def learned_lift(dims: int, **options: Any) -> LiftPool:
    torch.manual_seed(4)
    return LiftPool(channels=3, dims=dims, **options).double()


@pytest.mark.parametrize("output", ["sum", "low"])
@pytest.mark.parametrize(("dims", "size"), [(1, (8,)), (1, (7,)), (2, (6, 8)), (2, (7, 5)),
                                            (3, (4, 5, 6))])  # fmt: skip
def test_lifting_is_undone_exactly(dims: int, size: tuple[int, ...], output: str) -> None:
    x = noise(2, 3, *size)
    pool = learned_lift(dims, output=output, ceil_mode=True)
    y, details = pool.with_details(x)
    assert y.shape[2:] == tuple(-(-length // 2) for length in size)
    assert len(details) == 2**dims - 1
    back = LiftUpPool(pool)(y, details, size)
    torch.testing.assert_close(back, x, rtol=1e-12, atol=1e-12)


def test_without_ceil_mode_an_odd_row_is_lost_and_the_rest_comes_back() -> None:
    x = noise(1, 3, 7, 9)
    pool = learned_lift(2)
    y, details = pool.with_details(x)
    assert tuple(y.shape) == (1, 3, 3, 4)
    torch.testing.assert_close(LiftUpPool(pool)(y, details), x[..., :6, :8])


def test_haars_lifting_has_its_closed_form() -> None:
    """The approximation is the mean, a detail the difference of the means of both halves."""
    x = picture(2)[..., :6, :]
    a, b, c, d = (x[..., i::2, j::2] for i, j in itertools.product(range(2), range(2)))
    low, (across, down, both) = lift_pool_with_details(x, output="low")
    torch.testing.assert_close(low, F.avg_pool2d(x, 2))
    torch.testing.assert_close(across, (b + d - a - c) / 2)
    torch.testing.assert_close(down, (c + d - a - b) / 2)
    torch.testing.assert_close(both, a + d - b - c)
    torch.testing.assert_close(lift_pool(x), low + across + down + both)
    torch.testing.assert_close(lift_unpool(low, (across, down, both), output="low"), x)


def test_gradients_of_lifting_there_and_back_are_exact() -> None:
    x = noise(1, 1, 4, 3).requires_grad_()

    def there(x: Tensor) -> Tensor:
        return lift_pool(x, ceil_mode=True)

    def and_back(x: Tensor) -> Tensor:
        y, details = lift_pool_with_details(x, ceil_mode=True)
        return lift_unpool(y.sin(), details, (4, 3))

    for call in (there, and_back):
        assert torch.autograd.gradcheck(call, x)
        assert torch.autograd.gradgradcheck(call, x)


def test_lifting_there_and_back_exports_for_any_size(tmp_path: Path) -> None:
    class There(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.pool = learned_lift(2, ceil_mode=True).float()
            self.up = LiftUpPool(self.pool)

        def forward(self, x: Tensor) -> Tensor:
            y, details = self.pool.with_details(x)
            back: Tensor = self.up(y.sin(), details, (x.shape[2], x.shape[3]))
            return back

    there = There()

    inputs = (picture(2, torch.float32), noise(1, 3, 12, 9, dtype=torch.float32))
    for x, found in zip(inputs, onnx_outputs(there, inputs, tmp_path), strict=True):
        torch.testing.assert_close(found, there(x).detach())


def test_the_way_back_has_no_weights_of_its_own() -> None:
    pool = learned_lift(2)
    both = nn.ModuleDict({"pool": pool, "back": LiftUpPool(pool)})
    assert len(list(both.parameters())) == len(list(pool.parameters()))
    save(both.state_dict())  # refuses tensors that are there twice


def test_lifting_keeps_types_and_refuses_what_does_not_fit() -> None:
    x = picture(2)
    for dtype in (torch.bfloat16, torch.float32):
        assert lift_pool(x.to(dtype)).dtype == dtype
    last = lift_pool(x.contiguous(memory_format=torch.channels_last))
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert tuple(lift_pool(x[:0]).shape) == (0, 3, 3, 4)
    for numbers in ((3,), (2, 1), (2, 2, 1), (2, 2, 0, 2)):
        with pytest.raises(OperatorError, match="lifting halves"):
            lift_pool(x, *numbers)
    with pytest.raises(OperatorError, match="output is one of sum, low"):
        lift_pool(x, output="high")  # type: ignore[arg-type]
    with pytest.raises(OperatorError, match="0 lifts for the 2 dimensions"):
        lift_pool(x, lifts=[])
    y, details = lift_pool_with_details(x)
    with pytest.raises(OperatorError, match="2 details of shapes"):
        lift_unpool(y, details[:2])
    with pytest.raises(OperatorError, match="expected are 3 of that shape"):
        lift_unpool(y[:, :1], details)
