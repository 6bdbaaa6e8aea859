"""What AdaPool brings segmentation networks on CamVid val: with it and without, several seeds.

    python benchmarks/pooling_segmentation.py train
    python benchmarks/pooling_segmentation.py measure

`train` trains PP-LiteSeg-T and ENet by the short form of the common protocol, as published and with
every pooling replaced (`model.pool`); ENet then goes back by AdaUnPool instead of by the places of
maxima. What is finished is skipped, what was begun is gone on with, and started once per core the
processes share the runs out. `measure` writes the record: mean IoU as mean and sample standard
deviation over the seeds. Give it the same words as `train`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litescene.core.provenance import provenance
from litescene.training import Recipe, load_recipe
from pooling_classification import PUBLISHED, settings_of
from variants import PER_RECIPE, carry_out, command, finished, reached, results, written

NETWORKS = ("pp_liteseg_t", "enet")
POOLS = (PUBLISHED, "adapool")


def variants_of(recipe: str, pools: Sequence[str], settings: Sequence[str]) -> dict[str, Recipe]:
    """The recipe of each network with each pooling, by `NETWORK_POOL`."""
    return {
        f"{network}_{pool}": load_recipe(
            recipe, settings_of(pool, [*settings, f"model.name={network}"])
        )
        for network in NETWORKS
        for pool in pools
    }


def measure(variants: Mapping[str, Recipe], seeds: int, out: Path) -> dict[str, Any]:
    """The record of all finished runs; empty without any."""
    trained = results(finished(variants, seeds, out))
    if not trained:
        return {}
    common = next(iter(trained.values()))[0]
    return {
        "machine": provenance(),
        "conditions": {key: common[key] for key in PER_RECIPE},
        "networks": {
            name: {
                "network": variants[name].model.name,
                "pooling": variants[name].model.pool or PUBLISHED,
                **reached(runs),
            }
            for name, runs in trained.items()
        },
    }


def show(record: Mapping[str, Any]) -> None:
    """The record as a table."""
    print("| network | pooling | mean IoU | seeds |")
    print("|---" * 4 + "|")
    for entry in record["networks"].values():
        cells = [entry["network"], entry["pooling"], written(entry["mean_iou"])]
        print(f"| {' | '.join(cells)} | {len(entry['runs'])} |")


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "pooling_segmentation", "segmentation_short")
    parser.add_argument("--pool", action="append", metavar="NAME", help="both by default")
    given = parser.parse_args(words)
    variants = variants_of(given.recipe, given.pool or POOLS, given.set)
    carry_out(parser, given, variants, measure, show)


if __name__ == "__main__":
    main()
