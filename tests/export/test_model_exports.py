from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from litescene.core import Contract, Taxonomy, distinct_colors
from litescene.export import export
from litescene.export.parity import draw_picture, fit
from litescene.models import create_model, list_models, replace_pools
from litescene.runtime import load

CLASSES = 5
TAXONOMY = Taxonomy("test", tuple(f"class{i}" for i in range(CLASSES)), distinct_colors(CLASSES))


SIZES = {"segmentation": (64, 96), "detection": (128, 160)}
"""The trained sizes that the bundles claim; the proof adds two more."""
NETWORKS = [(task, name) for task in SIZES for name in list_models(task=task)]


def settled(model: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Random weights, but batch norms that have seen pictures."""
    model.train()
    with torch.no_grad():
        for seed in range(3):
            x = torch.from_numpy(fit(draw_picture(seed), size)).permute(2, 0, 1)[None].float() / 255
            model(torch.cat([x, x.flip(3)]))
    return model.eval()


def contract_for(model: nn.Module, name: str, task: str) -> Contract:
    if task == "segmentation":
        corners = model.align_corners
        return Contract(task, name, TAXONOMY, SIZES[task], "upsample_argmax", align_corners=corners)
    return Contract(
        task,
        name,
        TAXONOMY,
        SIZES[task],
        "decode_nms",
        anchors=model.anchors,
        strides=model.strides,
        thresholds={"score": 0.3, "iou": 0.5},
    )


@pytest.mark.slow
@pytest.mark.parametrize(("task", "name"), NETWORKS, ids=[name for _, name in NETWORKS])
def test_every_registered_network_exports_with_its_proof(
    task: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path))
    torch.manual_seed(0)
    proves_itself(create_model(name, num_classes=CLASSES), name, task, tmp_path)


def proves_itself(model: nn.Module, name: str, task: str, tmp_path: Path) -> None:
    model = settled(model, SIZES[task])
    file = tmp_path / f"{name}.onnx"
    bundle = export(model, contract_for(model, name, task), file)
    assert bundle.contract.parity["largest_difference"] <= 1e-4
    assert bundle.contract.parity["batches"] == [1, 2]
    assert len(bundle.contract.parity["sizes"]) == 3
    result = load(file, "onnxruntime")(draw_picture(1))
    if task == "segmentation":
        assert result.labels.shape == (256, 320)
        assert result.labels.max() < CLASSES
    else:
        assert np.isfinite(result.boxes).all()


@pytest.mark.slow
@pytest.mark.parametrize("pool", ["adapool", "lift"])
@pytest.mark.parametrize(
    ("task", "name"),
    [
        ("segmentation", "bisenet_r18"),
        ("segmentation", "enet"),
        ("segmentation", "unet_shufflenet"),
        ("segmentation", "shufflenet_v2_basic"),
        ("detection", "yolov5_lite_s"),
    ],
)
def test_networks_with_another_pooling_export_with_their_proof(
    task: str, name: str, pool: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A maximum of odd sides, a mean padded as TensorFlow's, and unpooling by weights."""
    if pool == "lift" and "shufflenet" in name:
        pytest.skip("it pools in threes, which lifting cannot")
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path))
    torch.manual_seed(0)
    model = replace_pools(create_model(name, num_classes=CLASSES), pool)
    proves_itself(model, name, task, tmp_path)
