"""Restoration as a task: samples, losses, metrics, and the settings that it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from litescene.core import DataError, LitesceneError, RecipeError
from litescene.data import open_restoration
from litescene.data.restoration_crops import CropOptions, random_crop
from litescene.metrics import psnr, ssim
from litescene.models.restoration.network import RestorationNetwork
from litescene.training import Trainer, load_checkpoint
from litescene.training.losses.restoration import charbonnier, l1
from litescene.training.recipe import recipe_from_dict
from litescene.training.tasks.restoration import RestorationTask, evaluate_restoration

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Fifteen frames of 160×136 in which texture moves by two pixels a frame."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(3)
    rough = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    wall = cv2.resize(rough, (240, 160), interpolation=cv2.INTER_CUBIC)
    for index in range(15):
        cv2.imwrite(str(folder / f"{index}.png"), wall[:136, 2 * index : 2 * index + 160])
    return folder


def plain(frames: Path, model: str = "edsr_light_x2", **settings: Any) -> dict[str, Any]:
    table = {"data": f"video:{frames}", "pictures": 4, "crop": 64} | settings
    return {
        "name": "tiny",
        "task": "restoration",
        "epochs": 4,
        "batch_size": 2,
        "evaluate_every": 2,
        "precision": "32-true",
        "model": {"name": model, "options": {"upsampling": "adaunpool"}},
        "restoration": table,
    }


def task_of(frames: Path, model: str = "edsr_light_x2", **settings: Any) -> RestorationTask:
    return RestorationTask(recipe_from_dict(plain(frames, model, **settings), "test"), CPU)


def test_losses_are_their_formulas() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.random((2, 3, 4, 5)), rng.random((2, 3, 4, 5))
    given, truth = torch.from_numpy(a), torch.from_numpy(b)
    assert float(l1(given, truth)) == pytest.approx(np.mean(np.abs(a - b)))
    expected = np.mean(np.sqrt((a - b) ** 2 + 1e-6))
    assert float(charbonnier(given, truth)) == pytest.approx(expected)
    zero = truth.clone().requires_grad_()
    charbonnier(zero, truth).backward()
    assert zero.grad is not None
    assert not zero.grad.any()


def test_inputs_of_super_resolution_are_the_means_of_the_truth(frames: Path) -> None:
    batches = list(task_of(frames).batches(0, 0, 1))
    assert len(batches) == 2
    for batch in batches:
        assert batch.truth.shape == (2, 3, 64, 64)
        assert 0 <= float(batch.truth.min()) < float(batch.truth.max()) <= 1
        means = F.avg_pool2d(255 * batch.truth, 2)
        assert float((batch.inputs - means).abs().max()) <= 0.5 + 1e-4
    assert not torch.equal(batches[0].truth, batches[1].truth)


def shift(one: Tensor, other: Tensor) -> int:
    """By how many columns the first 3×h×w must be moved to be the second; 0 for none of ±2."""
    inner = other[:, :, 4:-4]
    fits = [s for s in (-2, 2) if torch.allclose(one.roll(s, 2)[:, :, 4:-4], inner, atol=1e-3)]
    return fits[0] if len(fits) == 1 else 0


def test_a_frame_between_two_is_their_neighbour_in_either_direction(frames: Path) -> None:
    """Texture moves by two pixels a frame, to the left, or mirrored or in reverse to the right."""
    directions = set()
    for batch in task_of(frames, "unet_interpolation", pictures=16).batches(0, 0, 1):
        for pair, truth in zip(batch.inputs, 255 * batch.truth, strict=True):
            moved = shift(pair[:3], truth)
            assert moved == shift(truth, pair[3:]) != 0
            directions.add(moved)
    assert directions == {-2, 2}


def test_crops_depend_on_seed_epoch_and_position_alone(frames: Path) -> None:
    def truths(task: RestorationTask, epoch: int, rank: int = 0, world: int = 1) -> list[Tensor]:
        return [batch.truth for batch in task.batches(epoch, rank, world)]

    one, other = task_of(frames, pictures=8), task_of(frames, pictures=8)
    list(other.batches(0, 0, 1))
    assert all(map(torch.equal, truths(one, 1), truths(other, 1)))
    assert not any(map(torch.equal, truths(one, 1), truths(one, 2)))
    shared = [truths(one, 1, rank, 2) for rank in (0, 1)]
    whole = truths(one, 1)
    assert all(map(torch.equal, [shared[0][0], shared[1][0], shared[0][1], shared[1][1]], whole))


def test_crops_are_turned_over_as_often_as_is_said() -> None:
    """A corner that only this place has tells how a crop of the whole picture was turned."""
    window = tuple(np.full((8, 8, 3), value, np.uint8) for value in (1, 2, 3))
    for image in window:
        image[0, 0] = 100
    seen: dict[tuple[int, int, int], int] = {}
    for index in range(400):
        options = CropOptions(8, 1, flip=0.5, upside_down=0.25, reverse=1.0)
        (before, _), truth = random_crop(window, options, np.random.default_rng(index), "set")
        row, column = np.argwhere(truth[..., 0] == 100)[0]
        assert truth.flags.c_contiguous
        key = int(row), int(column), int(before[3, 3, 0])
        seen[key] = seen.get(key, 0) + 1
    assert {key[2] for key in seen} == {3}
    assert sum(n for (_, column, _), n in seen.items() if column == 7) == pytest.approx(200, abs=40)
    assert sum(n for (row, _, _), n in seen.items() if row == 7) == pytest.approx(100, abs=35)


class Enlarger(RestorationNetwork):
    """The nearest pixel, a tenth brighter."""

    factor = 2

    def estimate(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="nearest") * 1.1


class Mean(RestorationNetwork):
    """Weights with which hardly a value is half-way between two levels."""

    pictures = 2

    def estimate(self, x: Tensor) -> Tensor:
        return 0.37 * x[:, :3] + 0.63 * x[:, 3:]


@pytest.mark.parametrize("network", [Enlarger(), Mean()], ids=["larger", "between"])
def test_evaluation_is_the_mean_over_whole_pictures(
    frames: Path, network: RestorationNetwork
) -> None:
    pictures = network.pictures
    data = open_restoration(f"video:{frames}", "val", pictures)
    stored = [cv2.imread(str(frames / f"{i}.png"))[..., ::-1] for i in (12, 13, 14)]
    if pictures == 2:
        exact = 0.37 * stored[0] + 0.63 * stored[2]
        pairs = [(np.rint(exact).astype(np.uint8), stored[1])]
    else:
        means = [s.reshape(68, 2, 80, 2, 3).astype(np.float64).mean((1, 3)) for s in stored]
        small = [np.floor(m + 0.5) for m in means]
        large = [np.rint(np.clip(s * 1.1, 0, 255)).repeat(2, 0).repeat(2, 1) for s in small]
        pairs = list(zip([x.astype(np.uint8) for x in large], stored, strict=True))
    found = evaluate_restoration(network.eval(), data, CPU)
    assert found["pictures"] == len(pairs)
    # OpenCV's mean may round a half either way
    assert found["psnr"] == pytest.approx(np.mean([psnr(*p) for p in pairs]), abs=0.02)
    assert found["ssim"] == pytest.approx(np.mean([ssim(*p) for p in pairs]), abs=1e-3)
    every = evaluate_restoration(network, data, CPU, every=2)
    assert every["pictures"] == (len(pairs) + 1) // 2


@pytest.mark.parametrize(
    ("model", "settings", "error", "said"),
    [
        ("edsr_light_x4", {"crop": 66}, RecipeError, "66 is no multiple of the network's factor 4"),
        ("edsr_light_x2", {"crop": 32}, RecipeError, "crop"),
        ("edsr_light_x2", {"los": "l1"}, RecipeError, "did you mean 'loss'"),
        ("edsr_light_x2", {"loss": "l2"}, RecipeError, "charbonnier"),
        ("espnet", {}, RecipeError, "a network for segmentation"),
    ],
)
def test_settings_that_do_not_fit_are_named(
    frames: Path, model: str, settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        task_of(frames, model, **settings)


def test_pictures_smaller_than_the_crops_are_named(frames: Path) -> None:
    with pytest.raises(DataError, match=r"160×136, smaller than the crops of 140×140"):
        task_of(frames, crop=140)
    with pytest.raises(DataError, match=r"val has pictures of 80×72; .* from 128×128 on"):
        task_of(frames, data=f"video:{frames}@80x72", crop=64)


def test_a_picture_of_val_that_cannot_be_read_is_said_before_the_training(
    frames: Path, tmp_path: Path
) -> None:
    shutil.copytree(frames, tmp_path / "frames")
    (tmp_path / "frames" / "14.png").write_bytes(b"no picture")
    with pytest.raises(LitesceneError, match=r"14\.png"):
        task_of(tmp_path / "frames")


def state_of(folder: Path, name: str) -> dict[str, Tensor]:
    return load_checkpoint(folder / f"{name}.safetensors").tensors


@pytest.mark.parametrize("model", ["edsr_light_x2", "unet_interpolation"])
def test_a_run_that_is_gone_on_with_ends_bit_equal(
    frames: Path, tmp_path: Path, model: str
) -> None:
    recipe = recipe_from_dict(plain(frames, model, loss="charbonnier"), "test")
    Trainer(recipe, tmp_path / "whole").start()

    class Killed(Exception):
        pass

    def kill(at: Any) -> None:
        if at.epoch == 2:
            raise Killed

    with pytest.raises(Killed):
        Trainer(recipe, tmp_path / "broken", kill).start()
    Trainer(recipe, tmp_path / "broken").resume()
    for name in ("last", "best", "resume"):
        whole, broken = state_of(tmp_path / "whole", name), state_of(tmp_path / "broken", name)
        assert whole.keys() == broken.keys()
        assert all(torch.equal(whole[key], broken[key]) for key in whole), name
    card = load_checkpoint(tmp_path / "whole" / "last.safetensors").card
    side = 32 if model == "edsr_light_x2" else 64
    assert (card["task"], card["size"]) == ("restoration", [side, side])
    assert card["result"]["psnr"] > 15
