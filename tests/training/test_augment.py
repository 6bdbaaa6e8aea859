from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch

from litescene.core import IGNORE
from litescene.data.augment import (
    Augmentation,
    augment_batch,
    color_matrices,
    mix_classes,
    sample_generator,
)

PLAIN = Augmentation(scale=(1.0, 1.0), flip=0.0, jitter=0.0, hue=0.0)


def picture(height: int = 40, width: int = 56) -> tuple[torch.Tensor, torch.Tensor]:
    g = np.random.default_rng(1)
    image = torch.from_numpy(g.integers(0, 256, (1, height, width, 3), dtype=np.uint8))
    labels = torch.from_numpy(g.integers(0, 11, (1, height, width), dtype=np.uint8))
    return image, labels


def test_without_changes_the_picture_passes_through() -> None:
    image, labels = picture()
    out, moved = augment_batch(image, labels, (40, 56), PLAIN, [sample_generator(0, 0, 0)])
    torch.testing.assert_close(out, image.permute(0, 3, 1, 2).float(), atol=1e-2, rtol=0)
    assert torch.equal(moved, labels.long())


def test_flip_mirrors_picture_and_labels_alike() -> None:
    image, labels = picture()
    flip = Augmentation(scale=(1.0, 1.0), flip=1.0, jitter=0.0, hue=0.0)
    out, moved = augment_batch(image, labels, (40, 56), flip, [sample_generator(0, 0, 0)])
    torch.testing.assert_close(out, image.flip(2).permute(0, 3, 1, 2).float(), atol=1e-2, rtol=0)
    assert torch.equal(moved, labels.flip(2).long())


def test_pixels_outside_the_picture_are_ignored() -> None:
    image, labels = picture()
    small = Augmentation(scale=(0.5, 0.5), flip=0.0, jitter=0.0, hue=0.0)
    _, moved = augment_batch(image, labels, (40, 56), small, [sample_generator(0, 0, 0)])
    assert (moved != 255).float().mean() == pytest.approx(0.25, abs=0.02)
    assert set(moved.unique().tolist()) <= {*range(11), 255}


def test_a_sample_depends_on_seed_epoch_and_index_alone() -> None:
    image, labels = picture()
    images, both = image.repeat(2, 1, 1, 1), labels.repeat(2, 1, 1)
    pair = [sample_generator(0, 3, 7), sample_generator(0, 3, 8)]
    together, _ = augment_batch(images, both, (32, 32), Augmentation(), pair)
    alone, _ = augment_batch(image, labels, (32, 32), Augmentation(), [sample_generator(0, 3, 8)])
    torch.testing.assert_close(together[1:], alone, atol=1e-4, rtol=0)
    other, _ = augment_batch(image, labels, (32, 32), Augmentation(), [sample_generator(0, 4, 8)])
    assert not torch.allclose(alone, other)


def test_hue_turns_colours_and_keeps_luma() -> None:
    matrix = color_matrices(np.array([[1.0, 1.0, 1.0, 1 / 3]]))[0]
    turned = matrix @ np.array([200.0, 40.0, 40.0])
    luma = np.array([0.299, 0.587, 0.114])
    assert luma @ turned == pytest.approx(luma @ [200, 40, 40], rel=1e-3)
    hue = colorsys.rgb_to_hsv(*np.clip(turned, 0, 255) / 255)[0]
    assert abs(hue - 0.0) > 0.2


def test_mixing_pastes_whole_classes_of_the_next_picture() -> None:
    rng = np.random.default_rng(0)
    labels = torch.from_numpy(rng.integers(0, 11, (4, 24, 32)))
    labels[:, :3] = IGNORE
    images = labels[:, None].float() + 1000 * torch.arange(4.0)[:, None, None, None]
    images = images.repeat(1, 3, 1, 1)
    generators = [sample_generator(0, 0, i) for i in range(4)]
    mixed, marked = mix_classes(images, labels, 1.0, generators)
    assert (mixed % 1000 == marked[:, None]).all()  # labels went with their pixels
    donors = (mixed[:, 0] // 1000).long()
    for i in range(4):
        source, own = labels[(i + 1) % 4], donors[i] == i
        assert set(donors[i].unique().tolist()) == {i, (i + 1) % 4}
        pasted = {int(c) for c in source.unique() if not own[source == c].any()}
        kept = {int(c) for c in source.unique() if own[source == c].all()}
        assert pasted | kept == set(source.unique().tolist())
        assert IGNORE in kept
    same, _ = mix_classes(images, labels, 0.0, [sample_generator(0, 0, i) for i in range(4)])
    assert torch.equal(same, images)
