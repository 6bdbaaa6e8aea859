"""Depthwise and dense convolutions and PReLU against PyTorch's own, in float64 and in use."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.ops import (
    DenseConv2d,
    DepthwiseConv2d,
    PReLU,
    dense,
    dense_conv2d,
    depthwise_conv2d,
    prelu,
)

CASES = [  # kernel, stride, padding, dilation
    ((3, 3), (2, 2), (1, 1), (1, 1)),
    ((3, 3), (1, 1), (4, 4), (4, 4)),
    ((3, 3), (1, 1), (0, 1), (2, 1)),
    ((5, 3), (2, 1), (2, 1), (1, 1)),
    ((3, 3), (2, 2), (2, 2), (2, 2)),
    ((3, 3), (2, 2), (0, 0), (1, 1)),
    ((3, 3), (1, 1), (5, 5), (2, 2)),
]
MORE_PADDING_THAN_REACH = CASES[-1]


def same_gradients(ours: Tensor, theirs: Tensor, *inputs: Tensor) -> None:
    torch.testing.assert_close(ours, theirs)
    g = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad(ours, inputs, g), torch.autograd.grad(theirs, inputs, g), strict=True
    ):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("size", [(12, 16), (11, 13)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_depthwise_values_and_gradients_are_torchs(
    case: tuple[tuple[int, int], ...], size: tuple[int, int], layout: torch.memory_format
) -> None:
    kernel, stride, padding, dilation = case
    x = torch.randn(2, 5, *size, dtype=torch.float64).contiguous(memory_format=layout)
    w, b = torch.randn(5, 1, *kernel, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    inputs = [t.requires_grad_() for t in (x, w, b)]
    ours = depthwise_conv2d(x, w, b, stride, padding, dilation)
    same_gradients(ours, F.conv2d(x, w, b, stride, padding, dilation, 5), *inputs)


@pytest.mark.parametrize("case", [*CASES[:-1], ((5, 5), (1, 1), (2, 2), (1, 1))])
@pytest.mark.parametrize("channels", [1, 3, 40, 300])
@pytest.mark.parametrize(("kind", "near"), [(torch.bfloat16, 2**-7), (torch.float32, 2**-15)])
def test_depthwise_gradients_are_those_of_float64_rounded(
    case: tuple[tuple[int, int], ...], channels: int, kind: torch.dtype, near: float
) -> None:
    kernel, stride, padding, dilation = case
    x = torch.randn(2, channels, 11, 13).to(kind).contiguous(memory_format=torch.channels_last)
    inputs = [x.requires_grad_(), torch.randn(channels, 1, *kernel).to(kind).requires_grad_()]
    exact = [t.detach().double().requires_grad_() for t in inputs]
    ours = depthwise_conv2d(*inputs, None, stride, padding, dilation)
    theirs = F.conv2d(*exact, None, stride, padding, dilation, channels)
    g = torch.randn(ours.shape).to(kind)
    for one, other in zip(
        (ours, *torch.autograd.grad(ours, inputs, g)),
        (theirs, *torch.autograd.grad(theirs, exact, g.double())),
        strict=True,
    ):
        assert one.dtype == kind
        torch.testing.assert_close(one.double(), other, rtol=near, atol=near)


@pytest.mark.parametrize("channels", [3, 40])
def test_with_more_padding_than_reach_bf16_is_pytorchs_own(channels: int) -> None:
    """How exact that is depends on the processor: without bf16 instructions it sums in bf16."""
    kernel, *how = MORE_PADDING_THAN_REACH
    x = torch.randn(2, channels, 11, 13).bfloat16().contiguous(memory_format=torch.channels_last)
    inputs = [x.requires_grad_(), torch.randn(channels, 1, *kernel).bfloat16().requires_grad_()]
    ours, theirs = depthwise_conv2d(*inputs, None, *how), F.conv2d(*inputs, None, *how, channels)
    g = torch.randn(ours.shape).bfloat16()
    of_ours, of_theirs = (torch.autograd.grad(y, inputs, g) for y in (ours, theirs))
    for one, other in zip((ours, *of_ours), (theirs, *of_theirs), strict=True):
        assert torch.equal(one, other)


def test_one_channel_under_a_window_taller_than_the_map_has_its_gradients() -> None:
    """PyTorch's own gradient of the window ends the program there (see the operator)."""
    x, w = torch.randn(2, 1, 16, 24), torch.randn(1, 1, 31, 1)
    inputs = [t.requires_grad_() for t in (x, w)]
    y = depthwise_conv2d(x, w, None, (1, 1), (15, 0))
    g = torch.randn_like(y)
    to_x, to_w = torch.autograd.grad(y, inputs, g)
    rows, window = seen_by_31_rows(x.detach().double()), w.detach().double().flatten()
    near = {"rtol": 1e-5, "atol": 1e-5, "check_dtype": False}
    torch.testing.assert_close(y, (rows * window).sum(-1), **near)
    torch.testing.assert_close(to_w.flatten(), (rows * g[..., None]).sum((0, 1, 2, 3)), **near)
    # the gradient of x by its inner product with another picture
    other = torch.randn(2, 1, 16, 24, dtype=torch.float64)
    expected = ((seen_by_31_rows(other) * window).sum(-1) * g).sum()
    torch.testing.assert_close((to_x * other).sum(), expected, rtol=1e-5, atol=1e-4)


def seen_by_31_rows(x: Tensor) -> Tensor:
    """N×1×H×W to N×1×H×W×31: the rows around each pixel, 0 outside."""
    return F.pad(x, (0, 0, 15, 15)).unfold(2, 31, 1)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kernel", [(1, 25), (25, 1), (1, 15)])
def test_wide_windows_return_in_bf16(kernel: tuple[int, int]) -> None:
    """PyTorch's own never does on some processors, for windows of one row (see the operator)."""
    around = kernel[0] // 2, kernel[1] // 2
    x = torch.randn(2, 16, 20, 30).contiguous(memory_format=torch.channels_last)
    layer = DepthwiseConv2d(16, kernel, 1, around)
    exact = F.conv2d(x.double(), layer.weight.double(), None, 1, around, 1, 16)
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x)
        rough.float().sum().backward()
    assert rough.dtype == torch.bfloat16
    torch.testing.assert_close(rough.double(), exact, rtol=0.02, atol=0.05)
    assert layer.weight.grad is not None
    with torch.no_grad():
        torch.testing.assert_close(
            layer.bfloat16()(x.bfloat16()).double(), exact, rtol=0.02, atol=0.05
        )


@pytest.mark.parametrize("slopes", [1, 5])
def test_prelu_values_and_gradients_are_torchs(slopes: int) -> None:
    x = torch.randn(2, 5, 7, 9, dtype=torch.float64, requires_grad=True)
    a = torch.randn(slopes, dtype=torch.float64, requires_grad=True)
    same_gradients(prelu(x, a), F.prelu(x, a), x, a)


@pytest.mark.parametrize("slopes", [1, 24])
@pytest.mark.parametrize("size", [(9, 11), (40, 50), (1, 1)])
@pytest.mark.parametrize(("kind", "step"), [(torch.bfloat16, 2**-7), (torch.float32, 2**-23)])
def test_prelu_is_that_of_float64_rounded_once(
    slopes: int, size: tuple[int, int], kind: torch.dtype, step: float
) -> None:
    x = torch.randn(3, 24, *size).to(kind).contiguous(memory_format=torch.channels_last)
    x[0, 0] = 0
    a = torch.randn(slopes)
    exact = [t.double().requires_grad_() for t in (x, a)]
    inputs = [x.requires_grad_(), a.requires_grad_()]
    ours, theirs = prelu(x, a), F.prelu(*exact)
    g = torch.randn(x.shape).to(kind)  # in the other memory format, as a gradient may be
    to_x, to_a = torch.autograd.grad(ours, inputs, g)
    exact_x, exact_a = torch.autograd.grad(theirs, exact, g.double())
    half_a_step = {"rtol": step / 2, "atol": 0}
    torch.testing.assert_close(ours.double(), theirs, **half_a_step)
    # at 0 PyTorch takes the other side
    zero = x == 0
    torch.testing.assert_close(to_x.double()[~zero], exact_x[~zero], **half_a_step)
    assert torch.equal(to_x[zero], g[zero])
    torch.testing.assert_close(to_a.double(), exact_a, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float32])
def test_prelu_lets_no_nan_disappear_and_does_not_depend_on_threads(kind: torch.dtype) -> None:
    x = torch.randn(2, 20, 30, 40).to(kind).contiguous(memory_format=torch.channels_last)
    x[1, 3, 4, 5] = torch.nan
    x[1, 4, 4, 5] = -torch.inf
    a, g = torch.rand(20) + 0.1, torch.randn_like(x)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            inputs = [x.clone().requires_grad_(), a.clone().requires_grad_()]
            y = prelu(*inputs)
            found.append((y.detach(), *torch.autograd.grad(y, inputs, g)))
    finally:
        torch.set_num_threads(before)
    y, _, to_a = found[0]
    assert torch.isnan(y).sum() == 1
    assert torch.isnan(y[1, 3, 4, 5])
    assert y[1, 4, 4, 5] == -torch.inf
    assert not torch.isfinite(to_a[4])
    for other in found[1:]:
        for one, two in zip(found[0], other, strict=True):
            assert torch.equal(torch.nan_to_num(one), torch.nan_to_num(two))


@pytest.mark.parametrize(
    "layer", [DepthwiseConv2d(6, (3, 3), 1, (2, 2), (2, 2), bias=True), PReLU(6)]
)
def test_layers_work_under_autocast_and_without_gradients(layer: torch.nn.Module) -> None:
    x = torch.randn(2, 6, 12, 16)
    with torch.no_grad():
        plain = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        rough = layer(x.bfloat16())
        rough.float().sum().backward()
    torch.testing.assert_close(rough.float(), plain, rtol=0.05, atol=0.05)
    assert all(p.grad is not None and p.grad.dtype == torch.float32 for p in layer.parameters())


@pytest.mark.parametrize("channels", [16, 17, 25, 40])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 2), (1, 4)])
def test_gradients_of_dilated_convolutions_are_right_in_bf16(
    channels: int, dilation: tuple[int, int]
) -> None:
    """PyTorch's own of the weight are rubbish on some processors, or end the program.

    That of the input is left to PyTorch, which without bf16 instructions rounds partial sums.
    """
    x = torch.randn(4, channels, 12, 14).bfloat16().contiguous(memory_format=torch.channels_last)
    layer = DenseConv2d(channels, 24, 3, 1, dilation, dilation).bfloat16()
    inputs = [x.requires_grad_(), layer.weight, layer.bias]
    ours = layer(x)
    g = torch.randn_like(ours)
    exact = [t.detach().double().requires_grad_() for t in inputs]
    theirs = F.conv2d(*exact, 1, dilation, dilation)
    for one, other, bound in zip(
        (ours, *torch.autograd.grad(ours, inputs, g)),
        (theirs, *torch.autograd.grad(theirs, exact, g.double())),
        (0.01, 4 * 2**-8, 0.01, 0.01),
        strict=True,
    ):
        difference = (one.detach().double() - other.detach()).abs().max()
        assert float(difference / other.detach().abs().max()) < bound


def test_dense_convolutions_equal_torchs_in_float64() -> None:
    x = torch.randn(2, 20, 11, 13, dtype=torch.float64, requires_grad=True)
    layer = DenseConv2d(20, 6, (3, 1), 1, (2, 0), (2, 1)).double()
    theirs = F.conv2d(x, layer.weight, layer.bias, 1, (2, 0), (2, 1))
    same_gradients(layer(x), theirs, x, layer.weight, layer.bias)


@pytest.fixture
def of_avx2(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the kernel for AVX2 be used whatever the processor."""
    monkeypatch.setattr(dense, "_CAPABILITY", "AVX2")


def float32_like(*shape: int) -> Tensor:
    return torch.randn(shape).contiguous(memory_format=torch.channels_last)


@pytest.mark.usefixtures("of_avx2")
@pytest.mark.parametrize(
    "case", [*CASES, ((1, 1), (1, 1), (0, 0), (1, 1)), ((3, 1), (1, 1), (16, 0), (16, 1))]
)
@pytest.mark.parametrize("channels", [(40, 40), (16, 6), (6, 16), (15, 45), (25, 131), (20, 5)])
@pytest.mark.parametrize("sums", [0, 20_000, 2**21])  # in one part, in some, in all
def test_weight_gradients_in_float32_are_those_of_float64_rounded(
    case: tuple[tuple[int, int], ...],
    channels: tuple[int, int],
    sums: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kernel, *how = case
    monkeypatch.setattr(dense, "_SUMS", sums)
    x, w = float32_like(3, channels[0], 11, 23), float32_like(*channels[::-1], *kernel)
    inputs = [t.requires_grad_() for t in (x, w, torch.randn(channels[1]))]
    exact = [t.detach().double().requires_grad_() for t in inputs]
    ours, theirs = dense_conv2d(*inputs, *how), F.conv2d(*exact, *how)
    g = torch.randn(ours.shape)  # in the other memory format, as a gradient may be
    for one, other in zip(
        (ours, *torch.autograd.grad(ours, inputs, g)),
        (theirs, *torch.autograd.grad(theirs, exact, g.double())),
        strict=True,
    ):
        torch.testing.assert_close(one.double(), other, rtol=2**-15, atol=2**-13)


@pytest.mark.usefixtures("of_avx2")
def test_weight_gradients_in_float32_do_not_depend_on_threads() -> None:
    x, w = float32_like(4, 40, 21, 33), float32_like(20, 40, 3, 3).requires_grad_()
    g = float32_like(4, 20, 21, 33)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            y = dense_conv2d(x, w, None, (1, 1), (1, 1))
            found.append(torch.autograd.grad(y, w, g)[0])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("capability", "kernel", "calls"), [("AVX2", 3, 1), ("AVX2", 1, 0), ("AVX512", 3, 0)]
)
def test_the_kernel_is_used_for_windows_on_avx2_alone(
    capability: str, kernel: int, calls: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dense, "_CAPABILITY", capability)
    seen, by_kernel = [], dense._by_kernel
    monkeypatch.setattr(dense, "_by_kernel", lambda *g: seen.append(g) or by_kernel(*g))
    layer = DenseConv2d(16, 16, kernel)
    layer(float32_like(1, 16, 5, 5)).sum().backward()
    assert len(seen) == calls


@pytest.mark.usefixtures("of_avx2")
def test_weight_gradients_in_float32_have_gradients_themselves() -> None:
    x, w = float32_like(2, 16, 6, 7).requires_grad_(), float32_like(16, 16, 3, 3).requires_grad_()
    exact = [t.detach().double().requires_grad_() for t in (x, w)]
    twice = []
    for y, inputs in (
        (dense_conv2d(x, w), [x, w]),
        (F.conv2d(*exact), exact),
    ):
        once = torch.autograd.grad(y.square().sum(), inputs[1], create_graph=True)[0]
        twice.append(torch.autograd.grad(once.square().sum(), inputs[0])[0].double())
    torch.testing.assert_close(*twice, rtol=1e-4, atol=1e-3 * float(twice[1].abs().max()))
