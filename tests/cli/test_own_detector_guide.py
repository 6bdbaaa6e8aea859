"""Every command of the page "A detector of your own" does what the page says, in its order.

The commands are those of the page, word by word, but for words behind them that make the drive and
the training short, and a camera that is a list of pictures.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from guide_pages import blocks, commands
from litescene.media import live_sources
from litescene.media.pictures import read_picture
from litescene.runtime import Bundle

PAGE = "own-detector.md"
SHORTER = {
    "synth": "--seconds 15",
    "train": "--set epochs=1 --set detection.pictures=16 --set batch_size=8 "
    "--set 'detection.stages=[{epoch=0, size=128, mosaic=0.5}]' --set detection.size=160",
}


class Camera:
    """What OpenCV gives for a camera."""

    def __init__(self, number: int) -> None:
        files = sorted(Path("my_objects/images/val").glob("*.png"))
        self.frames = [np.ascontiguousarray(read_picture(file)[..., ::-1]) for file in files]
        self.count = 0

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, Any]:
        self.count += 1
        return True, self.frames[self.count % len(self.frames)].copy()

    def get(self, what: int) -> float:
        return {cv2.CAP_PROP_FRAME_WIDTH: 480.0, cv2.CAP_PROP_FRAME_HEIGHT: 360.0}.get(what, 30.0)

    def set(self, what: int, value: float) -> bool:
        return True

    def grab(self) -> bool:
        return True

    def release(self) -> None:
        pass


@pytest.mark.slow
def test_the_page_leads_from_pictures_to_a_camera(
    call: Any, place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(live_sources.cv2, "VideoCapture", Camera)
    listed = commands(PAGE)
    verbs = [command.split()[1] for command in listed]
    assert verbs == ["synth", "doctor", "import", "train", "evaluate", "export", "quantize",
                     "detect", "detect", "export", "export"]  # fmt: skip
    said = {}
    for command, verb in zip(listed, verbs, strict=True):
        assert command.startswith("litescene ")
        ended = call(*shlex.split(f"{command} {SHORTER.get(verb, '')}")[1:])
        assert ended.code == 0, f"{command}: {ended.err}"
        said[command] = ended.out
    assert "<img" in (place / "my_objects.html").read_text()
    assert (place / "runs/mine/best.safetensors").is_file()
    assert len(list((place / "runs/mine/pictures").iterdir())) == 4
    assert {p.name for p in (place / "runs/mine/val").iterdir()} == {
        "precision_recall.png", "confusion.png", "pictures.png", "worst.png",
    }  # fmt: skip
    measured = next(out for command, out in said.items() if " quantize " in command)
    assert "ap50 on yolo:my_objects, val" in measured
    assert Bundle.open(place / "mine_int8.onnx").contract.parity["quantized_from"]
    lines = {
        folder: (place / folder / "detections.jsonl").read_text().splitlines()
        for folder in ("found", "watched")
    }
    assert len(lines["found"]) == 6
    summary = json.loads((place / "watched/summary.json").read_text())
    assert len(lines["watched"]) + summary["dropped"] == 20
    assert list((place / "for_ncnn").glob("*.param"))
    assert list((place / "for_onnx").glob("*.onnx"))

    picture = next((place / "my_objects/images/val").glob("*.png"))
    (place / "my_objects/images/val/b.jpg").write_bytes(picture.read_bytes())
    (code,) = blocks(PAGE, "python")
    exec(code, {})
    capsys.readouterr()
