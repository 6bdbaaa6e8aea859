"""Networks that were pickled whole: weights are read, and nothing of their classes is run."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import pytest
import torch
from test_foreign_keys import official
from torch import Tensor, nn

from litescene.core import CheckpointError
from litescene.training import load_model
from litescene.training.foreign import import_checkpoint, read_weights
from litescene.training.foreign.files import read_network
from litescene.training.foreign.modules import ForeignModule, state_of


@pytest.fixture
def theirs() -> Iterator[Any]:
    """A class in the place where the official code has its network; its code must never run."""
    package, module = ModuleType("models"), ModuleType("models.yolo")

    class Model(nn.Module):
        alarms: ClassVar[list[str]] = []

        def __setstate__(self, state: dict[str, Any]) -> None:
            self.alarms.append("set")
            super().__setstate__(state)  # type: ignore[no-untyped-call]

    Model.__module__, Model.__qualname__ = "models.yolo", "Model"
    module.Model = Model  # type: ignore[attr-defined]
    sys.modules |= {"models": package, "models.yolo": module}
    yield Model
    assert not Model.alarms
    del sys.modules["models"], sys.modules["models.yolo"]


def with_weights(model: nn.Module, weights: dict[str, Tensor]) -> nn.Module:
    """The module with weights at the dotted names, as parameters and buffers of plain modules."""
    for name, value in weights.items():
        *path, leaf = name.split(".")
        place = model
        for part in path:
            if part not in place._modules:
                place.add_module(part, nn.Module())
            place = place.get_submodule(part)
        if leaf.startswith(("running", "anchor")):
            place.register_buffer(leaf, value)
        else:
            place.register_parameter(leaf, nn.Parameter(value))
    return model


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("key", ["model", "ema", None])
def test_a_network_pickled_in_half_precision_is_imported(
    tmp_path: Path, theirs: Any, zipped: bool, key: str | None
) -> None:
    weights, ours = official("yolov5_lite_e", num_classes=3)
    model = with_weights(theirs(), weights).half()
    model.names = ["cat", "dog", "cow"]  # type: ignore[assignment]
    model.stride = torch.tensor([8.0, 16.0, 32.0])
    model.hyp = {"lr0": 0.001}  # type: ignore[assignment]
    whole = {"epoch": -1, "model": None, "ema": None, "optimizer": None, "best_fitness": 0.1}
    file, out = tmp_path / "best.pt", tmp_path / "out.safetensors"
    torch.save({**whole, key: model} if key else model, file, _use_new_zipfile_serialization=zipped)
    card = import_checkpoint("yolov5_lite_e", file, out)
    assert card["taxonomy"]["names"] == ["cat", "dog", "cow"]
    assert (card["task"], card["size"], card["license"]) == ("detection", [320, 320], "GPL-3.0")
    loaded, _ = load_model(out)
    state = loaded.state_dict()
    for name, value in ours.items():
        torch.testing.assert_close(state[name], value.half().float(), rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["car", "car", "dog"], "names two classes 'car'; name them with --classes"),
        ({0: "cat", "x": "dog", "y": "cow"}, "3 classes, which are unknown; name them"),
    ],
)
def test_names_that_are_no_classes_are_refused(
    tmp_path: Path, theirs: Any, names: Any, message: str
) -> None:
    weights, _ = official("yolov5_lite_e", num_classes=3)
    model = with_weights(theirs(), weights)
    model.names = names
    torch.save({"model": model}, tmp_path / "x.pt")
    with pytest.raises(CheckpointError, match=message):
        import_checkpoint("yolov5_lite_e", tmp_path / "x.pt", tmp_path / "out.safetensors")


def test_the_moving_average_is_preferred(tmp_path: Path, theirs: Any) -> None:
    first, second = (with_weights(theirs(), {"a.weight": torch.full((2,), v)}) for v in (1.0, 2.0))
    torch.save({"model": first, "ema": second}, tmp_path / "x.pt")
    assert read_weights(tmp_path / "x.pt")["a.weight"].tolist() == [2, 2]
    torch.save({"model": first, "ema": None}, tmp_path / "y.pt")
    assert read_network(tmp_path / "y.pt")[1] == ()
    assert read_weights(tmp_path / "y.pt")["a.weight"].tolist() == [1, 1]


def test_a_network_within_itself_is_refused() -> None:
    ring = ForeignModule(name="models.yolo.Model")
    ring.attributes = {"_modules": {"again": ring}}
    with pytest.raises(CheckpointError, match="nested deeper"):
        state_of(ring)
    wide = ForeignModule(name="models.yolo.Model", attributes={"_buffers": [1]})
    with pytest.raises(CheckpointError, match="no _buffers"):
        state_of(wide)


def test_many_paths_to_one_module_come_to_an_end() -> None:
    leaf = ForeignModule(name="a", attributes={"_buffers": {"x": torch.zeros(1)}})
    for _ in range(30):
        leaf = ForeignModule(name="a", attributes={"_modules": {"l": leaf, "r": leaf}})
    with pytest.raises(CheckpointError, match="more than 100,000"):
        state_of(leaf)
    empty = ForeignModule(name="a")
    for _ in range(30):
        empty = ForeignModule(name="a", attributes={"_modules": {"l": empty, "r": empty}})
    with pytest.raises(CheckpointError, match="more than 100,000"):
        state_of(empty)
