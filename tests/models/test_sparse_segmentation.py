"""SCTF and ISCTF: the skipped blocks are skipped, the computed ones computed as in the whole."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import InputError
from litescene.export import profile
from litescene.models import create_model
from litescene.models.sparse_blocks import (
    best_blocks,
    cut_blocks,
    from_blocks,
    needy_blocks,
    repeat_border,
    to_blocks,
)

NAMES = ("sctf", "isctf")


def network(name: str, **options: object) -> nn.Module:
    torch.manual_seed(0)
    model = create_model(name, num_classes=5, **options).double()
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.running_mean.normal_(0, 0.1)
    return model.eval()


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("block", [32, 64])
def test_all_blocks_cut_out_give_what_the_whole_picture_gives(name: str, block: int) -> None:
    model = network(name, block=block)
    picture, features = drawn(2, 3, 128, 192), drawn(2, 64, 16, 24)
    with torch.inference_mode():
        whole = model.fine_scores(picture, features, None)
        count = 2 * (128 // block) * (192 // block)
        cut = model.fine_scores(picture, features, torch.arange(count))
    torch.testing.assert_close(from_blocks(cut, 128 // block, 192 // block), whole)


@pytest.mark.parametrize("name", NAMES)
def test_active_blocks_are_fused_and_the_others_coarse(name: str) -> None:
    sparse, dense = network(name, share=0.25), network(name, share=1.0)
    dense.load_state_dict(sparse.state_dict())
    x = drawn(2, 3, 128, 256)
    with torch.inference_mode():
        features = sparse.coarse(F.avg_pool2d(x, 2))
        trust = torch.sigmoid(sparse.gate(features))
        need = 1 - trust.reshape(2, 2, 8, 4, 8).mean((2, 4))
        found, everywhere = sparse.head_logits(x), dense.head_logits(x)
        coarse = F.interpolate(sparse.scores(features), scale_factor=2.0, mode="bilinear")
    for i in range(2):
        neediest = set(np.argsort(need[i].numpy().ravel())[-2:].tolist())
        for number in range(8):
            row, column = divmod(number, 4)
            at = (i, slice(None), slice(16 * row, 16 * row + 16))
            at = (*at, slice(16 * column, 16 * column + 16))
            expected = everywhere if number in neediest else coarse
            torch.testing.assert_close(found[at], expected[at])


@pytest.mark.parametrize("name", NAMES)
def test_a_quarter_of_the_blocks_costs_less_than_half_of_the_multiplications(name: str) -> None:
    macs = [
        profile(create_model(name, share=share), (512, 1024)).macs for share in (1, 0.5, 0.25, 0.1)
    ]
    assert macs == sorted(macs, reverse=True)
    assert macs[2] <= 0.5 * macs[0]


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_quarter_of_the_blocks_takes_less_than_half_of_the_time(name: str) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        models = [create_model(name, share=share).eval() for share in (1.0, 0.25)]
        x = torch.randn(1, 3, 512, 1024)
        with torch.inference_mode():
            rounds = [[seconds_of(model, x) for model in models] for _ in range(8)]
    finally:
        torch.set_num_threads(threads)
    dense, sparse = np.median(rounds[1:], 0)
    assert sparse <= 0.5 * dense


def seconds_of(model: nn.Module, x: Tensor) -> float:
    """Of this thread, so that other processes do not count."""
    began = time.thread_time()
    model.head_logits(x)
    return time.thread_time() - began


@pytest.mark.parametrize("name", NAMES)
def test_a_threshold_that_nothing_reaches_leaves_one_block(name: str) -> None:
    model = network(name, threshold=2.0)
    trust = torch.rand(2, 1, 16, 24)
    need = 1 - trust.reshape(2, 2, 8, 3, 8).mean((2, 4))
    assert model.active_blocks(trust).tolist() == [int(need.argmax())]
    model = network(name, threshold=0.0)
    assert model.active_blocks(trust).tolist() == list(range(12))


@pytest.mark.parametrize("name", NAMES)
def test_training_on_drawn_blocks_reaches_every_parameter(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=4, training_share=0.5).train()
    outputs = model(torch.randn(2, 3, 128, 128))
    sum(o.square().mean() for o in outputs.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


@pytest.mark.parametrize("options", [{"share": 0.0}, {"training_share": 1.5}, {"block": 20}])
def test_impossible_options_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=next(iter(options))):
        create_model("sctf", **options)


def test_the_best_blocks_are_those_of_a_sort() -> None:
    need = torch.rand(3, 4, 5)
    chosen = best_blocks(need, 0.33).tolist()
    expected = [20 * i + int(b) for i in range(3) for b in np.argsort(-need[i].numpy().ravel())[:7]]
    assert chosen == expected
    assert needy_blocks(need, 0.5).tolist() == np.flatnonzero(need.numpy() >= 0.5).tolist()


def test_cut_blocks_are_slices_of_the_padded_map() -> None:
    x = torch.randn(2, 3, 12, 16)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="edge")
    assert np.array_equal(repeat_border(x, 3).numpy(), padded)
    cut = cut_blocks(x, torch.tensor([0, 17, 23]), 4, 3).numpy()
    for crop, (n, row, column) in zip(cut, [(0, 0, 0), (1, 1, 1), (1, 2, 3)], strict=True):
        at = padded[n, :, 4 * row : 4 * row + 10, 4 * column : 4 * column + 10]
        assert np.array_equal(crop, at)
    assert torch.equal(from_blocks(to_blocks(x, 4), 3, 4), x)
    assert torch.equal(to_blocks(x, 4)[17], x[1, :, 4:8, 4:8])
