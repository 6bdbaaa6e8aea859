"""Official names of the networks on STDC: PP-LiteSeg (PaddleSeg) and STDC-Seg."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litescene.models.backbones.stdc import STDC1, STDC2
from litescene.training.foreign.bisenet import ATTENTION_REFINEMENT, OUTPUT
from litescene.training.foreign.keys import CONV_NORM, Weights, within
from litescene.training.foreign.published import IMAGENET, Published

_STDC_EXTRAS = ("conv_last", "fc", "bn", "linear", "x2", "x4", "x8", "x16", "x32")
"""A classifier for ImageNet, and the same layers once more under other names."""


def _stdc(repeats: Sequence[int]) -> dict[str, str]:
    """The encoder, whose layers have one running number in both codes."""
    table = within("features.0", "stem.0", CONV_NORM) | within("features.1", "stem.1", CONV_NORM)
    places = [(stage, i) for stage, count in enumerate(repeats) for i in range(count)]
    for index, (stage, i) in enumerate(places, 2):
        official, ours = f"features.{index}", f"stages.{stage}.{i}"
        table |= within(f"{official}.conv_list.0", f"{ours}.first", CONV_NORM)
        for j in range(3):
            table |= within(f"{official}.conv_list.{j + 1}", f"{ours}.rest.{j}", CONV_NORM)
        table |= {f"{official}.avd_layer.#": f"{ours}.down.#"}
    return table


_PADDLE = {"_conv": "0", "_batch_norm": "1"}
_FUSION = {
    **within("conv_x", "low", _PADDLE),
    **within("conv_xy_atten.#", "attention.mix.#", _PADDLE),
    **within("conv_out", "out", _PADDLE),
}
_PADDLE_HEAD = {**within("conv", "0", _PADDLE), "conv_out": "1"}


def _pp_liteseg_options(weights: Weights) -> dict[str, Any]:
    arm = "ppseg_head.arm_list.0"
    mixed = weights.get(f"{arm}.conv_xy_atten.0._conv.weight")
    out = weights.get(f"{arm}.conv_out._conv.weight")
    attention = "sum"
    if mixed is not None and out is not None:
        # the attention sees the means of two maps, or their means and maxima: of one channel each
        # over the channels, of as many as `out` reads over the pixels
        seen, channels = mixed.shape[1], out.shape[1]
        kinds = {2: "spatial_mean", 4: "spatial", 2 * channels: "channel_mean"}
        attention = kinds.get(seen, "channel")
    return {
        "attention": attention,
        "training_heads": "seg_heads.1.conv_out.weight" in weights,
    }


def _pp_liteseg(repeats: Sequence[int]) -> Published:
    table = within("backbone", "encoder", _stdc(repeats))
    table |= within("ppseg_head.cm.stages.#.1", "context.branches.#", _PADDLE)
    table |= within("ppseg_head.cm.conv_out", "context.out", _PADDLE)
    for index, stride in enumerate((8, 16, 32)):
        table |= within(f"ppseg_head.arm_list.{index}", f"fuse{stride}", _FUSION)
        table |= within(f"seg_heads.{index}", f"head{stride}", _PADDLE_HEAD)
    return Published(
        code="https://github.com/PaddlePaddle/PaddleSeg",
        license="Apache-2.0",
        table=table,
        classes="seg_heads.0.conv_out.weight",
        options=_pp_liteseg_options,
        sizes={"camvid": (720, 960), "cityscapes": (512, 1024)},
        ignored=(
            *(f"backbone.{name}" for name in _STDC_EXTRAS),
            "ppseg_head.arm_list.#._scale",
        ),
    )


_CONTEXT = {
    **within("arm16", "refine16", ATTENTION_REFINEMENT),
    **within("arm32", "refine32", ATTENTION_REFINEMENT),
    **within("conv_head16", "up8", CONV_NORM),
    **within("conv_head32", "up16", CONV_NORM),
    **within("conv_avg", "mean", CONV_NORM),
}


def _stdc_seg_options(weights: Weights) -> dict[str, Any]:
    return {"training_heads": "conv_out16.conv_out.weight" in weights}


def _stdc_seg(repeats: Sequence[int]) -> Published:
    table = within("cp.backbone", "encoder", _stdc(repeats)) | within("cp", "context", _CONTEXT)
    table |= within("ffm.convblk", "fusion.conv", CONV_NORM)
    table |= {"ffm.conv1": "fusion.weight.0", "ffm.conv2": "fusion.weight.2"}
    heads = {"": "head", "16": "head8", "32": "head16", "_sp8": "detail"}
    for official, ours in heads.items():
        table |= within(f"conv_out{official}", ours, OUTPUT)
    return Published(
        code="https://github.com/MichaelFan01/STDC-Seg",
        license="MIT",
        table=table,
        classes="conv_out.conv_out.weight",
        options=_stdc_seg_options,
        input_spec=IMAGENET,
        ignored=(
            *(f"cp.backbone.{name}" for name in _STDC_EXTRAS),
            *(f"conv_out_sp{stride}" for stride in (2, 4, 16)),
        ),
        compiled_norms=(
            *(f"cp.{name}" for name in ("arm16", "arm32", "conv_head16", "conv_head32")),
            *("cp.conv_avg", "ffm", *(f"conv_out{name}" for name in heads)),
        ),
    )


PUBLISHED = {
    "pp_liteseg_t": _pp_liteseg(STDC1),
    "pp_liteseg_b": _pp_liteseg(STDC2),
    "stdc1_seg": _stdc_seg(STDC1),
    "stdc2_seg": _stdc_seg(STDC2),
}
