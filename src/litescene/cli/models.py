"""`litescene models`: what there is to run and to train, and the layers of a network."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from litescene.cli.options import JsonSwitch, Results
from litescene.cli.table import format_table, number
from litescene.core.contract import TaskName
from litescene.core.errors import MissingExtraError
from litescene.core.trained import BRIEF, COMMON, RESULTS, SHORT, trained_runs
from litescene.runtime.catalog import ShippedBundle, shipped
from litescene.runtime.engines import installed

EXAMPLES = (
    "litescene models --task segmentation",
    "litescene models --task detection --json",
    "litescene models --layers pp_liteseg_t",
)
HIGHLIGHTS = ("mean_iou", "ap50", "ap", "top1", "psnr")
"""Figures of a card that the table shows, the first that is there."""


def command(
    task: Annotated[
        TaskName | None,
        typer.Option(help="only models of this task", show_default=False),
    ] = None,
    layers: Annotated[
        str | None,
        typer.Option(
            help="instead: the layers of this network at its default size (needs the extra "
            "`train`)",
            show_default=False,
        ),
    ] = None,
    results: Results = RESULTS,
    as_json: JsonSwitch = False,
) -> None:
    """List the shipped models and, where PyTorch is installed, the networks to train.

    Common, short and own are the mean IoU that trainings reached: by the recipe that is common to
    all networks of the task, by its short form, and the best by any other; the JSON names them
    all. Parameters are those at inference. Of --layers, MACs are multiply-accumulates of
    convolutions and linear layers at batch 1.
    """
    if layers is not None:
        _layers(layers, as_json)
        return
    bundles = [_bundle(entry) for entry in shipped().values() if task in (None, entry.task)]
    networks = _networks(task, results) if installed("torch") else []
    if as_json:
        print(json.dumps({"shipped": bundles, "networks": networks}, indent=2))
        return
    _print_bundles(bundles)
    if networks:
        print()
        _print_networks(networks, with_task=task is None)
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


def _networks(task: TaskName | None, results: Path) -> list[dict[str, Any]]:
    from litescene.models import list_models, variant

    found = [variant(name) for name in list_models(task=task)]
    trained = trained_runs("segmentation", results)
    return [
        {
            "name": v.name,
            "task": v.task,
            "paper": v.paper,
            "year": v.year,
            "size": list(v.size),
            "parameters": {str(classes): count for classes, count in v.parameters.items()},
            "published": dict(v.published),
            "trained": {
                protocol: run.mean_iou for protocol, run in trained.get(v.name, {}).items()
            },
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


def _print_networks(networks: list[dict[str, Any]], with_task: bool) -> None:
    print("Networks, for recipes and `litescene.models.create_model`:")
    head = ["name", "common", "short", "own", "M params", "size", "paper"]
    rows = [[n["name"], *_reached(n), _parameters(n), _size(n), n["paper"]] for n in networks]
    if with_task:
        head.insert(1, "task")
        for row, network in zip(rows, networks, strict=True):
            row.insert(1, network["task"])
    print(format_table(head, rows))
    print(f"\nmean IoU by the recipes {COMMON} and {SHORT} (with * {BRIEF}),")
    print("and the best by another one")


def _reached(network: dict[str, Any]) -> list[str]:
    """Mean IoU by the common recipe, by its short or brief form, and the best by any other."""
    others = dict(network["trained"])
    common, short, brief = (others.pop(name, None) for name in (COMMON, SHORT, BRIEF))
    less = f"{number(brief)}*" if short is None and brief is not None else number(short)
    return [number(common), less, number(max(others.values(), default=None))]


def _layers(name: str, as_json: bool) -> None:
    """Print the counted layers of a network, in the order of their use."""
    if not installed("torch"):
        raise MissingExtraError("counting the layers of a network", "train")
    from litescene.export import profile
    from litescene.models import variant
    from litescene.models.registry import create_bare

    facts, network = variant(name), create_bare(name)
    frames = getattr(network, "clip_frames", 0)
    counts = profile(network, (frames, *facts.size) if frames else facts.size)
    if as_json:
        print(json.dumps(asdict(counts) | {"flops": counts.flops}, indent=2))
        return
    rows = [
        [
            layer.name,
            layer.kind,
            "×".join(map(str, layer.output[1:])),
            f"{layer.parameters:,}",
            f"{layer.macs:,}",
        ]
        for layer in counts.layers
    ]
    print(format_table(["layer", "kind", "output", "parameters", "MACs"], rows))
    height, width = facts.size
    print(
        f"\n{name} at {width}×{height}: {counts.parameters:,} parameters, norms included; "
        f"{counts.macs:,} MACs ({counts.flops:,} FLOPs)"
    )


def _size(entry: dict[str, Any]) -> str:
    return f"{entry['size'][1]}×{entry['size'][0]}"


def _best(bundle: dict[str, Any]) -> str:
    figures = bundle["accuracy"]
    shown = next((key for key in HIGHLIGHTS if isinstance(figures.get(key), float)), None)
    return f"{shown} {figures[shown]:.3f}" if shown else "-"


def _parameters(network: dict[str, Any]) -> str:
    counts = list(network["parameters"].values())
    return number(counts[0] / 1e6 if counts else None, 2)
