"""What each pooling brings a classifier: one network, one recipe, several seeds.

    python benchmarks/classification_crops.py $LITESCENE_DATA/classification_crops
    python benchmarks/pooling_classification.py train
    python benchmarks/pooling_classification.py measure

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

import pooled
from litescene.data.location import split_spec
from litescene.training import Recipe
from variants import carry_out, command

NETWORK = "resnet18"
POOLS = (
    *(pooled.PUBLISHED, "average", "lp", "stochastic", "s3", "mixed", "gated", "dpp", "lip"),
    *("lift", "em", "edscw", "idw", "adapool"),
)
METRICS = ("top1", "mean_top1")


def measure(variants: Mapping[str, Recipe], seeds: int, out: Path) -> dict[str, Any]:
    """The record of all finished runs, and what they were trained on; empty without any."""
    record = pooled.measure(variants, seeds, out, METRICS)
    recipe = next(iter(variants.values()))
    return record | {"crops": contents_of(recipe)} if record else {}


def contents_of(recipe: Recipe) -> dict[str, Any] | None:
    """What `classification_crops.py` says of the data; None for a folder of another origin."""
    file = split_spec(recipe.settings["data"], ("imagefolder",))[1] / "contents.json"
    if not file.is_file():
        return None
    contents: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return {key: contents[key] for key in ("side", "crops", "classes", "digest")}


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "pooling_classification", "classification_small")
    parser.add_argument("--pool", action="append", metavar="NAME", help=f"default {POOLS}")
    given = parser.parse_args(words)
    variants = pooled.variants_of(given.recipe, [NETWORK], given.pool or POOLS, given.set)
    carry_out(parser, given, variants, measure, pooled.show, after_each=True)


if __name__ == "__main__":
    main()
