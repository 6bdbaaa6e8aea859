"""The tables of the page of models that say what the segmentation networks reached."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from litescene.core import CAMVID
from litescene.core.trained import (
    BRIEF,
    COMMON,
    PROTOCOLS,
    RESULTS,
    SHORT,
    TrainedRun,
    trained_runs,
)
from litescene.export import profile
from litescene.models import create_model, list_models, variant
from litescene.models.registry import Variant

SIZE = (360, 480)
HEAD = [
    "network",
    "paper",
    "M parameters",
    "GMACs",
    *PROTOCOLS,
    "own recipe",
    "published, %",
]
ORIGIN = ["protocol", "runs", "measured on", "trained on", "machine", "seed", "commit", "date"]

Runs = Mapping[str, Mapping[str, TrainedRun]]


def comparison(folder: Path = RESULTS) -> str:
    """All networks with their figures, the IoU per class, and where the figures come from."""
    runs = trained_runs(folder=folder)
    rows = [row(variant(name), runs.get(name, {})) for name in ranked(runs)]
    parts = [EXPLAINED, table(HEAD, rows)]
    if runs:
        parts += ["### IoU per class", per_class(runs)]
        parts += ["### Where these figures come from", origins(runs)]
    return "\n\n".join(parts)


EXPLAINED = f"""\
*Common* is the mean IoU (0 to 1) of CamVid's 11 classes on its val split at 480×360, reached by
the same recipe `{COMMON}` for every network; *short* is that of `{SHORT}`, a tenth of it, for
networks whose full training could not be afforded, and *brief* that of `{BRIEF}`, a third of the
short one on crops alone, for the heaviest: figures of one protocol compare with each other only.
*Own recipe* is a training made for that one network. In brackets the length of the training. Each
figure is that of the last epoch; [Training](training.md#the-comparison) has the protocol.

Parameters are those at inference with 11 classes; MACs are those of convolutions and linear layers
at 480×360 and batch 1. Published figures are percentages by each paper's own protocol, most of
them with pretraining, more pictures or larger ones: they stand here to be looked up, not to be
compared with ours."""


def table(head: list[str], rows: Iterable[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def ranked(runs: Runs) -> list[str]:
    """Names of the networks: by one protocol after the other, then those without by name."""

    def place(name: str) -> tuple[float | str, ...]:
        own = runs.get(name, {})
        return *(-own[p].mean_iou if p in own else 1.0 for p in PROTOCOLS.values()), name

    return sorted(list_models(task="segmentation"), key=place)


def row(facts: Variant, runs: Mapping[str, TrainedRun]) -> list[str]:
    """The line of a network."""
    compared = [reached(runs[p]) if p in runs else "-" for p in PROTOCOLS.values()]
    if not runs:
        compared[0] = "not trained yet"
    others = [f"{reached(run)}, `{p}`" for p, run in runs.items() if p not in PROTOCOLS.values()]
    return [
        f"`{facts.name}`",
        facts.paper if str(facts.year) in facts.paper else f"{facts.paper} ({facts.year})",
        f"{facts.parameters[11] / 1e6:.3f}",
        f"{macs(facts, runs.values()) / 1e9:.2f}",
        *compared,
        "<br>".join(others) or "-",
        "<br>".join(f"{name}: {value}" for name, value in facts.published.items()) or "-",
    ]


def reached(run: TrainedRun) -> str:
    """The mean IoU of a training, with its length as far as its file says it."""
    length = []
    if "epochs" in run.facts:
        length.append(f"{run.facts['epochs']} epochs")
    if "seconds" in run.facts:
        length.append(f"{run.facts['seconds'] / 3600:.1f} h")
    return f"**{run.mean_iou:.3f}**" + (f" ({', '.join(length)})" if length else "")


def macs(facts: Variant, runs: Iterable[TrainedRun]) -> int:
    """MACs at `SIZE`: those of a result, which are at the default size, or else counted."""
    stored = (run.facts["macs"] for run in runs if facts.size == SIZE and "macs" in run.facts)
    known = next(stored, None)
    if known is not None:
        return int(known)
    bare = {"training_heads": False} if facts.training_parameters else {}
    with torch.device("meta"):
        network = create_model(facts.name, num_classes=11, **bare)
    return profile(network, SIZE).macs


def by_protocol(runs: Runs) -> list[tuple[str, list[TrainedRun]]]:
    """The trainings of each protocol, the best first; those compared by before the others."""
    found: dict[str, list[TrainedRun]] = {protocol: [] for protocol in PROTOCOLS.values()}
    for own in runs.values():
        for protocol, run in own.items():
            found.setdefault(protocol, []).append(run)
    ordered = [(p, sorted(r, key=lambda run: (-run.mean_iou, run.name))) for p, r in found.items()]
    return [(protocol, trained) for protocol, trained in ordered if trained]


def per_class(runs: Runs) -> str:
    """IoU of every class, a line per training."""
    rows = []
    for protocol, trained in by_protocol(runs):
        for run in trained:
            iou = run.facts.get("iou", {})
            figures = [figure(value) for value in (run.mean_iou, *map(iou.get, CAMVID.names))]
            rows.append([f"`{run.name}`", f"`{protocol}`", *figures])
    names = [name.replace("_", " ") for name in CAMVID.names]
    return table(["network", "protocol", "mean", *names], rows)


def figure(value: float | None) -> str:
    """Three decimals, or a dash where there is none."""
    return "-" if value is None else f"{value:.3f}"


def origins(runs: Runs) -> str:
    """Data, machine, seed, commit and dates of each protocol's trainings, from their files."""
    rows = [
        [
            f"`{protocol}`",
            str(len(trained)),
            said(trained, lambda facts: facts.get("data")),
            said(trained, lambda facts: ", ".join(facts.get("trained_on", []))),
            said(trained, machine),
            said(trained, lambda facts: facts.get("seed")),
            said(trained, lambda facts: facts.get("commit")),
            dates(trained),
        ]
        for protocol, trained in by_protocol(runs)
    ]
    return table(ORIGIN, rows)


def said(runs: Iterable[TrainedRun], fact: Any) -> str:
    """The different values of a fact; a dash where no file states it."""
    values = {str(value) for run in runs if (value := fact(run.facts)) not in (None, "")}
    return "<br>".join(sorted(values)) or "-"


def machine(facts: Mapping[str, Any]) -> str | None:
    """Processor and cores."""
    if "processor" not in facts:
        return None
    return f"{facts['processor']}, {facts.get('cores', '?')} cores"


def dates(runs: Iterable[TrainedRun]) -> str:
    """The day of the first and of the last result."""
    days = sorted(str(run.facts["date"])[:10] for run in runs if "date" in run.facts)
    return "-" if not days else days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
