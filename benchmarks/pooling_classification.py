"""What each pooling brings a classifier: one network, one recipe, several seeds.

    python benchmarks/classification_crops.py $LITESCENE_DATA/classification_crops
    python benchmarks/pooling_classification.py train --pool published --pool adapool
    python benchmarks/pooling_classification.py measure --pool published --pool adapool

`train` trains ResNet-18 on the crops of `classification_crops.py`, which are to be built first, by
the recipe `classification_small`, once per pooling and seed. `published` leaves the network as its
paper has it; any other name goes to the recipe's `model.pool`. What is finished is skipped, what
was begun is gone on with, and started once per core the processes share the runs out. After every
run, and by `measure`, the record of all finished runs is written: top-1 accuracy on val after the
last epoch as mean and sample standard deviation over the seeds, and the same with all classes
counting alike. Give `measure` the same words as `train`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litescene.core.provenance import provenance
from litescene.data.location import split_spec
from litescene.training import Recipe, load_recipe
from variants import (
    PER_RECIPE,
    carry_out,
    command,
    finished,
    reached,
    results,
    written,
)

PUBLISHED = "published"
"""The network's own pooling."""
METRICS = ("top1", "mean_top1")


def settings_of(pool: str, settings: Sequence[str]) -> list[str]:
    """The changes of the recipe that a pooling asks for."""
    return [*settings, *([] if pool == PUBLISHED else [f"model.pool={pool}"])]


def measure(variants: Mapping[str, Recipe], seeds: int, out: Path) -> dict[str, Any]:
    """The record of all finished runs; empty without any."""
    trained = results(finished(variants, seeds, out))
    if not trained:
        return {}
    common = next(iter(trained.values()))[0]
    recipe = next(iter(variants.values()))
    return {
        "machine": provenance(),
        "conditions": {"model": recipe.model.name, **{key: common[key] for key in PER_RECIPE}},
        "crops": contents_of(recipe),
        "poolings": {name: reached(runs, METRICS) for name, runs in trained.items()},
    }


def contents_of(recipe: Recipe) -> dict[str, Any] | None:
    """What `classification_crops.py` says of the data; None for a folder of another origin."""
    file = split_spec(recipe.settings["data"], ("imagefolder",))[1] / "contents.json"
    if not file.is_file():
        return None
    contents: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {key: contents[key] for key in ("side", "crops", "classes", "digest")}


def show(record: Mapping[str, Any]) -> None:
    """The record as a table."""
    print("| pooling | top-1 | mean top-1 of the classes | seeds |")
    print("|---" * 4 + "|")
    for name, entry in record["poolings"].items():
        cells = [name, written(entry["top1"]), written(entry["mean_top1"])]
        print(f"| {' | '.join(cells)} | {len(entry['runs'])} |")


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "pooling_classification", "classification_small", seeds=5)
    parser.add_argument("--pool", action="append", metavar="NAME", help="published by default")
    given = parser.parse_args(words)
    names = given.pool or [PUBLISHED]
    variants = {name: load_recipe(given.recipe, settings_of(name, given.set)) for name in names}
    carry_out(parser, given, variants, measure, show, after_each=True)


if __name__ == "__main__":
    main()
