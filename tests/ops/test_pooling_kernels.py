"""The fused CPU kernels of the weighted poolings against PyTorch's operators in float64.

`planes` computes sixteen windows of a row at a time, `pixels` sixteen channels of tensors whose
channels come last.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from litescene.ops.pooling import ada_pool, edscw_pool, em_pool, idw_pool

Pool = Callable[..., Tensor]

FUSED: dict[str, Pool] = {
    "em": em_pool,
    "edscw": edscw_pool,
    "ada": partial(ada_pool, beta=0.3),
    "idw": idw_pool,
    "idw_l1": partial(idw_pool, distance="l1"),
    "idw_huber": partial(idw_pool, distance="huber", delta=0.5),
}
LAYOUTS = ["planes", "pixels"]
GEOMETRIES: list[tuple[tuple[int, ...], dict[str, Any]]] = [
    ((2, 9, 40), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((1, 20, 33), {"kernel_size": 2, "stride": 3, "ceil_mode": True}),
    # a window more would begin in the far padding
    ((1, 20, 32), {"kernel_size": 2, "stride": 3, "padding": 1, "ceil_mode": True,
                   "count_include_pad": True}),
    ((2, 20, 8, 36), {"kernel_size": 2}),
    ((2, 17, 9, 37), {"kernel_size": 2}),
    ((1, 40, 7, 5), {"kernel_size": 2, "stride": 2, "ceil_mode": True}),
    ((2, 8, 9, 70), {"kernel_size": 3, "stride": 2, "padding": 1}),
    ((1, 16, 8, 21), {"kernel_size": 3, "stride": 1}),
    ((1, 18, 9, 40), {"kernel_size": 3, "stride": 3}),
    ((1, 18, 9, 41), {"kernel_size": (2, 5), "stride": (3, 4), "padding": (0, 2)}),
    ((1, 9, 9, 38), {"kernel_size": (2, 3), "stride": (1, 2), "padding": (1, 0),
                     "dilation": (2, 3)}),
    ((2, 20, 9, 19), {"kernel_size": 3, "stride": 2, "padding": 1, "ceil_mode": True,
                      "count_include_pad": True}),
    ((1, 16, 4, 6, 36), {"kernel_size": 2}),
    ((1, 10, 5, 7, 19), {"kernel_size": (2, 3, 2), "stride": (2, 1, 2), "padding": (0, 1, 1)}),
]  # fmt: skip


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(3))


def laid(x: Tensor, layout: str) -> Tensor:
    """x in the layout; with one dimension there is no other than planes."""
    if layout == "planes" or x.ndim == 3:
        return x.contiguous()
    form = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.contiguous(memory_format=form)


def run(pool: Pool, g: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    """Output and gradients."""
    given = [t.detach().requires_grad_() for t in inputs]
    y = pool(*given)
    return (y.detach(), *torch.autograd.grad(y, given, g.to(y.dtype)))


def largest_error(found: Tensor, exact: Tensor) -> float:
    return float((found.double() - exact).abs().max())


def compare(
    pool: Pool, x: Tensor, layout: str, beta: Tensor | None = None, **how: Any
) -> list[float]:
    """Errors of the kernel's output and gradients; x and β hold numbers of float32."""
    more = () if beta is None else (beta,)

    def with_beta(x: Tensor, *beta: Tensor, backend: str = "auto") -> Tensor:
        return pool(x, **how, **({"beta": beta[0]} if beta else {}), backend=backend)

    exactly = partial(with_beta, backend="reference")
    g = noise(*exactly(x, *more).shape).float().double()
    exact = run(exactly, g, x, *more)
    found = run(with_beta, g, laid(x.float(), layout), *(t.float() for t in more))
    assert found[0].dtype == found[1].dtype == torch.float32
    assert found[0].stride() == laid(found[0], layout).stride()
    wrong = [largest_error(a, b) for a, b in zip(found, exact, strict=True)]
    # β's gradient is a sum over many windows
    return wrong[:2] + [e / max(1.0, float(exact[2].abs().max())) for e in wrong[2:]]


def rounded(x: Tensor) -> Tensor:
    """The nearest numbers of float32, in float64."""
    return x.float().double()


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("grad", ["exact", "detached"])
@pytest.mark.parametrize(("shape", "how"), GEOMETRIES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUSED)
def test_outputs_and_gradients_are_those_of_the_reference(
    name: str, layout: str, shape: tuple[int, ...], how: dict[str, Any], grad: str
) -> None:
    value, gradient = compare(FUSED[name], rounded(noise(*shape)), layout, grad=grad, **how)
    assert value < 1e-6
    assert gradient < 1e-5


@pytest.mark.parametrize("windows", [1, 2, 15, 16, 17, 31, 33, 130])
@pytest.mark.parametrize(
    "how",
    [
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": (1, 5), "stride": (1, 1), "dilation": (1, 2)},
    ],
)
def test_rows_of_any_width(windows: int, how: Any) -> None:
    width = 2 * windows if "dilation" not in how else windows + 8
    value, gradient = compare(FUSED["ada"], rounded(noise(1, 2, 4, width)), "planes", **how)
    assert value < 1e-6
    assert gradient < 1e-5


@pytest.mark.parametrize("size", [(8, 48), (10, 49), (7, 48), (12, 16), (4, 6, 48), (5, 9, 80)])
@pytest.mark.parametrize(
    "how",
    [
        {"kernel_size": 2},
        {"kernel_size": 2, "ceil_mode": True},
        {"kernel_size": 2, "stride": 2, "padding": 1},
        {"kernel_size": (3, 2), "stride": 2},
        {"kernel_size": (3, 2), "stride": (1, 2), "dilation": (2, 1)},
        {"kernel_size": (2, 4), "stride": 2},
    ],
)
def test_rows_that_end_with_half_a_block(size: tuple[int, ...], how: dict[str, Any]) -> None:
    """Two rows are computed as one where they can be; and β lies as the output does."""
    deep = len(size) - 2
    how = {k: (2,) * deep + v if isinstance(v, tuple) else v for k, v in how.items()}
    x = rounded(noise(2, 3, *size))
    beta = rounded(torch.sigmoid(noise(3, *ada_pool(x, **how).shape[2:])))
    value, *gradients = compare(ada_pool, x, "planes", beta, **how)
    assert value < 1e-6
    assert max(gradients) < 1e-5


@pytest.mark.parametrize("channels", [1, 3, 8, 15, 16, 17, 33])
def test_any_number_of_channels_last(channels: int) -> None:
    x = rounded(noise(2, channels, 6, 7))
    for kernel, stride, padding in ((2, 2, 0), (3, 2, 1)):
        how: Any = {"kernel_size": kernel, "stride": stride, "padding": padding}
        value, gradient = compare(FUSED["ada"], x, "pixels", **how)
        assert value < 1e-6
        assert gradient < 1e-5


@pytest.mark.parametrize("shape", [(), (1,), (20, 1, 1), (4, 8), (1, 4, 8), (20, 4, 8)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_of_beta(layout: str, shape: tuple[int, ...]) -> None:
    x, beta = rounded(noise(3, 20, 8, 17)), rounded(torch.sigmoid(noise(*shape)))
    value, gradient, of_beta = compare(ada_pool, x, layout, beta, kernel_size=2)
    assert value < 1e-6
    assert gradient < 1e-5
    assert of_beta < 1e-5


SPECIAL: list[list[float]] = [
    [0, 0, 0, 0],
    [5, 5, 5, 5],
    [1, 2, 3, 2],
    [1, -1, 0, 0],
    [0, 0, 1, -1],
    [90, 1, 2, 3],
    [100, 100, 100, 100],
    [110, 110, 110, 110],
    [-110, -110, -110, -110],
    [1e-40, 1e-40, 1e-40, 1e-40],
    [3.4e38, 3.4e38, 3.4e38, 3.4e38],
]


def by_definition(window: list[float]) -> tuple[float, float, float]:
    """eM, eDSCW and IDW in float64, with the rules for what the formulas leave open.

    0/0 counts as similar, and elements at the mean share the window.
    """
    m, top = statistics.fmean(window), max(window)
    away = [abs(x - m) for x in window]
    weights = [
        [math.exp(x - top) for x in window],
        [math.exp(2 * abs(x * m) / (x * x + m * m) if x or m else 1.0) for x in window],
        [float(d == 0) for d in away] if 0 in away else [1 / d for d in away],
    ]
    em, edscw, idw = (sum(w * x for w, x in zip(ws, window, strict=True)) / sum(ws)
                      for ws in weights)  # fmt: skip
    return em, edscw, idw


def windows_of(values: list[list[float]], layout: str) -> Tensor:
    """One 2×2 window per list, repeated to fill vectors: along the row, or along the channels."""
    v = torch.tensor(values).repeat(4, 1).reshape(-1, 2, 2)
    if layout == "pixels":
        return laid(v[None], layout)
    return v.permute(1, 0, 2).reshape(1, 1, 2, -1)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_special_windows(layout: str) -> None:
    x = windows_of(SPECIAL, layout).requires_grad_()
    pools: tuple[Pool, ...] = (em_pool, edscw_pool, idw_pool)
    for column, pool in enumerate(pools):
        y = pool(x, 2)
        expected = torch.tensor([by_definition(window)[column] for window in SPECIAL]).repeat(4)
        torch.testing.assert_close(y.detach().flatten(), expected, rtol=1e-6, atol=1e-44)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        assert bool(gradient.isfinite().all())
        # all are means: a constant added to a window is added to its output
        if pool is not edscw_pool:
            sums = 4 * torch.nn.functional.avg_pool2d(gradient, 2)
            torch.testing.assert_close(sums, torch.ones_like(sums), rtol=0, atol=2e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_windows_of_any_magnitude_stay_finite(layout: str) -> None:
    """A window's slopes do not depend on its scale but for eM, which is then its maximum."""
    window = [[1e20, 2e20, 1.0, 0.0], [3e38, -3e38, 1e38, 0.0], [1e-38, 3e-38, -2e-38, 0.0]]
    x = windows_of(window, layout).requires_grad_()
    for pool in (edscw_pool, idw_pool):
        y = pool(x, 2)
        exact = pool(x.detach().double(), 2)
        torch.testing.assert_close(y.detach().double(), exact, rtol=1e-5, atol=0)
        (gradient,) = torch.autograd.grad(y.sum(), x)
        double = x.detach().double().requires_grad_()
        (expected,) = torch.autograd.grad(pool(double, 2).sum(), double)
        torch.testing.assert_close(gradient.double(), expected, rtol=1e-5, atol=1e-5)
    y = em_pool(x, 2).flatten()
    assert y[:2].tolist() == pytest.approx([2e20, 3e38])
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("grad", ["exact", "detached"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUSED)
def test_what_is_not_finite_shows_in_its_windows_and_no_others(
    name: str, layout: str, grad: str, bad: float
) -> None:
    x = laid(noise(1, 20, 6, 40).float(), layout)
    clean, x = x.clone(), x.clone()
    x[0, 3, 1, 30] = bad
    for how, rows, columns in (
        ({"kernel_size": 2}, slice(0, 1), slice(15, 16)),
        ({"kernel_size": 3, "stride": 1, "padding": 1}, slice(0, 3), slice(29, 32)),
    ):
        pool = partial(FUSED[name], grad=grad, **how)
        g = torch.ones_like(pool(x))
        y, gradient = run(pool, g, x)
        of_clean = run(pool, g, clean)
        touched = torch.zeros_like(y, dtype=torch.bool)
        touched[0, 3, rows, columns] = True
        assert bool(y[touched].isnan().all())
        assert torch.equal(y[~touched], of_clean[0][~touched])
        reach = torch.zeros_like(x, dtype=torch.bool)
        if "padding" in how:
            reach[0, 3, 0:4, 28:33] = True
        else:
            reach[0, 3, 0:2, 30:32] = True
        assert bool(gradient[reach].isnan().all())
        assert torch.equal(gradient[~reach], of_clean[1][~reach])


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUSED)
def test_half_precision_is_computed_in_float32(name: str, layout: str, dtype: torch.dtype) -> None:
    x = laid(noise(2, 20, 7, 37).to(dtype), layout)
    for how in ({"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}):
        pool = partial(FUSED[name], **how)
        g = noise(*pool(x).shape).to(dtype)
        for half, single in zip(run(pool, g, x), run(pool, g, x.float()), strict=True):
            assert half.dtype == dtype
            assert torch.equal(half, single.to(dtype))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUSED)
def test_an_empty_batch_has_empty_results(name: str, layout: str) -> None:
    x = laid(torch.zeros(0, 20, 6, 7), layout)
    y, gradient = run(partial(FUSED[name], kernel_size=2), torch.zeros(0, 20, 3, 3), x)
    assert (y.shape, gradient.shape) == ((0, 20, 3, 3), x.shape)


@pytest.mark.parametrize("shape", [(), (20, 1, 1), (3, 3)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_empty_batch_gives_beta_no_gradient(layout: str, shape: tuple[int, ...]) -> None:
    def pool(x: Tensor, beta: Tensor) -> Tensor:
        return ada_pool(x, 2, beta=beta)

    x = laid(torch.zeros(0, 20, 6, 7), layout)
    of_beta = run(pool, torch.zeros(0, 20, 3, 3), x, torch.full(shape, 0.5))[2]
    assert torch.equal(of_beta, torch.zeros(shape))


@pytest.mark.parametrize("name", FUSED)
def test_other_strides_make_no_difference(name: str) -> None:
    whole = noise(4, 40, 12, 37).float()
    pool = partial(FUSED[name], kernel_size=3, stride=2)
    for part in (whole[1::2, ::2], whole[..., 1:-1], whole.transpose(2, 3), whole[:, :, ::2, ::3]):
        g = noise(*pool(part).shape).float()
        found = run(pool, g.transpose(2, 3).contiguous().transpose(2, 3), part)
        for a, b in zip(found, run(pool, g, part.contiguous()), strict=True):
            assert torch.equal(a, b)


@pytest.mark.parametrize("shape", [(), (40, 1, 1), (20, 16)])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_results_depend_neither_on_threads_nor_on_the_run(
    layout: str, shape: tuple[int, ...], threads: Callable[[int], None]
) -> None:
    x, beta = laid(noise(3, 40, 41, 33).float(), layout), torch.sigmoid(noise(*shape)).float()

    def apart(x: Tensor, beta: Tensor) -> Tensor:
        return ada_pool(x, 2, beta=beta)

    overlapping = partial(idw_pool, kernel_size=3, stride=1)
    found = []
    for count in (1, 2, 3, 3):
        threads(count)
        found.append(
            (*run(apart, noise(3, 40, 20, 16), x, beta), *run(overlapping, noise(3, 40, 39, 31), x))
        )
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", FUSED)
def test_gradients_can_be_differentiated_again(name: str, layout: str) -> None:
    def second(x: Tensor) -> Tensor:
        y = FUSED[name](x, 2)
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    # away from where slopes of similarities and inverse distances are steep
    x = laid(noise(1, 8, 4, 4).float(), layout)
    single = second(x.requires_grad_())
    exact = second(x.detach().double().requires_grad_())
    error = (single.double() - exact).abs() / (1 + exact.abs())
    assert float(error.median()) < 1e-5
