"""Official names of ENet (PyTorch-ENet), ERFNet and CGNet."""

from __future__ import annotations

from functools import partial

from litescene.models import InputSpec
from litescene.models.spec import PLAIN
from litescene.training.foreign.keys import CONV_NORM, CONV_NORM_ACT, NORM_ACT, within
from litescene.training.foreign.published import CITYSCAPES_MEAN, Published

_SAME = {"#": "#"}
_ACTIVATION = {"out_activation": "activation", "out_prelu": "activation"}
"""The name changed over the time of that code."""
_REGULAR = {
    **within("ext_conv1", "main.0", _SAME),
    **within("ext_conv2", "main.1", _SAME),
    **within("ext_conv3", "main.2", _SAME),
    **_ACTIVATION,
}
_ASYMMETRIC = {
    **within("ext_conv1", "main.0", _SAME),
    **{f"ext_conv2.{i}": f"main.{1 + i // 3}.{i % 3}" for i in range(6)},
    **within("ext_conv3", "main.3", _SAME),
    **_ACTIVATION,
}
_UP = {
    **within("main_conv1", "other", _SAME),
    **within("ext_conv1", "main.0", _SAME),
    "ext_tconv1": "main.1",
    "ext_tconv1_bnorm": "main.2.0",
    **within("ext_conv2", "main.3", _SAME),
}
_CONTEXT = ("regular", "dilated", "asymmetric", "dilated") * 2
_STAGES = {
    1: (1, ("regular",) * 4),
    2: (1, _CONTEXT),
    3: (0, _CONTEXT),
    4: (1, ("regular",) * 2),
    5: (1, ("regular",)),
}
"""Stage: the number of its first block, and the kinds of its blocks."""


def _enet() -> dict[str, str]:
    table = {
        "initial_block.main_branch": "initial.conv",
        "initial_block.batch_norm": "initial.norm.0",
        "initial_block.out_activation": "initial.norm.1",
        "initial_block.out_prelu": "initial.norm.1",
        "transposed_conv": "head",
    }
    for stage in (1, 2):
        table |= within(f"downsample{stage}_0", f"down{stage}", _REGULAR)
    for stage in (4, 5):
        table |= within(f"upsample{stage}_0", f"up{stage}", _UP)
    for stage, (first, kinds) in _STAGES.items():
        for i, kind in enumerate(kinds):
            block = _ASYMMETRIC if kind == "asymmetric" else _REGULAR
            table |= within(f"{kind}{stage}_{first + i}", f"stage{stage}.{i}", block)
    return table


_DOWN = {"conv": "conv", "bn": "norm.0"}
_FACTORISED = {
    "conv3x1_1": "main.0",
    "conv1x3_1": "main.2",
    "bn1": "main.3",
    "conv3x1_2": "main.5",
    "conv1x3_2": "main.7",
    "bn2": "main.8",
}


def _erfnet_encoder() -> dict[str, str]:
    """Both kinds of layers stand in one list, and differ in the names of what they have."""
    table = within("encoder.initial_block", "encoder.0", _DOWN)
    for i in range(15):
        table |= within(f"encoder.layers.{i}", f"encoder.{i + 1}", {**_DOWN, **_FACTORISED})
    return table


_ERFNET_DECODER = {
    **within("decoder.layers.#", "decoder.#", {**CONV_NORM, **_FACTORISED}),
    "decoder.output_conv": "head",
}

_CG_SHARED = {
    **within("conv1x1", "first", CONV_NORM_ACT),
    "F_loc.conv": "context.local",
    "F_sur.conv": "context.surround",
    "F_glo.fc.#": "gate.weigh.#",
}
_CG_DOWN = {**_CG_SHARED, **within("", "context.norm", NORM_ACT), "reduce.conv": "reduce"}
_CG = {**_CG_SHARED, **within("bn_prelu", "context.norm", NORM_ACT)}


def _cgnet() -> dict[str, str]:
    table = within("level1_#", "stage1.#", CONV_NORM_ACT)
    for stage in (2, 3):
        table |= within(f"level{stage}_0", f"stage{stage}.down", _CG_DOWN)
        table |= within(f"level{stage}.#", f"stage{stage}.blocks.#", _CG)
    for official, ours in (("b1", "mix1"), ("bn_prelu_2", "mix2"), ("bn_prelu_3", "mix3")):
        table |= within(official, ours, NORM_ACT)
    return {**table, "classifier.0.conv": "head"}


_erfnet = partial(
    Published, code="https://github.com/Eromera/erfnet_pytorch", license="CC BY-NC 4.0"
)
# CGNet's code reverses OpenCV's blue, green, red, calls the result BGR, and subtracts a mean whose
# order is that. It leaves pixels as they are otherwise.
_PIXELS = (1 / 255, 1 / 255, 1 / 255)
_CGNET_SPEC = InputSpec(CITYSCAPES_MEAN, _PIXELS)
_CAMVID_MEAN = (105.579 / 255, 103.298 / 255, 99.580 / 255)
"""Blue, green, red over CamVid's 468 pictures of train and val (480×360); measured by us, as the
authors' file of it is not published with their weights."""
_CGNET = Published(
    code="https://github.com/wutianyiRosun/CGNet",
    license="MIT",
    table=_cgnet(),
    classes="classifier.0.conv.weight",
    input_spec=_CGNET_SPEC,
    input_of={"camvid": InputSpec(_CAMVID_MEAN, _PIXELS)},
)

PUBLISHED = {
    "enet_pytorch": Published(
        code="https://github.com/davidtvs/PyTorch-ENet",
        license="MIT",
        table=_enet(),
        classes="transposed_conv.weight",
        classes_axis=1,
        input_spec=PLAIN,
        void_first=("cityscapes",),
    ),
    "erfnet": _erfnet(
        table=_erfnet_encoder() | _ERFNET_DECODER,
        classes="decoder.output_conv.weight",
        classes_axis=1,
        input_spec=PLAIN,
        ignored=("encoder.output_conv",),
    ),
    "erfnet_encoder": _erfnet(
        table={**_erfnet_encoder(), "encoder.output_conv": "score"},
        classes="encoder.output_conv.weight",
        input_spec=PLAIN,
        ignored=("decoder",),
    ),
    "cgnet": _CGNET,
    "cgnet_m3n15": _CGNET,
}
