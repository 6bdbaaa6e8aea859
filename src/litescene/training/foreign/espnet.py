"""Official names of ESPNet, ESPNet-C and the C3Nets, whose code began as a copy of ESPNet's."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from litescene.models import InputSpec
from litescene.training.foreign.keys import CONV_NORM_ACT, NORM_ACT, Weights, within
from litescene.training.foreign.published import CITYSCAPES_MEAN, Published

_SPEC = InputSpec(CITYSCAPES_MEAN, (45.3192215, 46.15289307, 44.91483307), bgr=True)
"""(x - mean) / std of pixels, then divided by 255 once more: the std of the pixels is that of ours
without a division."""
_CAMVID_SPEC = InputSpec(
    (110.247 / 255, 108.379 / 255, 104.982 / 255), (72.083, 72.655, 69.869), bgr=True
)
"""The same over CamVid's 367 pictures of train (480×360), measured by us."""

_ESP = {
    "c1.conv": "reduce",
    **{f"d{dilation}.conv": f"branches.{i}" for i, dilation in enumerate((1, 2, 4, 8, 16))},
}
_C3_BRANCH = {
    **{f"conv.{i}": f"0.{i}" for i in range(3)},
    **{f"conv.{i + 3}": f"1.{i}" for i in range(2)},
    "conv.5": "2",
    "conv.6": "3",
}
_C3 = {"c1.conv": "reduce"}
for _i in range(4):
    _C3 |= within(f"d{_i + 1}", f"branches.{_i}", _C3_BRANCH)


def _down(unit: Mapping[str, str]) -> dict[str, str]:
    return {**unit, **within("", "out", NORM_ACT)}


def _residual(unit: Mapping[str, str]) -> dict[str, str]:
    return {**unit, **within("bn", "out", NORM_ACT)}


def _encoder(unit: Mapping[str, str]) -> dict[str, str]:
    table = within("level1", "encoder.stem", CONV_NORM_ACT)
    for level in (2, 3):
        table |= within(f"level{level}_0", f"encoder.level{level}.down", _down(unit))
        table |= within(f"level{level}.#", f"encoder.level{level}.blocks.#", _residual(unit))
    for mix in (1, 2, 3):
        table |= within(f"b{mix}", f"encoder.mix{mix}", NORM_ACT)
    return {**table, "classifier.conv": "head"}


def _whole(unit: Mapping[str, str]) -> dict[str, str]:
    decoder = {
        "br": "norm",
        "up_l3.0": "up8",
        "level3_C.conv": "side",
        **within("combine_l2_l3.0", "fuse4.0", NORM_ACT),
        **within("combine_l2_l3.1", "fuse4.1", _residual(unit)),
        "up_l2.0": "up4.0",
        **within("up_l2.1", "up4.1", NORM_ACT),
        **within("conv", "fuse2", CONV_NORM_ACT),
        "classifier": "up2",
    }
    return within("encoder", "", _encoder(unit)) | within("", "decoder", decoder)


def _separable(official: str, ours: str) -> dict[str, str]:
    return {
        f"{official}.conv.0": f"{ours}.0",
        f"{official}.conv.1": f"{ours}.1.0",
        f"{official}.bn": f"{ours}.1.1",
        f"{official}.act": f"{ours}.1.2",
    }


_C3_V2 = {
    **within("encoder", "", _encoder(_C3)),
    "bn": "norm",
    **_separable("conv_l2", "fuse4"),
    **_separable("conv_l1", "fuse2"),
    "classifier.1.conv": "out",
}


def _skip(weights: Weights) -> dict[str, Any]:
    """Which of its two decoders the file is for, told by the width of what it joins."""
    joined = weights.get("conv.conv.weight")
    stem = joined is None or joined.shape[1] - joined.shape[0] == 16
    return {"skip": "stem" if stem else "mix"}


_espnet = partial(
    Published, code="https://github.com/sacmehta/ESPNet", license="MIT", input_spec=_SPEC
)
_c3net = partial(
    Published,
    code="https://github.com/clovaai/c3_sinet",
    license="MIT",
    classes="encoder.classifier.conv.weight",
    input_spec=_SPEC,
)
_WHOLE = _espnet(
    table=_whole(_ESP),
    classes="encoder.classifier.conv.weight",
    options=_skip,
    input_of={"camvid": _CAMVID_SPEC},
)
_ENCODER = _espnet(table=_encoder(_ESP), classes="classifier.conv.weight")
_C3NET = _c3net(table=_whole(_C3))

PUBLISHED = {
    **dict.fromkeys(("espnet", "espnet_p2q5", "espnet_p2q3"), _WHOLE),
    **dict.fromkeys(("espnet_c", "espnet_c_p2q5", "espnet_c_p2q3"), _ENCODER),
    **dict.fromkeys(("c3net", "c3net_2_4_8_16"), _C3NET),
    "c3net_v2": _c3net(table=_C3_V2),
}
