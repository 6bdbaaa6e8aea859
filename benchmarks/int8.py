"""A bundle in int8 against the same in float32: size, accuracy on CamVid val, time of a frame.

    python benchmarks/int8.py pp_liteseg_t --json benchmarks/results/int8_pp_liteseg_t.json

The scales are calibrated on pictures from all over CamVid's train split. Engines take turns
(A B C A B C ...) on a frame at the trained size, from its uint8 pixels to its uint8 labels; medians
with quartiles. Close other programs first.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litescene.core import SegmentationMap
from litescene.core.provenance import provenance
from litescene.data.segmentation import open_segmentation
from litescene.export import quantize
from litescene.export.parity import draw_picture, fit
from litescene.export.timing import Job, runtime_path, take_turns
from litescene.media import write_atomic
from litescene.media.picture_samples import sample_pictures
from litescene.runtime import Bundle, Segmenter, default_threads
from litescene.runtime.benchmark import Spread
from litescene.runtime.catalog import find
from litescene.runtime.engines import has_bf16, installed
from litescene.runtime.evaluation import evaluate_segmenter

PICTURES = 64


def accuracy(bundle: Bundle, data: str) -> dict[str, Any]:
    """Mean IoU and IoU per class on the split val, by OpenVINO in float32 where it is not int8."""
    labelled = open_segmentation(data, "val")
    pairs = (labelled.load(index) for index in range(len(labelled)))
    samples = ((image, SegmentationMap(y, labelled.taxonomy)) for image, y in pairs)
    found = evaluate_segmenter(Segmenter(bundle, "openvino-f32"), samples)
    return {"mean_iou": found["mean_iou"], "iou": found["iou"]}


def times(bundles: dict[str, Bundle], rounds: int) -> dict[str, Any]:
    """Milliseconds of a frame by form and engine."""
    engines = ["openvino-f32"] + ["openvino-bf16"] * has_bf16()
    engines += ["onnxruntime"] * installed("onnxruntime")
    size = next(iter(bundles.values())).contract.size
    image = fit(draw_picture(0), size)
    paths = {}
    for name, bundle in bundles.items():
        for engine in engines:
            job = Job([name], "", size, engine, default_threads(), rounds)
            paths[name, engine] = runtime_path(bundle, job, image)[0]
    found = take_turns(paths, rounds, lambda done: print(f"round {done} of {rounds}"))
    return {
        name: {engine: asdict(Spread.of(found[name, engine])) for engine in engines}
        for name in bundles
    }


def measure(name: str, data: str, rounds: int) -> dict[str, Any]:
    """The record."""
    exact = find(name)
    train = open_segmentation(data, "train").pairs[0][0].parent
    with tempfile.TemporaryDirectory(prefix="litescene-int8-") as folder:
        images = sample_pictures(str(train), PICTURES)
        rough = quantize(exact, Path(folder) / "int8.onnx", images)
    bundles = {"float32": exact, "int8": rough}
    return {
        "bundle": name,
        "bytes": {form: len(bundle.model) for form, bundle in bundles.items()},
        "int8_agreement": rough.contract.parity["int8_agreement"],
        "accuracy": {form: accuracy(bundle, data) for form, bundle in bundles.items()},
        "milliseconds": times(bundles, rounds),
        "threads": default_threads(),
        "data": data,
        **provenance(),
    }


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", help="name of a shipped segmenter, or a bundle's file")
    parser.add_argument("--data", default="camvid:camvid")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(words)
    record = measure(given.bundle, given.data, given.rounds)
    for form, found in record["accuracy"].items():
        print(f"{form}: {record['bytes'][form] / 1e6:.1f} MB, mean IoU {found['mean_iou']:.4f}")
        for engine, spread_ms in record["milliseconds"][form].items():
            print(f"  {engine}: {spread_ms['median']:.1f} ms")
    if given.json:
        write_atomic(given.json, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
