"""A bundle in int8 against the same in float32: size, accuracy on validation data, time.

    python benchmarks/int8.py pp_liteseg_t --json benchmarks/results/int8_pp_liteseg_t.json
    python benchmarks/int8.py yolov5_lite_s --json benchmarks/results/int8_yolov5_lite_s.json

The scales are calibrated on pictures from all over the training splits of the data; the accuracy is
that on the validation splits, by each engine. Times are those of the network alone, uint8 pixels to
head maps at the trained size and at twice its sides. Engines take turns (A B C A B C ...); medians
with quartiles. Close other programs first.

Integers are fast where the processor has VNNI, and equally exact elsewhere. So a record holds times
of both kinds: one that is written anew keeps those of the other kind.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from litescene.cli.evaluate import Measurement, measured
from litescene.cli.quantize import CHIEF
from litescene.core import Image
from litescene.core.provenance import provenance
from litescene.data.detection import open_detection
from litescene.data.segmentation import open_segmentation
from litescene.export import quantize
from litescene.export.int8 import state_accuracy
from litescene.export.parity import draw_picture, fit
from litescene.export.timing import take_turns
from litescene.media import write_atomic
from litescene.media.pictures import read_picture
from litescene.runtime import Bundle, default_threads
from litescene.runtime.benchmark import Spread
from litescene.runtime.catalog import find
from litescene.runtime.engines import create_engine, has_bf16, installed
from litescene.runtime.machine import has_vnni

PICTURES = 192
DATA = {
    "segmentation": ["camvid:camvid"],
    "detection": ["voc:road_signs", "boxcsv:road_cars", "penn:penn_pedestrians"],
}


def calibration(task: str, data: Sequence[str]) -> list[Image]:
    """`PICTURES` from all over the training splits, as many of each."""
    chosen = []
    for spec in data:
        if task == "detection":
            files = [sample.picture for sample in open_detection(spec, "train").samples]
        else:
            files = [picture for picture, _ in open_segmentation(spec, "train").pairs]
        count = PICTURES // len(data)
        chosen += files[:: max(len(files) // count, 1)][:count]
    return [read_picture(file) for file in chosen]


def exact_engines() -> list[str]:
    """Those that add no rounding of their own."""
    return ["openvino-f32"] * installed("openvino") + ["onnxruntime"] * installed("onnxruntime")


def accuracy(bundle: Bundle, data: Sequence[str]) -> dict[str, dict[str, float]]:
    """The figure that counts, by data and engine, with its mean over the data."""
    found: dict[str, dict[str, float]] = {}
    for engine in exact_engines():
        chief = CHIEF[bundle.contract.task]
        scores = {
            spec: measured(bundle, Measurement(spec, "val", engine, lambda *_: None))[1][chief]
            for spec in data
        }
        found[engine] = {**scores, "mean": sum(scores.values()) / len(scores)}
    return found


def times(bundles: dict[str, Bundle], scale: int, rounds: int) -> dict[str, Any]:
    """Milliseconds of the network by form and engine, at a multiple of the trained size."""
    height, width = next(iter(bundles.values())).contract.size
    batch = fit(draw_picture(0), (scale * height, scale * width))[None]
    paths = {}
    for form, bundle in bundles.items():
        for name in [*exact_engines(), *["openvino-bf16"] * has_bf16()]:
            engine = create_engine(name, bundle, default_threads())
            paths[form, name] = lambda engine=engine: engine.run(batch)[0]
    found = take_turns(paths, rounds, lambda done: None)
    result: dict[str, Any] = {form: {} for form in bundles}
    for (form, name), values in found.items():
        result[form][name] = asdict(Spread.of(values))
    return result


def measure(name: str, data: Sequence[str], rounds: int, out: Path | None) -> dict[str, Any]:
    """The record; the int8 bundle is left at `out`, with its accuracy inside."""
    exact = find(name)
    data = data or DATA[exact.contract.task]
    with tempfile.TemporaryDirectory(prefix="litescene-int8-") as folder:
        file = out or Path(folder) / "int8.onnx"
        rough = quantize(exact, file, calibration(exact.contract.task, data))
    bundles = {"float32": exact, "int8": rough}
    height, width = exact.contract.size
    accuracies = {form: accuracy(bundle, data) for form, bundle in bundles.items()}
    if out is not None:
        scores = accuracies["int8"][exact_engines()[0]]
        chief = CHIEF[exact.contract.task]
        own = {f"{chief}_{spec.rpartition(':')[2]}": scores[spec] for spec in data if len(data) > 1}
        state_accuracy(out, {chief: scores["mean"], **own})
    milliseconds = {
        f"{scale * width}×{scale * height}": times(bundles, scale, rounds) for scale in (1, 2)
    }
    speed = {"milliseconds": milliseconds, "threads": default_threads(), **provenance()}
    return {
        "bundle": exact.name,
        "bytes": {form: len(bundle.model) for form, bundle in bundles.items()},
        "int8_agreement": rough.contract.parity["int8_agreement"],
        "metric": CHIEF[exact.contract.task],
        "accuracy": accuracies,
        **provenance(),
        "speed": {"with VNNI" if has_vnni() else "without VNNI": speed},
    }


def show(record: dict[str, Any]) -> None:
    for form, by_engine in record["accuracy"].items():
        print(f"{form}: {record['bytes'][form] / 1e6:.1f} MB")
        for engine, scores in by_engine.items():
            said = ", ".join(f"{spec} {score:.4f}" for spec, score in scores.items())
            print(f"  {record['metric']}, {engine}: {said}")
        for kind, speed in record["speed"].items():
            for size, forms in speed["milliseconds"].items():
                for engine, spread in forms[form].items():
                    print(f"  {size} {engine}, {kind}: {spread['median']:.2f} ms")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", help="name of a shipped bundle, or a bundle's file")
    parser.add_argument("--data", nargs="*", default=[], help="FORMAT:PATH; by default by task")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--out", type=Path, help="keep the int8 bundle in this file")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(words)
    record = measure(given.bundle, given.data, given.rounds, given.out)
    show(record)
    if given.json:
        if given.json.is_file():
            earlier = json.loads(given.json.read_text("utf-8"))
            record["speed"] = earlier["speed"] | record["speed"]
        write_atomic(given.json, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
