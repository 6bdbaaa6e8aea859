"""From folders of pictures to named classes through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest

import litescene
from litescene.runtime import write_metadata

RECIPE = """
name = "tiny"
task = "classification"
epochs = 8
batch_size = 4
precision = "32-true"
evaluate_every = 8

[model]
name = "resnet18"

[optimizer]
name = "sgd"
lr = 0.01

[ema]
decay = 0.0

[classification]
data = "imagefolder:set"
size = 64
stages = [{ size = 64 }]
"""


@pytest.fixture
def colours(place: Path) -> Path:
    """Eight pictures of each class, which is the colour that prevails."""
    rng = np.random.default_rng(3)
    for split in ("train", "val"):
        for channel, name in enumerate(("red", "green", "blue")):
            (place / "set" / split / name).mkdir(parents=True)
            for index in range(8):
                image = rng.integers(0, 90, (70, 80, 3), dtype=np.uint8)
                image[..., channel] += 120
                PIL.Image.fromarray(image).save(place / f"set/{split}/{name}/{index}.png")
    path = place / "tiny.toml"
    path.write_text(RECIPE)
    return path


@pytest.fixture
def classifier_file(tiny: Any, place: Path) -> Path:
    path = place / "classes.onnx"
    path.write_bytes(write_metadata(tiny.classification_model(), tiny.classification_contract()))
    return path


@pytest.mark.slow
def test_train_evaluate_export_and_classify_follow_each_other(
    call: Any, colours: Path, place: Path
) -> None:
    checked = call("doctor", "--data", "imagefolder:set")
    assert "24 pictures (80×70: 24)" in checked.out
    trained = call("train", colours, "--out", "run")
    assert trained.code == 0, trained.err
    assert "best top1" in trained.out
    checkpoint = place / "run/best.safetensors"
    network = call("evaluate", checkpoint, "--data", "imagefolder:set", "--json", "network.json",
                   "--pictures", "network")  # fmt: skip
    assert network.code == 0, network.err
    assert "24 pictures" in network.out
    exported = call("export", checkpoint, "-o", "tiny.onnx")
    assert exported.code == 0, exported.err
    assert "decisions: equal" in exported.out
    bundle = call("evaluate", "tiny.onnx", "--data", "imagefolder:set", "--engine", "onnxruntime",
                  "--json", "bundle.json", "--pictures", "bundle")  # fmt: skip
    assert bundle.code == 0, bundle.err
    for folder in ("run/pictures", "network", "bundle"):
        drawn = {file.name for file in (place / folder).iterdir()}
        assert drawn == {"confusion.png", "pictures.png", "worst.png"}
    a, b = (json.loads((place / f"{n}.json").read_text())["metrics"] for n in ("network", "bundle"))
    assert a == b
    assert a["top1"] > 0.9
    said = call("classify", "set/val/blue/0.png", "--model", "tiny.onnx", "--engine",
                "onnxruntime", "--json")  # fmt: skip
    assert said.code == 0, said.err
    (record,) = json.loads(said.out)
    assert record["classes"][0]["class"] == "blue"
    assert sum(c["probability"] for c in record["classes"]) == pytest.approx(1.0, abs=1e-4)


def test_classify_names_the_classes_of_pictures_folders_and_globs(
    call: Any, classifier_file: Path, picture: Path, pictures: Path
) -> None:
    (pictures / "p1.png").write_bytes(b"no picture")
    ended = call("classify", picture, pictures, f"{pictures}/p[02].png", "--model",
                 classifier_file, "--engine", "onnxruntime", "--top", "2", "--json")  # fmt: skip
    assert ended.code == 0, ended.err
    records = json.loads(ended.out)
    names = [Path(r["picture"]).name for r in records]
    assert names == ["scene.png", "p0.png", "p1.png", "p2.png", "p0.png", "p2.png"]
    assert "p1.png" in records[2]["unreadable"]
    classifier = litescene.load(classifier_file, "onnxruntime")
    assert records[0]["classes"] == classifier(picture).to_dict()[:2]
    assert records[1]["classes"] == records[4]["classes"]


def test_classify_prints_a_table_and_what_was_left_out(
    call: Any, classifier_file: Path, pictures: Path
) -> None:
    (pictures / "p1.png").write_bytes(b"no picture")
    ended = call("classify", pictures, "--model", classifier_file, "--engine", "onnxruntime",
                 "--top", "3")  # fmt: skip
    assert ended.code == 0, ended.err
    lines = ended.out.splitlines()
    assert len(lines) == 1 + 2 * 3 + 1
    assert lines[0].split() == ["picture", "class", "probability"]
    assert lines[-1].startswith("left out ")
    assert "p1.png" in lines[-1]


def test_mistakes_are_one_line(
    call: Any, classifier_file: Path, segmenter_file: Path, picture: Path, place: Path
) -> None:
    (place / "text.png").write_text("no picture")
    (place / "empty").mkdir()
    for words, said in (
        (("absent.png", "--model", classifier_file), "absent.png"),
        (("text.png", "--model", classifier_file), "text.png"),
        (("empty", "--model", classifier_file), "holds no pictures"),
        (("*.gif", "--model", classifier_file), "no picture matches"),
        ((picture, "--model", segmenter_file), "segmentation, not classification"),
        ((picture,), "--model"),
        ((picture, "--model", classifier_file, "--top", "0"), "--top"),
    ):
        ended = call("classify", *words)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err


def test_a_foreign_classifier_is_adopted_if_its_output_fits(
    call: Any, tiny: Any, place: Path, picture: Path
) -> None:
    (place / "theirs.onnx").write_bytes(tiny.classification_model(classes=4))
    (place / "four.txt").write_text("a\nb\nc\nd\n")
    (place / "two.txt").write_text("a\nb\n")
    words = ("bundle", "theirs.onnx", "-o", "ours.onnx", "--task", "classification", "--size",
             "64x64", "--labels")  # fmt: skip
    refused = call(*words, "two.txt")
    assert refused.code == 2
    assert "1×4; a classification bundle gives one output 1×2" in refused.err
    assert not (place / "ours.onnx").exists()
    assert call(*words, "four.txt", "--crop-share", "0.875").code == 0
    classifier = litescene.load(place / "ours.onnx", "onnxruntime")
    assert classifier.contract.crop_share == 0.875
    found = classifier(picture)
    assert found.taxonomy.names == ("a", "b", "c", "d")
