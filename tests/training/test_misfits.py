"""Checkpoints, data and sizes that do not belong together: one clear error each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import save
from tiny_task import tiny_recipe

from litescene.core import CAMVID, CITYSCAPES, CheckpointError, DataError, RecipeError, Taxonomy
from litescene.models import create_model
from litescene.models.pruning import prune_channels
from litescene.training import load_model, save_checkpoint
from litescene.training.checkpoint import initialise_from
from litescene.training.evaluation import evaluate_checkpoint
from litescene.training.recipe import Recipe
from litescene.training.tasks.segmentation import SegmentationTask

SMALL = "espnet_c_p2q3"
CPU = torch.device("cpu")


def stored(path: Path, name: str = SMALL, classes: int = 11, **card: Any) -> Path:
    """A checkpoint of a network with random weights."""
    plain = {
        "task": "segmentation",
        "taxonomy": CAMVID.to_dict(),
        "size": [64, 64],
        "model": {"name": name, "options": {"num_classes": classes}},
        **card,
    }
    save_checkpoint(path, create_model(name, num_classes=classes).state_dict(), plain)
    return path


def pictures(root: Path, size: tuple[int, int], val: tuple[int, int] | None = None) -> Path:
    """Two grey pictures of a class per split in the CamVid layout."""
    for split, shape in (("train", size), ("val", val or size)):
        for folder, pixels in (
            (split, np.full((*shape, 3), 90, np.uint8)),
            (f"{split}annot", np.full(shape, 3, np.uint8)),
        ):
            (root / folder).mkdir(parents=True)
            for index in range(2):
                cv2.imwrite(str(root / folder / f"{index}.png"), pixels)
    return root


def recipe(data: Path, *stages: dict[str, int], name: str = SMALL) -> Recipe:
    table = {"data": f"camvid:{data}", "stages": list(stages) or [{"height": 64, "width": 64}]}
    return tiny_recipe(batch_size=2, model={"name": name}, segmentation=table)


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "its card is damaged"), ("[1]", "its card is no table"), ("[" * 100_000, "damaged")],
)
def test_a_damaged_card_is_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(save({"w": torch.ones(1)}, {"litescene_card": text}))
    with pytest.raises(CheckpointError, match=rf"x\.safetensors: .*{message}"):
        load_model(path)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"name": "espnat"}, r"x\.safetensors .*no model 'espnat'; did you mean espnet"),
        ({"name": SMALL, "options": {"q": 3}}, rf"x\.safetensors: .*options of {SMALL}.*'q'"),
        ({"name": SMALL, "options": {"num_classes": 19}}, r"11 classes.*network has 19"),
        ({"name": SMALL, "options": 3}, r"x\.safetensors: "),
        ({"name": "pp_liteseg_t", "options": {"num_classes": 11}}, r"does not fit.*missing"),
        ({}, "names no model"),
        (3, "names no model"),
    ],
)
def test_a_card_that_is_not_of_its_weights_is_refused(
    model: Any, message: str, tmp_path: Path
) -> None:
    if isinstance(model, dict) and "name" in model:
        model = {"options": {"num_classes": 11}, **model}
    with pytest.raises(CheckpointError, match=message) as error:
        load_model(stored(tmp_path / "x.safetensors", model=model))
    assert "\n" not in str(error.value)


def test_weights_for_other_classes_are_refused_with_their_shapes(tmp_path: Path) -> None:
    file = stored(tmp_path / "x.safetensors", classes=5, taxonomy=CITYSCAPES.to_dict(),
                  model={"name": SMALL, "options": {"num_classes": 19}})  # fmt: skip
    with pytest.raises(CheckpointError, match=r"x\.safetensors.* is \(5, .*expected \(19, "):
        load_model(file)


def test_a_network_for_other_classes_starts_with_a_random_classifier(tmp_path: Path) -> None:
    file = stored(tmp_path / "x.safetensors", classes=11)
    model = create_model(SMALL, num_classes=5)
    left = initialise_from(model, file)
    given, state = load_model(file)[0].state_dict(), model.state_dict()
    assert 0 < len(left) < 10
    assert all(5 in state[name].shape for name in left)
    assert all(torch.equal(v, given[n]) for n, v in state.items() if n not in left)


@pytest.mark.parametrize("classes", [11, 5])
def test_a_wider_network_gives_the_channels_that_weigh_most(classes: int, tmp_path: Path) -> None:
    file = stored(tmp_path / "x.safetensors", name="icnet_full")
    model = create_model("icnet", num_classes=classes)
    left = initialise_from(model, file)
    pruned = prune_channels(load_model(file)[0], 0.5).state_dict()
    state = model.state_dict()
    assert all(torch.equal(value, pruned[n]) for n, value in state.items() if n not in left)
    assert all(classes in state[name].shape for name in left)
    assert bool(left) == (classes != 11)


def test_an_encoder_that_was_trained_before_is_taken(tmp_path: Path) -> None:
    left = initialise_from(create_model("espnet_p2q3"), stored(tmp_path / "x.safetensors"))
    assert left


@pytest.mark.parametrize("other", ["enet", "pp_liteseg_t", "espnetv2_s050"])
def test_weights_of_another_system_are_refused_and_not_begun_with(
    other: str, tmp_path: Path
) -> None:
    model = create_model(other)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(CheckpointError, match=rf"x\.safetensors.*{SMALL}.*%") as error:
        initialise_from(model, stored(tmp_path / "x.safetensors"))
    assert "\n" not in str(error.value)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_data_of_other_classes_are_refused_by_an_evaluation(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", (64, 64))
    two = Taxonomy("two", ("sky", "road"), ((0, 0, 0), (1, 1, 1)))
    file = stored(tmp_path / "x.safetensors", classes=2, taxonomy=two.to_dict())
    with pytest.raises(DataError, match=r"x\.safetensors knows 'two' \(sky, road\).*'camvid11'"):
        evaluate_checkpoint(file, f"camvid:{root}", "val")
    for damaged in ({"taxonomy": None}, {"taxonomy": {"name": "x"}}, {"task": None}):
        with pytest.raises(CheckpointError, match=r"x\.safetensors"):
            evaluate_checkpoint(
                stored(tmp_path / "x.safetensors", **damaged), f"camvid:{root}", "val"
            )


@pytest.mark.parametrize(
    ("size", "val", "said"), [((40, 80), None, "80×40"), ((64, 64), (80, 63), "63×80")]
)
def test_pictures_that_are_too_small_for_networks_are_refused_before_an_epoch(
    size: tuple[int, int], val: tuple[int, int] | None, said: str, tmp_path: Path
) -> None:
    root = pictures(tmp_path / "set", size, val)
    with pytest.raises(DataError, match=rf"0\.png.* {said}.*64×64"):
        SegmentationTask(recipe(root), CPU)


@pytest.mark.parametrize(
    ("picture", "label", "said"),
    [((64, 64), 77, r"1\.png: unknown label value 77"), ((40, 64), 3, "64×40; networks take")],
)
def test_what_is_wrong_with_val_is_said_before_the_training(
    tmp_path: Path, picture: tuple[int, int], label: int, said: str
) -> None:
    root = pictures(tmp_path / "set", (64, 64))
    cv2.imwrite(str(root / "val/1.png"), np.full((*picture, 3), 90, np.uint8))
    cv2.imwrite(str(root / "valannot/1.png"), np.full(picture, label, np.uint8))
    with pytest.raises(DataError, match=said):
        SegmentationTask(recipe(root), CPU)


def test_an_evaluation_refuses_pictures_that_are_too_small(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", (64, 64), (64, 33))
    file = stored(tmp_path / "x.safetensors")
    with pytest.raises(DataError, match=r"0\.png is 33×64.*64×64"):
        evaluate_checkpoint(file, f"camvid:{root}", "val")


def test_a_stage_that_is_too_small_is_refused(tmp_path: Path) -> None:
    wanted = r"stages\.1\.width: .*64 \(given: 63\)"
    stages = {"height": 64, "width": 64}, {"epoch": 1, "height": 64, "width": 63}
    with pytest.raises(RecipeError, match=wanted):
        SegmentationTask(recipe(pictures(tmp_path / "set", (64, 64)), *stages), CPU)


@pytest.mark.parametrize("name", ["pp_liteseg_t", "enet", "edanet", SMALL])
def test_sizes_that_no_stride_divides_are_trained_and_evaluated(name: str, tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", (75, 101))
    task = SegmentationTask(recipe(root, {"height": 67, "width": 93}, name=name), CPU)
    model = task.build_model()
    (batch,) = task.batches(0, 0, 1)
    assert batch.images.shape == (2, 3, 67, 93)
    losses = task.losses(model.train(), batch)
    assert all(bool(torch.isfinite(value)) for value in losses.values())
    assert task.evaluate(model.eval())["pixels"] == 2 * 75 * 101


def test_a_split_without_pictures_is_refused(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", (64, 64))
    for file in (root / "val").iterdir():
        file.unlink()
    with pytest.raises(DataError, match=r"split 'val' has no pictures in the camvid layout"):
        SegmentationTask(recipe(root), CPU)


def test_labels_outside_the_classes_end_an_evaluation_with_file_and_value(tmp_path: Path) -> None:
    root = pictures(tmp_path / "set", (64, 64))
    labels = np.full((64, 64), 3, np.uint8)
    labels[5, 7] = 254
    cv2.imwrite(str(root / "valannot" / "1.png"), labels)
    wanted = r"valannot/1\.png: unknown label value 254; known are 0-11, 255"
    with pytest.raises(DataError, match=wanted):
        evaluate_checkpoint(stored(tmp_path / "x.safetensors"), f"camvid:{root}", "val")
