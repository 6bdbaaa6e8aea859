"""The Triton kernels against the float64 reference and the CPU's, on a GPU or else interpreted."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pooling_cases import GEOMETRIES, noise, picture
from test_pooling import SPECIAL
from torch import Tensor

from litescene.ops.pooling import ada_pool, edscw_pool, em_pool, fused, idw_pool, triton_launch
from litescene.ops.pooling.windows import windows_for

Pool = Callable[..., Tensor]

pytestmark = pytest.mark.skipif(
    not triton_launch.installed(),
    reason=f"there is no Triton from {triton_launch.OLDEST} on; pip install 'litescene[gpu]'",
)
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"

POOLS: dict[str, Pool] = {
    "em": em_pool,
    "edscw": edscw_pool,
    "ada": partial(ada_pool, beta=0.3),
    "idw": idw_pool,
}


@pytest.fixture(autouse=True)
def by_triton(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What would be the CPU kernels' part is Triton's; NumPy interprets it without a word."""
    monkeypatch.setattr(fused, "_on_gpu", lambda x: True)
    with np.errstate(all="ignore"):
        yield


def in_single(pool: Pool, x: Tensor, g: Tensor, *more: Tensor) -> list[Tensor]:
    """Largest differences of output and gradients from those of the reference in float64."""
    found = []
    for dtype in (torch.float32, torch.float64):
        # float32 values in both: their rounding is no error of the kernels
        inputs = [t.float().to(DEVICE, dtype).detach().requires_grad_() for t in (x, *more)]
        y = pool(*inputs)
        slope = g.float().to(DEVICE, dtype)
        found.append((y.detach(), *torch.autograd.grad(y, inputs, slope)))
    return [(a.double() - b).abs().max() for a, b in zip(*found, strict=True)]


def last(x: Tensor) -> Tensor:
    form = torch.channels_last if x.ndim == 4 else torch.channels_last_3d
    return x.contiguous(memory_format=form)


@pytest.mark.parametrize(("dims", "how"), GEOMETRIES)
@pytest.mark.parametrize(("name", "grad"), [("em", "exact"), ("edscw", "exact"), ("ada", "exact"),
                                            ("ada", "detached"), ("idw", "exact"),
                                            ("idw", "detached")])  # fmt: skip
def test_triton_agrees_with_the_reference(
    name: str, grad: str, dims: int, how: dict[str, Any]
) -> None:
    x = picture(dims)
    pool = partial(POOLS[name], grad=grad, **how)
    assert max(in_single(pool, x, noise(*pool(x).shape))) < 1e-5


@pytest.mark.parametrize(("dims", "how"), [g for g in GEOMETRIES if g[0] > 1])
def test_triton_agrees_with_channels_last(dims: int, how: dict[str, Any]) -> None:
    pool = partial(POOLS["ada"], **how)
    x = picture(dims)
    y = pool(x)
    assert max(in_single(pool, last(x), noise(*y.shape))) < 1e-5
    single = last(x.float()).to(DEVICE).requires_grad_()
    y = pool(single)
    assert last(y).data_ptr() == y.data_ptr()
    (gradient,) = torch.autograd.grad(y.sum(), single)
    assert last(gradient).data_ptr() == gradient.data_ptr()


@pytest.mark.parametrize("how", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}])
def test_triton_agrees_with_the_cpu(how: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for on_gpu in (True, False):
        monkeypatch.setattr(fused, "_on_gpu", lambda x, answer=on_gpu: answer)
        x = picture(2, torch.float32).to(DEVICE if on_gpu else "cpu").requires_grad_()
        beta = torch.tensor(0.4, device=x.device, requires_grad=True)
        y = ada_pool(x, beta=beta, **how)
        found.append([t.cpu() for t in (y, *torch.autograd.grad(y.square().sum(), (x, beta)))])
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("width", [30, 56, 129])
@pytest.mark.parametrize("how", [{"kernel_size": 3, "stride": 2, "padding": 1},
                                 {"kernel_size": (1, 5), "stride": (1, 3), "dilation": (1, 2)},
                                 {"kernel_size": (2, 4), "stride": 2, "padding": (0, 2)},
                                 {"kernel_size": 2, "stride": 2}])  # fmt: skip
def test_triton_takes_rows_of_any_width(width: int, how: dict[str, Any]) -> None:
    """Rows are computed in pieces of up to 16 outputs, pairs of elements by wide loads."""
    x = noise(1, 2, 6, width)
    pool: Pool = partial(ada_pool, beta=0.3, **how)
    value, gradient = in_single(pool, x, noise(*pool(x).shape))
    assert float(value) < 1.5e-6
    assert float(gradient) < 1e-4  # slopes grow with the inverse of small means


@pytest.mark.parametrize("form", [Tensor.contiguous, last])
@pytest.mark.parametrize("how", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2}])
@pytest.mark.parametrize("shape", [(1,), (3, 1, 1), (3, 4), (3, 3, 4)])
def test_triton_sums_the_gradient_of_beta(
    shape: tuple[int, ...], how: dict[str, Any], form: Callable[[Tensor], Tensor]
) -> None:
    x = form(noise(2, 3, 7, 9) if how["kernel_size"] == 3 else picture(2))
    beta = torch.sigmoid(noise(*shape))

    def pool(x: Tensor, beta: Tensor) -> Tensor:
        return ada_pool(x, beta=beta, **how)

    assert max(in_single(pool, x, noise(2, 3, 3, 4), beta)) < 1e-5


@pytest.mark.parametrize(("window", "edscw", "em", "idw"), SPECIAL)
def test_special_windows_in_triton(
    window: list[float], edscw: float, em: float, idw: float
) -> None:
    x = torch.tensor(window, dtype=torch.float32, device=DEVICE).reshape(1, 1, 2, 2)
    x.requires_grad_()
    for expected, pool in ((edscw, edscw_pool), (em, em_pool), (idw, idw_pool)):
        y = pool(x, 2)
        torch.testing.assert_close(
            y.item(), float(expected), rtol=1e-4 if abs(expected) > 1e-30 else 0.1, atol=1e-45
        )
        (gradient,) = torch.autograd.grad(y, x)
        exact = x.detach().double().requires_grad_()
        (truth,) = torch.autograd.grad(pool(exact, 2), exact)
        torch.testing.assert_close(gradient.double(), truth, rtol=1e-5, atol=1e-5)


def test_huge_windows_and_means_of_almost_nothing_stay_finite_in_triton() -> None:
    for window in ([1e20, 2e20, 1.0, 0.0], [1e20, -1e20, 1.0, 0.0], [1.0, -0.5, -0.5, 1e-10],
                   [3e37, 1e-38, -1e-38, 0.0]):  # fmt: skip
        x = torch.tensor(window, device=DEVICE).reshape(1, 1, 4).requires_grad_()
        for pool in POOLS.values():
            y = pool(x, 4)
            (gradient,) = torch.autograd.grad(y, x)
            assert float(x.detach().min()) <= y.item() <= float(x.detach().max()) * 1.0001
            assert bool(gradient.isfinite().all())


@pytest.mark.parametrize("grad", ["exact", "detached"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("name", POOLS)
def test_triton_hides_nothing(name: str, bad: float, grad: str) -> None:
    x = noise(1, 2, 6, 6, dtype=torch.float32)
    x[0, 0, 1, 2] = bad
    for how in ({"kernel_size": 3}, {"kernel_size": 3, "stride": 3, "padding": 1}):
        x = x.detach().to(DEVICE).requires_grad_()
        y = POOLS[name](x, grad=grad, **how)
        assert int(y.isnan().sum()) == 1
        (gradient,) = torch.autograd.grad(y[y.isnan()].sum(), x)
        last_row, last_column = (3, 3) if "padding" not in how else (2, 5)
        first_column = 0 if "padding" not in how else 2
        window = gradient[0, 0, :last_row, first_column:last_column]
        assert bool(window.isnan().all())
        assert int(gradient.isnan().sum()) == window.numel()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("how", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}])
def test_half_precision_is_read_and_written_by_triton(
    dtype: torch.dtype, how: dict[str, Any]
) -> None:
    x = picture(2).to(dtype)
    eps = torch.finfo(dtype).eps
    for pool in POOLS.values():
        single, exact = x.to(DEVICE).requires_grad_(), x.to(DEVICE).double().requires_grad_()
        y, truth = pool(single, **how), pool(exact, **how)
        assert y.dtype == dtype
        torch.testing.assert_close(y.double(), truth, rtol=eps, atol=1e-6)
        g = noise(*y.shape).to(DEVICE, dtype)
        (gradient,) = torch.autograd.grad(y, single, g)
        (slope,) = torch.autograd.grad(truth, exact, g.double())
        assert gradient.dtype == dtype
        torch.testing.assert_close(gradient.double(), slope, rtol=eps, atol=1e-5)


@pytest.mark.parametrize("how", [{"kernel_size": 2}, {"kernel_size": 3, "stride": 2, "padding": 1}])
def test_triton_gives_the_same_bits_again_and_with_wide_offsets(
    how: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = noise(3, 5, 12, 20, dtype=torch.float32).to(DEVICE).requires_grad_()
    beta = torch.full((5, 1, 1), 0.4, device=DEVICE, requires_grad=True)
    found = []
    for narrow in (triton_launch.NARROW, triton_launch.NARROW, 0):
        monkeypatch.setattr(triton_launch, "NARROW", narrow)
        y = ada_pool(x, beta=beta, **how)
        found.append((y, *torch.autograd.grad(y.square().sum(), (x, beta))))
    for again in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(again, found[0], strict=True))


def test_triton_takes_views_empty_batches_and_is_differentiated_twice() -> None:
    x = picture(2, torch.float32).to(DEVICE)
    for pool in POOLS.values():
        turned = pool(x.transpose(2, 3), 3, 2, 1).transpose(2, 3)
        torch.testing.assert_close(turned, pool(x, 3, 2, 1))
    windows: list[dict[str, Any]] = [{"kernel_size": 2}, {"kernel_size": 2, "stride": 1}]
    for how in windows:
        beta = torch.full((3, 1, 1), 0.5, device=DEVICE, requires_grad=True)
        empty = x[:0].requires_grad_()
        y = ada_pool(empty, beta=beta, **how)
        to_x, to_beta = torch.autograd.grad(y.sum(), (empty, beta))
        assert (tuple(to_x.shape), float(to_beta.abs().sum())) == ((0, 3, 7, 8), 0.0)

    def second(x: Tensor) -> Tensor:
        (first,) = torch.autograd.grad(ada_pool(x, 2).square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), x)[0]

    exact = second(x.double().requires_grad_())
    torch.testing.assert_close(second(x.requires_grad_()).double(), exact, rtol=1e-4, atol=1e-3)


def test_triton_leaves_the_rest_to_the_reference(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.zeros(1, 1, 20, 20, device=DEVICE)
    assert fused.takes(x, windows_for(x, 8))
    assert fused.takes(x, windows_for(x, 8), 0.0)
    assert not fused.takes(x, windows_for(x, 8), 0.5)
    assert not fused.takes(x, windows_for(x, (8, 9)))
    assert not fused.takes(x.double(), windows_for(x, 2))
    monkeypatch.setattr(triton_launch, "installed", lambda: False)
    assert not fused.takes(x, windows_for(x, 2))


COMPILE = """
import torch, triton
from triton.backends.compiler import GPUTarget
from triton.runtime.driver import driver
from triton.runtime.jit import JITFunction

class Nothing:
    get_current_target = lambda self: GPUTarget("cuda", 90, 32)
    get_current_device = lambda self: 0
    get_current_stream = lambda self, device=None: 0

driver.set_active(Nothing())
launch = JITFunction.run

def only_compile(self, *args, grid, warmup, **given):
    kernel = launch(self, *args, grid=grid, warmup=True, **given)
    ptx = kernel.asm["ptx"]
    print(self.__name__, "ld.global.v4" in ptx.replace("L1::evict", ""), ".local" in ptx)

JITFunction.run = only_compile
from litescene.ops.pooling import triton_launch
from litescene.ops.pooling.windows import windows_for

x, beta = torch.zeros(2, 16, 12, 16), torch.zeros(16, 1, 1)
for windows in (windows_for(x, 2), windows_for(x, 3, 2, 1)):
    y = triton_launch.forward(x, beta, windows, 3)
    triton_launch.backward(x, y, beta, windows, 3, True, True)
triton_launch.backward(x, triton_launch.forward(x, beta, windows, 4), beta, windows, 4, True, False)
"""


@pytest.mark.slow
def test_the_compiler_takes_the_kernels_and_makes_wide_loads(tmp_path: Path) -> None:
    """For compute capability 9.0, without a GPU: the interpreter takes more than the compiler."""
    quiet = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    ran = subprocess.run(
        [sys.executable, "-c", COMPILE],
        env=quiet | {"TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.strip().split("\n")
    assert [line.split()[0] for line in lines] == [
        "forward", "backward_apart", "forward", "survey", "gather", "forward", "survey", "gather",
    ]  # fmt: skip
    assert lines[0].split()[1] == lines[1].split()[1] == "True"
    assert not any(line.endswith("True") for line in lines)
