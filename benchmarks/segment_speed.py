"""From decoded frame to label map: the runtime against the same network in PyTorch eager float32.

Both start from the decoded frame (uint8 RGB) and end with the uint8 label map at the frame's own
size. PyTorch resizes with the same call, normalises, computes the head, upsamples its logits to
the frame with its own bilinear interpolation and takes its own argmax: once as networks come
(`eager`, NCHW in memory), once with weights and pictures in channels-last memory, which is faster,
above all in the argmax. The candidates alternate (A B C A B C …) over the same frames in one
process; figures are medians with quartiles.

    python benchmarks/segment_speed.py pp_liteseg_t --json out.json

PyTorch computes the bundle's own weights, see `litescene import`. Frames come from `--small` (seen
at 480×360, CamVid's size) and `--large` (1080p, the network at 512×1024); by default from the data
set folder named by LITESCENE_DATA.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from litescene.core import Image
from litescene.core.provenance import provenance
from litescene.export.recover import recover_checkpoint
from litescene.media import open_source, write_atomic
from litescene.media.fitting import resize
from litescene.models.spec import input_spec_of
from litescene.runtime import Bundle, Segmenter, default_threads
from litescene.runtime.catalog import find
from litescene.training import load_model

Labels = NDArray[np.uint8]


def eager(
    model: Any, size: tuple[int, int], layout: torch.memory_format
) -> Callable[[Image], Labels]:
    """PyTorch float32 with its own upsampling and argmax, all tensors in one memory layout."""
    model = copy.deepcopy(model).to(memory_format=layout)
    spec = input_spec_of(model)

    @torch.inference_mode()
    def run(frame: Image) -> Labels:
        x = torch.from_numpy(resize(frame, size)).permute(2, 0, 1)[None].float()
        logits = model.head_logits(spec.normalised(x).contiguous(memory_format=layout))
        full = F.interpolate(logits, frame.shape[:2], mode="bilinear", align_corners=False)
        return full[0].argmax(0).to(torch.uint8).numpy()

    return run


def fused(bundle: Bundle, size: tuple[int, int], engine: str) -> tuple[Callable[..., Labels], Any]:
    """The runtime's path."""
    segmenter = Segmenter(bundle, engine, size=size)
    return (lambda frame: segmenter(frame).labels), segmenter


def frames_of(source: str, size: tuple[int, int], count: int) -> list[Image]:
    """`count` frames spread over a source, at (height, width)."""
    with open_source(source) as opened:
        frames = [frame.image for frame in opened]
    step = max(len(frames) // count, 1)
    return [np.ascontiguousarray(resize(f, size)) for f in frames[::step][:count]]


def quartiles(values: Sequence[float]) -> dict[str, float]:
    low, middle, high = statistics.quantiles(values, n=4)
    return {"median": middle, "q1": low, "q3": high, "min": min(values)}


def compare(
    model: Any, bundle: Bundle, frames: list[Image], size: tuple[int, int], rounds: int, engine: str
) -> dict[str, Any]:
    """Alternate the two paths and compare their labels."""
    fast, segmenter = fused(bundle, size, engine)
    paths = {
        "eager": eager(model, size, torch.contiguous_format),
        "channels_last": eager(model, size, torch.channels_last),
        "runtime": fast,
    }
    agreement = [float(np.mean(paths["eager"](f) == fast(f))) for f in frames]
    times: dict[str, list[float]] = {name: [] for name in paths}
    for index in range(rounds):
        for name, path in paths.items():
            began = time.perf_counter()
            path(frames[index % len(frames)])
            times[name].append((time.perf_counter() - began) * 1e3)
    ratios = {
        name: quartiles([a / b for a, b in zip(times[name], times["runtime"], strict=True)])
        for name in ("eager", "channels_last")
    }
    return {
        "frame": list(frames[0].shape[:2]),
        "network": list(size),
        "engine": segmenter.engine,
        "frames": len(frames),
        "rounds": rounds,
        **{f"{name}_ms": quartiles(values) for name, values in times.items()},
        "ratio": ratios["eager"],
        "ratio_to_channels_last": ratios["channels_last"],
        "label_agreement": {"mean": statistics.mean(agreement), "min": min(agreement)},
    }


def show(results: Sequence[dict[str, Any]]) -> None:
    heads = ("frame", "network", "engine", "eager ms", "channels-last ms", "runtime ms")
    print(f"| {' | '.join(heads)} | ratio | to channels-last | labels equal |")
    print("|---" * 9 + "|")
    for r in results:
        keys = ("eager_ms", "channels_last_ms", "runtime_ms")
        spread = [f"{r[k]['median']:.1f} ({r[k]['q1']:.1f} to {r[k]['q3']:.1f})" for k in keys]
        ratios = [
            f"{r[k]['median']:.2f} ({r[k]['q1']:.2f} to {r[k]['q3']:.2f})"
            for k in ("ratio", "ratio_to_channels_last")
        ]
        cells = [
            f"{r['frame'][1]}×{r['frame'][0]}",
            f"{r['network'][1]}×{r['network'][0]}",
            r["engine"],
            *spread,
            *ratios,
            f"{100 * r['label_agreement']['mean']:.2f} %",
        ]
        print(f"| {' | '.join(cells)} |")


def main() -> None:
    data = Path(os.environ.get("LITESCENE_DATA") or "../shared/data")
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", help="name of a shipped segmenter, or a bundle's file")
    parser.add_argument("--small", default=str(data / "camvid" / "val"))
    parser.add_argument("--large", default=str(data / "video" / "solidWhiteRight.mp4"))
    parser.add_argument("--frames", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(default_threads())
    bundle = find(given.bundle)
    seen = frames_of(given.small, (360, 480), given.frames)
    with tempfile.TemporaryDirectory(prefix="litescene-speed-") as folder:
        checkpoint = Path(folder) / "recovered.safetensors"
        recover_checkpoint(bundle, checkpoint, seen)
        model, _ = load_model(checkpoint)
    cases = [
        (given.small, (360, 480), bundle.contract.size, given.rounds),
        (given.large, (1080, 1920), (512, 1024), max(given.rounds // 2, 8)),
    ]
    results = [
        compare(model, bundle, frames_of(source, frame, given.frames), size, rounds, given.engine)
        for source, frame, size, rounds in cases
    ]
    show(results)
    if given.json:
        machine = provenance() | {"threads": default_threads()}
        record = {"machine": machine, "results": results}
        write_atomic(given.json, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
