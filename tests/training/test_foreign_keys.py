"""Official names onto ours: every table is whole, and every value lands where it belongs."""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from litescene.core import CheckpointError, UnknownNameError
from litescene.models import create_model
from litescene.models.detection.anchor_head import COCO_ANCHORS
from litescene.training import load_model
from litescene.training.foreign import (
    PUBLISHED,
    import_checkpoint,
    load_official,
    read_weights,
)
from litescene.training.foreign.keys import renamed, within

KNOWN = {
    "bisenet_r18": {
        "context_path.conv1.weight": "encoder.stem.0.0.weight",
        "context_path.bn1.running_mean": "encoder.stem.0.1.running_mean",
        "context_path.layer4.0.downsample.0.weight": "encoder.stages.3.0.shortcut.0.weight",
        "context_path.layer1.1.bn2.bias": "encoder.stages.0.1.second.1.bias",
        "spatial_path.conv_3x3_2.conv.weight": "spatial.2.0.weight",
        "global_context.1.bn.weight": "context.mean.1.weight",
        "arms.0.conv_3x3.conv.weight": "context.refine32.conv.0.weight",
        "arms.1.channel_attention.1.bn.weight": "context.refine16.attention.1.weight",
        "refines.1.conv.weight": "context.up8.0.weight",
        "ffm.conv_1x1.bn.weight": "fusion.conv.1.weight",
        "ffm.channel_attention.2.conv.weight": "fusion.weight.2.weight",
        "heads.0.conv_3x3.conv.weight": "head16.0.0.weight",
        "heads.1.conv_1x1.bias": "head8.1.bias",
        "heads.2.conv_1x1.weight": "head.1.weight",
    },
    "bisenet_x39": {
        "context_path.conv1.conv.weight": "encoder.stem.0.0.weight",
        "context_path.layer1.0.proj.conv1.weight": "encoder.stages.0.0.shortcut.0.weight",
        "context_path.layer3.3.residual_branch.2.point_wise_cbr.bn.bias": (
            "encoder.stages.2.3.body.2.1.1.bias"
        ),
    },
    "bisenet_r101": {
        "context_path.conv1.3.weight": "encoder.stem.1.0.weight",
        "context_path.bn1.weight": "encoder.stem.2.1.weight",
        "context_path.layer3.22.conv3.weight": "encoder.stages.2.22.body.2.0.weight",
    },
    "c3net": {
        "encoder.level2_0.d1.conv.0.weight": "encoder.level2.down.branches.0.0.0.weight",
        "encoder.level3.7.d4.conv.6.weight": "encoder.level3.blocks.7.branches.3.3.weight",
        "combine_l2_l3.1.d2.conv.4.running_var": "decoder.fuse4.1.branches.1.1.1.running_var",
    },
    "c3net_v2": {
        "bn.weight": "norm.weight",
        "conv_l1.conv.1.weight": "fuse2.1.0.weight",
        "conv_l2.act.weight": "fuse4.1.2.weight",
        "classifier.1.conv.weight": "out.weight",
    },
    "cgnet": {
        "level1_2.act.weight": "stage1.2.2.weight",
        "b1.bn.weight": "mix1.0.weight",
        "level2_0.conv1x1.conv.weight": "stage2.down.first.0.weight",
        "level2_0.bn.bias": "stage2.down.context.norm.0.bias",
        "level3_0.reduce.conv.weight": "stage3.down.reduce.weight",
        "level3.19.F_sur.conv.weight": "stage3.blocks.19.context.surround.weight",
        "level2.0.bn_prelu.act.weight": "stage2.blocks.0.context.norm.1.weight",
        "level2.1.F_glo.fc.2.bias": "stage2.blocks.1.gate.weigh.2.bias",
        "bn_prelu_3.bn.running_mean": "mix3.0.running_mean",
        "classifier.0.conv.weight": "head.weight",
    },
    "enet_pytorch": {
        "initial_block.main_branch.weight": "initial.conv.weight",
        "initial_block.out_activation.weight": "initial.norm.1.weight",
        "downsample1_0.ext_conv2.1.running_var": "down1.main.1.1.running_var",
        "regular1_1.ext_conv3.2.weight": "stage1.0.main.2.2.weight",
        "asymmetric2_3.ext_conv2.3.weight": "stage2.2.main.2.0.weight",
        "dilated3_7.out_activation.weight": "stage3.7.activation.weight",
        "upsample4_0.main_conv1.1.bias": "up4.other.1.bias",
        "upsample4_0.ext_tconv1.weight": "up4.main.1.weight",
        "upsample5_0.ext_tconv1_bnorm.weight": "up5.main.2.0.weight",
        "upsample5_0.ext_conv2.0.weight": "up5.main.3.0.weight",
        "regular5_1.ext_conv1.0.weight": "stage5.0.main.0.0.weight",
        "transposed_conv.weight": "head.weight",
    },
    "erfnet": {
        "encoder.initial_block.conv.bias": "encoder.0.conv.bias",
        "encoder.layers.0.bn.weight": "encoder.1.norm.0.weight",
        "encoder.layers.14.conv1x3_2.weight": "encoder.15.main.7.weight",
        "decoder.layers.3.bn.running_mean": "decoder.3.1.running_mean",
        "decoder.layers.5.bn2.bias": "decoder.5.main.8.bias",
        "decoder.output_conv.bias": "head.bias",
    },
    "erfnet_encoder": {"encoder.output_conv.weight": "score.weight"},
    "espnet": {
        "encoder.level1.act.weight": "encoder.stem.2.weight",
        "encoder.b2.bn.weight": "encoder.mix2.0.weight",
        "encoder.level2_0.c1.conv.weight": "encoder.level2.down.reduce.weight",
        "encoder.level2_0.d16.conv.weight": "encoder.level2.down.branches.4.weight",
        "encoder.level2_0.bn.bias": "encoder.level2.down.out.0.bias",
        "encoder.level3.7.bn.act.weight": "encoder.level3.blocks.7.out.1.weight",
        "encoder.classifier.conv.weight": "head.weight",
        "level3_C.conv.weight": "decoder.side.weight",
        "br.running_var": "decoder.norm.running_var",
        "conv.bn.weight": "decoder.fuse2.1.weight",
        "up_l3.0.weight": "decoder.up8.weight",
        "combine_l2_l3.1.d4.conv.weight": "decoder.fuse4.1.branches.2.weight",
        "up_l2.1.act.weight": "decoder.up4.1.1.weight",
        "classifier.weight": "decoder.up2.weight",
    },
    "espnet_c": {"level3.4.d8.conv.weight": "encoder.level3.blocks.4.branches.3.weight"},
    "espnetv2_s100": {
        "base_net.level3_0.eesp.conv_1x1_exp.bn.bias": "encoder.downs.1.eesp.expand.1.bias",
        "base_net.level4.6.module_act.weight": "encoder.levels.2.6.act.weight",
        "bu_dec_l4.merge_layer.3.bias": "pyramids.3.out.bias",
        "merge_enc_dec_l2.wt_layer.1.weight": "skips.0.weigh.weight",
    },
    "pp_liteseg_t": {
        "backbone.features.1.bn._mean": "encoder.stem.1.1.running_mean",
        "backbone.features.2.avd_layer.0.weight": "encoder.stages.0.0.down.0.weight",
        "backbone.features.7.conv_list.3.bn._variance": "encoder.stages.2.1.rest.2.1.running_var",
        "ppseg_head.cm.stages.2.1._conv.bias": "context.branches.2.0.bias",
        "ppseg_head.cm.conv_out._batch_norm.weight": "context.out.1.weight",
        "ppseg_head.arm_list.0.conv_x._conv.weight": "fuse8.low.0.weight",
        "ppseg_head.arm_list.2.conv_xy_atten.1._conv.weight": "fuse32.attention.mix.1.0.weight",
        "ppseg_head.arm_list.1.conv_out._batch_norm.bias": "fuse16.out.1.bias",
        "seg_heads.0.conv._conv.weight": "head8.0.0.weight",
        "seg_heads.2.conv_out.weight": "head32.1.weight",
    },
    "shelfnet18": {
        "backbone.layer2.0.downsample.1.weight": "encoder.stages.1.0.shortcut.1.weight",
        "trans2.conv.weight": "lateral.1.0.weight",
        "decoder.bottom.conv1.bias": "climb.bottom.conv.bias",
        "decoder.up_conv_list.1.bn_atten.bias": "climb.refine.1.attention.1.bias",
        "ladder.inconv.bn2.weight": "descend.start.second.weight",
        "ladder.down_module_list.1.bn1.bias": "descend.blocks.1.first.0.bias",
        "ladder.down_conv_list.0.bias": "descend.down.0.bias",
        "ladder.up_dense_list.0.conv.weight": "climb_again.merge.0.0.weight",
        "conv_out32.conv_out.weight": "head32.1.weight",
    },
    "stdc1_seg": {
        "cp.backbone.features.2.conv_list.0.conv.weight": "encoder.stages.0.0.first.0.weight",
        "cp.arm32.bn_atten.bias": "context.refine32.attention.1.bias",
        "cp.conv_head16.conv.weight": "context.up8.0.weight",
        "cp.conv_avg.conv.weight": "context.mean.0.weight",
        "ffm.conv1.weight": "fusion.weight.0.weight",
        "conv_out16.conv_out.weight": "head8.1.weight",
        "conv_out32.conv.conv.weight": "head16.0.0.weight",
        "conv_out_sp8.conv_out.weight": "detail.1.weight",
    },
    "yolov5_lite_e": {
        "model.0.conv.1.running_var": "backbone.stem.1.running_var",
        "model.2.2.branch2.5.weight": "backbone.stage3.3.branch.5.weight",
        "model.6.branch2.3.weight": "backbone.stage5.1.branch.3.weight",
        "model.14.bn2.bias": "neck.top3.bn2.bias",
        "model.21.m.1.bias": "head.convs.1.bias",
    },
    "yolov5_lite_s": {
        "model.6.1.branch2.0.weight": "backbone.stage5.2.branch.0.weight",
        "model.10.m.0.cv2.conv.weight": "neck.top4.bottlenecks.0.1.conv.weight",
        "model.18.bn.weight": "neck.down5.bn.weight",
    },
    "yolov5_lite_c": {
        "model.0.conv.weight": "backbone.stem.0.weight",
        "model.13.se.conv2.bias": "backbone.stage5.0.gate.expand.bias",
        "model.17.dense_conv.weight": "backbone.dense.0.weight",
        "model.26.pw_conv.bn.weight": "neck.down4.bn2.weight",
        "model.32.m.2.weight": "head.convs.2.weight",
    },
    "yolov5_lite_g": {
        "model.0.conv.conv.weight": "backbone.stem.conv.weight",
        "model.7.rbr_1x1.bn.running_mean": "backbone.stage5.0.conv.point.1.running_mean",
        "model.6.m.2.cv1.conv.weight": "backbone.stage4.1.bottlenecks.2.0.conv.weight",
        "model.8.cv2.conv.weight": "backbone.stage5.1.cv2.conv.weight",
        "model.23.m.1.cv2.bn.bias": "neck.out5.bottlenecks.1.1.bn.bias",
    },
    "stdc2_seg": {
        "cp.backbone.features.6.conv_list.1.conv.weight": "encoder.stages.1.0.rest.0.0.weight"
    },
}
"""Official names and where they belong, by hand from the official code."""

TENSORS = {
    ("espnet", 20): (189, False),
    ("espnet_p2q5", 20): (156, False),
    ("espnet_c", 20): (154, False),
    ("c3net", 20): (925, True),
    ("c3net_v2", 20): (852, True),
    ("pp_liteseg_t", 19): (250 - 3, False),  # without the three frozen scalars
}
"""How many tensors the published files have, and whether counters of batch norms are among them."""


def official(name: str, **options: Any) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Random weights under official and under our names, by the table read backwards.

    What the files of detectors hold besides, the anchors, is there too.
    """
    torch.manual_seed(0)
    state = create_model(name, **options).state_dict()
    rows = [(re.escape(ours).replace(r"\#", r"(\d+)"), theirs) for theirs, ours in
            PUBLISHED[name].table.items()]  # fmt: skip
    leaves = {"running_mean": "_mean", "running_var": "_variance"}
    theirs: dict[str, Tensor] = {}
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        module, _, leaf = key.rpartition(".")
        if leaf == "num_batches_tracked":
            continue
        found = ((re.fullmatch(pattern, module), template) for pattern, template in rows)
        match, template = next((m, t) for m, t in found if m)
        for number in match.groups():
            template = template.replace("#", number, 1)
        ours[key] = torch.rand_like(value)
        theirs[f"{template}.{leaves.get(leaf, leaf) if 'pp_' in name else leaf}"] = ours[key]
    for extra in PUBLISHED[name].ignored if name.startswith("yolo") else ():
        theirs[extra] = torch.tensor(options.get("anchors", COCO_ANCHORS)).reshape(3, 1, 3, 1, 1, 2)
    return theirs, ours


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_value_lands(name: str) -> None:
    theirs, ours = official(name, num_classes=20)
    for known, place in KNOWN.get(name, {}).items():
        assert torch.equal(theirs[known], ours[place]), known
    model, options = load_official(name, theirs)
    assert options["num_classes"] == 20
    compiled = PUBLISHED[name].compiled_norms
    for key, value in model.state_dict().items():
        if key.endswith("num_batches_tracked"):
            assert int(value) == 0
        else:  # all weights here are positive, so that |w| + 1e-5 is all that a norm may add
            torch.testing.assert_close(value, ours[key], rtol=0, atol=1.1e-5 if compiled else 0)


@pytest.mark.parametrize(("name", "classes"), TENSORS)
def test_there_are_as_many_weights_as_in_the_published_files(name: str, classes: int) -> None:
    count, counters = TENSORS[name, classes]
    state = create_model(name, num_classes=classes).state_dict()
    weights = [key for key in state if counters or not key.endswith("num_batches_tracked")]
    assert len(weights) == count


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("espnet", {"skip": "mix"}),
        ("pp_liteseg_t", {"attention": "channel", "training_heads": False}),
        ("pp_liteseg_t", {"attention": "channel_mean"}),
        ("pp_liteseg_t", {"attention": "spatial_mean"}),
        ("pp_liteseg_t", {"attention": "sum"}),
        ("bisenet_x39", {"training_heads": False}),
        ("stdc1_seg", {"training_heads": False}),
        ("shelfnet18", {"training_heads": False}),
        (
            "yolov5_lite_c",
            {"anchors": (((9.0, 2.5), (3.0, 4.0), (5.0, 6.0)),) * 3},
        ),
    ],
)
def test_options_are_told_by_the_weights(name: str, options: dict[str, Any]) -> None:
    theirs, _ = official(name, num_classes=19, **options)
    found = load_official(name, theirs)[1]
    assert {key: found[key] for key in options} == options


def test_a_detector_has_its_anchors_in_pixels_or_cells_or_those_of_its_code() -> None:
    own = (((9.0, 2.5), (3.0, 4.0), (5.0, 6.0)),) * 3
    theirs, _ = official("yolov5_lite_e", num_classes=3, anchors=own)
    grid, cells = "model.21.anchor_grid", "model.21.anchors"
    strides = torch.tensor([8.0, 16.0, 32.0])[:, None, None]
    theirs[cells] = theirs[grid].reshape(3, 3, 2) / strides
    assert load_official("yolov5_lite_e", theirs)[1]["anchors"] == own
    del theirs[grid]
    assert load_official("yolov5_lite_e", theirs)[1]["anchors"] == own
    theirs[cells] = theirs[cells][:2]
    with pytest.raises(CheckpointError, match=r"model\.21 has anchors 2×3×2, not three on each"):
        load_official("yolov5_lite_e", theirs)
    del theirs[cells]
    assert load_official("yolov5_lite_e", theirs)[1] == {"num_classes": 3}


def test_a_norm_that_scales_by_the_absolute_weight_becomes_a_plain_one() -> None:
    theirs, _ = official("stdc1_seg", num_classes=19)
    theirs["cp.arm16.bn_atten.weight"] = torch.full((128,), -0.5)
    theirs["cp.backbone.features.0.bn.weight"] = torch.full((32,), -0.5)
    state = load_official("stdc1_seg", theirs)[0].state_dict()
    torch.testing.assert_close(
        state["context.refine16.attention.1.weight"], torch.full((128,), 0.50001)
    )
    assert torch.equal(state["encoder.stem.0.1.weight"], torch.full((32,), -0.5))
    theirs, _ = official("shelfnet18", num_classes=19)
    for key in ("decoder.bottom.bn1.weight", "decoder.bottom.bn2.weight"):
        theirs[key] = torch.full((256,), -0.5)
    state = load_official("shelfnet18", theirs)[0].state_dict()
    assert float(state["climb.bottom.first.0.weight"][0]) == pytest.approx(0.50001)
    assert float(state["climb.bottom.second.weight"][0]) == -0.5


def test_unused_parts_of_official_networks_are_left_out() -> None:
    spare = {
        "erfnet": ("encoder.output_conv.weight", "encoder.output_conv.bias"),
        "pp_liteseg_t": ("ppseg_head.arm_list.0._scale",),
        "stdc1_seg": ("cp.backbone.x8.0.1.conv_list.0.conv.weight", "conv_out_sp2.conv.bn.weight"),
        "shelfnet18": ("decoder.inconv.conv1.weight",),
        "espnetv2_s050": ("base_net.level2_0.eesp.module_act.weight",),
        "bisenet_r18": ("criterion.criterion.weight",),
    }
    for name, keys in spare.items():
        theirs, _ = official(name, num_classes=20)
        counters = {"x.y.num_batches_tracked": torch.tensor(7)}
        alone = load_official(name, theirs)[0].state_dict()
        spared = theirs | counters | {key: torch.ones(1) for key in keys}
        found = load_official(name, spared)[0].state_dict()
        assert all(torch.equal(found[key], value) for key, value in alone.items())


def test_a_scale_of_the_wrong_shape_is_refused_before_it_is_computed_with() -> None:
    theirs, _ = official("stdc1_seg", num_classes=19)
    scale = next(k for k in theirs if k.endswith(".bn.weight"))
    theirs[scale] = torch.ones(1).expand(1 << 44)  # a copy of which no memory could hold
    with pytest.raises(CheckpointError, match=r"is \(17592186044416,\), expected"):
        load_official("stdc1_seg", theirs)


def test_weights_without_a_place_and_places_without_a_weight_are_named() -> None:
    theirs, _ = official("espnet_p2q3", num_classes=20)
    theirs["extra.conv.weight"] = torch.ones(1)
    theirs["br.gamma"] = torch.ones(20)
    del theirs["br.bias"]
    theirs["encoder.level1.conv.weight"] = torch.ones(16, 4, 3, 3)
    with pytest.raises(CheckpointError) as error:
        load_official("espnet_p2q3", theirs)
    said = str(error.value)
    assert "no place for extra.conv.weight, br.gamma" in said
    assert "nothing for decoder.norm.bias" in said
    assert "encoder.stem.0.weight is (16, 4, 3, 3), expected (16, 3, 3, 3)" in said
    with pytest.raises(CheckpointError, match=r"no place for encoder\.level3\.3\..* and 51 more"):
        load_official("espnet_p2q3", official("espnet", num_classes=20)[0])
    with pytest.raises(CheckpointError, match="is not among its 1 weights; is it of https"):
        load_official("espnet", {"a.weight": torch.ones(1)})
    with pytest.raises(UnknownNameError, match="did you mean espnet_c"):
        load_official("espnet_cc", {})
    theirs, _ = official("espnet_p2q3", num_classes=20)
    theirs["br.bias"][3] = torch.nan
    with pytest.raises(CheckpointError, match=r"decoder\.norm\.bias is not finite"):
        load_official("espnet_p2q3", theirs)


def test_numbers_of_a_name_keep_their_order() -> None:
    table = within("a.#", "b.#", {"c.#": "#.d", "": "whole"})
    weights = {"a.3.c.5.weight": torch.tensor(1.0), "a.4.bias": torch.tensor(2.0)}
    wanted = {"b.3.5.d.weight": torch.tensor(0.0), "b.4.whole.bias": torch.tensor(0.0)}
    found = renamed(weights, table, wanted)
    assert {k: float(v) for k, v in found.items()} == {"b.3.5.d.weight": 1, "b.4.whole.bias": 2}


@pytest.mark.parametrize(
    ("name", "classes", "first", "last", "size"),
    [
        ("espnet_p2q3", 20, "road", "void", [512, 1024]),
        ("espnet_p2q3", 12, "sky", "void", [360, 480]),
        ("enet_pytorch", 20, "void", "bicycle", [512, 1024]),
        ("enet_pytorch", 12, "sky", "void", [360, 480]),
        ("pp_liteseg_t", 11, "sky", "bicyclist", [720, 960]),
        ("cgnet", 19, "road", "bicycle", [512, 1024]),
        ("yolov5_lite_e", 80, "person", "toothbrush", [320, 320]),
    ],
)
def test_an_import_names_the_classes_and_remembers_the_input(
    tmp_path: Path, name: str, classes: int, first: str, last: str, size: list[int]
) -> None:
    theirs, ours = official(name, num_classes=classes)
    file, out = tmp_path / "theirs.pth", tmp_path / "ours.safetensors"
    torch.save({"state_dict": OrderedDict(theirs)}, file)
    import_checkpoint(name, file, out)
    model, card = load_model(out)
    names = card["taxonomy"]["names"]
    assert (len(names), names[0], names[-1], card["size"]) == (classes, first, last, size)
    assert card["imported"]["file"] == "theirs.pth"
    assert card["license"]
    state = model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in ours.items())
    spec: Any = model.input_spec
    black_and_green = torch.tensor([[0.0, 0, 0], [0, 255, 0]]).T[None, :, :, None]
    given = spec.normalised(black_and_green)[0, :, :, 0].T
    wanted = {  # as the official codes do it, from blue, green, red where they take that order
        ("espnet_p2q3", 20): lambda bgr: (bgr - MEAN) / STD / 255,
        ("enet_pytorch", 20): lambda bgr: bgr.flip(1) / 255,
        ("cgnet", 19): lambda bgr: bgr.flip(1) - MEAN,
        ("pp_liteseg_t", 11): lambda bgr: (bgr.flip(1) / 255 - 0.5) / 0.5,
    }
    if (name, classes) in wanted:
        expected = wanted[name, classes](torch.tensor([[0.0, 0, 0], [0, 255, 0]]))
        torch.testing.assert_close(given, expected)


MEAN = torch.tensor([72.39239876, 82.90891754, 73.15835921])
STD = torch.tensor([45.3192215, 46.15289307, 44.91483307])


def test_classes_that_do_not_fit_or_are_unknown_are_refused(tmp_path: Path) -> None:
    from litescene.core import CAMVID

    file, out = tmp_path / "x.pth", tmp_path / "x.safetensors"
    torch.save(official("espnet_p2q3", num_classes=7)[0], file)
    with pytest.raises(CheckpointError, match="7 classes, which are unknown"):
        import_checkpoint("espnet_p2q3", file, out)
    with pytest.raises(CheckpointError, match="has 7 classes, 'camvid11' 11"):
        import_checkpoint("espnet_p2q3", file, out, CAMVID)
    assert not out.exists()


@pytest.fixture(scope="session")
def probe() -> Tensor:
    """The input of the recorded outputs: sin(0.01·(131c + 7i + 3j)), 1×3×256×512."""
    axes = (torch.arange(n, dtype=torch.float64) for n in (3, 256, 512))
    c, i, j = torch.meshgrid(*axes, indexing="ij")
    return torch.sin(0.01 * (131 * c + 7 * i + 3 * j)).float()[None]


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "file", "record"),
    [
        ("espnet_p2q3", "espnet_p_2_q_3.pth", "ESPNet p2 q3 city20 (test/Model.py)"),
        ("espnetv2_s050", "espnetv2_s_0.5_city_1024x512.pth", "ESPNetv2 s0.5 city20"),
    ],
)
def test_published_weights_give_the_published_outputs(
    name: str, file: str, record: str, parity_folder: Path, probe: Tensor
) -> None:
    golden = next(
        g
        for g in json.loads((parity_folder.parent / "specs" / "counts.json").read_text())["golden"]
        if g["name"] == record
    )
    weights = read_weights(parity_folder / "official" / file)
    assert len(weights) == golden["n_tensors"]
    model, _ = load_official(name, weights)
    with torch.inference_mode():
        logits = model(probe * golden["input_scale"])
    assert list(logits.shape) == golden["out_shape"]
    assert float(logits.mean()) == pytest.approx(golden["mean"], abs=2e-5)
    assert float(logits.std()) == pytest.approx(golden["std"], rel=1e-4)
    row, column = golden["pixel"]
    wanted = torch.tensor(golden["logits_at_pixel_first6"])
    torch.testing.assert_close(logits[0, :6, row, column], wanted, rtol=0, atol=2e-4)
    histogram = torch.bincount(logits.argmax(1).flatten(), minlength=logits.shape[1])
    difference = (histogram - torch.tensor(golden["argmax_hist"])).abs().sum()
    assert int(difference) <= 20  # of 131,072 pixels; ties fall by the rounding of the machine
