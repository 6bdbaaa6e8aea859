"""Official names of BiSeNet (TorchSeg) and ShelfNet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litescene.training.foreign.keys import CONV_NORM, Weights, within
from litescene.training.foreign.published import IMAGENET, Published

ATTENTION_REFINEMENT = {
    **within("conv", "conv", CONV_NORM),
    "conv_atten": "attention.0",
    "bn_atten": "attention.1",
}
"""As STDC-Seg and ShelfNet name it; TorchSeg has names of its own."""
OUTPUT = {**within("conv", "0", CONV_NORM), "conv_out": "1"}

_BASIC_BLOCK = {
    "conv1": "first.0",
    "bn1": "first.1",
    "conv2": "second.0",
    "bn2": "second.1",
    "downsample.#": "shortcut.#",
}
_BOTTLENECK = {
    **{f"conv{i + 1}": f"body.{i}.0" for i in range(3)},
    **{f"bn{i + 1}": f"body.{i}.1" for i in range(3)},
    "downsample.#": "shortcut.#",
}
_STEM = {"conv1": "stem.0.0", "bn1": "stem.0.1"}
_DEEP_STEM = {
    **{f"conv1.{3 * i}": f"stem.{i}.0" for i in range(3)},
    **{f"conv1.{3 * i + 1}": f"stem.{i}.1" for i in range(2)},
    "bn1": "stem.2.1",
}


def _layers(count: int, block: Mapping[str, str]) -> dict[str, str]:
    """Stages, which both codes count from 1."""
    table: dict[str, str] = {}
    for i in range(count):
        table |= within(f"layer{i + 1}.#", f"stages.{i}.#", block)
    return table


_POINTWISE = {"conv1": "0", **within("point_wise_cbr", "1", CONV_NORM)}
_XCEPTION39 = {
    **within("conv1", "stem.0", CONV_NORM),
    **_layers(
        3,
        {
            **within("proj", "shortcut", _POINTWISE),
            **within("residual_branch.#", "body.#", _POINTWISE),
        },
    ),
}

_SPATIAL = {"conv_7x7": 0, "conv_3x3_1": 1, "conv_3x3_2": 2, "conv_1x1": 3}
_REFINEMENT = {
    **within("conv_3x3", "conv", CONV_NORM),
    **within("channel_attention.1", "attention", CONV_NORM),
}
_HEAD = {**within("conv_3x3", "0", CONV_NORM), "conv_1x1": "1"}


def _bisenet_options(weights: Weights) -> dict[str, Any]:
    return {"training_heads": "heads.0.conv_1x1.weight" in weights}


def _bisenet(encoder: Mapping[str, str]) -> Published:
    table = within("context_path", "encoder", encoder)
    for official, index in _SPATIAL.items():
        table |= within(f"spatial_path.{official}", f"spatial.{index}", CONV_NORM)
    table |= within("global_context.1", "context.mean", CONV_NORM)
    for index, (stride, up) in enumerate(((32, 16), (16, 8))):
        table |= within(f"arms.{index}", f"context.refine{stride}", _REFINEMENT)
        table |= within(f"refines.{index}", f"context.up{up}", CONV_NORM)
    table |= within("ffm.conv_1x1", "fusion.conv", CONV_NORM)
    table |= {f"ffm.channel_attention.{i + 1}.conv": f"fusion.weight.{2 * i}" for i in range(2)}
    for index, ours in enumerate(("head16", "head8", "head")):
        table |= within(f"heads.{index}", ours, _HEAD)
    return Published(
        code="https://github.com/ycszen/TorchSeg",
        license="MIT",
        table=table,
        classes="heads.2.conv_1x1.weight",
        options=_bisenet_options,
        input_spec=IMAGENET,
        sizes={"camvid": (720, 960), "cityscapes": (768, 1536)},
        ignored=("criterion",),
    )


_UP = ("conv", "dense")
_S_BLOCK = {"conv1": "conv", "bn1": "first.0", "bn2": "second"}
_CLIMB = {
    **within("bottom", "bottom", _S_BLOCK),
    **within("up_conv_list.#", "refine.#", ATTENTION_REFINEMENT),
    **within("up_dense_list.#", "merge.#", CONV_NORM),
}


def _shelfnet_options(weights: Weights) -> dict[str, Any]:
    return {"training_heads": "conv_out16.conv_out.weight" in weights}


def _shelfnet() -> Published:
    table = within("backbone", "encoder", {**_STEM, **_layers(4, _BASIC_BLOCK)})
    table |= within("decoder", "climb", _CLIMB) | within("ladder", "climb_again", _CLIMB)
    table |= within("ladder.inconv", "descend.start", _S_BLOCK)
    table |= within("ladder.down_module_list.#", "descend.blocks.#", _S_BLOCK)
    table |= {"ladder.down_conv_list.#": "descend.down.#"}
    for i in range(3):
        table |= within(f"trans{i + 1}", f"lateral.{i}", CONV_NORM)
    for official, ours in (("", "head"), ("16", "head16"), ("32", "head32")):
        table |= within(f"conv_out{official}", ours, OUTPUT)
    blocks = ("decoder.bottom", "ladder.bottom", "ladder.inconv", "ladder.down_module_list.#")
    return Published(
        code="https://github.com/juntang-zhuang/ShelfNet (branch citys_lw)",
        license="none stated on that branch",
        table=table,
        classes="conv_out.conv_out.weight",
        options=_shelfnet_options,
        input_spec=IMAGENET,
        ignored=("decoder.inconv",),
        compiled_norms=(
            *("backbone", "trans#", "conv_out", "conv_out#"),
            *(f"{part}.up_{kind}_list" for part in ("decoder", "ladder") for kind in _UP),
            *(f"{block}.bn1" for block in blocks),
        ),
    )


PUBLISHED = {
    "bisenet_r18": _bisenet({**_STEM, **_layers(4, _BASIC_BLOCK)}),
    "bisenet_x39": _bisenet(_XCEPTION39),
    "bisenet_r101": _bisenet({**_DEEP_STEM, **_layers(4, _BOTTLENECK)}),
    "shelfnet18": _shelfnet(),
    "shelfnet34": _shelfnet(),
}
