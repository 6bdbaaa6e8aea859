"""Counts and outputs of reference implementations, held against ours."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from litescene.export import profile
from litescene.models import create_model

SIZES = ((360, 480), (512, 1024))


@dataclass(frozen=True)
class Row:
    """The network whose counts a row of the reference counts states."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    unused: int | dict[int, int] = 0  # parameters that the reference never runs, per classes


_ERFNET_UNUSED = {classes: 129 * classes for classes in (11, 19, 20)}
"""The encoder's classifier, built but not run in the whole network."""

ROWS = {
    ("PP-LiteSeg-T UAFM_SpAtten", "PaddleSeg (paddle 2.6.2)"): Row("pp_liteseg_t"),
    ("PP-LiteSeg-T UAFM_ChAtten", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_t", {"attention": "channel"}
    ),
    ("PP-LiteSeg-B UAFM_SpAtten", "PaddleSeg (paddle 2.6.2)"): Row("pp_liteseg_b"),
    ("PP-LiteSeg-B UAFM_ChAtten", "PaddleSeg (paddle 2.6.2)"): Row(
        "pp_liteseg_b", {"attention": "channel"}
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
    ("ShuffleNetV2+DPC", "port of sercant/mobile-segmentation graph (OS16)"): Row(
        "shufflenet_v2_dpc"
    ),
    (
        "ShuffleNetV2 basic (DeepLabV3 head)",
        "port of sercant/mobile-segmentation graph (OS16)",
    ): Row("shufflenet_v2_basic"),
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
        model = create_model(chosen.name, num_classes=row["classes"], **chosen.options)
        for size in SIZES:
            counted = profile(model, size)
            expected = row[f"macs_{size[0]}x{size[1]}"]
            unused = chosen.unused
            extra = unused if isinstance(unused, int) else unused[row["classes"]]
            assert counted.parameters + extra == row["params"]
            if expected is not None:  # the reference refuses this size
                assert counted.macs == expected


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
}


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("record", GOLDENS)
def test_outputs_agree_with_the_reference(record: str, parity_folder: Path) -> None:
    sys.path.insert(0, str(parity_folder))
    try:
        import exec_order
    finally:
        sys.path.remove(str(parity_folder))
    golden = json.loads((parity_folder / "goldens_open.json").read_text())[record]
    chosen = GOLDENS[record]
    result = exec_order.check(
        lambda: create_model(chosen.name, num_classes=golden["classes"], **chosen.options), golden
    )
    assert result["ok"], result
