"""What an epoch of segmentation training consists of."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from litescene.core import DataError, RecipeError
from litescene.data.segmentation import SegmentationData
from litescene.metrics.segmentation_report import TILE, WRONG
from litescene.models.spec import InputSpec
from litescene.training.loop import Trainer
from litescene.training.recipe import Recipe, recipe_from_dict
from litescene.training.tasks.segmentation import SegmentationTask, evaluate_segmentation


def write_set(root: Path, count: int, first: int, size: tuple[int, int] = (64, 64)) -> Path:
    """Pictures in the CamVid layout; picture i is uniformly grey of value first + i."""
    for split, n in (("train", count), ("val", 1)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for i in range(n):
            cv2.imwrite(str(root / split / f"{i}.png"), np.full((*size, 3), first + i, np.uint8))
            labels = np.full(size, i % 11, np.uint8)
            cv2.imwrite(str(root / f"{split}annot" / f"{i}.png"), labels)
    return root


def recipe(main: Path, extra: list[dict[str, object]], **more: object) -> Recipe:
    plain = {
        "name": "x",
        "task": "segmentation",
        "epochs": 2,
        "batch_size": 3,
        "model": {"name": "pp_liteseg_t"},
        "segmentation": {
            "data": f"camvid:{main}",
            "extra": extra,
            "stages": [{"height": 64, "width": 64, "scale": [1.0, 1.0]}],
            "jitter": 0.0,
            "hue": 0.0,
            "flip": 0.0,
        }
        | more,
    }
    return recipe_from_dict(plain, "test")


def values(task: SegmentationTask, epoch: int) -> list[int]:
    """Grey values of the pictures of an epoch, sorted."""
    batches = task.batches(epoch, 0, 1)
    return sorted(int(v) for b in batches for v in b.images.mean((1, 2, 3)).round())


def test_an_epoch_has_every_picture_once(tmp_path: Path) -> None:
    task = SegmentationTask(recipe(write_set(tmp_path / "a", 6, 10), []), torch.device("cpu"))
    assert task.steps_per_epoch() == 2
    assert values(task, 0) == values(task, 1) == [10, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("stride", [1, 2])
def test_every_pixel_comes_before_the_main_head_and_before_training_heads(
    tmp_path: Path, stride: int
) -> None:
    options = recipe(write_set(tmp_path / "a", 6, 10), [], loss_stride=stride)
    task = SegmentationTask(options, torch.device("cpu"))
    main, heads = torch.zeros(64, 64), torch.zeros(64, 64)
    for epoch in range(80):
        for batch in task.batches(epoch, 0, 1):
            batch.grid.of(main).add_(1)
            batch.heads_grid.of(heads).add_(1)
            assert batch.heads_grid.stride == 2 * batch.grid.stride == 2 * stride
    assert main.all()
    assert heads.all()


def test_so_many_pictures_of_an_extra_source_join_anew_each_epoch(tmp_path: Path) -> None:
    main, other = write_set(tmp_path / "a", 6, 10), write_set(tmp_path / "b", 8, 100)
    extra: list[dict[str, object]] = [{"data": f"camvid:{other}", "pictures": 3}]
    task = SegmentationTask(recipe(main, extra), torch.device("cpu"))
    assert task.steps_per_epoch() == 3
    epochs = [values(task, e) for e in range(5)]
    assert all(e[:6] == [10, 11, 12, 13, 14, 15] and len(set(e)) == 9 for e in epochs)
    assert len({tuple(e[6:]) for e in epochs}) > 1
    assert task.counts.sum() == 6 * 64 * 64
    assert task.card()["data"]["pictures"] == [6, 8]


def test_a_stage_has_its_own_jitter_and_mix(tmp_path: Path) -> None:
    plain = {"height": 64, "width": 64, "scale": [1.0, 1.0]}
    stages = [plain, plain | {"epoch": 1, "jitter": 0.0, "mix": 0.0}]
    main = write_set(tmp_path / "a", 6, 100)
    halves = np.repeat(np.arange(2, dtype=np.uint8), 32)[None].repeat(64, 0)
    for i in range(6):  # mixing moves one class of two
        cv2.imwrite(str(main / "trainannot" / f"{i}.png"), halves)
    task = SegmentationTask(
        recipe(main, [], stages=stages, jitter=0.5, mix=1.0), torch.device("cpu")
    )
    seen = [[batch.images for batch in task.batches(epoch, 0, 1)] for epoch in range(2)]
    assert values(task, 0) != [100, 101, 102, 103, 104, 105]
    assert values(task, 1) == [100, 101, 102, 103, 104, 105]
    spread = [max(float(i.std((2, 3)).max()) for i in images) for images in seen]
    assert spread[0] > 1 > spread[1]  # a mixed picture has pixels of two grey values


def test_extra_pictures_of_another_size_are_refused(tmp_path: Path) -> None:
    main = write_set(tmp_path / "a", 3, 10)
    other = write_set(tmp_path / "b", 3, 100, (64, 80))
    with pytest.raises(DataError, match="80×64"):
        SegmentationTask(
            recipe(main, [{"data": f"camvid:{other}", "pictures": 3}]), torch.device("cpu")
        )


def test_fewer_pictures_than_a_batch_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"0 batches of 3.*lower batch_size"):
        Trainer(recipe(write_set(tmp_path / "a", 2, 10), []), tmp_path / "run")


def test_pictures_of_one_source_are_held_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[np.ndarray] = []
    load_all = SegmentationData.load_all

    def kept(data: SegmentationData, size: None) -> tuple[np.ndarray, np.ndarray]:
        loaded.extend(load_all(data))
        return loaded[0], loaded[1]

    monkeypatch.setattr(SegmentationData, "load_all", kept)
    task = SegmentationTask(recipe(write_set(tmp_path / "a", 3, 10), []), torch.device("cpu"))
    assert task.images.data_ptr() == loaded[0].ctypes.data
    assert task.labels.data_ptr() == loaded[1].ctypes.data


def two_sizes(root: Path) -> Path:
    """Train: two pictures of 256×128 and one of 128×128; val: two that are half dark, half light.

    Labels of val are 0 in the dark and 1 in the light half.
    """
    sets = {"train": [(128, 256), (128, 256), (128, 128)], "val": [(200, 400), (400, 200)]}
    for split, sizes in sets.items():
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for i, size in enumerate(sizes):
            labels = np.zeros(size, np.uint8)
            labels[:, size[1] // 2 :] = 1
            cv2.imwrite(str(root / split / f"{i}.png"), np.repeat(labels[..., None] * 255, 3, 2))
            cv2.imwrite(str(root / f"{split}annot" / f"{i}.png"), labels)
    return root


def test_a_size_brings_pictures_of_several_sizes_to_one_area(tmp_path: Path) -> None:
    root = two_sizes(tmp_path)
    with pytest.raises(DataError, match=r"2\.png: 128×128, but .* segmentation\.size brings"):
        SegmentationTask(recipe(root, []), torch.device("cpu"))
    task = SegmentationTask(recipe(root, [], size=[176, 186]), torch.device("cpu"))
    # 32,736 pixels of two to one, in multiples of 32
    assert task.card()["size"] == [128, 256]
    (batch,) = task.batches(0, 0, 1)
    assert batch.images.shape == (3, 3, 64, 64)
    with pytest.raises(RecipeError, match=r"size\.0: .*greater than or equal to 64"):
        SegmentationTask(recipe(root, [], size=[32, 120]), torch.device("cpu"))


class Halves(nn.Module):
    """Class 1 where the picture is light, 0 where it is dark; logits at an eighth."""

    input_spec = InputSpec()
    align_corners = False

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, int]] = []

    def head_logits(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append((x.shape[2], x.shape[3]))
        light = nn.functional.avg_pool2d(x.mean(1, keepdim=True), 8)
        return torch.cat([-light, light, *[torch.full_like(light, -9.0)] * 9], 1)


def test_pictures_are_seen_at_the_trained_area_and_measured_at_their_own_size(
    tmp_path: Path,
) -> None:
    task = SegmentationTask(recipe(two_sizes(tmp_path), [], size=[176, 186]), torch.device("cpu"))
    network = Halves()
    figures = task.evaluate(network)
    assert network.seen == [(128, 256), (256, 128)]
    assert figures["pixels"] == 2 * 200 * 400
    assert figures["mean_iou"] == 1.0
    network.seen.clear()
    evaluate_segmentation(network, task.val, torch.device("cpu"))
    assert network.seen == [(200, 400), (400, 200)]


def test_a_run_shows_its_validation_at_the_pictures_own_sizes(tmp_path: Path) -> None:
    task = SegmentationTask(recipe(two_sizes(tmp_path), [], size=[176, 186]), torch.device("cpu"))
    files = task.pictures(Halves())
    assert set(files) == {"confusion.png", "pictures.png", "worst.png"}
    sheet = cv2.imdecode(np.frombuffer(files["worst.png"], np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    assert sheet.shape[1] == 4 * TILE
    light = (sheet[: TILE // 2 + TILE, : 2 * TILE] == 255).all(axis=2)
    assert light[40 : TILE // 2, TILE // 2 : TILE].all()  # of 400×200, as it is and blended
    assert light[TILE // 2 + 40 :, TILE // 2 : 3 * TILE // 4].all()  # of 200×400
    assert not (sheet == WRONG).all(axis=2).any()
