"""`litescene import`, and what follows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from litescene.core import CITYSCAPES
from litescene.media import read_labels, read_picture
from litescene.models import create_model
from litescene.training import load_model


def saved(path: Path, classes: int) -> Path:
    """ESPNet-C as its authors name it, with random weights."""
    state = create_model("espnet_c_p2q3", num_classes=classes).state_dict()
    torch.save({"head": state["head.weight"]}, path)
    return path


def test_what_cannot_be_imported_is_one_line(call: Any, place: Path) -> None:
    saved(place / "x.pth", 5)
    (place / "evil.pth").write_bytes(b"\x80\x02cposix\nsystem\nX\x04\x00\x00\x00true\x85R.")
    cases = {
        ("espnet_c_p2q3", "absent.pth"): "cannot read absent.pth",
        ("espnet_c_p2q3", "evil.pth"): "asks for posix.system",
        ("espnet_c_p2q3", "x.pth"): "classifier.conv.weight is not among its 1 weights",
        ("espnet_c_p2", "x.pth"): "did you mean",
        ("fast_scnn", "x.pth"): "no official files of fast_scnn are known; there are some of: ",
    }
    for (name, file), said in cases.items():
        ended = call("import", name, file, "-o", "out.safetensors")
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err
    for options in (("--classes", "nowhere"), ("--size", "9x9"), ("-o", "out.onnx")):
        ended = call("import", "espnet_c_p2q3", "x.pth", "-o", "out.safetensors", *options)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    for words, said in {
        ("espnet_c_p2q3", "x.pth", "--pictures", "."): "--pictures belongs to the import of a bun",
        ("yolov5_lite_e", "--size", "320x320"): "--size belongs to the import of a file of the",
        ("espnet_c_p2q3",): "no shipped model 'espnet_c_p2q3'",
    }.items():
        ended = call("import", *words, "-o", "out.safetensors")
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err
    assert not list(place.glob("out*"))


@pytest.mark.slow
def test_a_shipped_detector_is_trained_on(call: Any, place: Path) -> None:
    imported = call("import", "yolov5_lite_e", "-o", "e.safetensors")
    assert imported.code == 0, imported.err
    assert "8 classes (street8), 320×320" in imported.out
    model, card = load_model(place / "e.safetensors")
    assert card["recovered"]["pictures"] == 16
    assert not model.training


@pytest.mark.slow
@pytest.mark.data
def test_published_weights_label_a_picture_as_their_authors_code_does(
    call: Any, place: Path, parity_folder: Path, data_set: Any
) -> None:
    theirs = parity_folder / "official" / "espnet_p_2_q_3.pth"
    imported = call("import", "espnet_p2q3", theirs, "-o", "espnet.safetensors",
                    "--size", "512x256")  # fmt: skip
    assert imported.code == 0, imported.err
    assert "20 classes (cityscapes19+void), 512×256" in imported.out
    assert "input: BGR" in imported.out
    assert "licence: MIT" in imported.out
    exported = call("export", "espnet.safetensors", "-o", "espnet.onnx")
    assert exported.code == 0, exported.err

    source = sorted(data_set("camvid/val").iterdir())[30]
    picture = cv2.resize(cv2.imread(str(source)), (512, 256))
    cv2.imwrite(str(place / "street.png"), picture)
    ended = call("segment", "street.png", "--model", "espnet.onnx", "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
    labels = read_labels(place / "street_labels.png")

    model, _ = load_model(place / "espnet.safetensors")
    bgr = read_picture(place / "street.png")[..., ::-1].astype(np.float64)
    mean = [72.39239876, 82.90891754, 73.15835921]
    std = [45.3192215, 46.15289307, 44.91483307]
    x = torch.from_numpy((bgr - mean) / std / 255).permute(2, 0, 1)[None].float()
    with torch.inference_mode():
        wanted = model(x)[0].argmax(0).numpy()
    assert (labels == wanted).mean() > 0.999
    sky = CITYSCAPES.names.index("sky")
    assert (labels[:50, 200:300] == sky).mean() > 0.6
