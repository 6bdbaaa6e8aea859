from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litescene.core import Contract, InputError, ParityError, Taxonomy, distinct_colors
from litescene.export import contract_of, export, fuse, prove, to_onnx
from litescene.export import parity as parity_module
from litescene.export.graph import head_maps
from litescene.export.parity import draw_picture, proof_sizes, score_with_boxes
from litescene.export.reference import found_boxes
from litescene.models import InputSpec
from litescene.runtime import Bundle, Detector, Segmenter, write_metadata
from litescene.runtime.nms import decode, suppress

ANCHORS = (((10.0, 13.0), (33.0, 23.0)), ((62.0, 45.0), (156.0, 198.0)))


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path / "cache"))
    torch.manual_seed(0)


def norm(channels: int) -> nn.BatchNorm2d:
    """A batch norm that has seen something."""
    layer = nn.BatchNorm2d(channels, eps=1e-3)
    nn.init.uniform_(layer.weight, 0.5, 1.5)
    nn.init.normal_(layer.bias)
    nn.init.normal_(layer.running_mean)
    nn.init.uniform_(layer.running_var, 0.3, 2.0)
    return layer


class TinySegmenter(nn.Module):
    """Stride 8; one Sequential block, one with attributes, one norm that cannot be folded."""

    input_spec = InputSpec((0.4, 0.5, 0.6), (0.2, 0.25, 0.3), bgr=True)

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), norm(8), nn.ReLU(True))
        self.conv = nn.Conv2d(8, 8, 3, 4, 1, groups=8)
        self.bn = norm(8)
        self.free = norm(8)
        self.out = nn.Conv2d(8, classes, 1)

    def head_logits(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn(self.conv(self.stem(x))))
        context = F.interpolate(y.mean((2, 3), keepdim=True), y.shape[-2:], mode="bilinear")
        return self.out(self.free(y + context))


class TinyDetector(nn.Module):
    strides = (8, 16)
    anchors = ANCHORS

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 8, 8, bias=False), norm(16), nn.ReLU())
        self.down = nn.Sequential(nn.Conv2d(16, 16, 3, 2, 1), norm(16), nn.ReLU())
        self.heads = nn.ModuleList(nn.Conv2d(16, 2 * (5 + classes), 1) for _ in range(2))

    def raw_heads(self, x: Tensor) -> list[Tensor]:
        y = self.stem(x)
        return [self.heads[0](y), self.heads[1](self.down(y))]


def taxonomy(classes: int) -> Taxonomy:
    return Taxonomy("test", tuple(f"class{i}" for i in range(classes)), distinct_colors(classes))


def segmentation_contract() -> Contract:
    return Contract("segmentation", "tiny", taxonomy(4), (96, 128), "upsample_argmax")


def detection_contract() -> Contract:
    return Contract(
        "detection",
        "tiny",
        taxonomy(3),
        (96, 128),
        "decode_nms",
        anchors=ANCHORS,
        strides=(8, 16),
        thresholds={"score": 0.3, "iou": 0.5},
    )


def test_folding_changes_nothing_and_leaves_only_norms_without_a_convolution() -> None:
    model = TinySegmenter().eval()
    x = torch.randn(2, 3, 64, 96)
    folded = fuse(model, head_maps, x)
    norms = [n for n, m in folded.named_modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms == ["free"]
    assert isinstance(model.bn, nn.BatchNorm2d)
    with torch.inference_mode():
        want, have = model.double().head_logits(x.double()), folded.double().head_logits(x.double())
    # the fold is exact in float64; what is left is the rounding of the weights to float32
    assert float((want - have).abs().max() / want.abs().max()) < 1e-6


def test_a_convolution_used_twice_is_not_folded() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.bn = nn.Conv2d(3, 3, 1), norm(3)

        def head_logits(self, x: Tensor) -> Tensor:
            return self.bn(self.conv(x)) + self.conv(x)

    folded = fuse(Twice(), head_maps, torch.randn(1, 3, 64, 64))
    assert isinstance(folded.bn, nn.BatchNorm2d)


def test_the_graph_is_valid_takes_uint8_and_leaves_its_sizes_open() -> None:
    model = onnx.load_from_string(to_onnx(TinySegmenter().eval()))
    onnx.checker.check_model(model, full_check=True)
    (pictures,) = model.graph.input
    assert pictures.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    dims = [d.dim_param or d.dim_value for d in pictures.type.tensor_type.shape.dim]
    assert dims == ["n", "height", "width", 3]
    assert sum(n.op_type == "BatchNormalization" for n in model.graph.node) == 1


def test_a_segmentation_bundle_gives_the_networks_labels(tmp_path: Path) -> None:
    model = TinySegmenter()
    picture = draw_picture(7)
    bundle = export(model, segmentation_contract(), tmp_path / "a" / "tiny.onnx", [picture])
    proof = bundle.contract.parity
    assert proof["largest_difference"] <= 1e-4
    assert len(proof["sizes"]) == 3
    assert proof["batches"] == [1, 2]
    assert (proof["pictures"], proof["decisions"]) == (1, "equal")
    assert 0.0 <= proof.get("bf16_agreement", 1.0) <= 1.0
    assert Bundle.open(tmp_path / "a" / "tiny.onnx").contract == bundle.contract
    assert model.training
    for engine in proof["engines"]:
        labels = Segmenter(bundle, engine, size=(256, 320))(picture).labels
        bgr = picture[..., ::-1] / 255
        x = (bgr - [0.4, 0.5, 0.6]) / [0.2, 0.25, 0.3]
        x = torch.from_numpy(x).permute(2, 0, 1).float()[None]
        with torch.inference_mode():
            logits = F.interpolate(model.eval().head_logits(x), (256, 320), mode="bilinear")
        assert (labels == logits[0].argmax(0).numpy()).mean() > 0.9999


def test_a_detection_bundle_gives_the_networks_boxes(tmp_path: Path) -> None:
    model = TinyDetector().eval()
    picture = draw_picture(3)[:192, :256]
    bundle = export(model, detection_contract(), tmp_path / "tiny.onnx", [picture])
    found = Detector(bundle, bundle.contract.parity["engines"][0], size=(192, 256))(picture)
    with torch.inference_mode():
        x = torch.from_numpy(picture / 255.0).permute(2, 0, 1).float()[None]
        raw = [head[0] for head in model.raw_heads(x)]
    want = found_boxes(raw, bundle.contract, 0.3, 0.5).numpy()
    assert len(want) > 3
    assert len(found) == len(want)
    boxes = np.clip(want[:, :4], 0, [256, 192, 256, 192])
    np.testing.assert_allclose(found.boxes, boxes, atol=0.05)
    np.testing.assert_array_equal(found.classes, want[:, 5])


def test_torch_and_fused_suppression_agree_on_crowded_maps() -> None:
    raw = [torch.randn(16, 24 // s, 32 // s) * 2 for s in (1, 2)]
    contract = detection_contract()
    want = found_boxes(raw, contract, 0.3, 0.5).numpy()
    have = suppress(decode([r.numpy() for r in raw], ANCHORS, (8, 16), 0.3), 0.5)
    assert have.shape == want.shape
    np.testing.assert_allclose(have, want, rtol=1e-4, atol=1e-3)


def test_a_bundle_of_other_weights_is_refused_and_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = TinySegmenter().eval()
    other = to_onnx(TinySegmenter().eval())
    monkeypatch.setattr("litescene.export.onnx_export.to_onnx", lambda model: other)
    with pytest.raises(ParityError, match="outputs differ from PyTorch by"):
        export(model, segmentation_contract(), tmp_path / "tiny.onnx")
    assert list(tmp_path.glob("*.onnx")) == []


def test_a_wrong_last_step_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TinySegmenter().eval()
    bundle = Bundle.from_bytes(write_metadata(to_onnx(model), segmentation_contract()))
    prove(model, bundle)
    monkeypatch.setattr(
        parity_module, "upsample_argmax", lambda _, *size, **how: np.zeros(size, np.uint8)
    )
    with pytest.raises(ParityError, match="a label differs"):
        prove(model, bundle)


def test_missing_boxes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    model = TinyDetector().eval()
    bundle = Bundle.from_bytes(write_metadata(to_onnx(model), detection_contract()))
    prove(model, bundle)
    monkeypatch.setattr(parity_module, "find_boxes", lambda *a: np.zeros((0, 6), np.float32))
    with pytest.raises(ParityError, match="boxes are those of PyTorch"):
        prove(model, bundle)


def test_every_given_picture_joins_the_proof_at_every_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = TinyDetector().eval()
    bundle = Bundle.from_bytes(write_metadata(to_onnx(model), detection_contract()))
    pictures = [np.full((64, 64, 3), 20 * i, np.uint8) for i in range(5)]
    seen: list[tuple[tuple[int, ...], list[int]]] = []
    outputs = parity_module._torch_outputs

    def watched(network: nn.Module, batch: np.ndarray) -> list[Tensor]:
        seen.append((batch.shape, batch[:, 0, 0, 0].tolist()))
        return outputs(network, batch)

    monkeypatch.setattr(parity_module, "_torch_outputs", watched)
    proof = prove(model, bundle, pictures)
    assert proof["pictures"] == 5
    for size in proof["sizes"]:
        shown = [grey for shape, grey in seen if list(shape[1:3]) == size]
        assert shown == [[0], [0, 20], [40, 60], [80, 0]]


def test_a_detector_without_a_box_is_proved_at_a_lower_score() -> None:
    model = TinyDetector().eval()
    contract = dataclasses.replace(detection_contract(), thresholds={"score": 0.9999, "iou": 0.5})
    proof = prove(model, Bundle.from_bytes(write_metadata(to_onnx(model), contract)))
    assert proof["decisions"] == "equal"
    assert proof["boxes"] >= 9  # one at least in each picture


def test_a_detector_whose_rows_are_all_alike_is_not_called_equal() -> None:
    model = TinyDetector().eval()
    for head in model.heads:
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, -9.0)
    bundle = Bundle.from_bytes(write_metadata(to_onnx(model), detection_contract()))
    proof = prove(model, bundle)
    assert (proof["decisions"], proof["boxes"]) == ("none compared", 0)


def test_the_score_of_the_proof_lies_in_the_widest_step() -> None:
    scores = torch.tensor([0.01, 0.30, 0.05, 0.31, 0.04])
    rows = torch.cat((torch.zeros(5, 4), torch.ones(5, 1), scores[:, None]), 1)
    assert score_with_boxes(rows, 0.305) == 0.305
    assert score_with_boxes(rows, 0.5) == pytest.approx(0.175)
    assert score_with_boxes(rows[:1], 0.5) == 0.5


def test_sizes_of_the_proof_differ_in_shape() -> None:
    assert proof_sizes(segmentation_contract()) == ((96, 128), (64, 64), (69, 67))
    assert proof_sizes(detection_contract()) == ((96, 128), (64, 64), (96, 64))


def test_a_network_without_a_head_to_export_is_refused() -> None:
    with pytest.raises(InputError, match="neither head_logits nor raw_heads"):
        to_onnx(nn.Conv2d(3, 4, 1))


def test_a_card_becomes_a_contract() -> None:
    card = {
        "task": "detection",
        "model": {"name": "tiny", "options": {"num_classes": 3}},
        "taxonomy": taxonomy(3).to_dict(),
        "size": [320, 320],
        "commit": "abc",
        "result": {"ap50": 0.7, "loss": 3.0, "epoch": 4},
    }
    contract = contract_of(TinyDetector(), card, "CC BY-NC 4.0")
    assert contract.strides == (8, 16)
    assert contract.anchors == ANCHORS
    assert contract.provenance["commit"] == "abc"
    assert contract.provenance["epoch"] == 4
    assert contract.accuracy == {"ap50": 0.7}
    assert Contract.from_dict(contract.to_dict()) == contract


def test_a_bundle_does_not_say_in_which_folder_its_training_began() -> None:
    card = {
        "task": "detection",
        "model": {"name": "tiny", "options": {}},
        "taxonomy": taxonomy(3).to_dict(),
        "size": [64, 64],
        "data": {"train": ["camvid:/home/me/camvid"], "val": "camvid:val", "pictures": [3]},
        "recipe": {
            "epochs": 3,
            "model": {"name": "tiny", "init": "/home/me/runs/best.safetensors"},
            "settings": {
                "train": [{"data": "voc:/home/me/signs"}],
                "val": ["voc:/home/me/signs"],
                "teacher": {"checkpoint": "/home/me/runs/large.safetensors"},
            },
        },
    }
    provenance = contract_of(TinyDetector(), card).provenance
    assert "/" not in json.dumps(provenance)
    assert provenance["data"] == {"train": ["camvid:camvid"], "val": "camvid:val", "pictures": [3]}
    assert provenance["recipe"] == {
        "epochs": 3,
        "model": {"name": "tiny", "init": "best.safetensors"},
        "settings": {
            "train": [{"data": "voc:signs"}],
            "val": ["voc:signs"],
            "teacher": {"checkpoint": "large.safetensors"},
        },
    }
