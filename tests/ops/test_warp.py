"""Warping: values against SciPy in float64, gradients, types, export for any size."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from torch import Tensor, nn

from litescene.core import OperatorError
from litescene.ops import warp


def inputs(
    height: int = 7, width: int = 9, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    g = torch.Generator().manual_seed(height)
    picture = torch.randn(2, 3, height, width, generator=g, dtype=torch.float64)
    motion = 4 * torch.randn(2, 2, height, width, generator=g, dtype=torch.float64)
    return picture.to(dtype), motion.to(dtype)


@pytest.mark.parametrize("size", [(7, 9), (1, 12), (16, 2)], ids=str)
def test_each_pixel_is_the_bilinear_value_at_its_source(size: tuple[int, int]) -> None:
    picture, motion = inputs(*size)
    found = warp(picture, motion)
    y, x = np.mgrid[: size[0], : size[1]]
    for n in range(2):
        dx, dy = motion[n].numpy()
        for c in range(3):
            expected = map_coordinates(picture[n, c], [y + dy, x + dx], order=1, mode="nearest")
            np.testing.assert_allclose(found[n, c], expected, atol=1e-12)


def test_no_motion_changes_nothing_and_whole_pixels_shift() -> None:
    picture, motion = inputs()
    torch.testing.assert_close(warp(picture, 0 * motion), picture)
    right = torch.zeros_like(motion)
    right[:, 0] = 2
    torch.testing.assert_close(warp(picture, right)[..., :-2], picture[..., 2:])


def test_both_arguments_have_exact_gradients() -> None:
    picture, motion = inputs(4, 5)
    # away from whole pixels, where the bilinear surface has a fold
    motion = motion.round() + 0.3 + 0.4 * torch.rand_like(motion)
    assert torch.autograd.gradcheck(warp, (picture.requires_grad_(), motion.requires_grad_()))


def test_half_precision_keeps_the_places_of_a_wide_picture() -> None:
    picture = torch.arange(2000.0).view(1, 1, 1, 2000).to(torch.bfloat16)
    motion = torch.zeros(1, 2, 1, 2000, dtype=torch.bfloat16)
    found = warp(picture, motion)
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found, picture, atol=1e-3, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_and_an_empty_batch_stay(dtype: torch.dtype) -> None:
    picture, motion = inputs(dtype=dtype)
    assert warp(picture, motion).dtype == dtype
    assert warp(picture[:0], motion[:0]).shape == (0, 3, 7, 9)


@pytest.mark.parametrize("shape", [(2, 3, 7, 9), (2, 2, 9, 7), (1, 2, 7, 9)])
def test_a_motion_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(OperatorError, match=r"does not fit a picture of shape \(2, 3, 7, 9\)"):
        warp(inputs()[0], torch.zeros(shape))


def test_compiled_it_is_the_same() -> None:
    picture, motion = inputs(dtype=torch.float32)
    compiled = torch.compile(warp, backend="aot_eager")
    torch.testing.assert_close(compiled(picture, motion), warp(picture, motion))


class Warp(nn.Module):
    def forward(self, picture: Tensor, motion: Tensor) -> Tensor:
        return warp(picture, motion)


def test_it_exports_for_any_size(tmp_path: Path) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    axes = {name: {0: "n", 2: "h", 3: "w"} for name in ("picture", "motion")}
    with warnings.catch_warnings():
        # of the exporter that bundles are made with, and of the sizes that it sees
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        torch.onnx.export(
            Warp(), inputs(dtype=torch.float32), tmp_path / "warp.onnx",
            input_names=list(axes), dynamic_axes=axes, opset_version=17, dynamo=False,
        )  # fmt: skip
    session = onnxruntime.InferenceSession(
        tmp_path / "warp.onnx", providers=["CPUExecutionProvider"]
    )
    for size in ((7, 9), (12, 5)):
        picture, motion = inputs(*size, dtype=torch.float32)
        (found,) = session.run(None, {"picture": picture.numpy(), "motion": motion.numpy()})
        np.testing.assert_allclose(found, warp(picture, motion), atol=1e-5)
