"""One recipe in several variants, each with several seeds: train what is missing, read the rest.

Each run has a folder of its own, `OUT/VARIANT_seedN`. What is finished is skipped, what was begun
is gone on with, and what another process is training is left to it: started once per core, the same
script shares the runs out.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from litescene.cli.train import follow
from litescene.core import DivergedError, RecipeError
from litescene.media import write_atomic
from litescene.media.claim import claimed
from litescene.training import Recipe, RunFolder
from litescene.training.comparison import is_finished, result_of, train_or_resume
from litescene.training.data_specs import without_data_folders

PER_RUN = (
    *("seed", "mean_iou", "accuracy", "iou", "mean_iou_by_epoch"),
    *("top1", "mean_top1", "top5", "top1_per_class", "top1_by_epoch"),
    *("ap50", "psnr", "ssim", "pictures", "psnr_by_epoch", "seconds", "commit"),
)
"""What the record holds of a run; each task has its own figures."""
PER_RECIPE = ("protocol", "epochs", "data", "trained_on", "size")

Variants = Mapping[str, Recipe]
"""The recipe of each variant; its seed does not count."""


def _folder_of(out: Path, wanted: Recipe, name: str) -> RunFolder:
    """The run folder of a variant; one that holds a run of another recipe is an error."""
    folder = RunFolder(out / f"{name}_seed{wanted.seed}")
    if (folder.path / "recipe.json").exists():
        held = folder.recipe()
        plain = [without_data_folders(r.model_dump(mode="json")) for r in (held, wanted)]
        if plain[0] != plain[1]:
            raise RecipeError(f"{folder.path} holds a run of another recipe; choose another --out")
    return folder


def _runs(
    variants: Variants, seeds: int, out: Path
) -> Iterator[tuple[int, str, Recipe, RunFolder]]:
    """Every run that is wanted, all variants before the next seed."""
    for seed in range(seeds):
        for name, recipe in variants.items():
            wanted = recipe.model_copy(update={"seed": seed})
            yield seed, name, wanted, _folder_of(out, wanted, name)


def nothing() -> None:
    """Do nothing."""


def train(
    variants: Variants, seeds: int, out: Path, after: Callable[[], object] = nothing
) -> dict[str, str]:
    """Train what is not trained yet, and call `after` at the end of each run.

    Returns why runs failed, by folder.
    """
    failures: dict[str, str] = {}
    for _, _, wanted, folder in _runs(variants, seeds, out):
        with claimed(folder.path) as ours:
            if not ours or is_finished(folder):
                continue
            try:
                train_or_resume(wanted, folder, follow)
            except DivergedError as error:
                failures[folder.path.name] = str(error)
                continue
        after()
    return failures


def finished(variants: Variants, seeds: int, out: Path) -> dict[str, list[RunFolder]]:
    """The finished runs of each variant that has any; says what is left out."""
    found: dict[str, list[RunFolder]] = {name: [] for name in variants}
    for _, name, _, folder in _runs(variants, seeds, out):
        if is_finished(folder):
            found[name].append(folder)
    for name, done in found.items():
        if len(done) < seeds:
            print(f"{name}: {len(done)} of {seeds} runs are finished")
    return {name: done for name, done in found.items() if done}


def results(done: Mapping[str, Sequence[RunFolder]]) -> dict[str, list[dict[str, Any]]]:
    """What the runs of each variant reached."""
    return {name: [result_of(run, {}) for run in runs] for name, runs in done.items()}


def reached(
    runs: Sequence[Mapping[str, Any]], metrics: Sequence[str] = ("mean_iou",)
) -> dict[str, Any]:
    """For the record: the metrics over the seeds, and each run."""
    return {name: mean_and_deviation([run[name] for run in runs]) for name in metrics} | {
        "runs": [{key: run[key] for key in PER_RUN if key in run} for run in runs],
    }


def mean_and_deviation(values: Sequence[float]) -> dict[str, float | None]:
    """Mean, and sample standard deviation of at least two values."""
    deviation = statistics.stdev(values) if len(values) > 1 else None
    return {"mean": statistics.mean(values), "deviation": deviation}


def written(figures: Mapping[str, float | None], digits: int = 4) -> str:
    """`mean_and_deviation` as text."""
    mean, deviation = figures["mean"], figures["deviation"]
    return f"{mean:.{digits}f}" + ("" if deviation is None else f" ± {deviation:.{digits}f}")


Record = dict[str, Any]


def command(
    doc: str | None, name: str, recipe: str = "", seeds: int = 3
) -> argparse.ArgumentParser:
    """What all these scripts are told: the step, the seeds, the recipe, changes of it, folders."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("step", choices=("train", "measure"))
    parser.add_argument("--seeds", type=int, default=seeds, help="how many, from 0")
    if recipe:
        parser.add_argument("--recipe", default=recipe)
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("runs") / name)
    record = Path(__file__).parent / "results" / f"{name}.json"
    parser.add_argument("--json", type=Path, default=record)
    return parser


def carry_out(
    parser: argparse.ArgumentParser,
    given: argparse.Namespace,
    variants: Variants,
    measure: Callable[[Variants, int, Path], Record],
    show: Callable[[Record], None],
    *,
    after_each: bool = False,
) -> None:
    """Take the step: train, or write the record and show it; `after_each` run it is written too.

    `measure` gives the record of all finished runs, empty without any.
    """

    def keep() -> Record:
        record = measure(variants, given.seeds, given.out)
        if record:
            recipe = getattr(given, "recipe", None)
            record |= {"recipe": recipe, "seeds": given.seeds, "settings": given.set}
            write_atomic(given.json, json.dumps(record, indent=1) + "\n")
        return record

    if given.step == "train":
        failures = train(variants, given.seeds, given.out, keep if after_each else nothing)
        if failures:
            parser.exit(1, "".join(f"{name}: {why}\n" for name, why in failures.items()))
        return
    record = keep()
    if not record:
        parser.exit(1, f"no finished run in {given.out}; train first\n")
    show(record)
