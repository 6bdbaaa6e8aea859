"""YOLOv5-Lite: counts, sizes, gradients, and parity with the published network."""

from __future__ import annotations

import importlib
import json
import math
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litescene.export import fuse, profile
from litescene.export.graph import head_maps
from litescene.models import create_model, variant
from litescene.models.backbones.pp_lcnet import SqueezeExcitation
from litescene.models.backbones.rep_csp import RepConv2d
from litescene.models.backbones.shufflenet_v2 import (
    ShuffleDownUnit,
    ShuffleNetV2,
    ShuffleUnit,
    channel_shuffle,
)
from litescene.models.csp_blocks import FocusConv2d
from litescene.models.detection.anchor_head import decode_level
from litescene.models.detection.yolov5_lite import PAD_VALUE, YOLOv5Lite
from litescene.training.foreign import load_official

NAMES = tuple(f"yolov5_lite_{letter}" for letter in "escg")
COUNTS = {"e": 787_085, "s": 1_649_853, "c": 4_591_901, "g": 5_574_845}
MACS = {
    "e": {320: 357_442_400, 416: 604_077_656, 512: 915_052_544, 640: 1_429_769_600},
    "s": {320: 486_231_200, 416: 821_730_728, 512: 1_244_751_872, 640: 1_944_924_800},
    "c": {320: 1_102_444_544, 416: 1_862_809_088, 512: 2_821_529_600, 640: 4_408_377_344},
    "g": {320: 2_004_313_600, 416: 3_387_289_984, 512: 5_131_042_816, 640: 8_017_254_400},
}
FUSED_G = {320: 1_951_884_800, 416: 3_298_685_312, 512: 4_996_825_088, 640: 7_807_539_200}
"""g with its branches joined; the others keep their multiply-accumulates."""
# Gains of the reference weights (parity/yolov5_lite/weight_recipe.py).
GAINS = {"e": 1.5, "s": 1.6, "c": 2.5, "g": 1.7}


def build(name: str, classes: int = 80) -> YOLOv5Lite:
    torch.manual_seed(0)
    model = create_model(name, num_classes=classes)
    assert isinstance(model, YOLOv5Lite)
    return model


@pytest.mark.parametrize("name", NAMES)
def test_parameter_counts_are_the_published_ones(name: str) -> None:
    count = sum(p.numel() for p in build(name).parameters())
    assert count == variant(name).parameters[80] == COUNTS[name[-1]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [(64, 64), (65, 130), (90, 160)])
def test_any_size_from_64_gives_finite_rows(name: str, size: tuple[int, int]) -> None:
    model = build(name, 8).eval()
    height, width = (math.ceil(side / 32) * 32 for side in size)
    with torch.inference_mode():
        rows = model(torch.rand(1, 3, *size))
    expected = sum(3 * (height // s) * (width // s) for s in (8, 16, 32))
    assert rows.shape == (1, expected, 13)
    assert torch.isfinite(rows).all()


def test_odd_sizes_are_padded_with_grey_on_the_right_and_bottom() -> None:
    model = build("yolov5_lite_e", 3).eval()
    x = torch.rand(1, 3, 70, 100)
    padded = torch.full((1, 3, 96, 128), PAD_VALUE)
    padded[..., :70, :100] = x
    with torch.inference_mode():
        torch.testing.assert_close(model(x), model(padded), rtol=0, atol=0)


def test_pictures_below_64_pixels_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 64×64"):
        build("yolov5_lite_e", 3)(torch.rand(1, 3, 63, 64))


@pytest.mark.parametrize("name", NAMES)
def test_multiply_accumulates_are_those_of_the_origin(name: str) -> None:
    model, letter = build(name), name[-1]
    assert {side: profile(model, (side, side)).macs for side in MACS[letter]} == MACS[letter]


def disturbed(name: str, classes: int) -> YOLOv5Lite:
    """With statistics and scales of batch norms that are not those of the beginning."""
    model = build(name, classes)
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.uniform_(norm.bias, -0.2, 0.2)
        nn.init.uniform_(norm.get_buffer("running_var"), 0.6, 1.4)
        nn.init.uniform_(norm.get_buffer("running_mean"), -0.2, 0.2)
    return model.eval()


@pytest.mark.parametrize("name", NAMES)
def test_the_fused_form_has_no_batch_norm_and_computes_the_same(name: str) -> None:
    model = disturbed(name, 80).double()
    x = torch.rand(1, 3, 96, 128, dtype=torch.float64)
    fused = fuse(model, head_maps, x)
    assert not [m for m in fused.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.inference_mode():
        want, have = model.raw_heads(x), fused.raw_heads(x)
    for a, b in zip(want, have, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-12 * float(a.abs().max()))
    assert next(fuse(model.float(), head_maps, x.float()).parameters()).dtype == torch.float32
    if name[-1] == "g":
        counted = {side: profile(fused.float(), (side, side)).macs for side in FUSED_G}
        assert counted == FUSED_G


def test_focus_is_the_six_by_six_convolution() -> None:
    torch.manual_seed(0)
    focus = FocusConv2d(3, 8).double()
    x = torch.randn(2, 3, 64, 70, dtype=torch.float64)
    whole = focus.deployed()
    assert (whole.kernel_size, whole.stride, whole.padding) == ((6, 6), (2, 2), (2, 2))
    torch.testing.assert_close(whole(x), focus(x), rtol=0, atol=1e-13)


def test_repvgg_is_one_convolution() -> None:
    torch.manual_seed(0)
    block = RepConv2d(5, 7).double()
    x = torch.randn(4, 5, 33, 40, dtype=torch.float64)
    block(x)  # statistics other than 0 and 1
    block.eval()
    torch.testing.assert_close(block.deployed()(x), block(x), rtol=0, atol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_gradient(name: str) -> None:
    model = build(name, 4).train()
    raw = model(torch.rand(2, 3, 64, 96))["raw"]
    sum(x.square().sum() for x in raw).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.abs().sum() > 0, key


def test_the_state_survives_saving_and_loading() -> None:
    from safetensors.torch import load, save

    first, second = build("yolov5_lite_s", 5).eval(), create_model("yolov5_lite_s", num_classes=5)
    second.load_state_dict(load(save(first.state_dict())))
    x = torch.rand(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(first(x), second.eval()(x), rtol=0, atol=0)


def test_objectness_starts_at_eight_objects_in_a_picture_of_640() -> None:
    torch.manual_seed(0)
    model = build("yolov5_lite_s", 8)
    for conv, stride in zip(model.head.convs, (8, 16, 32), strict=True):
        bias = conv.get_parameter("bias").detach().view(3, 13)
        bound = 1 / math.sqrt(conv.get_parameter("weight").shape[1])
        assert (bias[:, 4] - math.log(8 / (640 / stride) ** 2)).abs().max() <= bound
        assert (bias[:, 5:] - math.log(0.6 / (8 - 0.99))).abs().max() <= bound


def test_batch_norm_has_the_published_constants() -> None:
    norms = [m for m in build("yolov5_lite_e").modules() if isinstance(m, nn.BatchNorm2d)]
    assert {(m.eps, m.momentum) for m in norms} == {(1e-3, 0.03)}


def test_decoding_follows_the_formula() -> None:
    raw = torch.randn(1, 2 * 7, 3, 4, dtype=torch.float64)
    anchors = torch.tensor([[10.0, 20.0], [30.0, 40.0]], dtype=torch.float64)
    rows = decode_level(raw, anchors, 16)[0].numpy()
    s = 1 / (1 + np.exp(-raw.numpy()[0].reshape(2, 7, 3, 4)))
    for a in range(2):
        for r in range(3):
            for c in range(4):
                t = s[a, :, r, c]
                row = rows[(a * 3 + r) * 4 + c]
                expected = [
                    (2 * t[0] - 0.5 + c) * 16,
                    (2 * t[1] - 0.5 + r) * 16,
                    (2 * t[2]) ** 2 * float(anchors[a, 0]),
                    (2 * t[3]) ** 2 * float(anchors[a, 1]),
                ]
                np.testing.assert_allclose(row, [*expected, *t[4:]], rtol=1e-12)


def test_the_channel_shuffle_interleaves_groups() -> None:
    x = torch.arange(6.0).view(1, 6, 1, 1)
    assert channel_shuffle(x).flatten().tolist() == [0, 3, 1, 4, 2, 5]
    with pytest.raises(ValueError, match="5 channels"):
        channel_shuffle(torch.zeros(1, 5, 1, 1))


def test_the_training_form_of_the_shuffle_has_the_same_values_and_gradients() -> None:
    torch.manual_seed(0)
    model = ShuffleNetV2((8, 16, 24), (1, 1, 1), 8).double().eval()
    units = [m for m in model.modules() if isinstance(m, (ShuffleUnit, ShuffleDownUnit))]
    x = torch.randn(2, 3, 64, 96, dtype=torch.float64)
    results = []
    for training in (False, True):
        for unit in units:
            unit.training = training
        model.zero_grad()
        maps = model(x)
        sum(m.sin().sum() for m in maps).backward()
        results.append((maps, [p.grad.clone() for p in model.parameters()]))
    for part in (0, 1):
        for plain, fast in zip(results[0][part], results[1][part], strict=True):
            torch.testing.assert_close(fast, plain, rtol=1e-10, atol=1e-10)


def test_a_backbone_of_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="even width"):
        ShuffleNetV2((9, 16, 24))


def official_state(folder: Path, letter: str) -> dict[str, Tensor]:
    """Weights under the official names, made from the keys by the parity folder's own rule."""
    manifest = json.loads((folder / f"v5lite_{letter}_manifest.json").read_text())
    shapes = {entry[0]: tuple(entry[1]) for entry in manifest["state_dict"]}
    norms = {key[: -len("running_mean")] for key in shapes if key.endswith("running_mean")}
    state = {}
    for key, shape in shapes.items():
        if key.endswith(("anchors", "num_batches_tracked")):
            continue
        if key.endswith("anchor_grid"):
            state[key] = torch.tensor(manifest["anchors_px"]).reshape(shape)
            continue
        g = np.random.Generator(np.random.PCG64(zlib.crc32(key.encode())))
        prefix, leaf = key[: key.rfind(".") + 1], key[key.rfind(".") + 1 :]
        if prefix in norms:
            ranges = {"weight": (0.7, 1.3), "running_var": (0.6, 1.4)}
            values = g.uniform(*ranges[leaf], shape) if leaf in ranges else g.normal(0, 0.2, shape)
        elif leaf == "weight":
            values = g.normal(0.0, (GAINS[letter] / np.prod(shape[1:])) ** 0.5, shape)
        else:
            values = g.normal(0.0, 0.1, shape)
        state[key] = torch.from_numpy(np.asarray(values, np.float32))
    return state


@pytest.mark.data
@pytest.mark.parametrize("letter", ["e", "s"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_heads_and_boxes_equal_the_published_network(
    parity_folder: Path, letter: str, dtype: torch.dtype
) -> None:
    folder = parity_folder / "yolov5_lite"
    model, options = load_official(f"yolov5_lite_{letter}", official_state(folder, letter))
    assert isinstance(model, YOLOv5Lite)
    assert options == {"num_classes": 80}
    model = model.to(dtype)
    inputs = np.load(folder / "input.npz")
    golden = np.load(folder / f"v5lite_{letter}_320.npz")
    with torch.inference_mode():
        x = torch.from_numpy(inputs["x320"]).to(dtype)
        raw, rows = model.raw_heads(x), model(x)[0].numpy()
        wide = model(torch.from_numpy(inputs["x256x320"]).to(dtype))[0].numpy()
    # The reference is stored in float32: 1e-6 relative is all that it holds.
    rtol, atol = (5e-6, 1e-3) if dtype == torch.float32 else (1e-6, 1e-6)
    for level, x in zip((3, 4, 5), raw, strict=True):
        n, _, h, w = x.shape
        values = x.view(n, 3, 85, h, w).permute(0, 1, 3, 4, 2).numpy()
        tolerance = 2e-5 if dtype == torch.float32 else 1e-6
        np.testing.assert_allclose(values, golden[f"raw_p{level}"], rtol=0, atol=tolerance)
    np.testing.assert_allclose(rows[:, :5], golden["z_box"][0], rtol=rtol, atol=atol)
    np.testing.assert_allclose(rows[:200], golden["z_first200"][0], rtol=rtol, atol=atol)
    np.testing.assert_allclose(rows[-200:], golden["z_last200"][0], rtol=rtol, atol=atol)
    np.testing.assert_allclose(wide[:, :5], golden["rect256x320_z_box"][0], rtol=rtol, atol=atol)


@pytest.mark.data
def test_the_stored_official_state_is_the_one_made_by_rule(parity_folder: Path) -> None:
    folder = parity_folder / "yolov5_lite"
    stored = np.load(folder / "v5lite_e_state_dict_fp32.npz")
    for key, value in official_state(folder, "e").items():
        np.testing.assert_array_equal(value, stored[key], err_msg=key)


STAGES = {
    "e": [None, "3.0", "3", "4.0", "4", "5.0", "5"],
    "s": [None, "3.0", "3", "4.0", "4", "5.0", "5"],
    "c": [None, *(f"{s}.{i}" for s, n in ((2, 2), (3, 4), (4, 6), (5, 4)) for i in range(n))],
    "g": [None, "2.0", "2.1", "3.0", "3.1", "4.0", "4.1", "5.0", "5.1", "5.2"],
}
PARTS = {0: "lateral5", 3: "top4", 4: "lateral4", 7: "top3", 8: "down4", 10: "out4", 11: "down5",
         13: "out5"}  # fmt: skip


@pytest.mark.data
@pytest.mark.parametrize("letter", STAGES)
def test_every_layer_gives_what_the_published_one_gives(parity_folder: Path, letter: str) -> None:
    folder = parity_folder / "yolov5_lite"
    model, _ = load_official(f"yolov5_lite_{letter}", official_state(folder, letter))
    names = ["backbone.stem" if s is None else f"backbone.stage{s}" for s in STAGES[letter]]
    layers = dict(enumerate(names))
    if letter == "c":
        layers[len(layers)] = "backbone.dense"
    neck = len(layers)
    layers |= {neck + offset: f"neck.{part}" for offset, part in PARTS.items()}
    given: dict[str, Tensor] = {}
    for name in layers.values():
        module = model.get_submodule(name)
        module.register_forward_hook(lambda _m, _i, y, name=name: given.update({name: y}))
    x = torch.from_numpy(np.load(folder / "input.npz")["x320"]).double()
    with torch.inference_mode():
        model.double()(x)
    manifest = json.loads((folder / f"v5lite_{letter}_manifest.json").read_text())
    for index, _, shape, *expected in manifest["layer_stats_320"]:
        if index not in layers:  # without weights: upsampling, concatenation, sum
            continue
        y = given[layers[index]]
        assert list(y.shape) == shape
        found = [y.mean(), y.std(), y.abs().max(), y.abs().sum()]
        np.testing.assert_allclose(torch.stack(found), expected, rtol=1e-9, atol=1e-9,
                                   err_msg=layers[index])  # fmt: skip


class _Outputs(nn.Module):
    """The outputs as the golden values name them."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.model = build(name)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        raw = self.model.raw_heads(x)
        rows = self.model.head.decode(raw)
        maps = {
            f"raw_p{i}": m.view(m.shape[0], 3, 85, *m.shape[2:]).permute(0, 1, 3, 4, 2)
            for i, m in enumerate(raw, start=3)
        }
        return {"boxes": rows[..., :4], "scores": rows[..., 4:], **maps}


@pytest.mark.data
@pytest.mark.parametrize("letter", ["e", "s"])
def test_golden_values_of_the_published_network_are_met(
    parity_folder: Path, letter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(parity_folder))
    exec_order: Any = importlib.import_module("exec_order")
    try:
        record = json.loads((parity_folder / "goldens_open.json").read_text())
        record = record[f"YOLOv5-Lite-{letter}"]
        result = exec_order.check(lambda: _Outputs(f"yolov5_lite_{letter}"), record)
    finally:
        sys.modules.pop("exec_order", None)
    assert result["ok"], result["cases"]


def test_gates_begin_open_whatever_the_map() -> None:
    torch.manual_seed(0)
    gate = SqueezeExcitation(64)
    for size, least, most in ((1.0, 0.99, 1.01), (100.0, 0.7, 1.3)):
        x = size * (0.1 + torch.rand(2, 64, 5, 7))
        with torch.inference_mode():
            opened = gate(x) / x
        assert least < float(opened.min()) <= float(opened.max()) < most
