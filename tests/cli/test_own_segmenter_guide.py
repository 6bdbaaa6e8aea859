"""Every command of the page "A segmenter of your own" does what the page says, in its order.

The commands are those of the page, word by word, but for words behind them that make the drives and
the training short.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from guide_pages import blocks, commands
from litescene.core import CAMVID
from litescene.media import read_labels, read_ply
from litescene.runtime import Bundle

PAGE = "own-segmenter.md"
SHORTER = {
    "litescene synth street -o my_classes": "--seconds 10",
    "litescene train": "--set epochs=1 --set batch_size=4 --set segmentation.size=[120,160] "
    "--set 'segmentation.stages=[{epoch=0, height=64, width=96}]'",
    "litescene synth street -o drive": "--seconds 2",
    "litescene run": "--detect none",
}


def shortened(command: str) -> list[str]:
    """The words of a command, and those that make it short."""
    more = [words for start, words in SHORTER.items() if command.startswith(start)]
    return shlex.split(" ".join([command, *more]))


@pytest.mark.slow
def test_the_page_leads_from_masks_to_a_labelled_map(
    call: Any, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = commands(PAGE)
    verbs = [command.split()[1] for command in listed]
    assert verbs == ["synth", "doctor", "import", "train", "evaluate", "export", "quantize",
                     "segment", "synth", "run", "export", "export"]  # fmt: skip
    said = {}
    for command in listed:
        name, *words = shortened(command)
        assert name == "litescene"
        ended = call(*words)
        assert ended.code == 0, f"{command}: {ended.err}"
        said[command] = ended.out
    assert "<img" in (place / "my_classes.html").read_text()
    assert {file.name for file in (place / "runs/mine/val").iterdir()} == {
        "confusion.png", "pictures.png", "worst.png",
    }  # fmt: skip
    (measured,) = [out for command, out in said.items() if " quantize " in command]
    assert "mean_iou on masks:my_classes, val" in measured

    figures = []
    for model in ("runs/mine/best.safetensors", "mine.onnx"):
        engine = ("--engine", "onnxruntime") if model.endswith(".onnx") else ()
        ended = call(
            "evaluate", model, "--data", "masks:my_classes", *engine, "--json", "figures.json"
        )
        assert ended.code == 0, ended.err
        figures.append(json.loads((place / "figures.json").read_text())["metrics"])
    assert figures[0]["pixels"] == figures[1]["pixels"] == 2 * 360 * 480
    assert figures[0]["mean_iou"] == pytest.approx(figures[1]["mean_iou"], abs=1e-3)

    bundle = Bundle.open(place / "mine_int8.onnx")
    assert bundle.contract.taxonomy.names == CAMVID.names
    assert bundle.contract.taxonomy.name == "my_classes"
    assert bundle.contract.size == (120, 160)
    pictures = sorted((place / "my_classes/images/val").glob("*.png"))
    assert len(pictures) == 2
    for picture in pictures:
        labels = read_labels(place / "found/labels" / picture.name)
        assert labels.shape == (360, 480)
        assert labels.max() < len(CAMVID)
    summary = json.loads((place / "driven/summary.json").read_text())
    assert summary["frames"] == 40
    assert read_ply(place / "driven/map.ply").taxonomy.names == CAMVID.names
    assert list((place / "for_ncnn").glob("*.param"))
    assert list((place / "for_onnx").glob("*.onnx"))

    (place / "my_classes/images/val/b.jpg").write_bytes(pictures[0].read_bytes())
    (code,) = blocks(PAGE, "python")
    exec(code, {})
    assert "'sky'" in capsys.readouterr().out
