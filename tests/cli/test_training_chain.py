"""From a data set to a labelled picture through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from litescene.core import CAMVID, Taxonomy
from litescene.media import read_labels
from litescene.models import create_model
from litescene.training import save_checkpoint
from litescene.training.data_specs import trained_on
from litescene.training.recipe import load_recipe


@pytest.mark.slow
def test_train_resume_evaluate_export_and_segment_follow_each_other(
    call: Any, recipe: Path, place: Path
) -> None:
    trained = call("train", recipe, "--out", "run", "--set", "seed=3")
    assert trained.code == 0, trained.err
    assert "best mean_iou" in trained.out
    assert "run/pictures\n" in trained.out
    assert json.loads((place / "run/recipe.json").read_text())["seed"] == 3
    assert len((place / "run/log.jsonl").read_text().splitlines()) == 2

    again = call("train", recipe, "--out", "run")
    assert (again.code, again.err.count("\n")) == (2, 1)
    assert "--resume" in again.err
    assert call("train", "--resume", "run").code == 0

    checkpoint = place / "run/best.safetensors"
    anew = call("train", recipe, "--out", "anew", "--set", f"model.init={checkpoint}",
                "--set", "model.options.attention='channel'", "--set", "epochs=1")  # fmt: skip
    assert anew.code == 0, anew.err
    (line,) = [x for x in anew.out.splitlines() if x.startswith("not in")]
    assert "best.safetensors: fuse" in line
    assert line.endswith("more")

    network = call("evaluate", checkpoint, "--data", "camvid:set", "--json", "network.json",
                   "--pictures", "network")  # fmt: skip
    assert network.code == 0, network.err

    exported = call("export", checkpoint, "-o", "tiny.onnx")
    assert exported.code == 0, exported.err
    assert "largest_difference" in exported.out
    bundle = call("evaluate", "tiny.onnx", "--data", "camvid:set", "--engine", "onnxruntime",
                  "--json", "bundle.json", "--pictures", "bundle")  # fmt: skip
    assert bundle.code == 0, bundle.err
    a, b = (json.loads((place / f"{n}.json").read_text()) for n in ("network", "bundle"))
    assert a["metrics"]["mean_iou"] == pytest.approx(b["metrics"]["mean_iou"], abs=1e-3)
    for folder in ("run/pictures", "network", "bundle"):
        drawn = {file.name for file in (place / folder).iterdir()}
        assert drawn == {"confusion.png", "pictures.png", "worst.png"}

    ended = call("segment", "set/val/0.png", "--model", "tiny.onnx", "--engine", "onnxruntime")
    assert ended.code == 0, ended.err
    assert read_labels(place / "0_labels.png").shape == (96, 96)


def test_data_take_the_place_of_the_recipes(recipe: Path) -> None:
    for name, wanted in (
        ("own_detector", {"train": [{"data": "voc:my set"}], "val": ["voc:my set"]}),
        (str(recipe), {"data": "voc:my set"}),
    ):
        settings = trained_on(load_recipe(name).task, "voc:my set")
        changed = load_recipe(name, settings).settings
        assert {key: changed[key] for key in wanted} == wanted


def test_data_go_with_a_recipe(call: Any, recipe: Path) -> None:
    ended = call("train", "--resume", "run", "--data", "camvid:set")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    ended = call("train", recipe, "--data", "camvid:nowhere")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "neither nowhere nor" in ended.err


def test_training_needs_either_a_recipe_or_a_run(call: Any, recipe: Path) -> None:
    for words in (("train",), ("train", recipe, "--resume", "run")):
        ended = call(*words)
        assert (ended.code, ended.err.count("\n")) == (2, 1)
    ended = call("train", "--resume", "run", "--set", "epochs=3")
    assert "leave out --set" in ended.err


def test_a_wrong_key_of_a_recipe_is_one_line_with_the_right_one(call: Any, recipe: Path) -> None:
    ended = call("train", recipe, "--set", "optimizer.learning_rat=0.1")
    assert (ended.code, ended.err.count("\n")) == (2, 1)
    assert "learning_rat" in ended.err
    ended = call("train", recipe, "--set", "epoch=3")
    assert "did you mean 'epochs'" in ended.err
    ended = call("train", "pp_liteseg_t_camvd")
    assert "pp_liteseg_t_camvid" in ended.err


def test_checkpoints_that_do_not_fit_are_one_line(call: Any, recipe: Path, place: Path) -> None:
    weights = create_model("espnet_c_p2q3", num_classes=2).state_dict()
    two = Taxonomy("two", ("sky", "road"), ((0, 0, 0), (1, 1, 1))).to_dict()
    for name in ("espnet_c_p2q3", "future_net"):
        model = {"name": name, "options": {"num_classes": 2}}
        card = {"task": "segmentation", "taxonomy": two, "size": [96, 96], "model": model}
        save_checkpoint(place / f"{name}.safetensors", weights, card)
    for words, said in (
        (("export", "future_net.safetensors", "-o", "x.onnx"), "no model 'future_net'"),
        (("evaluate", "espnet_c_p2q3.safetensors", "--data", "camvid:set"), "knows 'two'"),
        (("train", recipe, "--set", "model.init=espnet_c_p2q3.safetensors"), "of the weights of"),
        (
            ("train", recipe, "--set", "segmentation.stages=[{height=32, width=64}]"),
            "equal to 64 (given: 32)",
        ),
    ):
        ended = call(*words)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err
    assert not (place / "x.onnx").exists()


def test_a_run_folder_that_cannot_be_is_one_line_before_data_are_read(
    call: Any, recipe: Path, place: Path
) -> None:
    (place / "file").write_text("")
    (place / "run").mkdir()
    (place / "run/best.safetensors").write_text("")
    for out, said in (
        ("file", "cannot write file"),
        ("file/run", "a file, not a folder"),
        ("run", "run already holds a run"),
    ):
        ended = call("train", recipe, "--data", "camvid:nowhere", "--out", out)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err


def test_a_batch_of_one_is_one_line_where_a_network_needs_two(call: Any, recipe: Path) -> None:
    ended = call("train", recipe, "--set", "model.name=fast_scnn", "--set", "batch_size=1")
    assert ended.code == 2
    assert ended.err.splitlines()[-1].startswith("litescene: batch_size = 1 is too small for fast")


def test_weights_that_diverged_are_not_measured(call: Any, place: Path) -> None:
    weights = create_model("espnet_c_p2q3", num_classes=11).state_dict()
    weights["head.weight"][0] = float("nan")
    card = {
        "task": "segmentation", "taxonomy": CAMVID.to_dict(), "size": [96, 96],
        "model": {"name": "espnet_c_p2q3", "options": {"num_classes": 11}},
    }  # fmt: skip
    save_checkpoint(place / "x.safetensors", weights, card)
    ended = call("evaluate", "x.safetensors", "--data", "camvid:set")
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert "head.weight holds values that are not finite" in ended.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("export", "x.safetensors", "-o", "x.pt"), "-o x.pt: a bundle's name ends with .onnx"),
        (("export", "x.safetensors", "-o", "file/x.onnx"), "a file, not a folder"),
        (("export", "x.onnx", "--to", "onnx", "-o", "x", "--license", "MIT"), "states its own"),
        (("quantize", "yolov5_lite_e", "-o", "x.pt", "--pictures", "."), "ends with .onnx"),
        (("quantize", "yolov5_lite_e", "-o", "x.onnx", "--pictures", ".", "--split", "test"),
         "--split test is of --data"),
        (("evaluate", "x.safetensors", "--data", "camvid:set", "--engine", "onnxruntime"),
         "--engine onnxruntime: a checkpoint runs in PyTorch; leave it out"),
        (("bundle", "x.onnx", "-o", "y.onnx", "--task", "segmentation", "--labels", "camvid11",
          "--size", "64x64", "--anchors", "a.json"), "--anchors is of detection, not"),
        (("bundle", "x.onnx", "-o", "y.onnx", "--task", "segmentation", "--labels", "camvid11",
          "--size", "64x64", "--crop-share", "0.5"), "--crop-share is of classification, not"),
        (("models", "--results", "missing"), "'missing' does not exist"),
        (("segment", "set", "--model", "x.safetensors"), "litescene export x.safetensors -o x."),
    ],
)  # fmt: skip
def test_what_cannot_come_of_it_is_said_before_the_work(
    call: Any, recipe: Path, place: Path, words: tuple[str, ...], said: str
) -> None:
    (place / "x.safetensors").write_bytes(b"never read")
    (place / "file").write_text("")
    ended = call(*words)
    assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert said in ended.err


def test_a_folder_that_is_no_run_and_a_file_that_is_no_checkpoint_are_one_line(
    call: Any, place: Path
) -> None:
    (place / "x.safetensors").write_bytes(b"nothing")
    for words in (
        ("train", "--resume", "absent"),
        ("evaluate", "x.safetensors", "--data", "camvid:set"),
        ("export", "x.safetensors", "-o", "x.onnx"),
        ("export", "absent.safetensors", "-o", "x.onnx"),
    ):
        ended = call(*words)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
    assert not (place / "x.onnx").exists()


def test_a_shipped_bundle_becomes_the_files_of_another_runtime(call: Any, place: Path) -> None:
    words = ("export", "yolov5_lite_e", "-o", "board", "--size", "96x64")
    ended = call(*words, "--to", "tengine")
    assert ended.code == 0, ended.err
    assert sorted(p.name for p in (place / "board").iterdir()) == [
        "yolov5_lite_e.json", "yolov5_lite_e.onnx",
    ]  # fmt: skip
    assert "largest difference to the bundle, of 3 pictures" in ended.out
    written = json.loads((place / "board" / "yolov5_lite_e.json").read_text())
    assert written["input"]["shape"] == [1, 3, 64, 96]
    ended = call(*words, "--to", "onnx", "--finish", "boxes")
    assert ended.code == 0, ended.err
    assert "no picture held an object" in ended.out
    for more, said in (
        ((), "for other formats"),
        (("--to", "mnn", "--dynamic"), "takes one size"),
        (("--to", "ncnn", "--finish", "rows"), "not ncnn"),
        (("--to", "tflite"), "--to"),
    ):
        ended = call(*words, *more)
        assert ended.code == 2, more
        assert said in ended.err
