"""PP-LiteSeg's own ablation on CamVid: what each part of its decoder brings, and what it costs.

    python benchmarks/pp_liteseg_ablation.py train
    python benchmarks/pp_liteseg_ablation.py measure

`train` trains PP-LiteSeg-B in every configuration with every seed by one recipe; what is finished
is skipped, and started once per core the processes share the runs out.

`measure` exports each configuration, with its proof, and times the bundles in turn (A B C A B C …,
medians with quartiles): a uint8 frame to its uint8 labels. It puts that beside the mean IoU on val
after the last epoch, as mean and sample standard deviation over the finished seeds. Give it the
same --set as `train`, and close other programs first.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median
from typing import Any

import torch

from litescene.core.provenance import provenance
from litescene.export import export_checkpoint, profile
from litescene.export.parity import draw_picture, fit
from litescene.export.timing import Job, Labelling, runtime_paths, take_turns
from litescene.models import create_model
from litescene.runtime import default_threads
from litescene.runtime.benchmark import Spread
from litescene.training import Recipe, RunFolder, load_recipe
from variants import (
    PER_RECIPE,
    Variants,
    carry_out,
    command,
    finished,
    reached,
    results,
    written,
)

_CONSTANT, _FLEXIBLE = [96, 96, 96], [64, 96, 128]
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "baseline": {"widths": _CONSTANT, "context": False, "attention": "sum"},
    "fld": {"widths": _FLEXIBLE, "context": False, "attention": "sum"},
    "fld_sppm": {"widths": _FLEXIBLE, "context": True, "attention": "sum"},
    "fld_uafm_spatial": {"widths": _FLEXIBLE, "context": False, "attention": "spatial"},
    "fld_uafm_channel": {"widths": _FLEXIBLE, "context": False, "attention": "channel"},
    "all": {"widths": _FLEXIBLE, "context": True, "attention": "spatial"},
}
"""Rows of the paper's table: FLD alone, with one more part, and with both."""


def variants_of(recipe: Recipe, names: Sequence[str]) -> dict[str, Recipe]:
    """The recipe of each configuration."""
    found = {}
    for name in names:
        options = recipe.model.options | CONFIGURATIONS[name]
        model = recipe.model.model_copy(update={"options": options})
        found[name] = recipe.model_copy(update={"model": model})
    return found


def latency(
    runs: Mapping[str, RunFolder], size: tuple[int, int], rounds: int, engine: str
) -> dict[str, dict[str, Any]]:
    """Bundle and times of each configuration, from the weights of one run."""
    with tempfile.TemporaryDirectory(prefix="litescene-ablation-") as folder:
        job = Job(list(runs), folder, size, engine, default_threads(), rounds)
        image = fit(draw_picture(0), size)
        paths: dict[tuple[str, str], Labelling] = {}
        found: dict[str, dict[str, Any]] = {}
        for name, run in runs.items():
            file = Path(folder) / f"{name}.onnx"
            bundle = export_checkpoint(run.path / "last.safetensors", file)
            through = runtime_paths(bundle, job, image)
            paths |= {(name, engine): path for engine, path in through.items()}
            found[name] = {"bundle_bytes": file.stat().st_size}
        times = take_turns(paths, rounds, lambda done: print(f"round {done} of {rounds}"))
    medians = {key: median(values) for key, values in times.items()}
    # the same for all: the one that takes the least time in sum
    chosen = min(through, key=lambda engine: sum(medians[name, engine] for name in found))
    return {
        name: facts | {"engine": chosen, "runtime_ms": asdict(Spread.of(times[name, chosen]))}
        for name, facts in found.items()
    }


def counts(model: str, options: Mapping[str, Any], size: tuple[int, int]) -> dict[str, int]:
    """Parameters and multiply-accumulates at inference."""
    with torch.device("meta"):  # shapes are all that counts need
        network = create_model(model, training_heads=False, **options)
    counted = profile(network, size)
    return {"parameters": counted.parameters, "macs": counted.macs}


def measure(
    recipe: Recipe, done: Mapping[str, list[RunFolder]], rounds: int, engine: str
) -> dict[str, Any]:
    """The record: conditions, and what each configuration reaches and takes."""
    trained = results(done)
    common = next(iter(trained.values()))[0]
    size = (common["size"][0], common["size"][1])
    times = latency({name: runs[0] for name, runs in done.items()}, size, rounds, engine)
    return {
        "machine": provenance() | {"threads": default_threads()},
        "conditions": {
            "model": recipe.model.name,
            **{key: common[key] for key in PER_RECIPE},
            "rounds": rounds,
        },
        "configurations": {
            name: {
                "options": CONFIGURATIONS[name],
                **counts(recipe.model.name, CONFIGURATIONS[name], size),
                **times[name],
                **reached(runs),
            }
            for name, runs in trained.items()
        },
    }


def show(record: Mapping[str, Any]) -> None:
    """The record as a table."""
    print("| configuration | parameters | GMACs | ms (quartiles) | mean IoU | seeds |")
    print("|---" * 6 + "|")
    for name, entry in record["configurations"].items():
        ms, accuracy = entry["runtime_ms"], entry["mean_iou"]
        cells = [
            name,
            f"{entry['parameters']:,}",
            f"{entry['macs'] / 1e9:.3f}",
            f"{ms['median']:.2f} ({ms['q1']:.2f} to {ms['q3']:.2f})",
            written(accuracy),
            str(len(entry["runs"])),
        ]
        print(f"| {' | '.join(cells)} |")


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "pp_liteseg_ablation", "segmentation_short")
    parser.add_argument("--only", action="append", choices=CONFIGURATIONS, metavar="NAME")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--engine", default="auto")
    given = parser.parse_args(words)
    recipe = load_recipe(given.recipe, given.set)
    names = [name for name in CONFIGURATIONS if name in (given.only or CONFIGURATIONS)]

    def measured(variants: Variants, seeds: int, out: Path) -> dict[str, Any]:
        done = finished(variants, seeds, out)
        return measure(recipe, done, given.rounds, given.engine) if done else {}

    carry_out(parser, given, variants_of(recipe, names), measured, show)


if __name__ == "__main__":
    main()
