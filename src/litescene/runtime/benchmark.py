"""The record of `litescene bench`: what every network takes on one machine, and what to pick.

A record holds measurements of one set of conditions (machine, versions, commit, size, engine,
threads); a network's accuracy is no part of it but is read from the results of training.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from litescene.core.cache import cache_folder
from litescene.core.errors import InputError, OutputError
from litescene.core.provenance import provenance
from litescene.core.trained import TrainedRun
from litescene.media.atomic import write_atomic
from litescene.metrics.front import pareto_front

CONVENTION = (
    "parameters: trainable, at inference; MACs: of convolutions, transposed convolutions and "
    "linear layers at batch 1; FLOPs: 2 MACs; runtime_ms: uint8 frame at the network's size to "
    "uint8 labels, through the bundle and the fused upsample + argmax; eager_ms: the same in "
    "PyTorch eager float32; speed_up: eager / runtime, round by round; peak_bytes: largest "
    "resident memory of a process of its own that only loads the bundle and labels frames; "
    "network_bytes: that, less what the process held before it opened the bundle"
)


@dataclass(frozen=True, slots=True)
class Spread:
    """Median, quartiles, least and number of repeated measurements."""

    median: float
    q1: float
    q3: float
    least: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of at least two values."""
        q1, median, q3 = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, q1, q3, min(values), len(values))


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one network takes; times in milliseconds, `reference_ms` of the shipped segmenter
    measured in turn with it, which shows how far the machine itself drifted.
    """

    name: str
    parameters: int
    macs: int
    bundle_bytes: int
    weights: str
    engine: str
    runtime_ms: Spread
    eager_ms: Spread
    speed_up: Spread
    reference_ms: float
    date: str
    peak_bytes: int | None = None
    network_bytes: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, with FLOPs (two per MAC)."""
        return asdict(self) | {"flops": 2 * self.macs}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Measurement:
        """Inverse of `to_dict`."""
        fields = {key: plain[key] for key in cls.__dataclass_fields__}
        for key in ("runtime_ms", "eager_ms", "speed_up"):
            fields[key] = Spread(**fields[key])
        return cls(**fields)


@dataclass(slots=True)
class Benchmark:
    """Measurements by network, all under the same `conditions`."""

    conditions: dict[str, Any]
    networks: dict[str, Measurement] = field(default_factory=dict)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the frames."""
        height, width = self.conditions["size"]
        return height, width

    def to_json(self) -> str:
        """The file's text, fastest network first."""
        ranked = sorted(self.networks.values(), key=lambda m: m.runtime_ms.median)
        plain = {
            "benchmark": "segmentation",
            "convention": CONVENTION,
            "conditions": self.conditions,
            "networks": [measurement.to_dict() for measurement in ranked],
        }
        return json.dumps(plain, indent=2) + "\n"

    def write(self, *files: Path) -> None:
        """Write the record, whole or not at all."""
        for file in files:
            write_atomic(file, self.to_json())

    @classmethod
    def read(cls, file: Path) -> Benchmark:
        """Read a record; anything wrong with the file is an `InputError` that names it."""
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            if plain["benchmark"] != "segmentation":
                raise ValueError(f"it is a benchmark of {plain['benchmark']}")
            found = [Measurement.from_dict(entry) for entry in plain["networks"]]
            record = cls(dict(plain["conditions"]), {entry.name: entry for entry in found})
            _ = record.size
        except OSError as error:
            raise InputError(f"cannot read {file}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{file} is no record of `litescene bench segmentation` ({error!r}); measure with "
                "it into another file"
            ) from error
        return record


ASKED = ("size", "engine", "threads", "rounds", "classes")
"""The conditions that the user chooses; the others are the machine's and the software's."""


def conditions_of(
    size: tuple[int, int], engine: str, threads: int, rounds: int, classes: int
) -> dict[str, Any]:
    """Everything that measurements must share to stand in one record; plain JSON."""
    asked = {"size": list(size), "engine": engine, "threads": threads, "rounds": rounds}
    here = provenance()
    del here["date"]  # that of each measurement is its own
    return asked | {"classes": classes} | here


def differences(record: Benchmark, conditions: Mapping[str, Any]) -> list[str]:
    """Names of the conditions in which a record differs from `conditions`."""
    keys = {*record.conditions, *conditions}
    return sorted(k for k in keys if record.conditions.get(k) != conditions.get(k))


def kept_file(conditions: Mapping[str, Any]) -> Path:
    """Where the cache folder keeps the last record of a size, engine and number of threads."""
    height, width = conditions["size"]
    name = f"segmentation-{width}x{height}-{conditions['engine']}-{conditions['threads']}.json"
    return cache_folder() / "bench" / name


def last_kept() -> Path | None:
    """The record that was written last into the cache folder."""
    files = (cache_folder() / "bench").glob("segmentation-*.json")
    return max(files, key=lambda file: file.stat().st_mtime, default=None)


def keep(record: Benchmark) -> None:
    """Keep a record in the cache folder, unless the folder cannot be written."""
    try:
        record.write(kept_file(record.conditions))
    except OutputError:
        return  # the cache is a convenience, as everywhere


def front(record: Benchmark, trained: Mapping[str, TrainedRun]) -> list[str]:
    """Networks of a record that no other one beats in both latency and accuracy."""
    return pareto_front(
        {
            name: (entry.runtime_ms.median, trained[name].mean_iou)
            for name, entry in record.networks.items()
            if name in trained
        }
    )


@dataclass(frozen=True, slots=True)
class Choice:
    """Networks by falling accuracy: those in time, and better ones that are too slow."""

    in_time: list[str]
    too_slow: list[str]


def choose_network(
    record: Benchmark, trained: Mapping[str, TrainedRun], milliseconds: float
) -> Choice:
    """The most accurate networks of a record within a time for each frame.

    The upper quartile of the latency counts, so that at least three frames of four are in time.

    Raises:
        InputError: no network has both a latency and an accuracy, or none is fast enough.

    """
    known = [name for name in record.networks if name in trained]
    if not known:
        raise InputError(
            f"none of the {len(record.networks)} measured networks has a trained accuracy by this "
            "protocol; `litescene models --task segmentation` shows those that have one"
        )
    ranked = sorted(
        known, key=lambda n: (-trained[n].mean_iou, record.networks[n].runtime_ms.median)
    )
    in_time = [n for n in ranked if record.networks[n].runtime_ms.q3 <= milliseconds]
    if not in_time:
        fastest = min(known, key=lambda n: record.networks[n].runtime_ms.q3)
        needs = record.networks[fastest].runtime_ms.q3
        raise InputError(
            f"no network keeps within {milliseconds:.1f} ms; the fastest, {fastest}, takes "
            f"{needs:.1f} ms: ask for {1000 / needs:.0f} frames a second or measure at a smaller "
            "--size"
        )
    better = ranked[: ranked.index(in_time[0])]
    return Choice(in_time, better)
