"""`litescene train --all TASK`: every network of a task by one recipe."""

from __future__ import annotations

import fnmatch
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litescene.cli.progress import keeps, progress
from litescene.cli.train import follow
from litescene.core.errors import DivergedError, InputError, UnknownNameError
from litescene.core.trained import trained_by
from litescene.media.atomic import require_writable

if TYPE_CHECKING:
    from litescene.training.recipe import ModelSection


@dataclass(frozen=True, slots=True)
class Choice:
    """Which networks: names like one of the patterns, MACs (in billions) in a range."""

    patterns: tuple[str, ...] = ("*",)
    low: float = 0.0
    high: float = float("inf")

    @classmethod
    def parse(cls, models: Sequence[str] | None, gmacs: str | None) -> Choice:
        """From the command line's --models and --gmacs LOW:HIGH (either end may be empty)."""
        low, separator, high = (gmacs or ":").partition(":")
        try:
            if not separator:
                raise ValueError
            limits = float(low or 0), float(high or "inf")
        except ValueError:
            raise InputError(f"--gmacs {gmacs}: expected LOW:HIGH, e.g. 0:1.5 or 1.5:") from None
        if not 0 <= limits[0] < limits[1]:
            raise InputError(f"--gmacs {gmacs}: LOW is to be below HIGH, e.g. 0:1.5 or 1.5:")
        return cls(tuple(models or ("*",)), *limits)

    def names(self, known: Sequence[str]) -> list[str]:
        """The known names that fit; a pattern that fits none is an error."""
        for pattern in self.patterns:
            if not fnmatch.filter(known, pattern):
                raise UnknownNameError("network", pattern, known)
        return [n for n in known if any(fnmatch.fnmatch(n, p) for p in self.patterns)]


def train_all(
    task: Any,
    recipe: str | None,
    settings: list[str],
    out: Path | None,
    results: Path | None,
    choice: Choice,
) -> None:
    """Train what is not trained yet, the lightest network first."""
    from litescene.models import list_models
    from litescene.training.comparison import train_networks
    from litescene.training.recipe import load_recipe

    common = load_recipe(recipe or f"{task}_common", settings)
    if any(setting.split("=")[0].strip() == "model.name" for setting in settings):
        raise InputError("--all trains every network; choose some with --models, not model.name")
    if common.task != task:
        raise InputError(f"recipe {common.name} is for {common.task}, --all names {task}")
    if common.model.pool is not None:  # another protocol: its results stand beside, not instead
        common = common.model_copy(update={"name": f"{common.name}_{common.model.pool}"})
    folder = out or Path("runs") / common.name
    stored = results or folder / "results"
    for place in (folder, stored):
        require_writable(place, folder=True)
    networks = _counted(choice, choice.names(list_models(task=task)), common.model)
    if not networks:
        raise InputError("no network fits --models, --gmacs and --pool together")
    trained = trained_by(common.name, task, stored).keys() & networks.keys()
    if trained:
        print(f"{len(trained)} of {len(networks)} have a result in {stored}", file=sys.stderr)
    with keeps("go on by giving the same command again"):
        failures = train_networks(common, networks, folder, stored, follow)
    for name, reason in failures.items():
        print(f"{name}: {reason}")
    if failures:
        raise DivergedError(f"{len(failures)} of {len(networks)} networks failed, see above")


def _counted(
    choice: Choice, names: Sequence[str], section: ModelSection
) -> Mapping[str, dict[str, Any]]:
    """Parameters and MACs of the networks in the range, by rising MACs.

    With another pooling only of those that pool, and with what it adds.
    """
    import torch

    from litescene.export import profile
    from litescene.models import pools_of, replace_pools, variant
    from litescene.models.registry import create_bare

    counted: dict[str, dict[str, Any]] = {}
    with progress("counting") as report:
        for index, name in enumerate(names):
            facts = variant(name)
            report(index + 1, len(names), name)
            with torch.device("meta"):  # shapes are all that counts need
                network = create_bare(name)
                if section.pool is not None:
                    if not pools_of(network):
                        continue
                    replace_pools(network, section.pool, **section.pool_options)
            counts = profile(network, facts.size)
            counted[name] = {"parameters": counts.parameters, "macs": counts.macs}
    fitting = {n: c for n, c in counted.items() if choice.low <= c["macs"] / 1e9 < choice.high}
    return dict(sorted(fitting.items(), key=lambda item: item[1]["macs"]))
