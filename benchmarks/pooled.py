"""Networks as published and with another pooling: what the scripts share that compare them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from litescene.core.provenance import provenance
from litescene.training import Recipe, load_recipe
from variants import PER_RECIPE, finished, reached, results, written

PUBLISHED = "published"
"""The network's own poolings."""


def variants_of(
    recipe: str, networks: Sequence[str], pools: Sequence[str], settings: Sequence[str] = ()
) -> dict[str, Recipe]:
    """The recipe of each network with each pooling (`model.pool`), by `NETWORK_POOL`."""
    found = {}
    for network in networks:
        for pool in pools:
            swapped = [] if pool == PUBLISHED else [f"model.pool={pool}"]
            words = [*settings, f"model.name={network}", *swapped]
            found[f"{network}_{pool}"] = load_recipe(recipe, words)
    return found


def measure(
    variants: Mapping[str, Recipe], seeds: int, out: Path, metrics: Sequence[str]
) -> dict[str, Any]:
    """The record of all finished runs, with these metrics; empty without any."""
    trained = results(finished(variants, seeds, out))
    if not trained:
        return {}
    common = next(iter(trained.values()))[0]
    return {
        "machine": provenance(),
        "conditions": {key: common[key] for key in PER_RECIPE},
        "metrics": list(metrics),
        "networks": {
            name: {
                "network": variants[name].model.name,
                "pooling": variants[name].model.pool or PUBLISHED,
                **reached(runs, metrics),
            }
            for name, runs in trained.items()
        },
    }


def show(record: Mapping[str, Any]) -> None:
    """The record as a table."""
    print(f"| network | pooling | {' | '.join(record['metrics'])} | seeds |")
    print("|---" * (3 + len(record["metrics"])) + "|")
    for entry in record["networks"].values():
        figures = (written(entry[metric]) for metric in record["metrics"])
        cells = [entry["network"], entry["pooling"], *figures, str(len(entry["runs"]))]
        print(f"| {' | '.join(cells)} |")
