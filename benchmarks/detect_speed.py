"""From decoded picture to final boxes: every engine against the same weights in PyTorch eager.

    python benchmarks/detect_speed.py --json benchmarks/results/detect_speed.json
    python benchmarks/detect_speed.py --models yolov5_lite_e runs/yolov5_lite_c/best.safetensors

A model is the name of a shipped detector, the file of a bundle, or a checkpoint, which is exported
here (g's: the export of its bundle joined branches, which PyTorch is to compute apart). Records of
other models in the file of --json stay.

All paths start from a decoded uint8 RGB picture and end with its boxes, letterbox and suppression
included, above the bundle's own thresholds. *Eager* is what a user has without litescene's runtime:
the network in PyTorch float32, batch norms and all, its decoding, and a plain greedy suppression;
once as networks come (NCHW in memory), once with weights and pictures in channels-last memory,
which is faster. The bundles run through each engine, in float32, bf16 where the processor has it,
and int8, which is calibrated here on pictures of the training split. The paths take turns (A B C
A B C ...), and the figures are medians with quartiles; a speed-up is the median of the ratios to
eager in either layout, round by round. Close other programs first.
"""

from __future__ import annotations

import argparse
import copy
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from itertools import cycle
from pathlib import Path
from typing import Any

import torch

from litescene.core import Image
from litescene.core.provenance import provenance
from litescene.data.detection import open_detection
from litescene.export import export_checkpoint, quantize
from litescene.export.recover import recover_checkpoint
from litescene.export.timing import take_turns
from litescene.media import write_atomic
from litescene.media.pictures import read_picture
from litescene.runtime import Bundle, Detector, default_threads
from litescene.runtime.benchmark import Spread
from litescene.runtime.catalog import find
from litescene.runtime.detection import stated_iou, stated_score
from litescene.runtime.engines import has_bf16, installed
from litescene.training import load_model
from litescene.training.tasks.detection import detect_picture

MODELS = ("yolov5_lite_e", "yolov5_lite_s")
SIZES = (320, 640)
PICTURES = 64
"""For the calibration of int8; as many as `litescene quantize` takes."""

LAYOUTS = {"eager": torch.contiguous_format, "channels_last": torch.channels_last}
"""How PyTorch's tensors lie in memory."""

Run = Callable[[], Any]


def spread_over(data: str, split: str, count: int) -> list[Image]:
    """Pictures from all over a split."""
    samples = open_detection(data, split).samples
    return [read_picture(s.picture) for s in samples[:: max(len(samples) // count, 1)][:count]]


def eager(
    model: Any, bundle: Bundle, size: int, pictures: Sequence[Image], layout: torch.memory_format
) -> Run:
    """PyTorch float32 with a plain suppression, all tensors in one memory layout."""
    model = copy.deepcopy(model).to(memory_format=layout)
    contract, frames, cpu = bundle.contract, cycle(pictures), torch.device("cpu")
    score, iou = stated_score(contract), stated_iou(contract)

    @torch.inference_mode()
    def run() -> Any:
        return detect_picture(
            model, next(frames), contract.taxonomy, size, cpu,
            score=score, iou=iou, multi_label=False, layout=layout,
        )  # fmt: skip

    return run


def through(bundle: Bundle, engine: str, size: int, pictures: Sequence[Image]) -> Run:
    """The runtime."""
    detector, frames = Detector(bundle, engine, size=(size, size)), cycle(pictures)
    return lambda: detector(next(frames))


def engines() -> list[str]:
    """What this machine has."""
    found = ["openvino-f32"] * installed("openvino")
    found += ["openvino-bf16"] * (installed("openvino") and has_bf16())
    return found + ["onnxruntime"] * installed("onnxruntime")


def opened(name: str, folder: Path, pictures: Sequence[Image]) -> tuple[Any, Bundle]:
    """The network in PyTorch, and its bundle."""
    checkpoint = Path(name)
    if checkpoint.suffix == ".safetensors":
        bundle = export_checkpoint(checkpoint, folder / "exported.onnx", pictures)
    else:
        bundle, checkpoint = find(name), folder / "recovered.safetensors"
        recover_checkpoint(bundle, checkpoint, pictures)
    return load_model(checkpoint)[0], bundle


def compare(name: str, size: int, data: str, pictures: int, rounds: int) -> dict[str, Any]:
    """One network at one size."""
    seen = spread_over(data, "val", pictures)
    calibration = spread_over(data, "train", PICTURES)
    with tempfile.TemporaryDirectory(prefix="litescene-speed-") as folder:
        model, exact = opened(name, Path(folder), calibration[:8])
        rough = quantize(exact, Path(folder) / "int8.onnx", calibration)
        paths: dict[tuple[str, str], Run] = {
            (key, ""): eager(model, exact, size, seen, layout) for key, layout in LAYOUTS.items()
        }
        for engine in engines():
            paths["float32", engine] = through(exact, engine, size, seen)
            if engine != "openvino-bf16":
                paths["int8", engine] = through(rough, engine, size, seen)
        times = take_turns(paths, rounds, lambda done: None)
    rows = [
        {
            "form": form,
            "engine": engine,
            "ms": asdict(Spread.of(found)),
            "ratio": asdict(ratios(times["eager", ""], found)),
            "ratio_to_channels_last": asdict(ratios(times["channels_last", ""], found)),
        }
        for (form, engine), found in times.items()
    ]
    named = exact.contract.system
    return {"model": named, "size": size, "pictures": len(seen), "rounds": rounds, "paths": rows}


def ratios(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times as fast, round by round."""
    return Spread.of([a / b for a, b in zip(slow, fast, strict=True)])


def show(result: dict[str, Any]) -> None:
    print(f"{result['model']} at {result['size']}×{result['size']}")
    for row in result["paths"]:
        what = f"{row['form']} {row['engine']}".strip()
        ms, ratio, other = (row[k] for k in ("ms", "ratio", "ratio_to_channels_last"))
        print(f"  {what:24} {ms['median']:6.2f} ms ({ms['q1']:.2f} to {ms['q3']:.2f}),", end=" ")
        print(f"{ratio['median']:.2f} times as fast as eager,", end=" ")
        print(f"{other['median']:.2f} as channels-last")


def main(words: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--models", nargs="*", default=list(MODELS))
    parser.add_argument("--sizes", nargs="*", type=int, default=list(SIZES))
    parser.add_argument("--data", default="voc:road_signs")
    parser.add_argument("--pictures", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(words)
    torch.set_num_threads(default_threads())
    for name in given.models:
        results = []
        for size in given.sizes:
            results.append(compare(name, size, given.data, given.pictures, given.rounds))
            show(results[-1])
        if given.json:
            record(given.json, results, given.data)


def record(file: Path, results: list[dict[str, Any]], data: str) -> None:
    """Write one network's results in the place of those that the file has of it."""
    machine = provenance() | {"threads": default_threads(), "data": data}
    made = {result["model"] for result in results}
    kept = json.loads(file.read_text("utf-8"))["results"] if file.exists() else []
    others = [result for result in kept if result["model"] not in made]
    whole = {"results": others + [result | {"machine": machine} for result in results]}
    write_atomic(file, json.dumps(whole, indent=1) + "\n")


if __name__ == "__main__":
    main()
