"""Tables of detectors in use, and of int8: speeds and what integers cost."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison import table


def detect_speed(file: Path) -> str:
    """From decoded picture to boxes, by engine; nothing where it was not measured."""
    if not file.is_file():
        return ""
    record = json.loads(file.read_text("utf-8"))
    rows = []
    for result in record["results"]:
        size = f"{result['size']}×{result['size']}"
        for path in result["paths"]:
            what = f"{path['form']}, {path['engine']}" if path["engine"] else "PyTorch eager"
            ms, ratio = spread(path["ms"]), path["ratio"]["median"]
            rows.append([f"`{result['model']}`", size, what, ms, f"{ratio:.2f}"])
    return (
        f"{table(['detector', 'fitted into', 'path', 'ms', 'times as fast'], rows)}\n\n"
        f"{origin(record['machine'])}"
    )


def int8(results: Path) -> str:
    """Accuracy and time of every bundle that was measured in int8."""
    parts = []
    for file in sorted(results.glob("int8_*.json")):
        record = json.loads(file.read_text("utf-8"))
        sizes = record["milliseconds"]
        head = ["form", "engine", "MB", f"{record['metric']} on val", *(f"{s}, ms" for s in sizes)]
        rows = []
        for form, megabytes in record["bytes"].items():
            for engine in next(iter(sizes.values()))[form]:
                scores = record["accuracy"][form].get(engine)
                times = [spread(forms[form][engine]) for forms in sizes.values()]
                rows.append([form, engine, f"{megabytes / 1e6:.1f}", accuracy(scores), *times])
        said = f"`{record['bundle']}`, `python benchmarks/int8.py {record['bundle']}`"
        parts.append(f"{said}:\n\n{table(head, rows)}\n\n{origin(record)}")
    return "\n\n".join(parts)


def accuracy(scores: Mapping[str, float] | None) -> str:
    """The mean over the data, and each where there are several."""
    if scores is None:
        return "-"
    single = [f"{spec.partition(':')[2]} {v:.3f}" for spec, v in scores.items() if spec != "mean"]
    return f"{scores['mean']:.4f}" + (f" ({', '.join(single)})" if len(single) > 1 else "")


def spread(times: Mapping[str, float]) -> str:
    """Median and quartiles."""
    return f"{times['median']:.1f} ({times['q1']:.1f} to {times['q3']:.1f})"


def origin(record: Mapping[str, Any]) -> str:
    """Where the figures come from."""
    return (
        f"({record['processor']}, {record['threads']} threads, {record['date']}, commit "
        f"{record['commit']})"
    )
