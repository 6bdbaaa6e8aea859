"""Counts and outputs of reference implementations, held against ours."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from litescene.export import profile
from litescene.models import create_model
from litescene.models.backbones.stdc import STDC, STDC1

SIZES = ((360, 480), (512, 1024), (361, 481), (513, 1025), (360, 640))
"""A row states the multiply-accumulates of some of them, or that the reference refuses the size."""


@dataclass(frozen=True)
class RunHead:
    """A training head that the reference runs in evaluation too; ours does not."""

    channels: int
    stride: int
    kernel: int = 1  # of the classifier, behind a 3×3 convolution to 64 channels
    outputs: int | None = None  # those of the classes unless given

    def macs(self, size: tuple[int, int], classes: int) -> int:
        """Multiply-accumulates for a picture of (height, width)."""
        cells = math.prod(-(-side // self.stride) for side in size)
        outputs = classes if self.outputs is None else self.outputs
        return cells * 64 * (9 * self.channels + self.kernel**2 * outputs)


@dataclass(frozen=True)
class Row:
    """The network whose counts a row of the reference counts states."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    unused: int | dict[int, int] = 0  # parameters that the reference never runs, per classes
    run_heads: tuple[RunHead, ...] = ()
    again: int = 0  # multiply-accumulates per pixel of a layer that the reference runs twice
    cut: bool = False  # twice 23 rows are 45 in the reference, whose doubled maps were cut to fit


_ERFNET_UNUSED = {classes: 129 * classes for classes in (11, 19, 20)}
"""The encoder's classifier, built but not run in the whole network."""

_STDC_UNUSED = 3_125_248 + 350_784
"""The encoder's classifier, and heads on x16, x4 and x2 that no setting of the paper uses."""

_STDC_HEADS = (
    RunHead(128, 8),
    RunHead(128, 16),
    RunHead(512, 16, outputs=1),
    RunHead(256, 8, outputs=1),
    RunHead(64, 4, outputs=1),
    RunHead(32, 2, outputs=1),
)

_TFSEGMENTATION = "port of MSiam/TFSegmentation graph (conv biases included, inference path only)"

ROWS = {
    ("PP-LiteSeg-T UAFM_SpAtten", "PaddleSeg (paddle 2.6.2)"): Row("pp_liteseg_t"),
    ("PP-LiteSeg-T UAFM_ChAtten", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_t", {"attention": "channel"}
    ),
    ("PP-LiteSeg-B UAFM_SpAtten", "PaddleSeg (paddle 2.6.2)"): Row("pp_liteseg_b"),
    ("PP-LiteSeg-B UAFM_ChAtten", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_b", {"attention": "channel"}
    ),
    ("PP-LiteSeg-T UAFM", "PaddleSeg (paddle 2.6.2)"): Row("pp_liteseg_t", {"attention": "sum"}),
    ("PP-LiteSeg-T UAFM_SpAtten_S", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_t", {"attention": "spatial_mean"}
    ),
    ("PP-LiteSeg-T UAFM_ChAtten_S", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_t", {"attention": "channel_mean"}
    ),
    ("PP-LiteSeg-B UAFM", "PaddleSeg (paddle 2.6.2)"): Row("pp_liteseg_b", {"attention": "sum"}),
    ("PP-LiteSeg-B UAFM_SpAtten_S", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_b", {"attention": "spatial_mean"}
    ),
    ("PP-LiteSeg-B UAFM_ChAtten_S", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_b", {"attention": "channel_mean"}
    ),
    ("Fast-SCNN", "Tramac (unpatched)"): Row("fast_scnn", {"training_heads": False}),
    ("Fast-SCNN", "Tramac (FFM upsample patched to size)"): Row(
        "fast_scnn", {"training_heads": False}
    ),
    ("FastSCNN", "xyff"): Row("fast_scnn", {"training_heads": False}),
    ("ContextNet", "xyff"): Row("contextnet"),
    ("ShuffleNetV2+DPC", "port of sercant/mobile-segmentation graph (OS16)"): Row(
        "shufflenet_v2_dpc"
    ),
    (
        "ShuffleNetV2 basic (DeepLabV3 head)",
        "port of sercant/mobile-segmentation graph (OS16)",
    ): Row("shufflenet_v2_basic"),
    ("LW-RefineNet-50", "DrSleep"): Row("lw_refinenet_50"),
    ("LW-RefineNet-101", "DrSleep"): Row("lw_refinenet_101"),
    ("LW-RefineNet-152", "DrSleep"): Row("lw_refinenet_152"),
    ("LW-RefineNet-MobileNetV2", "DrSleep"): Row("lw_refinenet_mobilenet_v2"),
    ("LadderNet L4 F10 in3", "juntang-zhuang/LadderNet"): Row("laddernet"),
    ("LadderNet L3 F16 in3", "juntang-zhuang/LadderNet"): Row("laddernet_l3f16"),
    ("ERFNet", "Eromera/erfnet_pytorch (incl. encoder.output_conv)"): Row(
        "erfnet", unused=_ERFNET_UNUSED
    ),
    ("ERFNet", "xyff"): Row("erfnet", unused=_ERFNET_UNUSED),
    ("ERFNet-encoder", "Eromera/erfnet_pytorch encoder+1x1"): Row("erfnet_encoder"),
    ("EDANet", "wpf535236337/pytorch_EDANet (eval adds x2 upsample)"): Row("edanet"),
    ("EDANet", "xyff"): Row("edanet"),
    ("ESPNet p2 q8 (test/Model.py = checkpoints)", "sacmehta/ESPNet test/Model.py"): Row("espnet"),
    ("ESPNet p2 q5 (test/Model.py = checkpoints)", "sacmehta/ESPNet test/Model.py"): Row(
        "espnet_p2q5"
    ),
    ("ESPNet p2 q3 (test/Model.py = checkpoints)", "sacmehta/ESPNet test/Model.py"): Row(
        "espnet_p2q3"
    ),
    ("ESPNet p2 q8", "sacmehta/ESPNet"): Row("espnet", {"skip": "mix"}),
    ("ESPNet p2 q5", "sacmehta/ESPNet"): Row("espnet_p2q5", {"skip": "mix"}),
    ("ESPNet p2 q3", "sacmehta/ESPNet"): Row("espnet_p2q3", {"skip": "mix"}),
    ("ESPNet-C p2 q8", "sacmehta/ESPNet"): Row("espnet_c"),
    ("ESPNet-C p2 q5", "sacmehta/ESPNet"): Row("espnet_c_p2q5"),
    ("ESPNet-C p2 q3", "sacmehta/ESPNet"): Row("espnet_c_p2q3"),
    ("CGNet M3N21", "wutianyiRosun/CGNet"): Row("cgnet"),
    ("CGNet M3N15", "wutianyiRosun/CGNet"): Row("cgnet_m3n15"),
    ("CGNet", "xyff"): Row("cgnet"),
    ("BiSeNet R18", "ycszen/TorchSeg (params incl. aux heads unless .speed eval)"): Row(
        "bisenet_r18"
    ),
    ("BiSeNet R18.speed", "ycszen/TorchSeg (params incl. aux heads unless .speed eval)"): Row(
        "bisenet_r18", {"training_heads": False}
    ),
    ("BiSeNet R18 no aux heads", "ycszen/TorchSeg"): Row("bisenet_r18", {"training_heads": False}),
    ("BiSeNet X39", "ycszen/TorchSeg (params incl. aux heads unless .speed eval)"): Row(
        "bisenet_x39"
    ),
    ("BiSeNet X39.speed", "ycszen/TorchSeg (params incl. aux heads unless .speed eval)"): Row(
        "bisenet_x39", {"training_heads": False}
    ),
    ("BiSeNet X39 no aux heads", "ycszen/TorchSeg"): Row("bisenet_x39", {"training_heads": False}),
    ("BiSeNet R101", "ycszen/TorchSeg (params incl. aux heads unless .speed eval)"): Row(
        "bisenet_r101"
    ),
    ("ENet (as in e-lab Lua)", "port of e-lab/ENet-training Lua"): Row("enet"),
    ("ENet", "davidtvs/PyTorch-ENet"): Row("enet_pytorch"),
    ("ICNet (PSPNet50 half)", "hszhao/ICNet caffe prototxt, parsed"): Row(
        "icnet", {"training_heads": False}
    ),
    ("C3Net [2, 3, 7, 13]", "clovaai/c3_sinet, duplicate c1 call removed"): Row("c3net"),
    ("C3Net [2, 4, 8, 16]", "clovaai/c3_sinet, duplicate c1 call removed"): Row("c3net_2_4_8_16"),
    ("C3NetV2 [2,4,8,16]", "clovaai/c3_sinet, duplicate c1 call removed"): Row("c3net_v2"),
    ("ShelfNet18 (aux heads removed)", "juntang-zhuang/ShelfNet"): Row(
        "shelfnet18", {"training_heads": False}, unused=37_184
    ),
    ("ShelfNet18 (aux=False forward)", "juntang-zhuang/ShelfNet"): Row("shelfnet18", unused=37_184),
    ("ShelfNet18 (incl aux heads)", "juntang-zhuang/ShelfNet"): Row(
        "shelfnet18",
        unused=37_184,
        run_heads=(RunHead(128, 16, kernel=3), RunHead(256, 32, kernel=3)),
    ),
    ("ShelfNet34 (aux heads removed)", "juntang-zhuang/ShelfNet"): Row(
        "shelfnet34", {"training_heads": False}, unused=148_096
    ),
    ("ShelfNet34 (aux=False forward)", "juntang-zhuang/ShelfNet"): Row(
        "shelfnet34", unused=148_096
    ),
    ("ShelfNet34 (incl aux heads)", "juntang-zhuang/ShelfNet"): Row(
        "shelfnet34",
        unused=148_096,
        run_heads=(RunHead(256, 16, kernel=3), RunHead(512, 32, kernel=3)),
    ),
    ('STDC-Seg STDCNet813 kw["use_boundary_8"]=True', "MichaelFan01/STDC-Seg"): Row(
        "stdc1_seg", unused=_STDC_UNUSED, run_heads=_STDC_HEADS
    ),
    ('STDC-Seg STDCNet813 kw["use_boundary_8"]=False', "MichaelFan01/STDC-Seg"): Row(
        "stdc1_seg", unused=_STDC_UNUSED, run_heads=_STDC_HEADS
    ),
    ('STDC-Seg STDCNet1446 kw["use_boundary_8"]=True', "MichaelFan01/STDC-Seg"): Row(
        "stdc2_seg", unused=_STDC_UNUSED, run_heads=_STDC_HEADS
    ),
    ('STDC-Seg STDCNet1446 kw["use_boundary_8"]=False', "MichaelFan01/STDC-Seg"): Row(
        "stdc2_seg", unused=_STDC_UNUSED, run_heads=_STDC_HEADS
    ),
    ("BiSeNetV2 aux_mode=eval", "CoinCheung/BiSeNet"): Row("bisenet_v2", {"training_heads": False}),
    ("BiSeNetV2 aux_mode=train(params)", "CoinCheung/BiSeNet"): Row("bisenet_v2"),
    # The sizes that EdgeNets refuses (360×480) were counted with its doubling patched.
    ("ESPNetv2-seg (EdgeNets) s=0.5", "sacmehta/EdgeNets dataset=city"): Row(
        "espnetv2_s050", unused=112
    ),
    (
        "ESPNetv2-seg (EdgeNets) s=0.5 [size-matched upsample]",
        "sacmehta/EdgeNets dataset=city",
    ): Row("espnetv2_s050", unused=112, cut=True),
    ("ESPNetv2-seg (EdgeNets) s=1.0", "sacmehta/EdgeNets dataset=city"): Row(
        "espnetv2_s100", unused=224
    ),
    (
        "ESPNetv2-seg (EdgeNets) s=1.0 [size-matched upsample]",
        "sacmehta/EdgeNets dataset=city",
    ): Row("espnetv2_s100", unused=224, cut=True),
    ("ESPNetv2-seg (EdgeNets) s=1.5", "sacmehta/EdgeNets dataset=city"): Row(
        "espnetv2_s150", unused=352
    ),
    (
        "ESPNetv2-seg (EdgeNets) s=1.5 [size-matched upsample]",
        "sacmehta/EdgeNets dataset=city",
    ): Row("espnetv2_s150", unused=352, cut=True),
    ("ESPNetv2-seg (EdgeNets) s=2.0", "sacmehta/EdgeNets dataset=city"): Row(
        "espnetv2_s200", unused=480
    ),
    (
        "ESPNetv2-seg (EdgeNets) s=2.0 [size-matched upsample]",
        "sacmehta/EdgeNets dataset=city",
    ): Row("espnetv2_s200", unused=480, cut=True),
    ("RTSeg SkipNet-VGG16", _TFSEGMENTATION): Row("skipnet_vgg16"),
    ("RTSeg SkipNet-ResNet18", _TFSEGMENTATION): Row("skipnet_resnet18"),
    ("RTSeg SkipNet-MobileNet", _TFSEGMENTATION): Row("skipnet_mobilenet"),
    ("RTSeg SkipNet-ShuffleNet g3 (=ShuffleSeg)", _TFSEGMENTATION): Row("shuffleseg"),
    ("RTSeg UNet-VGG16", _TFSEGMENTATION): Row("unet_vgg16", again=64 * 27),
    ("RTSeg UNet-ResNet18 (LinkNet)", _TFSEGMENTATION): Row("unet_resnet18"),
    ("RTSeg UNet-MobileNet", _TFSEGMENTATION): Row("unet_mobilenet"),
    ("RTSeg UNet-ShuffleNet", _TFSEGMENTATION): Row("unet_shufflenet"),
    ("RTSeg Dilation-VGG16", _TFSEGMENTATION): Row("dilation_vgg16"),
    ("RTSeg Dilation-MobileNet", _TFSEGMENTATION): Row("dilation_mobilenet"),
    ("RTSeg Dilation-ShuffleNet", _TFSEGMENTATION): Row("dilation_shufflenet"),
    (
        "DSNet",
        "port of Mark-sloan/DSNet TF graph (BN without gamma, scalar PReLU)",
    ): Row("dsnet"),
    (
        "SQ (SqueezeNet1.1 + dil 2,4,8,16 x256)",
        "port of third-party TF SQSegNet (BN off)",
    ): Row("sqnet"),
    ("sqnet/sqnet_cityscapes", "pytorchcv 0.0.74"): Row("sqnet_wide"),
}
"""(system, implementation) as the file names them."""


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("key", ROWS, ids=lambda key: f"{key[0]} {key[1]}")
def test_counts_are_those_of_the_reference(key: tuple[str, str], parity_folder: Path) -> None:
    counts = json.loads((parity_folder.parent / "specs" / "counts.json").read_text())
    found = [row for row in counts["rows"] if (row["system"], row["impl"]) == key]
    assert found
    for row in found:
        chosen = ROWS[key]
        with torch.device("meta"):  # shapes are all that counts need
            model = create_model(chosen.name, num_classes=row["classes"], **chosen.options)
        extra = chosen.unused
        if isinstance(extra, dict):
            extra = extra[row["classes"]]
        assert sum(p.numel() for p in model.parameters()) + extra == row["params"]
        for size in SIZES:
            expected = row.get(f"macs_{size[0]}x{size[1]}")
            if expected is not None:
                heads = sum(head.macs(size, row["classes"]) for head in chosen.run_heads)
                again = chosen.again * math.prod(size)
                row_more = 60 * 9 * min(row["classes"] // 2, 16) if chosen.cut else 0
                assert profile(model, size).macs + heads + again - row_more == expected


@dataclass(frozen=True)
class Golden:
    """The network that a record of reference outputs belongs to."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)


GOLDENS = {
    "PP-LiteSeg-T": Golden("pp_liteseg_t", {"training_heads": False}),
    "Fast-SCNN": Golden("fast_scnn", {"training_heads": False}),
    "EDANet-x8": Golden("edanet"),
    "ESPNet-p2q8": Golden("espnet"),
    "ENet": Golden("enet_pytorch"),
}


def assert_agreement(record: str, build: Callable[[int], nn.Module], folder: Path) -> None:
    """`build` takes the number of classes of the record."""
    sys.path.insert(0, str(folder))
    try:
        import exec_order
    finally:
        sys.path.remove(str(folder))
    golden = json.loads((folder / "goldens_open.json").read_text())[record]
    result = exec_order.check(lambda: build(golden["classes"]), golden)
    assert result["ok"], result


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("record", GOLDENS)
def test_outputs_agree_with_the_reference(record: str, parity_folder: Path) -> None:
    chosen = GOLDENS[record]
    assert_agreement(
        record,
        lambda classes: create_model(chosen.name, num_classes=classes, **chosen.options),
        parity_folder,
    )


@pytest.mark.data
@pytest.mark.slow
def test_maps_of_the_encoder_stdc1_agree_with_the_reference(parity_folder: Path) -> None:
    assert_agreement("STDC1", lambda _: STDC(STDC1, count_border=True), parity_folder)
