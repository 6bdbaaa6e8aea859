"""The tables of detectors in the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(Path(__file__).parent.parent / "docs")
    import detectors

    return detectors


def ms(median: float) -> dict[str, float]:
    return {"median": median, "q1": median - 1, "q3": median + 1}


MACHINE = {"processor": "P", "threads": 2, "date": "D", "commit": "C"}


def written(folder: Path) -> Path:
    paths: list[dict[str, Any]] = [
        {"form": "eager", "engine": "", "ms": ms(20)},
        {"form": "channels_last", "engine": "", "ms": ms(16)},
        {"form": "float32", "engine": "openvino-f32", "ms": ms(4)},
        {"form": "int8", "engine": "onnxruntime", "ms": ms(8)},
    ]
    for path in paths:
        median = path["ms"]["median"]
        path |= {
            "ratio": {"median": 20 / median},
            "ratio_to_channels_last": {"median": 16 / median},
        }
    result = {"model": "yolov5_lite_e", "size": 320, "paths": paths, "machine": MACHINE}
    (folder / "detect_speed.json").write_text(json.dumps({"results": [result]}))
    for data, ap50 in (("road_signs", 0.8), ("road_cars", 0.9), ("penn_pedestrians", 1.0)):
        record: Any = {"metrics": {"ap50": ap50, "ap": ap50 / 2}}
        (folder / f"yolov5_lite_e_{data}.json").write_text(json.dumps(record))
    return folder


def test_a_detector_has_a_line_with_its_accuracy_and_times(
    tables: ModuleType, tmp_path: Path
) -> None:
    lines = tables.detectors(written(tmp_path)).splitlines()
    (line,) = [line for line in lines if "`yolov5_lite_" in line]
    assert "| 787,085 |" in line
    assert "| 0.900 (0.800, 0.900, 1.000) | 0.450 (0.400, 0.450, 0.500) |" in line
    assert line.endswith("| 4.0, -, -, -, 8.0 | - |")


def test_every_path_has_a_line_with_its_quartiles_and_the_record_its_origin(
    tables: ModuleType, tmp_path: Path
) -> None:
    text = tables.detect_speed(written(tmp_path) / "detect_speed.json")
    assert (
        "| `yolov5_lite_e` | 320×320 | PyTorch eager | 20.0 (19.0 to 21.0) | 1.00 | 0.80 |" in text
    )
    assert "| PyTorch eager, channels-last | 16.0 (15.0 to 17.0) | 1.25 | 1.00 |" in text
    assert "| float32, openvino-f32 | 4.0 (3.0 to 5.0) | 5.00 | 4.00 |" in text
    assert text.endswith("(P, 2 threads, D, commit C)")


def test_int8_stands_beside_float32(tables: ModuleType, tmp_path: Path) -> None:
    engines, slow = {"openvino-f32": ms(6), "openvino-bf16": ms(5)}, {"openvino-f32": ms(9)}
    record = {
        "bundle": "b", "metric": "ap50", "bytes": {"float32": 3_000_000, "int8": 1_000_000},
        "accuracy": {
            form: {"openvino-f32": {"voc:x": value, "coco:y": value + 0.1, "mean": value + 0.05}}
            for form, value in (("float32", 0.8), ("int8", 0.7))
        },
        **MACHINE,
        "speed": {
            kind: {"milliseconds": {"320×320": {"float32": ms, "int8": ms}}, **MACHINE}
            for kind, ms in (("with VNNI", engines), ("without VNNI", slow))
        },
    }  # fmt: skip
    (tmp_path / "int8_b.json").write_text(json.dumps(record))
    text = tables.int8(tmp_path)
    times = "6.0 (5.0 to 7.0) | 9.0 (8.0 to 10.0)"
    assert f"| int8 | openvino-f32 | 1.0 | 0.7500 (x 0.700, y 0.800) | {times} |" in text
    assert "| float32 | openvino-bf16 | 3.0 | - | 5.0 (4.0 to 6.0) | - |" in text


def test_nothing_is_written_of_what_was_not_measured(tables: ModuleType, tmp_path: Path) -> None:
    assert tables.detectors(tmp_path) == ""
    assert tables.int8(tmp_path) == ""
    assert tables.detect_speed(tmp_path / "detect_speed.json") == ""
