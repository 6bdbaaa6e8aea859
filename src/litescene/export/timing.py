"""Times of a few networks in turn, in a process that does nothing else.

    python -m litescene.export.timing < JOB

reads a job as JSON (`Job`), and answers with lines of JSON: `{"step": WHAT}` for each step done,
and last `{"measured": [...], "failed": {NAME: WHY}}`.

All paths start from a uint8 frame at the network's size and end with its uint8 labels. Speed
hardly depends on weights, so networks have random ones, with batch norms that have seen pictures
(else their maps could fade into denormal numbers, which are slow), unless a bundle ships. The one
thing that does depend is the finishing step, whose time grows with the borders between labels: it
is given stand-in logits of the head's shape, with about as many borders as a street has.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from litescene.core import CAMVID, Image, ParityError
from litescene.export.graph import to_onnx
from litescene.export.onnx_export import contract_of
from litescene.export.parity import draw_picture, fit
from litescene.export.profile import Profile, profile
from litescene.models.registry import create_bare
from litescene.models.spec import input_spec_of
from litescene.runtime.benchmark import Measurement, Spread
from litescene.runtime.bundle import Bundle, write_metadata
from litescene.runtime.catalog import DEFAULT_SEGMENTER, shipped
from litescene.runtime.engines import create_engine
from litescene.runtime.selection import candidates
from litescene.runtime.upsample import upsample_argmax

CLASSES = len(CAMVID)
EAGER = "eager"
"""Beside the names of engines: PyTorch's path."""
TIMED = 2
"""Runs of a path in its turn that are timed."""
WARM_UP = 0.02
"""Seconds for which a path runs before them, at least once: it finds the caches full of others, and
threads asleep that take milliseconds to wake."""
_PATCHES = 4
"""Patches of one label across stand-in logits. With 11 classes, 15 % of the cells of a head at
stride 8 then hold a border; with PP-LiteSeg-T on pictures of CamVid 14 to 18 % do."""

Labelling = Callable[[], NDArray[np.uint8]]
Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """Networks to time; bundles go into `folder`."""

    networks: list[str]
    folder: str
    size: tuple[int, int]
    engine: str
    threads: int
    rounds: int

    @property
    def steps(self) -> int:
        """Steps that are reported."""
        return len(self.networks) + self.rounds


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network made ready: its paths (the bundle's by engine), and what needs no clock."""

    name: str
    counts: Profile
    bundle_bytes: int
    weights: str
    runtimes: Mapping[str, Labelling]
    eager: Labelling


def run_job(job: Job, report: Report) -> dict[str, Any]:
    """Make all networks of a job ready and time them in turn."""
    torch.set_num_threads(job.threads)
    image = fit(draw_picture(0), job.size)
    ready: list[Candidate] = []
    failed: dict[str, str] = {}
    for name in job.networks:
        try:
            ready.append(make_ready(name, job, image))
        except Exception as error:  # one network that fails must not cost the others
            failed[name] = " ".join(f"{type(error).__name__}: {error}".split())
        report(f"{name} made ready")
    return {"measured": _timed(ready, job, image, report) if ready else [], "failed": failed}


def _timed(ready: list[Candidate], job: Job, image: Image, report: Report) -> list[dict[str, Any]]:
    reference = runtime_paths(shipped()[DEFAULT_SEGMENTER].open(), job, image)
    engine = next(iter(reference))
    paths = {("reference", engine): reference[engine]}
    for candidate in ready:
        paths |= {(candidate.name, name): path for name, path in candidate.runtimes.items()}
        paths[candidate.name, EAGER] = candidate.eager
    times = take_turns(paths, job.rounds, lambda done: report(f"round {done} of {job.rounds}"))
    drift = statistics.median(times["reference", engine])
    return [fastest(c, times, drift).to_dict() for c in ready]


def fastest(
    candidate: Candidate, times: Mapping[tuple[str, str], list[float]], drift: float
) -> Measurement:
    """The measurement with the engine of the least median; all took the same turns."""
    by_engine = {engine: times[candidate.name, engine] for engine in candidate.runtimes}
    engine = min(by_engine, key=lambda name: statistics.median(by_engine[name]))
    return _measurement(candidate, engine, by_engine[engine], times[candidate.name, EAGER], drift)


def take_turns(
    paths: Mapping[Any, Labelling], rounds: int, report: Callable[[int], None]
) -> dict[Any, list[float]]:
    """Milliseconds of every path: A B C A B C …, `TIMED` runs each after a warm-up.

    Every path runs once before the first round.
    """
    times: dict[Any, list[float]] = {key: [] for key in paths}
    for path in paths.values():
        path()
    for done in range(rounds):
        for key, path in paths.items():
            warm = _seconds(path)
            while warm < WARM_UP:
                warm += _seconds(path)
            times[key] += [1e3 * _seconds(path) for _ in range(TIMED)]
        report(done + 1)
    return times


def _seconds(path: Labelling) -> float:
    began = time.perf_counter()
    path()
    return time.perf_counter() - began


def make_ready(name: str, job: Job, image: Image) -> Candidate:
    """Build a network, count it, take or make its bundle, and prepare both paths."""
    model = settled(name)
    bundle, path, weights = bundle_of(name, model, job)
    runtimes = runtime_paths(bundle, job, image)
    eager = eager_path(model, image)
    for runtime in runtimes.values():
        if (seen := runtime().shape) != eager().shape:
            raise ParityError(f"the bundle gives labels of {seen}, PyTorch of {eager().shape}")
    size = path.stat().st_size
    return Candidate(name, profile(model, job.size), size, weights, runtimes, eager)


def settled(name: str) -> Any:
    """A network without training heads: random weights, batch norms that have seen pictures."""
    torch.manual_seed(0)
    model = create_bare(name, num_classes=CLASSES).train()
    with torch.no_grad():
        for seed in range(3):
            x = torch.from_numpy(draw_picture(seed)).permute(2, 0, 1)[None].float()
            x = input_spec_of(model).normalised(x)
            model(torch.cat([x, x.flip(3)]))
    return model.eval()


def bundle_of(name: str, model: Any, job: Job) -> tuple[Bundle, Path, str]:
    """The bundle that ships, or one of the random weights, without its proof."""
    if name in shipped():
        return shipped()[name].open(), shipped()[name].path, "shipped"
    card = {
        "task": "segmentation",
        "model": {"name": name},
        "taxonomy": CAMVID.to_dict(),
        "size": job.size,
    }
    path = Path(job.folder) / f"{name}.onnx"
    path.write_bytes(write_metadata(to_onnx(model), contract_of(model, card)))
    return Bundle.open(path), path, "random"


def runtime_paths(bundle: Bundle, job: Job, image: Image) -> dict[str, Labelling]:
    """The bundle through the engine asked for, by its name; of `auto` through all in float32.

    Whether bf16 decides as float32 cannot be seen on random weights.
    """
    exact = [name for name in candidates() if name != "openvino-bf16"]
    names = exact if job.engine == "auto" else [job.engine]
    return {name: _runtime_path(bundle, name, job, image) for name in names}


def _runtime_path(bundle: Bundle, name: str, job: Job, image: Image) -> Labelling:
    """The bundle through an engine and the fused finishing step."""
    batch = np.ascontiguousarray(image[None])
    engine = create_engine(name, bundle, job.threads)
    logits = stand_in(engine.run(batch)[0][0].shape)
    align_corners = bundle.contract.align_corners

    def run() -> NDArray[np.uint8]:
        engine.run(batch)
        return upsample_argmax(logits, *job.size, align_corners=align_corners)

    return run


def eager_path(model: Any, image: Image) -> Labelling:
    """PyTorch eager float32, with its own upsampling and argmax."""
    spec = input_spec_of(model)

    @torch.inference_mode()
    def run() -> NDArray[np.uint8]:
        x = spec.normalised(torch.from_numpy(image).permute(2, 0, 1)[None].float())
        labels: NDArray[np.uint8] = model(x)[0].argmax(0).to(torch.uint8).numpy()
        return labels

    return run


def stand_in(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Smooth logits C×h×w with about `_PATCHES` patches of one label from side to side."""
    rng = np.random.default_rng(0)
    coarse = rng.normal(size=(shape[0], _PATCHES, _PATCHES)).astype(np.float32)
    planes = [cv2.resize(c, shape[:0:-1], interpolation=cv2.INTER_CUBIC) for c in coarse]
    return np.ascontiguousarray(np.stack(planes), np.float32)


def _measurement(
    candidate: Candidate, engine: str, runtime: list[float], eager: list[float], drift: float
) -> Measurement:
    return Measurement(
        name=candidate.name,
        parameters=candidate.counts.parameters,
        macs=candidate.counts.macs,
        bundle_bytes=candidate.bundle_bytes,
        weights=candidate.weights,
        engine=engine,
        runtime_ms=Spread.of(runtime),
        eager_ms=Spread.of(eager),
        speed_up=Spread.of([e / r for e, r in zip(eager, runtime, strict=True)]),
        reference_ms=drift,
        date=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )


def main() -> None:
    """Answer on the stdout that the process was given; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(line: Mapping[str, Any]) -> None:
        answers.write(json.dumps(line) + "\n")
        answers.flush()

    plain = json.load(sys.stdin)
    job = Job(**{**plain, "size": tuple(plain["size"])})
    answer(run_job(job, lambda what: answer({"step": what})))


if __name__ == "__main__":
    main()
