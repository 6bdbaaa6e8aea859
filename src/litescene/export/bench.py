"""Measuring many networks without holding many in memory.

Networks are timed in groups, each group in a process of its own (`export.timing`), in turn within
the group; then each one's memory in a process that does nothing else (`runtime.footprint`). The
record is written after every group. The processes have a cache folder of their own, so that the
user's compiled networks stay where they are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from litescene.core import LitesceneError
from litescene.export.timing import Job
from litescene.runtime.benchmark import Benchmark, Measurement, keep
from litescene.runtime.catalog import shipped

GROUP = 6
"""Networks in memory at a time."""

Report = Callable[[int, int, str], None]
Step = Callable[[str], None]


def measure_networks(
    record: Benchmark, names: Sequence[str], file: Path | None, report: Report
) -> dict[str, str]:
    """Measure networks into a record, kept in the cache folder and, if given, in `file`.

    Returns why some could not be measured, by name.
    """
    groups = [list(names[i : i + GROUP]) for i in range(0, len(names), GROUP)]
    total = 2 * len(names) + record.conditions["rounds"] * len(groups)
    done = 0
    failed: dict[str, str] = {}

    def step(what: str) -> None:
        nonlocal done
        done += 1
        report(min(done, total), total, what)

    for group in groups:
        found, why = _measure_group(group, record.conditions, step)
        failed |= why
        record.networks |= {entry.name: entry for entry in found}
        if found:
            keep(record)
            record.write(*([file] if file else []))
    return failed


def _measure_group(
    names: list[str], conditions: Mapping[str, Any], step: Step
) -> tuple[list[Measurement], dict[str, str]]:
    """Measurements of those that can be measured, and why the others cannot."""
    asked = {key: conditions[key] for key in ("engine", "threads", "rounds")}
    with tempfile.TemporaryDirectory(prefix="litescene-bench-") as folder:
        job = Job(networks=names, folder=folder, size=tuple(conditions["size"]), **asked)
        try:
            answer = _ask("litescene.export.timing", [], folder, json.dumps(asdict(job)), step)
        except LitesceneError as error:
            if len(names) == 1:
                return [], {names[0]: str(error)}
            return _one_by_one(names, conditions, step)
        found = [Measurement.from_dict(entry) for entry in answer["measured"]]
        return [_with_memory(entry, job, step) for entry in found], answer["failed"]


def _one_by_one(
    names: list[str], conditions: Mapping[str, Any], step: Step
) -> tuple[list[Measurement], dict[str, str]]:
    """Where a network ended the process of its group: each in a process of its own."""
    found: list[Measurement] = []
    failed: dict[str, str] = {}
    for name in names:
        one, why = _measure_group([name], conditions, step)
        found += one
        failed |= why
    return found, failed


def _with_memory(entry: Measurement, job: Job, step: Step) -> Measurement:
    """The measurement with the peak memory of the network, where the system tells it."""
    ships = entry.weights == "shipped"
    bundle = shipped()[entry.name].path if ships else Path(job.folder) / f"{entry.name}.onnx"
    words = [str(bundle), entry.engine, str(job.threads), *map(str, job.size)]
    try:
        said = _ask("litescene.runtime.footprint", words, job.folder, "", step)
    except LitesceneError:
        return entry  # its times are good
    finally:
        step(f"memory of {entry.name}")
    if said["peak"] is None or said["before"] is None:
        return entry
    network = max(said["peak"] - said["before"], 0)
    return replace(entry, peak_bytes=said["peak"], network_bytes=network)


def _ask(module: str, words: list[str], folder: str, given: str, step: Step) -> dict[str, Any]:
    """Run a module of ours in a process of its own; its last line of JSON is the answer.

    The process has its own session: Ctrl-C reaches us alone, and we end it.
    """
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as said,
        subprocess.Popen(
            [sys.executable, "-m", module, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=said,
            text=True,
            env=os.environ | {"LITESCENE_CACHE": folder},
            start_new_session=True,
        ) as process,
    ):
        try:
            answer = _listen(process, given, step)
        except BaseException:
            process.kill()
            raise
        if answer is None or process.wait() != 0:
            process.wait()
            said.seek(0)
            last = said.read().strip().rpartition("\n")[2]
            raise LitesceneError(f"its process ended with code {process.returncode}: {last}")
        return answer


def _listen(process: subprocess.Popen[str], given: str, step: Step) -> dict[str, Any] | None:
    """Give the process its input and report its steps; the answer, if one comes."""
    answer = None
    stdin, stdout = process.stdin, process.stdout
    assert stdin is not None
    assert stdout is not None
    with stdin:
        stdin.write(given)
    for line in stdout:
        plain = json.loads(line)
        if "step" in plain:
            step(plain["step"])
        else:
            answer = plain
    return answer
