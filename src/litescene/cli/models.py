"""`litescene models`: what there is to run and to train."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from litescene.cli.options import JsonSwitch
from litescene.cli.table import format_table
from litescene.core.contract import TaskName
from litescene.runtime.catalog import ShippedBundle, shipped
from litescene.runtime.engines import installed

EXAMPLES = ("litescene models", "litescene models --task detection --json")
HIGHLIGHTS = ("mean_iou", "ap50", "ap")
"""Figures of a card that the table shows, the first that is there."""


def command(
    task: Annotated[
        TaskName | None,
        typer.Option(help="only models of this task", show_default=False),
    ] = None,
    as_json: JsonSwitch = False,
) -> None:
    """List the shipped models and, where PyTorch is installed, the networks to train."""
    bundles = [_bundle(entry) for entry in shipped().values() if task in (None, entry.task)]
    networks = _networks(task) if installed("torch") else []
    if as_json:
        print(json.dumps({"shipped": bundles, "networks": networks}, indent=2))
        return
    _print_bundles(bundles)
    if networks:
        print()
        _print_networks(networks)
    else:
        print("\nNetworks to train: pip install 'litescene[train]'")


def _bundle(entry: ShippedBundle) -> dict[str, Any]:
    contract = entry.open().contract
    return {
        "name": entry.name,
        "task": contract.task,
        "system": contract.system,
        "classes": list(contract.taxonomy.names),
        "size": list(contract.size),
        "megabytes": round(entry.path.stat().st_size / 1e6, 1),
        "accuracy": dict(contract.accuracy),
        "license": contract.license,
    }


def _networks(task: TaskName | None) -> list[dict[str, Any]]:
    from litescene.models import list_models, variant

    found = [variant(name) for name in list_models(task=task)]
    return [
        {
            "name": v.name,
            "task": v.task,
            "paper": v.paper,
            "year": v.year,
            "size": list(v.size),
            "parameters": {str(classes): count for classes, count in v.parameters.items()},
            "published": dict(v.published),
        }
        for v in found
    ]


def _print_bundles(bundles: list[dict[str, Any]]) -> None:
    print("Shipped, for `litescene.load`, --model, --segment and --detect:")
    rows = [
        [b["name"], b["task"], str(len(b["classes"])), _size(b), f"{b['megabytes']}", _best(b)]
        for b in bundles
    ]
    print(format_table(["name", "task", "classes", "trained at", "MB", "accuracy"], rows))


def _print_networks(networks: list[dict[str, Any]]) -> None:
    print("Networks, for recipes and `litescene.models.create_model`:")
    rows = [
        [n["name"], n["task"], _size(n), _parameters(n), str(n["year"]), n["paper"]]
        for n in networks
    ]
    print(format_table(["name", "task", "size", "parameters", "year", "paper"], rows))


def _size(entry: dict[str, Any]) -> str:
    return f"{entry['size'][1]}×{entry['size'][0]}"


def _best(bundle: dict[str, Any]) -> str:
    figures = bundle["accuracy"]
    shown = next((key for key in HIGHLIGHTS if isinstance(figures.get(key), float)), None)
    return f"{shown} {figures[shown]:.3f}" if shown else "-"


def _parameters(network: dict[str, Any]) -> str:
    counts = list(network["parameters"].values())
    return f"{counts[0]:,}" if counts else "-"
