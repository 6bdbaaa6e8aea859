"""From frames to larger and smoother videos through the command line alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest

from litescene.media import VideoWriter, open_source, read_picture

RECIPE = """
name = "tiny"
task = "restoration"
epochs = 2
batch_size = 2
precision = "32-true"
evaluate_every = 1

[model]
name = "{model}"
options = {{ upsampling = "adaunpool" }}

[restoration]
data = "video:set@160x128"
pictures = 4
crop = 64
"""


@pytest.fixture
def frames(place: Path) -> Path:
    """Sixteen frames of 192×144 that move."""
    (place / "set").mkdir()
    rough = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    wall = cv2.resize(rough, (260, 170), interpolation=cv2.INTER_CUBIC)
    for i in range(16):
        PIL.Image.fromarray(wall[i : i + 144, 2 * i : 2 * i + 192]).save(place / f"set/{i}.png")
    with VideoWriter(place / "drive.mp4", 96, 80, 10) as video:
        for i in range(4):
            video.write(np.ascontiguousarray(wall[i : i + 80, 2 * i : 2 * i + 96]), i / 10)
    return place / "set"


def trained(call: Any, place: Path, model: str) -> None:
    """Train, go on, evaluate, export and evaluate again, to `tiny.onnx`."""
    (place / "tiny.toml").write_text(RECIPE.format(model=model))
    ended = call("train", "tiny.toml", "--out", "run")
    assert ended.code == 0, ended.err
    assert "best psnr" in ended.out
    assert call("train", "--resume", "run").code == 0
    checkpoint = place / "run/best.safetensors"
    data = ("--data", "video:set@160x128")
    figures = call("evaluate", checkpoint, *data, "--json", "network.json", "--pictures", "network")
    assert figures.code == 0, figures.err
    exported = call("export", checkpoint, "-o", "tiny.onnx", "--license", "mine")
    assert exported.code == 0, exported.err
    assert f"restoration, {model}" in exported.out
    ended = call("evaluate", "tiny.onnx", *data, "--engine", "onnxruntime", "--json", "bundle.json",
                 "--pictures", "bundle")  # fmt: skip
    assert ended.code == 0, ended.err
    for folder in ("run/pictures", "network", "bundle"):
        assert [file.name for file in (place / folder).iterdir()] == ["worst.png"]
    assert "PSNR" in ended.out
    network, bundle = (
        json.loads((place / f"{n}.json").read_text())["metrics"] for n in ("network", "bundle")
    )
    assert network["psnr"] == pytest.approx(bundle["psnr"], abs=0.01)
    assert network["ssim"] == pytest.approx(bundle["ssim"], abs=1e-4)
    assert network["pictures"] == bundle["pictures"] > 0
    card = json.loads((place / "run/best.json").read_text())
    assert card["result"]["psnr"] == pytest.approx(network["psnr"])
    assert str(place) not in json.dumps(exported_contract(place))


def exported_contract(place: Path) -> dict[str, Any]:
    from litescene.runtime import Bundle

    contract = Bundle.open(place / "tiny.onnx").contract
    assert set(contract.accuracy) == {"psnr", "ssim"}
    return contract.to_dict()


@pytest.mark.slow
def test_a_trained_network_makes_pictures_and_videos_larger(
    call: Any, frames: Path, place: Path
) -> None:
    trained(call, place, "edsr_light_x2")
    how = ("--model", "tiny.onnx", "--engine", "onnxruntime")
    ended = call("upscale", "set/0.png", "-o", "made/large.png", *how)
    assert ended.code == 0, ended.err
    assert "1 picture of 384×288 with tiny on onnxruntime" in ended.out
    assert read_picture(place / "made/large.png").shape == (288, 384, 3)
    ended = call("upscale", "drive.mp4", "-o", "large.mp4", *how, "--limit", "3")
    assert ended.code == 0, ended.err
    with open_source(place / "large.mp4") as source:
        assert (source.width, source.height, len(list(source))) == (192, 160, 3)
    for words, said in (
        (("upscale", "set/0.png", "-o", "large.mp4"), "a picture is written as .png"),
        (("interpolate", "drive.mp4", "-o", "x.mp4"), "makes a picture of 1, not of 2"),
        (("segment", "set/0.png"), "does restoration, not segmentation"),
    ):
        ended = call(*words, *how)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err


@pytest.mark.slow
def test_a_trained_network_doubles_the_frame_rate(call: Any, frames: Path, place: Path) -> None:
    trained(call, place, "unet_interpolation")
    how = ("--model", "tiny.onnx", "--engine", "onnxruntime")
    ended = call("interpolate", "drive.mp4", "-o", "smooth.mp4", *how)
    assert ended.code == 0, ended.err
    assert "7 pictures of 96×80 with tiny" in ended.out
    with open_source(place / "smooth.mp4") as source:
        assert [f.time for f in source] == pytest.approx([i / 20 for i in range(7)])


def test_recipes_data_and_bundles_that_do_not_fit_are_one_line(
    call: Any, frames: Path, place: Path, segmenter_file: Path
) -> None:
    (place / "tiny.toml").write_text(RECIPE.format(model="edsr_light_x2"))
    for words, said in (
        (("train", "tiny.toml", "--set", "restoration.data=video:absent"), "neither absent"),
        (("train", "tiny.toml", "--set", "restoration.data=video:set@9K"), "no view of a video"),
        (("train", "tiny.toml", "--set", "restoration.crop=256"), "smaller than the crops"),
        (("train", "tiny.toml", "--set", "model.name=enet"), "is a network for segmentation"),
        (("upscale", "drive.mp4", "-o", "x.mp4", "--model", segmenter_file), "not restoration"),
    ):
        ended = call(*words)
        assert (ended.code, ended.err.count("\n")) == (2, 1), ended.err
        assert said in ended.err
    assert not list(place.glob("x.mp4*"))


def test_doctor_counts_the_frames_of_a_video(call: Any, frames: Path) -> None:
    ended = call("doctor", "--data", "video:drive.mp4")
    assert "video:drive.mp4 train: 3 pictures (96×80: 3)" in ended.out
    assert "PROBLEM split" not in ended.out
