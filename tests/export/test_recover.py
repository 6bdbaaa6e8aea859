"""A bundle becomes a checkpoint again: the same function, with batch norms that measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from litescene.core import CAMVID, CheckpointError
from litescene.export import export
from litescene.export.graph import to_onnx
from litescene.export.onnx_export import contract_of
from litescene.export.parity import draw_picture, fit
from litescene.export.recover import recover_checkpoint
from litescene.models import create_model
from litescene.models.spec import input_spec_of
from litescene.runtime import Bundle
from litescene.runtime.bundle import write_metadata
from litescene.runtime.catalog import find
from litescene.training import load_model

PICTURES = [draw_picture(seed) for seed in range(4)]


def head_of(model: Any, batch: np.ndarray) -> list[torch.Tensor]:
    x = torch.from_numpy(batch).permute(0, 3, 1, 2).float()
    x = input_spec_of(model).normalised(x)
    return [model.head_logits(x)] if hasattr(model, "head_logits") else list(model.raw_heads(x))


@pytest.mark.parametrize("name", ["yolov5_lite_e", "pp_liteseg_t"])
def test_a_shipped_bundle_becomes_a_checkpoint_that_computes_the_same(
    name: str, tmp_path: Path
) -> None:
    bundle = find(name)
    card = recover_checkpoint(bundle, tmp_path / "x.safetensors", PICTURES)
    model, stored = load_model(tmp_path / "x.safetensors")
    assert stored == json.loads(json.dumps(card))
    assert card["taxonomy"] == bundle.contract.taxonomy.to_dict()
    batch = np.stack([fit(p, bundle.contract.size) for p in PICTURES])
    session = onnxruntime.InferenceSession(bundle.model, providers=["CPUExecutionProvider"])
    wanted = session.run(None, {session.get_inputs()[0].name: batch})
    with torch.inference_mode():
        given = head_of(model, batch)
        for one, other in zip(given, wanted, strict=True):
            assert np.abs(one.numpy() - other).max() <= 1e-4 * np.abs(other).max()
        # The batch's own statistics are near those that the norms hold: training begins where
        # the bundle stands.
        trained = head_of(model.train(), batch)
        for one, other in zip(trained, given, strict=True):
            assert (one - other).std() < 0.3 * other.std()


def small_bundle(folder: Path) -> tuple[Bundle, nn.Module]:
    torch.manual_seed(3)
    model = create_model("contextnet", num_classes=11).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # nothing that a fresh norm would have by itself
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.3, 0.3)
    card = {"task": "segmentation", "model": {"name": "contextnet"}, "size": [96, 128],
            "taxonomy": CAMVID.to_dict()}  # fmt: skip
    return export(model, contract_of(model, card), folder / "small.onnx"), model


def test_weights_without_a_batch_norm_are_those_of_the_trained_network(tmp_path: Path) -> None:
    bundle, model = small_bundle(tmp_path)
    recover_checkpoint(bundle, tmp_path / "x.safetensors", PICTURES)
    recovered, _ = load_model(tmp_path / "x.safetensors")
    batch = np.stack([fit(p, (96, 128)) for p in PICTURES])
    with torch.inference_mode():
        wanted, given = head_of(model, batch)[0], head_of(recovered, batch)[0]
    assert (wanted - given).abs().max() <= 1e-4 * wanted.abs().max()
    name = "head.3.weight"
    assert torch.equal(recovered.state_dict()[name], model.state_dict()[name])


@pytest.mark.parametrize("turned", [False, True])
def test_channels_come_back_into_their_order(
    turned: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the export took shuffles into the weights, and where the bundle computes them."""
    torch.manual_seed(5)
    model = create_model("yolov5_lite_e", num_classes=2)
    for _ in range(2):
        model.train().raw_heads(torch.rand(2, 3, 128, 160))
    card = {"task": "detection", "model": {"name": "yolov5_lite_e"}, "size": [128, 160],
            "taxonomy": {"name": "two", "names": ["a", "b"], "colors": [[0, 0, 0], [1, 1, 1]]},
            }  # fmt: skip
    with monkeypatch.context() as patched:
        if turned:  # as in bundles of earlier versions
            patched.setattr(torch.jit, "is_tracing", lambda: False)
        graph = to_onnx(model.eval())
    bundle = Bundle.from_bytes(write_metadata(graph, contract_of(model, card)), "e")
    recover_checkpoint(bundle, tmp_path / "x.safetensors", PICTURES)
    recovered, _ = load_model(tmp_path / "x.safetensors")
    batch = np.stack([fit(p, (128, 160)) for p in PICTURES])
    with torch.inference_mode():
        for one, other in zip(head_of(recovered, batch), head_of(model, batch), strict=True):
            assert (one - other).abs().max() <= 1e-4 * other.abs().max()


def test_a_norm_holds_what_its_convolution_gives_on_the_pictures(tmp_path: Path) -> None:
    bundle = find("yolov5_lite_e")
    recover_checkpoint(bundle, tmp_path / "x.safetensors", PICTURES)
    model, _ = load_model(tmp_path / "x.safetensors")
    seen: list[torch.Tensor] = []
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    norm = next(m for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    first.register_forward_hook(lambda _, __, y: seen.append(y.double()))
    with torch.inference_mode():
        for picture in PICTURES:
            head_of(model, fit(picture, (256, 320))[None])
    values = torch.cat(seen).transpose(0, 1).flatten(1)
    assert torch.allclose(norm.running_mean.double(), values.mean(1), atol=1e-5)
    assert torch.allclose(norm.running_var.double(), values.var(1, unbiased=False), rtol=1e-4)


def test_what_cannot_become_a_checkpoint_is_said(tmp_path: Path) -> None:
    out = tmp_path / "x.safetensors"
    joined = create_model("yolov5_lite_g", num_classes=2)
    card = {"task": "detection", "model": {"name": "yolov5_lite_g"}, "size": [64, 64],
            "taxonomy": {"name": "two", "names": ["a", "b"], "colors": [[0, 0, 0], [1, 1, 1]]},
            }  # fmt: skip
    contract = contract_of(joined, card)
    plain = create_model("yolov5_lite_e", num_classes=2)
    bundle = Bundle.from_bytes(write_metadata(to_onnx(plain), contract), "g")
    with pytest.raises(CheckpointError, match="joined layers of yolov5_lite_g"):
        recover_checkpoint(bundle, out, PICTURES)
    other = contract_of(plain, {**card, "model": {"name": "yolov5_lite_s"}})
    bundle = Bundle.from_bytes(write_metadata(to_onnx(plain), other), "s")
    with pytest.raises(CheckpointError, match="convolutions, the network"):
        recover_checkpoint(bundle, out, PICTURES)
    assert not out.exists()
