"""The proof of a classifier's bundle, and what its contract says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litescene.core import Contract, ParityError
from litescene.export import contract_of, export, prove, quantize, to_onnx
from litescene.export import parity as parity_module
from litescene.export.parity import as_seen, draw_picture
from litescene.models import InputSpec
from litescene.runtime import Bundle, Classifier, write_metadata
from tiny_bundles import classification_contract, taxonomy


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)


class TinyClassifier(nn.Module):
    """A convolution, a mean, a linear layer."""

    input_spec = InputSpec((0.4, 0.5, 0.6), (0.2, 0.25, 0.3))

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, 2, 1)
        self.out = nn.Linear(8, classes)

    def head_logits(self, x: Tensor) -> Tensor:
        return self.out(self.conv(x).relu().mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        return self.head_logits(x)


def test_a_bundle_gives_the_networks_probabilities(tmp_path: Path) -> None:
    model = TinyClassifier().eval()
    pictures = [draw_picture(seed) for seed in range(3)]
    bundle = export(model, classification_contract(crop_share=0.9), tmp_path / "x.onnx", pictures)
    proof = bundle.contract.parity
    assert (proof["decisions"], proof["pictures"]) == ("equal", 3)
    assert proof["largest_difference"] <= 1e-4
    assert 0 <= proof.get("bf16_agreement", 1.0) <= 1
    for picture in pictures:
        seen = as_seen(picture, bundle.contract)
        assert seen.shape == (64, 64, 3)
        x = (torch.from_numpy(seen.copy()).double() / 255).permute(2, 0, 1)[None]
        mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.4, 0.5, 0.6), (0.2, 0.25, 0.3)))
        with torch.inference_mode():
            want = model.double()((x - mean) / std)[0].softmax(0).numpy()
        model.float()
        found = Classifier(bundle, "onnxruntime").probabilities(picture)
        np.testing.assert_allclose(found, want, atol=1e-5)


def test_a_bundle_of_other_weights_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = to_onnx(TinyClassifier().eval())
    monkeypatch.setattr("litescene.export.onnx_export.to_onnx", lambda model: other)
    with pytest.raises(ParityError, match="outputs differ from PyTorch by"):
        export(TinyClassifier().eval(), classification_contract(), tmp_path / "x.onnx")
    assert list(tmp_path.glob("*.onnx")) == []


@pytest.mark.parametrize("wrong", [np.array([0.5, 0.5, 0.0, 0.0]), np.array([0.0, 0.0, 0.0, 1.0])])
def test_wrong_probabilities_are_found(wrong: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    model = TinyClassifier().eval()
    bundle = Bundle.from_bytes(write_metadata(to_onnx(model), classification_contract()))
    assert prove(model, bundle)["decisions"] == "equal"
    monkeypatch.setattr(parity_module, "class_probabilities", lambda logits: wrong)
    with pytest.raises(ParityError, match="a probability differs from PyTorch's"):
        prove(model, bundle)


def test_a_card_becomes_a_contract() -> None:
    card = {
        "task": "classification",
        "model": {"name": "tiny", "options": {"num_classes": 3}},
        "taxonomy": taxonomy(3).to_dict(),
        "size": [96, 96],
        "crop_share": 0.875,
        "result": {"top1": 0.7, "top5": 1.0, "mean_top1": 0.6, "loss": 3.0, "epoch": 4},
    }
    contract = contract_of(TinyClassifier(), card, "MIT")
    assert (contract.finish, contract.size, contract.crop_share) == ("softmax", (96, 96), 0.875)
    assert contract.accuracy == {"top1": 0.7, "top5": 1.0, "mean_top1": 0.6}
    assert Contract.from_dict(contract.to_dict()) == contract


def test_an_int8_form_says_how_often_it_decides_alike(tmp_path: Path) -> None:
    model = TinyClassifier().eval()
    pictures = [draw_picture(seed) for seed in range(8)]
    bundle = export(model, classification_contract(), tmp_path / "x.onnx")
    rough = quantize(bundle, tmp_path / "int8.onnx", pictures)
    assert 0.5 < rough.contract.parity["int8_agreement"] <= 1
    assert rough.contract.parity["compared_pictures"] == 2
