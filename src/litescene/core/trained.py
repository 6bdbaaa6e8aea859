"""What training reached: the result files that come with the package.

`results/TASK/NAME.json` says of one network what its trainings reached:

    {"name": NAME, "runs": [{"protocol": RECIPE, "mean_iou": 0.7, "data": "...", ...}, ...]}

A protocol names everything that accuracies must share to be compared: data, split, resolution,
length of the training; it is the name of the recipe. Each run may say more (classes, epochs, seed,
machine, commit, date).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litescene.core.errors import DataError

RESULTS = Path(__file__).parent.parent / "results"
COMMON = "segmentation_common"
"""The protocol by which all networks of a task were trained alike."""
SHORT = "segmentation_short"
"""The same with fewer epochs, for networks whose full training could not be afforded."""
BRIEF = "segmentation_brief"
"""Fewer still, and on crops alone, for the heaviest networks."""
PROTOCOLS = {"common": COMMON, "short": SHORT, "brief": BRIEF}
"""The protocols by which networks are compared, by their short names, the longest first."""


@dataclass(frozen=True, slots=True)
class TrainedRun:
    """One training of a network: mean IoU (0 to 1) by a protocol; `facts` is all that is known."""

    name: str
    protocol: str
    mean_iou: float
    facts: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def data(self) -> str:
        """What the accuracy was measured on."""
        said = self.facts.get("data", "data not stated")
        return said if isinstance(said, str) else json.dumps(said)


def trained_runs(
    task: str = "segmentation", folder: Path = RESULTS
) -> dict[str, dict[str, TrainedRun]]:
    """Every stored training of a task, by network and protocol; the last run of each counts.

    Raises:
        DataError: a result file is malformed; the message names it.

    """
    return {path.stem: _runs(path) for path in sorted((folder / task).glob("*.json"))}


def trained_by(
    protocol: str = COMMON, task: str = "segmentation", folder: Path = RESULTS
) -> dict[str, TrainedRun]:
    """The training of every network that has one by this protocol."""
    found = trained_runs(task, folder)
    return {name: runs[protocol] for name, runs in found.items() if protocol in runs}


def no_accuracy(protocol: str, task: str = "segmentation", folder: Path = RESULTS) -> str:
    """What to say where no network in question was trained by a protocol."""
    known = sorted({p for runs in trained_runs(task, folder).values() for p in runs})
    there = f"protocols with results: {', '.join(known)}" if known else "no result is stored yet"
    return (
        f"none of the networks has a trained accuracy by the protocol '{protocol}'; {there} "
        f"(`litescene models --task {task}` lists them)"
    )


def _runs(path: Path) -> dict[str, TrainedRun]:
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["name"] != path.stem:
            raise ValueError(f"it says it is of '{plain['name']}'")
        runs = [_run(path.stem, entry) for entry in plain["runs"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = f"'{error.args[0]}' is missing" if isinstance(error, KeyError) else error
        raise DataError(f"{path} is no result file: {reason}") from error
    return {run.protocol: run for run in runs}


def _run(name: str, entry: Mapping[str, Any]) -> TrainedRun:
    mean_iou = float(entry["mean_iou"])
    if not 0 <= mean_iou <= 1:
        raise ValueError(f"a mean IoU is 0 to 1, not {mean_iou}")
    return TrainedRun(name, str(entry["protocol"]), mean_iou, dict(entry))
