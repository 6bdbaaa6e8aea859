"""bf16 is used where the processor has instructions for it; elsewhere runs compute in float32."""

from __future__ import annotations

import json
import platform
from pathlib import Path

import pytest
import torch
from tiny_task import TinyTask, tiny_recipe

from litescene.cli.train import follow
from litescene.training import loop
from litescene.training.loop import Trainer
from litescene.training.precision import precision_here

ZEN3 = {"avx2": True, "avx512_f": False, "avx_vnni": False}
SKYLAKE_X = {
    "avx2": True,
    **dict.fromkeys(("avx512_f", "avx512_bw", "avx512_vl", "avx512_dq"), True),
}
LUNAR_LAKE = {"avx2": True, "avx_vnni": True, "avx_ne_convert": True}


def on(monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], machine: str) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: False)
    monkeypatch.setattr(platform, "machine", lambda: machine)


@pytest.mark.parametrize(
    ("capabilities", "machine", "found"),
    [
        (ZEN3, "x86_64", "32-true"),
        (ZEN3, "AMD64", "32-true"),
        (SKYLAKE_X, "x86_64", "bf16-mixed"),
        (LUNAR_LAKE, "x86_64", "bf16-mixed"),
        ({}, "aarch64", "bf16-mixed"),
    ],
)
def test_bf16_needs_instructions(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], machine: str, found: str
) -> None:
    on(monkeypatch, capabilities, machine)
    assert precision_here("bf16-mixed") == found
    assert precision_here("32-true") == "32-true"


def test_an_accelerator_computes_as_it_is_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    on(monkeypatch, ZEN3, "x86_64")
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    assert precision_here("bf16-mixed") == "bf16-mixed"


@pytest.mark.parametrize(("capabilities", "dtype"), [(ZEN3, "32-true"), (SKYLAKE_X, "bf16-mixed")])
def test_a_run_computes_in_it_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    capabilities: dict[str, bool],
    dtype: str,
) -> None:
    on(monkeypatch, capabilities, "x86_64")
    monkeypatch.setattr(loop, "create_task", TinyTask)
    trainer = Trainer(tiny_recipe(epochs=1, precision="bf16-mixed"), tmp_path / "run")
    with trainer.fabric.autocast():
        product = torch.ones(2, 2) @ torch.ones(2, 2)
    assert product.dtype == (torch.float32 if dtype == "32-true" else torch.bfloat16)
    follow(trainer, trainer.start)
    said = "no instructions for bf16" in capsys.readouterr().out
    assert said == (dtype == "32-true")
    card = json.loads((tmp_path / "run" / "last.json").read_text("utf-8"))
    assert card["precision"] == dtype
    assert card["recipe"]["precision"] == "bf16-mixed"
