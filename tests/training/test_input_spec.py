"""Weights keep the input that they expect: channel order, mean and standard deviation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_task import TinyTask, tiny_recipe
from torch import nn

from litescene.core import CheckpointError
from litescene.models import InputSpec, create_model
from litescene.training import load_checkpoint, load_model, loop, save_checkpoint
from litescene.training.loop import Trainer

SPEC = InputSpec((0.1, 0.2, 0.3), (40.0, 50.0, 60.0), bgr=True)


def test_the_channels_are_put_in_order_before_they_are_normalised() -> None:
    red, green, blue = 255.0, 51.0, 0.0
    x = torch.tensor([red, green, blue])[None, :, None, None].expand(2, 3, 4, 5)
    given = SPEC.normalised(x)
    wanted = torch.tensor([(0.0 - 0.1) / 40, (0.2 - 0.2) / 50, (1.0 - 0.3) / 60])
    torch.testing.assert_close(given, wanted[None, :, None, None].expand(2, 3, 4, 5))
    as_rgb = InputSpec(SPEC.mean, SPEC.std).normalised(x)[0, :, 0, 0]
    torch.testing.assert_close(as_rgb, torch.tensor([0.9 / 40, 0.0, -0.3 / 60]))


def test_a_card_gives_the_network_its_input(tmp_path: Path) -> None:
    model = create_model("espnet_c_p2q3", num_classes=3)
    card: dict[str, Any] = {"model": {"name": "espnet_c_p2q3", "options": {"num_classes": 3}}}
    file = tmp_path / "x.safetensors"
    save_checkpoint(file, model.state_dict(), card)
    assert load_model(file)[0].input_spec == InputSpec()
    save_checkpoint(file, model.state_dict(), card | {"input": SPEC.to_dict()})
    assert load_model(file)[0].input_spec == SPEC
    assert create_model("espnet_c_p2q3").input_spec == InputSpec()
    for damaged in ({}, {"mean": [0, 0, 0], "std": [1, 1, 0], "bgr": False}, {"mean": 1}, 3):
        save_checkpoint(file, model.state_dict(), card | {"input": damaged})
        with pytest.raises(CheckpointError, match="input convention is damaged"):
            load_model(file)


def test_a_training_that_starts_from_weights_keeps_their_input_to_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "create_task", TinyTask)
    init = tmp_path / "init.safetensors"
    save_checkpoint(init, nn.Linear(2, 1).state_dict(), {"input": SPEC.to_dict()})
    recipe = tiny_recipe(epochs=1, model={"name": "pp_liteseg_t", "init": str(init)})
    first = Trainer(recipe, tmp_path / "run")
    first.start()
    assert load_checkpoint(tmp_path / "run/last.safetensors").card["input"] == {
        "mean": [0.1, 0.2, 0.3],
        "std": [40.0, 50.0, 60.0],
        "bgr": True,
    }
    init.unlink()
    again = Trainer(recipe, tmp_path / "run")
    again.resume()
    for network in (first.network, again.network, again.average.shadow):
        assert network.input_spec == SPEC
