"""Detection as a task: batches, a few steps of training, evaluation."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from litescene.core import DataError, LitesceneError, RecipeError
from litescene.data import memory
from litescene.data.detection import open_detection
from litescene.training import load_model
from litescene.training.loop import Trainer
from litescene.training.recipe import load_recipe, recipe_from_dict
from litescene.training.run_folder import RunFolder
from litescene.training.tasks.detection import (
    DetectionTask,
    detect_picture,
    evaluate_detection,
    sizes_of,
)

CPU = torch.device("cpu")


@pytest.fixture
def shapes(tmp_path: Path) -> Path:
    """White rectangles ("box") and discs ("disc") on dark pictures of several shapes."""
    root = tmp_path / "shapes"
    for split, count in (("train", 6), ("val", 3)):
        g = np.random.default_rng(len(split))
        images: list[dict[str, Any]] = []
        entries: list[dict[str, Any]] = []
        for i in range(count):
            height, width = int(g.integers(80, 110)), int(g.integers(80, 140))
            image = np.full((height, width, 3), 20, np.uint8)
            side = int(g.integers(24, 40))
            x, y = int(g.integers(2, width - side)), int(g.integers(2, height - side))
            if i % 2:
                image[y : y + side, x : x + side] = 255
            else:
                middle = (x + side // 2, y + side // 2)
                cv2.circle(image, middle, side // 2 - 1, (255, 255, 255), -1)
            name = f"{split}{i}.png"
            (root / "images").mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(root / "images" / name), image)
            images.append({"id": i, "file_name": name})
            entry = {"id": i, "image_id": i, "category_id": i % 2, "bbox": [x, y, side, side]}
            entries.append(entry)
        plain = {
            "images": images,
            "annotations": entries,
            "categories": [{"id": 0, "name": "disc"}, {"id": 1, "name": "box"}],
        }
        (root / "annotations").mkdir(exist_ok=True)
        (root / "annotations" / f"{split}.json").write_text(json.dumps(plain))
    return root


def make_task(root: Path, **detection: Any) -> DetectionTask:
    settings = {
        "train": [{"data": f"coco:{root}"}],
        "val": [f"coco:{root}"],
        "taxonomy": "own",
        "pictures": 8,
        "size": 96,
        "stages": [
            {"epoch": 0, "size": 64, "mosaic": 0.5},
            {"epoch": 2, "size": 96, "mosaic": 0.0},
        ],
        **detection,
    }
    plain = {
        "name": "shapes",
        "task": "detection",
        "epochs": 3,
        "batch_size": 4,
        "model": {"name": "yolov5_lite_e"},
        "detection": settings,
    }
    return DetectionTask(recipe_from_dict(plain, "test"), CPU)


def test_pictures_that_are_validated_on_and_trained_on_are_said(
    shapes: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make_task(shapes)
    assert not caplog.messages
    same = f"coco:{shapes}/annotations/train.json"
    make_task(shapes, train=[{"data": same}], val=[same])
    (said,) = caplog.messages
    assert said.startswith("6 of the 6 pictures of coco:train:val are trained on as well")


def test_batches_depend_on_the_epoch_alone(shapes: Path) -> None:
    first, second = make_task(shapes), make_task(shapes)
    list(first.batches(0, 0, 1))
    for a, b in zip(first.batches(1, 0, 1), second.batches(1, 0, 1), strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.targets, b.targets)
        assert torch.equal(a.known, b.known)
    again = next(first.batches(0, 0, 1))
    assert not torch.equal(again.images, next(first.batches(1, 0, 1)).images)


def test_two_processes_share_the_batches_of_an_epoch(shapes: Path) -> None:
    task = make_task(shapes)
    whole = list(task.batches(0, 0, 1))
    parts = [next(task.batches(0, rank, 2)) for rank in (0, 1)]
    for a, b in zip(whole, parts, strict=True):
        assert torch.equal(a.images, b.images)


def test_three_processes_get_equally_many_batches(shapes: Path) -> None:
    task = make_task(shapes, pictures=16)
    parts = [list(task.batches(0, rank, 3)) for rank in range(3)]
    assert [len(part) for part in parts] == [1, 1, 1]
    whole = list(task.batches(0, 0, 1))
    assert len(whole) == 4
    for rank, (part,) in enumerate(parts):
        assert torch.equal(part.images, whole[rank].images)


def test_batches_are_those_of_the_mix_in_order(shapes: Path) -> None:
    task = make_task(shapes)
    for step, batch in enumerate(task.batches(1, 0, 1)):
        pictures = [task.mix.picture(0, 1, step * 4 + i, 64, 0.5) for i in range(4)]
        wanted = np.stack([p.image for p in pictures]).transpose(0, 3, 1, 2)
        np.testing.assert_array_equal((batch.images * 255).round().numpy(), wanted)


def test_two_validation_sources_of_one_name_are_refused(shapes: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "shapes"
    shutil.copytree(shapes, other)
    with pytest.raises(RecipeError, match=r"val lists two sources of one name \(shapes, shapes\)"):
        make_task(shapes, val=[f"coco:{shapes}", f"coco:{other}"])


@pytest.mark.parametrize("split", ["train", "val"])
@pytest.mark.parametrize("crowds", [False, True])
def test_a_split_without_an_object_is_refused_before_the_training(
    shapes: Path, split: str, crowds: bool
) -> None:
    path = shapes / "annotations" / f"{split}.json"
    plain = json.loads(path.read_text())
    entries = [{**entry, "iscrowd": 1} for entry in plain["annotations"]]
    path.write_text(json.dumps({**plain, "annotations": entries if crowds else []}))
    count = len(plain["images"])
    said = rf"\[detection\]: coco:.*shapes, split {split}: none of {count} pictures has a box"
    with pytest.raises(DataError, match=said):
        make_task(shapes)


def test_a_picture_of_val_that_cannot_be_read_is_said_before_the_training(shapes: Path) -> None:
    plain = json.loads((shapes / "annotations/val.json").read_text())
    picture = next(shapes.rglob(plain["images"][-1]["file_name"]))
    picture.write_bytes(b"no picture")
    with pytest.raises(LitesceneError, match=picture.name):
        make_task(shapes)


def test_pictures_that_leave_too_little_memory_are_refused(
    shapes: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "available_memory", lambda: memory.RESERVE - 1)
    said = r"\[detection\].train: after 1 of 6 pictures .* bytes of memory are left, .*; take fewer"
    with pytest.raises(DataError, match=said):
        make_task(shapes)


def test_a_table_of_boxes_without_splits_is_split_by_name(tmp_path: Path) -> None:
    lines = ["image,xmin,ymin,xmax,ymax,class"]
    (tmp_path / "mine" / "images").mkdir(parents=True)
    for i in range(12):
        cv2.imwrite(str(tmp_path / f"mine/images/{i}.png"), np.full((64, 80, 3), 9 * i, np.uint8))
        lines.append(f"{i}.png,10,10,40,50,cup")
    (tmp_path / "mine" / "boxes.csv").write_text("\n".join(lines))
    spec = f"boxcsv:{tmp_path / 'mine'}"
    task = make_task(tmp_path, train=[{"data": spec}], val=[spec])
    assert task.taxonomy.names == ("cup",)
    train, val = ([s.picture for s in data.samples] for data in (*task.mix.sources, *task.val))
    assert len({*train, *val}) == len(train) + len(val) == 12
    assert len(next(task.batches(0, 0, 1)).targets) > 0


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"scale": [1.5, 0.5]}, "scale: .*a range is 0 < least <= most"),
        ({"scale": [0.0, 0.5]}, "scale: .*a range is 0 < least <= most"),
        ({"scale": [0.5, float("nan")]}, "scale.1: .*finite number"),
        ({"scale": [0.5, float("inf")]}, "scale.1: .*finite number"),
        ({"hsv": [0.1, -0.1, 0.1]}, "hsv.1: .*greater than or equal to 0"),
        ({"hsv": [0.1, 0.1, 2.0]}, "hsv.2: .*less than or equal to 1"),
        ({"hsv": [0.1, 0.1, float("nan")]}, "hsv.2: "),
    ],
)
def test_ranges_that_cannot_be_drawn_from_are_refused(
    shapes: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecipeError, match=rf"\[detection\]: {message}") as error:
        make_task(shapes, **settings)
    assert "\n" not in str(error.value)


def test_stages_set_the_size_of_the_pictures(shapes: Path) -> None:
    task = make_task(shapes)
    for epoch, size in ((0, 64), (1, 64), (2, 96)):
        batch = next(task.batches(epoch, 0, 1))
        assert batch.images.shape == (4, 3, size, size)
        assert batch.images.is_contiguous(memory_format=torch.channels_last)
        assert 0 <= float(batch.images.min()) <= float(batch.images.max()) <= 1
        assert batch.known.shape == (4, size // 8, size // 8, 2)
        assert batch.targets.shape[1] == 6
        assert float(batch.targets[:, 2:].min()) > 0
        assert float(batch.targets[:, 2:].max()) <= 1


def test_rectangular_batches_have_one_shape_each_and_shares_of_their_own_sides(
    shapes: Path,
) -> None:
    stages = [{"epoch": 0, "size": 128, "mosaic": 0.0, "rectangular": True}]
    task = make_task(shapes, stages=stages, pictures=16, scale=[1.0, 1.0], flip=0.0)
    batches = list(task.batches(0, 0, 1))
    shapes_seen = {tuple(batch.images.shape[2:]) for batch in batches}
    assert len(batches) == 4
    assert all(max(shape) == 128 and min(shape) % 32 == 0 for shape in shapes_seen)
    assert any(height != width for height, width in shapes_seen)
    for batch in batches:
        height, width = batch.images.shape[2:]
        assert batch.known.shape[1:3] == (height // 8, width // 8)
        for picture, _, cx, cy, _, _ in batch.targets.tolist():
            # The objects are the only bright things: their centres are bright.
            pixel = batch.images[int(picture), :, int(cy * height), int(cx * width)]
            assert float(pixel.min()) > 0.4
    model = task.build_model().train()
    assert float(task.losses(model, batches[0])["loss"].detach()) > 0


def test_batches_of_many_scales_stay_within_the_spread(shapes: Path) -> None:
    task = make_task(shapes, pictures=64, multi_scale=0.5)
    assert sizes_of(96, 0.5) == [64, 96, 128]
    assert sizes_of(640, 0.5) == list(range(320, 961, 32))
    assert sizes_of(416, 0.0) == [416]
    sizes = [int(batch.images.shape[-1]) for batch in task.batches(2, 0, 1)]
    assert set(sizes) == {64, 96, 128}
    halves = [[b.images.shape[-1] for b in task.batches(2, rank, 2)] for rank in (0, 1)]
    assert sizes == [size for pair in zip(*halves, strict=True) for size in pair]


def test_weights_of_classes_are_by_name_or_by_the_boxes(shapes: Path) -> None:
    named = make_task(shapes, class_weights={"box": 3.0})
    assert named._class_weights == (1.0, 3.0)
    assert make_task(shapes)._class_weights == ()
    shutil.copy(shapes / "images" / "train0.png", shapes / "images" / "more.png")
    truth = json.loads((shapes / "annotations" / "train.json").read_text())
    truth["images"].append({"id": 99, "file_name": "more.png"})
    for i in range(3):
        more = {"id": 90 + i, "image_id": 99, "category_id": 1, "bbox": [1 + i, 1, 9, 9]}
        truth["annotations"].append(more)
    (shapes / "annotations" / "train.json").write_text(json.dumps(truth))
    inverse = make_task(shapes, class_weights="inverse")._class_weights  # 3 discs, 6 boxes
    assert inverse == pytest.approx((4 / 3, 2 / 3))
    with pytest.raises(RecipeError, match="did you mean box"):
        make_task(shapes, class_weights={"bix": 2.0})


def test_a_finished_run_shows_its_validation(shapes: Path, tmp_path: Path) -> None:
    task = make_task(shapes)
    Trainer(task.recipe.model_copy(update={"epochs": 1}), tmp_path / "run").start()
    drawn = sorted(p.name for p in (tmp_path / "run" / "pictures").iterdir())
    assert drawn == [
        f"shapes_{n}.png" for n in ("confusion", "pictures", "precision_recall", "worst")
    ]
    shutil.rmtree(tmp_path / "run" / "pictures")
    trainer = Trainer(RunFolder(tmp_path / "run").recipe(), tmp_path / "run")
    trainer.resume()  # killed before it drew
    assert len(list((tmp_path / "run" / "pictures").iterdir())) == 4


def test_settings_that_contradict_each_other_are_refused(shapes: Path) -> None:
    stages = [{"epoch": 0, "size": 64, "mosaic": 0.5, "rectangular": True}]
    with pytest.raises(RecipeError, match="a rectangular stage has no mosaics"):
        make_task(shapes, stages=stages)


def test_a_few_steps_lower_the_loss(shapes: Path) -> None:
    torch.manual_seed(0)
    task = make_task(shapes)
    model = task.build_model().train()
    optimizer = torch.optim.AdamW(task.parameter_groups(model), lr=2e-3)
    history = []
    for _ in range(6):
        for batch in task.batches(0, 0, 1):
            losses = task.losses(model, batch)
            optimizer.zero_grad()
            losses["loss"].backward()
            optimizer.step()
            history.append(float(losses["loss"].detach()))
    assert np.mean(history[-4:]) < 0.85 * np.mean(history[:2])


class _SeesWhite(nn.Module):
    """Reports the bright region as one object: a box (1) where it is full, else a disc (0)."""

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = (x[0, 0] > 0.75).nonzero(as_tuple=True)
        x1, x2, y1, y2 = columns.min(), columns.max() + 1, rows.min(), rows.max() + 1
        box = torch.stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1))
        scores = torch.tensor([1.0, 0.0, 0.0])
        full = len(rows) > 0.9 * float((x2 - x1) * (y2 - y1))
        scores[1 + int(full)] = 0.9
        return torch.cat((box, scores))[None, None]


def test_a_detector_that_is_right_scores_one_in_the_pictures_own_pixels(shapes: Path) -> None:
    data = open_detection(f"coco:{shapes}", "val")
    scores = evaluate_detection(_SeesWhite(), data, 320, CPU)
    assert scores["ap50_per_class"] == {"disc": pytest.approx(1.0), "box": pytest.approx(1.0)}


def test_boxes_are_clipped_to_the_picture(shapes: Path) -> None:
    data = open_detection(f"coco:{shapes}", "val")
    image = np.full((70, 90, 3), 255, np.uint8)
    found = detect_picture(_SeesWhite(), image, data.taxonomy, 320, CPU)
    np.testing.assert_allclose(found.boxes, [[0, 0, 90, 70]], atol=0.5)
    assert found.boxes.max() <= 90
    assert found.classes.tolist() == [1]


class _SeesLayout(_SeesWhite):
    """Keeps the strides of the picture that it was given."""

    def forward(self, x: Tensor) -> Tensor:
        self.strides = x[0].stride()
        return super().forward(x)


@pytest.mark.parametrize(
    ("layout", "strides"),
    [(torch.contiguous_format, (64 * 64, 64, 1)), (torch.channels_last, (1, 64 * 3, 3))],
)
def test_the_network_gets_the_picture_in_the_layout_asked_for(
    shapes: Path, layout: torch.memory_format, strides: tuple[int, ...]
) -> None:
    network, taxonomy = _SeesLayout(), open_detection(f"coco:{shapes}", "val").taxonomy
    image = np.full((64, 64, 3), 255, np.uint8)
    detect_picture(network, image, taxonomy, 64, CPU, layout=layout)
    assert network.strides == strides


def test_the_task_reports_one_figure_per_source_and_their_mean(shapes: Path) -> None:
    task = make_task(shapes)
    record = task.evaluate(task.build_model().eval())
    assert record["ap50"] == pytest.approx(record["ap50_shapes"])
    assert set(record["sources"]) == {"shapes"}
    assert task.card()["taxonomy"]["names"] == ["disc", "box"]
    assert task.card()["size"] == [96, 96]


def test_wrong_settings_are_named(shapes: Path) -> None:
    with pytest.raises(RecipeError, match=r"unknown key 'mosaics'"):
        make_task(shapes, mosaics=1)
    with pytest.raises(RecipeError, match="size"):
        make_task(shapes, size=100)


@pytest.mark.parametrize("name", ["yolov5_lite_e", "yolov5_lite_s"])
def test_the_shipped_recipes_are_valid(name: str) -> None:
    from litescene.training.tasks.detection import DetectionSettings

    recipe = load_recipe(name)
    settings = DetectionSettings.model_validate(recipe.settings)
    assert recipe.model.name == name
    assert [s.epoch for s in settings.stages] == sorted(s.epoch for s in settings.stages)
    assert settings.stages[-1].epoch < recipe.epochs


def test_anchors_are_fitted_where_the_networks_own_meet_too_few_boxes(
    shapes: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    plain = make_task(shapes, anchors="auto")
    assert plain.recipe.model.options == {}, "squares of 24 to 40 pixels meet COCO's anchors"
    for split in ("train", "val"):
        file = shapes / "annotations" / f"{split}.json"
        whole = json.loads(file.read_text())
        for entry in whole["annotations"]:
            x, y, side, _ = entry["bbox"]
            entry["bbox"] = [x, y, side, 2.5]  # as flat as no anchor
        more = [{**e, "id": 100 + e["id"]} for e in whole["annotations"]]
        file.write_text(json.dumps({**whole, "annotations": whole["annotations"] + more}))
    with caplog.at_level("INFO", logger="litescene"):
        task = make_task(shapes, anchors="auto")
    assert "fitted ones 100.0 %" in caplog.text
    model: Any = task.build_model()
    sizes = np.array(model.anchors)
    assert sizes.shape == (3, 3, 2)
    assert (sizes[..., 0] > 4 * sizes[..., 1]).all()
    again = DetectionTask(task.recipe, CPU)
    assert again.recipe == task.recipe
    trainer = Trainer(task.recipe.model_copy(update={"epochs": 1}), tmp_path / "run")
    trainer.start()
    loaded, card = load_model(tmp_path / "run" / "last.safetensors")
    assert np.array_equal(np.array(card["model"]["options"]["anchors"]), sizes)
    assert np.array_equal(np.array(loaded.anchors), sizes)
    few = json.loads((shapes / "annotations/train.json").read_text())
    few["annotations"] = few["annotations"][:3]
    (shapes / "annotations/train.json").write_text(json.dumps(few))
    with pytest.raises(RecipeError, match="9 anchors need as many boxes"):
        make_task(shapes, anchors="auto")
