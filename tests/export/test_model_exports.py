from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from litescene.core import Contract, InputError, Taxonomy, distinct_colors
from litescene.core.taxonomy import PLANES
from litescene.export import export
from litescene.export.parity import draw_picture, fit
from litescene.models import create_model, list_models, replace_pools
from litescene.models.restoration.upsampling import UPSAMPLINGS
from litescene.runtime import load

CLASSES = 5
TAXONOMY = Taxonomy("test", tuple(f"class{i}" for i in range(CLASSES)), distinct_colors(CLASSES))


SIZES = {
    "segmentation": (64, 96),
    "detection": (128, 160),
    "classification": (64, 96),
    "restoration": (64, 96),
}
"""The trained sizes that the bundles claim; the proof adds two more."""
CLIPS = {"resnet3d_18"}
"""Networks of clips, of which there are no bundles."""
NETWORKS = [
    (task, name)
    for task in SIZES
    if task != "restoration"
    for name in list_models(task=task)
    if name not in CLIPS
]
WAYS = [(n, w) for n in list_models(task="restoration") for w in UPSAMPLINGS]


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
    if task == "classification":
        return Contract(task, name, TAXONOMY, SIZES[task], "softmax")
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
    elif task == "classification":
        assert float(result.probabilities.sum()) == pytest.approx(1.0, abs=1e-5)
    else:
        assert np.isfinite(result.boxes).all()


def test_networks_of_clips_are_refused_by_name(tmp_path: Path) -> None:
    model = create_model("resnet3d_18", num_classes=CLASSES).eval()
    contract = contract_for(model, "resnet3d_18", "classification")
    with pytest.raises(InputError, match="ResNet3d cannot be exported: it takes clips"):
        export(model, contract, tmp_path / "x.onnx")
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("name", "way"), WAYS)
def test_every_restoration_network_exports_with_its_proof(
    name: str, way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path))
    torch.manual_seed(0)
    model: Any = create_model(name, upsampling=way).eval()
    contract = Contract(
        "restoration", name, PLANES, SIZES["restoration"], "picture",
        pictures=model.pictures, factor=model.factor,
    )  # fmt: skip
    bundle = export(model, contract, tmp_path / f"{name}.onnx")
    proof = bundle.contract.parity
    assert proof["largest_difference"] <= 1e-4
    assert (proof["batches"], len(proof["sizes"])) == ([1, 2], 3)
    pictures = [draw_picture(seed)[:70, :101] for seed in range(model.pictures)]
    made = load(bundle, "onnxruntime")(*pictures)
    x = torch.from_numpy(np.concatenate(pictures, 2)).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        expected = (255 * model(x)[0]).round().permute(1, 2, 0).numpy()
    assert made.shape == (70 * model.factor, 101 * model.factor, 3)
    assert np.abs(made - expected).max() <= 1


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
