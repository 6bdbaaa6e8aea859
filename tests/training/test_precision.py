"""bf16 is used where the processor is faster in it; elsewhere runs compute in float32."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
import torch
from tiny_task import TinyTask, tiny_recipe

from litescene.cli.train import follow
from litescene.training import loop, precision
from litescene.training.loop import Trainer
from litescene.training.precision import precision_here

AVX512 = dict.fromkeys(("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"), True)
ZEN3 = {"avx2": True, "avx512_f": False, "avx_vnni": False}
ZEN5 = AVX512 | {"avx512_bf16": True}
SKYLAKE_X = AVX512
SAPPHIRE_RAPIDS = AVX512 | {"avx512_bf16": True, "amx_bf16": True}
HIDDEN_AMX = AVX512 | {"avx512_bf16": True, "amx_bf16": False}
LUNAR_LAKE = {"avx2": True, "avx_vnni": True, "avx_ne_convert": True}


def on(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], name: str, machine: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setattr(precision, "processor", lambda: name)


@pytest.mark.parametrize(
    ("capabilities", "name", "machine", "found"),
    [
        (ZEN3, "AMD EPYC", "x86_64", "32-true"),
        (ZEN3, "AMD EPYC", "AMD64", "32-true"),
        (ZEN5, "AMD EPYC", "x86_64", "bf16-mixed"),
        (SKYLAKE_X, "Intel Xeon", "x86_64", "32-true"),
        (SAPPHIRE_RAPIDS, "Intel Xeon", "x86_64", "bf16-mixed"),
        (HIDDEN_AMX, "Intel Xeon", "x86_64", "32-true"),
        (LUNAR_LAKE, "Intel Core", "x86_64", "32-true"),
        ({}, "Neoverse", "aarch64", "bf16-mixed"),
    ],
)
def test_bf16_is_for_processors_that_are_faster_in_it(
    monkeypatch: pytest.MonkeyPatch,
    capabilities: dict[str, bool],
    name: str,
    machine: str,
    found: str,
) -> None:
    on(monkeypatch, capabilities, name, machine)
    assert precision_here("bf16-mixed") == found
    assert precision_here("32-true") == "32-true"


def test_an_accelerator_computes_as_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, ZEN3, "AMD EPYC", "x86_64")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert precision_here("bf16-mixed") == "bf16-mixed"


@pytest.mark.parametrize(("capabilities", "dtype"), [(ZEN3, "32-true"), (ZEN5, "bf16-mixed")])
def test_a_run_computes_in_it_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    capabilities: dict[str, bool],
    dtype: str,
) -> None:
    on(monkeypatch, capabilities, "AMD EPYC", "x86_64")
    monkeypatch.setattr(loop, "create_task", TinyTask)
    trainer = Trainer(tiny_recipe(epochs=1, precision="bf16-mixed"), tmp_path / "run")
    with trainer.fabric.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.float32 if dtype == "32-true" else torch.bfloat16)
    follow(trainer, trainer.start)
    said = "no faster in bf16" in capsys.readouterr().out
    assert said == (dtype == "32-true")
    card = json.loads((tmp_path / "run" / "last.json").read_text("utf-8"))
    assert card["precision"] == dtype
    assert card["recipe"]["precision"] == "bf16-mixed"
