"""Tables of detectors in use, and of int8: accuracy, speeds, and what integers cost."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from comparison import table

NAMES = tuple(f"yolov5_lite_{letter}" for letter in "escg")
SETS = ("road_signs", "road_cars", "penn_pedestrians")
SIZES = (320, 640)
EAGER = {"eager": "PyTorch eager", "channels_last": "PyTorch eager, channels-last"}


def detectors(results: Path) -> str:
    """The four detectors side by side: size, accuracy, milliseconds."""
    from litescene.export.profile import profile
    from litescene.models import create_model

    times = {
        (result["model"], result["size"]): result
        for result in read(results / "detect_speed.json").get("results", [])
    }
    rows = []
    for name in NAMES:
        measured = [read(results / f"{name}_{data}.json").get("metrics") for data in SETS]
        if None in measured:
            continue
        network = create_model(name, num_classes=80)
        macs = [f"{profile(network, (size, size)).macs / 1e9:.2f}" for size in SIZES]
        halves, whole = ([m[key] for m in measured] for key in ("ap50", "ap"))
        parameters = sum(p.numel() for p in network.parameters())
        rows.append(
            [
                f"`{name}`",
                f"{parameters:,}",
                ", ".join(macs),
                f"{mean(halves):.3f} ({', '.join(f'{v:.3f}' for v in halves)})",
                f"{mean(whole):.3f} ({', '.join(f'{v:.3f}' for v in whole)})",
                *(fastest(times.get((name, size))) for size in SIZES),
            ]
        )
    if not rows:
        return ""
    head = [
        "detector", "parameters (80 classes)", "GMACs at 320, 640", "AP50", "AP",
        *(f"ms in {size}×{size}" for size in SIZES),
    ]  # fmt: skip
    said = (
        f"AP50 and AP: mean over the validation splits of {', '.join(SETS)}, in brackets each, by "
        "`litescene evaluate`. Milliseconds from a decoded picture to its boxes: float32 in "
        "OpenVINO and ONNX Runtime, bf16, and int8 in both, as above."
    )
    return f"{table(head, rows)}\n\n{said}"


def fastest(result: Mapping[str, Any] | None) -> str:
    """Medians of every engine and form of a detector at one size."""
    if result is None:
        return "-"
    found = {(path["form"], path["engine"]): path["ms"]["median"] for path in result["paths"]}
    order = [
        ("float32", "openvino-f32"), ("float32", "onnxruntime"), ("float32", "openvino-bf16"),
        ("int8", "openvino-f32"), ("int8", "onnxruntime"),
    ]  # fmt: skip
    return ", ".join(f"{found[key]:.1f}" if key in found else "-" for key in order)


def detect_speed(file: Path) -> str:
    """From decoded picture to boxes, by engine; nothing where it was not measured."""
    rows, origins = [], []
    for result in read(file).get("results", []):
        size = f"{result['size']}×{result['size']}"
        for path in result["paths"]:
            form, engine = path["form"], path["engine"]
            what = f"{form}, {engine}" if engine else EAGER[form]
            ratios = [path[key] for key in ("ratio", "ratio_to_channels_last")]
            cells = [f"{ratio['median']:.2f}" if ratio else "-" for ratio in ratios]
            rows.append([f"`{result['model']}`", size, what, spread(path["ms"]), *cells])
        origins.append(origin(result["machine"]))
    if not rows:
        return ""
    head = ["detector", "fitted into", "path", "ms", "times as fast", "as channels-last"]
    return f"{table(head, rows)}\n\n{' '.join(dict.fromkeys(origins))}"


def int8(results: Path) -> str:
    """Accuracy and time of every bundle that was measured in int8."""
    parts = []
    for file in sorted(results.glob("int8_*.json")):
        record = read(file)
        speeds = {
            f"{size}, ms, {kind}": forms
            for kind, speed in record["speed"].items()
            for size, forms in speed["milliseconds"].items()
        }
        head = ["form", "engine", "MB", f"{record['metric']} on val", *speeds]
        engines = dict.fromkeys(
            e for forms in speeds.values() for form in forms.values() for e in form
        )
        rows = []
        for form, size in record["bytes"].items():
            for engine in engines:
                scores = record["accuracy"][form].get(engine)
                times = [forms[form].get(engine) for forms in speeds.values()]
                cells = ["-" if t is None else spread(t) for t in times]
                rows.append([form, engine, f"{size / 1e6:.1f}", accuracy(scores), *cells])
        said = f"`{record['bundle']}`, `python benchmarks/int8.py {record['bundle']}`"
        origins = [f"accuracy {record['date']}, commit {record['commit']}"]
        origins += [f"{kind} {origin(speed)}" for kind, speed in record["speed"].items()]
        parts.append(f"{said}:\n\n{table(head, rows)}\n\n{'; '.join(origins)}")
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


def read(file: Path) -> dict[str, Any]:
    """A record; empty where it was not measured."""
    found: dict[str, Any] = json.loads(file.read_text("utf-8")) if file.is_file() else {}
    return found


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)
