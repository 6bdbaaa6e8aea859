from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litescene.runtime.upsample import upsample_argmax


def upsampled(
    logits: np.ndarray, height: int, width: int, align_corners: bool = False
) -> np.ndarray:
    """float64 bilinear upsampling, with half-pixel centres and clamped edges or aligned corners."""

    def axis(source: int, target: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        position = np.clip((np.arange(target) + 0.5) * source / target - 0.5, 0, None)
        if align_corners:
            position = np.linspace(0, source - 1, target) if target > 1 else np.zeros(1)
        low = np.minimum(position.astype(int), source - 1)
        return low, np.minimum(low + 1, source - 1), position - low

    y0, y1, fy = axis(logits.shape[1], height)
    x0, x1, fx = axis(logits.shape[2], width)
    wide = logits.astype(np.float64)
    rows = wide[:, y0] * (1 - fy)[None, :, None] + wide[:, y1] * fy[None, :, None]
    return rows[:, :, x0] * (1 - fx) + rows[:, :, x1] * fx


def assert_equal_but_near_ties(
    logits: np.ndarray, height: int, width: int, align_corners: bool = False
) -> None:
    full = upsampled(logits, height, width, align_corners)
    labels = upsample_argmax(logits, height, width, align_corners=align_corners)
    assert labels.shape == (height, width)
    wrong = labels != full.argmax(0)
    if wrong.any():
        best = full.max(0)[wrong]
        chosen = np.take_along_axis(full, labels[None].astype(int), 0)[0][wrong]
        assert (best - chosen).max() < 1e-5


@settings(max_examples=150, deadline=None)
@given(
    classes=st.integers(1, 20),
    low=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    size=st.tuples(st.integers(1, 70), st.integers(1, 70)),
    levels=st.sampled_from([0, 3]),
    align_corners=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_labels_are_the_argmax_of_the_float64_upsampling(
    classes: int,
    low: tuple[int, int],
    size: tuple[int, int],
    levels: int,
    align_corners: bool,
    seed: int,
) -> None:
    logits = np.random.default_rng(seed).standard_normal((classes, *low)).astype(np.float32)
    if levels:  # many exact ties
        logits = np.round(logits * levels) / np.float32(levels)
    assert_equal_but_near_ties(logits, *size, align_corners)


def test_equal_logits_give_the_lowest_class() -> None:
    logits = np.zeros((5, 4, 6), np.float32)
    logits[[2, 4]] = 1.0
    assert (upsample_argmax(logits, 33, 47) == 2).all()


def test_a_class_that_is_second_at_every_corner_wins_inside() -> None:
    logits = np.array([[[10, -10]], [[-10, 10]], [[1, 1]]], np.float32)
    assert upsample_argmax(logits, 1, 40)[0, 20] == 2
    assert_equal_but_near_ties(logits, 1, 40)


def test_labels_agree_with_torch() -> None:
    torch = pytest.importorskip("torch")
    logits = np.random.default_rng(3).standard_normal((11, 45, 60)).astype(np.float32)
    full = torch.nn.functional.interpolate(
        torch.from_numpy(logits)[None], (360, 480), mode="bilinear", align_corners=False
    )
    same = upsample_argmax(logits, 360, 480) == full[0].argmax(0).numpy()
    assert same.mean() > 0.9999


@pytest.mark.parametrize("shape", [(4, 5), (0, 4, 5), (256, 4, 5), (3, 0, 5)])
def test_logits_of_a_wrong_shape_are_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="C×h×w"):
        upsample_argmax(np.zeros(shape, np.float32), 8, 8)
