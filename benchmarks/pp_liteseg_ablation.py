"""PP-LiteSeg's own ablation on CamVid: what each part of its decoder brings, and what it costs.

    python benchmarks/pp_liteseg_ablation.py train
    python benchmarks/pp_liteseg_ablation.py measure

`train` trains PP-LiteSeg-B in every configuration with every seed by one recipe, each run in a
folder of its own. What is finished is skipped, what was begun is gone on with, and what another
process is training is left to it: started once per core, the processes share the runs out.

`measure` exports each configuration, with its proof, and times the bundles in turn (A B C A B C …,
medians with quartiles): a uint8 frame to its uint8 labels. It puts that beside the mean IoU on val
after the last epoch, as mean and sample standard deviation over the finished seeds. Give it the
same --set as `train`, and close other programs first.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from litescene.cli.train import follow
from litescene.core import DivergedError, RecipeError
from litescene.core.provenance import provenance
from litescene.export import export_checkpoint, profile
from litescene.export.parity import draw_picture, fit
from litescene.export.timing import Job, Labelling, runtime_path, take_turns
from litescene.media import write_atomic
from litescene.models import create_model
from litescene.runtime import default_threads
from litescene.runtime.benchmark import Spread
from litescene.training import Recipe, RunFolder, load_recipe
from litescene.training.comparison import claimed, is_finished, result_of, train_or_resume
from litescene.training.data_specs import without_data_folders

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

_PER_RUN = ("seed", "mean_iou", "accuracy", "iou", "mean_iou_by_epoch", "seconds", "commit")
_PER_RECIPE = ("protocol", "epochs", "data", "trained_on", "size")


def recipe_of(recipe: Recipe, name: str, seed: int) -> Recipe:
    """The common recipe for one configuration and seed."""
    options = recipe.model.options | CONFIGURATIONS[name]
    model = recipe.model.model_copy(update={"options": options})
    return recipe.model_copy(update={"model": model, "seed": seed})


def folder_of(out: Path, wanted: Recipe, name: str) -> RunFolder:
    """The run folder of a configuration; one that holds a run of another recipe is an error."""
    folder = RunFolder(out / f"{name}_seed{wanted.seed}")
    if (folder.path / "recipe.json").exists():
        held = folder.recipe()
        plain = [without_data_folders(r.model_dump(mode="json")) for r in (held, wanted)]
        if plain[0] != plain[1]:
            raise RecipeError(f"{folder.path} holds a run of another recipe; choose another --out")
    return folder


def train(recipe: Recipe, names: Sequence[str], seeds: int, out: Path) -> dict[str, str]:
    """Train what is not trained yet, all configurations before the next seed.

    Returns why runs failed, by folder.
    """
    failures: dict[str, str] = {}
    for seed in range(seeds):
        for name in names:
            wanted = recipe_of(recipe, name, seed)
            folder = folder_of(out, wanted, name)
            with claimed(folder) as ours:
                if not ours or is_finished(folder):
                    continue
                try:
                    train_or_resume(wanted, folder, follow)
                except DivergedError as error:
                    failures[folder.path.name] = str(error)
    return failures


def finished(
    recipe: Recipe, names: Sequence[str], seeds: int, out: Path
) -> dict[str, list[RunFolder]]:
    """The finished runs of each configuration that has any; says what is left out."""
    found: dict[str, list[RunFolder]] = {}
    for name in names:
        folders = [folder_of(out, recipe_of(recipe, name, seed), name) for seed in range(seeds)]
        done = [folder for folder in folders if is_finished(folder)]
        if len(done) < seeds:
            print(f"{name}: {len(done)} of {seeds} runs are finished")
        if done:
            found[name] = done
    return found


def latency(
    runs: Mapping[str, RunFolder], size: tuple[int, int], rounds: int, engine: str
) -> dict[str, dict[str, Any]]:
    """Bundle and times of each configuration, from the weights of one run."""
    with tempfile.TemporaryDirectory(prefix="litescene-ablation-") as folder:
        job = Job(list(runs), folder, size, engine, default_threads(), rounds)
        image = fit(draw_picture(0), size)
        paths: dict[str, Labelling] = {}
        found: dict[str, dict[str, Any]] = {}
        for name, run in runs.items():
            file = Path(folder) / f"{name}.onnx"
            bundle = export_checkpoint(run.path / "last.safetensors", file)
            paths[name], chosen = runtime_path(bundle, job, image)
            job = replace(job, engine=chosen)  # the same for all
            found[name] = {"bundle_bytes": file.stat().st_size, "engine": chosen}
        times = take_turns(paths, rounds, lambda done: print(f"round {done} of {rounds}"))
    return {name: found[name] | {"runtime_ms": asdict(Spread.of(times[name]))} for name in found}


def counts(model: str, options: Mapping[str, Any], size: tuple[int, int]) -> dict[str, int]:
    """Parameters and multiply-accumulates at inference."""
    with torch.device("meta"):  # shapes are all that counts need
        network = create_model(model, training_heads=False, **options)
    counted = profile(network, size)
    return {"parameters": counted.parameters, "macs": counted.macs}


def mean_and_deviation(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, and sample standard deviation of at least two values."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "deviation": deviation}


def measure(
    recipe: Recipe, done: Mapping[str, list[RunFolder]], rounds: int, engine: str
) -> dict[str, Any]:
    """The record: conditions, and what each configuration reaches and takes."""
    results = {name: [result_of(run, {}) for run in runs] for name, runs in done.items()}
    common = next(iter(results.values()))[0]
    size = (common["size"][0], common["size"][1])
    times = latency({name: runs[0] for name, runs in done.items()}, size, rounds, engine)
    return {
        "machine": provenance() | {"threads": default_threads()},
        "conditions": {
            "model": recipe.model.name,
            **{key: common[key] for key in _PER_RECIPE},
            "rounds": rounds,
        },
        "configurations": {
            name: {
                "options": CONFIGURATIONS[name],
                **counts(recipe.model.name, CONFIGURATIONS[name], size),
                **times[name],
                "mean_iou": mean_and_deviation([run["mean_iou"] for run in runs]),
                "runs": [{key: run[key] for key in _PER_RUN} for run in runs],
            }
            for name, runs in results.items()
        },
    }


def show(record: Mapping[str, Any]) -> None:
    """The record as a table."""
    print("| configuration | parameters | GMACs | ms (quartiles) | mean IoU | seeds |")
    print("|---" * 6 + "|")
    for name, entry in record["configurations"].items():
        ms, accuracy = entry["runtime_ms"], entry["mean_iou"]
        spread = "" if accuracy["deviation"] is None else f" ± {accuracy['deviation']:.4f}"
        cells = [
            name,
            f"{entry['parameters']:,}",
            f"{entry['macs'] / 1e9:.3f}",
            f"{ms['median']:.2f} ({ms['q1']:.2f} to {ms['q3']:.2f})",
            f"{accuracy['mean']:.4f}{spread}",
            str(len(entry["runs"])),
        ]
        print(f"| {' | '.join(cells)} |")


def main(words: Sequence[str] | None = None) -> None:
    results = Path(__file__).parent / "results" / "pp_liteseg_ablation.json"
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("step", choices=("train", "measure"))
    parser.add_argument("--only", action="append", choices=CONFIGURATIONS, metavar="NAME")
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0")
    parser.add_argument("--recipe", default="pp_liteseg_ablation")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs") / "pp_liteseg_ablation")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--json", type=Path, default=results)
    given = parser.parse_args(words)
    recipe = load_recipe(given.recipe, given.set)
    names = [name for name in CONFIGURATIONS if name in (given.only or CONFIGURATIONS)]
    if given.step == "train":
        if failures := train(recipe, names, given.seeds, given.out):
            parser.exit(1, "".join(f"{name}: {why}\n" for name, why in failures.items()))
        return
    done = finished(recipe, names, given.seeds, given.out)
    if not done:
        parser.exit(1, f"no finished run in {given.out}; train first\n")
    record = measure(recipe, done, given.rounds, given.engine)
    show(record)
    write_atomic(given.json, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
