"""What an epoch of classification consists of, its losses, and a run that is gone on with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import Tensor, nn

from litescene.core import CheckpointError, DataError, InputError, RecipeError
from litescene.export import export_checkpoint
from litescene.media import VideoWriter
from litescene.models import InputSpec, create_model
from litescene.training import load_checkpoint, load_model, save_checkpoint
from litescene.training.evaluation import evaluate_checkpoint
from litescene.training.loop import Progress, Trainer
from litescene.training.recipe import EmaSection, Recipe, recipe_from_dict
from litescene.training.tasks.classification import ClassificationTask
from litescene.training.tasks.classification_samples import ClassificationBatch, network_input

CPU = torch.device("cpu")


def write_pictures(root: Path, count: int = 6) -> Path:
    """Picture i of a class is uniformly grey; the values tell all of them apart."""
    for split in ("train", "val"):
        for label, name in enumerate(("dark", "light")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                image = np.full((50 + i, 70, 3), 40 + 120 * label + 5 * i, np.uint8)
                PIL.Image.fromarray(image).save(root / split / name / f"{i}.png")
    return root


def write_clips(root: Path) -> Path:
    """Two classes of clips: brightness rises or falls."""
    for split, count in (("train", 2), ("val", 1)):
        for name, sign in (("falls", -1), ("rises", 1)):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                with VideoWriter(root / split / name / f"{i}.mp4", 96, 80, rate=10) as video:
                    for t in range(10):
                        grey = np.full((80, 96, 3), 120 + sign * 10 * t + i, np.uint8)
                        video.write(grey, t / 10)
    return root


def recipe(root: Path, *, kind: str = "imagefolder", model: str = "resnet18", **more: object
           ) -> Recipe:  # fmt: skip
    plain = {
        "name": "x",
        "task": "classification",
        "epochs": 4,
        "batch_size": 4,
        "evaluate_every": 2,
        "precision": "32-true",
        "model": {"name": model},
        "optimizer": {"name": "sgd", "lr": 0.01},
        "classification": {
            "data": f"{kind}:{root}",
            "size": 64,
            "stages": [{"size": 64}, {"epoch": 2, "size": 80}],
            "jitter": 0.0,
            "hue": 0.0,
        }
        | more,
    }
    return recipe_from_dict(plain, "test")


def test_an_epoch_has_every_picture_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    task = ClassificationTask(recipe(write_pictures(tmp_path)), CPU)
    assert task.steps_per_epoch() == 3
    wanted = sorted(40 + 120 * label + 5 * i for label in range(2) for i in range(6))
    orders = []
    for epoch in (0, 2):
        batches = list(task.batches(epoch, 0, 1))
        side = 64 if epoch == 0 else 80
        assert all(b.images.shape == (4, 3, 1, side, side) for b in batches)
        values = [int(v) for b in batches for v in b.images.mean((1, 2, 3, 4)).round()]
        labels = [int(v) for b in batches for v in b.labels]
        assert sorted(values) == wanted
        assert labels == [int(v > 100) for v in values]
        orders.append(values)
    assert orders[0] != orders[1]


def test_batches_depend_on_seed_and_epoch_alone(tmp_path: Path) -> None:
    root = write_pictures(tmp_path)
    one, other = (ClassificationTask(recipe(root, jitter=0.4, hue=0.1), CPU) for _ in range(2))
    list(one.batches(0, 0, 1))
    for a, b in zip(one.batches(1, 0, 1), other.batches(1, 0, 1), strict=True):
        assert torch.equal(a.images, b.images)
        assert torch.equal(a.labels, b.labels)


def test_colours_change_with_the_picture(tmp_path: Path) -> None:
    task = ClassificationTask(recipe(write_pictures(tmp_path), jitter=0.5, hue=0.1), CPU)
    plain = {40 + 120 * label + 5 * i for label in range(2) for i in range(6)}
    means = [float(v) for b in task.batches(0, 0, 1) for v in b.images.mean((1, 2, 3, 4))]
    assert len([m for m in means if all(abs(m - p) > 0.5 for p in plain)]) > 3


class _Fixed(nn.Module):
    """Gives the logits that it was made with, and remembers its input."""

    def __init__(self, outputs: dict[str, Tensor]) -> None:
        super().__init__()
        self.outputs = outputs

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        self.seen = x
        return self.outputs


def smoothed(logits: np.ndarray, labels: np.ndarray, share: float) -> float:
    """Cross-entropy with a share of every label spread over all classes, in float64."""
    logs = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    target = np.full(logits.shape, share / logits.shape[1])
    target[np.arange(len(labels)), labels] += 1 - share
    return float(-(target * logs).sum(1).mean())


def test_losses_are_smoothed_cross_entropies_and_a_weighted_training_head(tmp_path: Path) -> None:
    root = write_pictures(tmp_path)
    task = ClassificationTask(recipe(root, label_smoothing=0.2, auxiliary=0.4), CPU)
    rng = np.random.default_rng(0)
    main, head = rng.normal(size=(2, 3, 2))
    labels = np.array([0, 1, 1])
    batch = ClassificationBatch(torch.full((3, 3, 1, 64, 64), 51.0), torch.tensor(labels))
    outputs = {"logits": torch.tensor(main), "aux_17": torch.tensor(head)}
    model = _Fixed(outputs)
    found = {name: float(value) for name, value in task.losses(model, batch).items()}
    wanted = [smoothed(x, labels, 0.2) for x in (main, head)]
    assert found == pytest.approx(
        {"loss": wanted[0] + 0.4 * wanted[1], "main": wanted[0], "aux_17": wanted[1]}, abs=1e-6
    )
    torch.testing.assert_close(model.seen, torch.full((3, 3, 64, 64), 51 / 255))  # PLAIN
    plain = task.losses(_Fixed({"logits": torch.tensor(main)}), batch)
    assert plain.keys() == {"loss"}


def test_the_input_is_normalised_per_channel_for_pictures_and_for_clips() -> None:
    spec = InputSpec((0.1, 0.2, 0.3), (0.5, 0.25, 0.125))
    images = torch.rand(2, 3, 4, 5, 6) * 255
    mean, std = (torch.tensor(v).view(1, 3, 1, 1, 1) for v in (spec.mean, spec.std))
    for frames in (0, 16):
        model = nn.Identity()
        model.input_spec, model.clip_frames = spec, frames  # type: ignore[assignment]
        given = images if frames else images[:, :, :1]
        wanted = (given / 255 - mean) / std
        found = network_input(given, model)
        torch.testing.assert_close(found, wanted if frames else wanted[:, :, 0])


def equal(a: Path, b: Path) -> bool:
    one, two = load_checkpoint(a).tensors, load_checkpoint(b).tensors
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


@pytest.mark.slow
def test_a_run_that_was_ended_in_an_epoch_goes_on_bit_equal(tmp_path: Path) -> None:
    wanted = recipe(write_pictures(tmp_path / "set"), jitter=0.4, hue=0.1)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    Trainer(wanted, whole).start()

    def stop(at: Progress) -> None:
        if (at.epoch, at.step) == (2, 2):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Trainer(wanted, broken, stop).start()
    again = Trainer(wanted, broken)
    again.resume()
    for name in ("last.safetensors", "best.safetensors", "resume.safetensors"):
        assert equal(whole / name, broken / name), name


@pytest.mark.slow
def test_brightness_is_learned_and_the_card_says_what_was_seen(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "set")
    # Batches of the whole set: batch norms that have seen few pictures at a time would decide.
    changes = {
        "epochs": 24,
        "batch_size": 12,
        "evaluate_every": 24,
        "ema": EmaSection(decay=0.0),
    }
    Trainer(recipe(root, crop_share=0.9).model_copy(update=changes), tmp_path / "run").start()
    best = tmp_path / "run" / "best.safetensors"
    card = load_model(best)[1]
    assert (card["task"], card["size"], card["crop_share"]) == ("classification", [64, 64], 0.9)
    assert card["taxonomy"]["names"] == ["dark", "light"]
    assert card["data"]["pictures"] == [12, 12]
    found, _ = evaluate_checkpoint(best, f"imagefolder:{root}", "val")
    assert found["top1"] == card["result"]["top1"]
    assert found["top1"] > 0.9


def test_clips_are_trained_measured_and_not_exported(tmp_path: Path) -> None:
    root = write_clips(tmp_path / "set")
    wanted = recipe(
        root, kind="clipfolder", model="resnet3d_18", frames=3, frame_stride=2,
        stages=[{"size": 64}],
    )  # fmt: skip
    trainer = Trainer(wanted.model_copy(update={"epochs": 1}), tmp_path / "run")
    (batch,) = trainer.task.batches(0, 0, 1)
    assert batch.images.shape == (4, 3, 3, 64, 64)
    # Frames of one clip are two steps of brightness, 2·10, apart, up or down as their class says.
    steps = batch.images.mean((1, 3, 4)).diff(dim=1)
    signs = torch.where(batch.labels == 1, 1.0, -1.0)[:, None]
    torch.testing.assert_close(steps, 20 * signs.expand(4, 2), atol=1.5, rtol=0)
    trainer.start()
    last = tmp_path / "run" / "last.safetensors"
    card = load_checkpoint(last).card
    assert (card["frames"], card["frame_stride"]) == (3, 2)
    found, _ = evaluate_checkpoint(last, f"clipfolder:{root}", "val")
    assert found["top1"] == card["result"]["top1"]
    with pytest.raises(InputError, match="takes clips"):
        export_checkpoint(last, tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("kind", "model", "said"),
    [
        ("imagefolder", "resnet3d_18", "takes clips, and .* has pictures"),
        ("clipfolder", "resnet18", "takes pictures, and .* has clips"),
        ("imagefolder", "pp_liteseg_t", "network for segmentation"),
    ],
)
def test_networks_that_do_not_fit_the_data_are_refused(
    kind: str, model: str, said: str, tmp_path: Path
) -> None:
    root = (write_pictures if kind == "imagefolder" else write_clips)(tmp_path / "set")
    with pytest.raises(RecipeError, match=said):
        Trainer(recipe(root, kind=kind, model=model), tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": [{"size": 32}]}, "greater than or equal to 64"),
        ({"stages": [{"size": 64, "scale": [0.5, 0.2]}]}, "two shares of the area"),
        ({"label_smoothin": 0.1}, "did you mean 'label_smoothing'"),
        ({"crop_share": 0.0}, "greater than 0"),
    ],
)
def test_wrong_settings_are_named(change: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=said):
        ClassificationTask(recipe(write_pictures(tmp_path), **change), CPU)


def test_an_unreadable_picture_ends_the_training_by_its_name(tmp_path: Path) -> None:
    root = write_pictures(tmp_path / "set")
    (root / "train" / "dark" / "3.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"dark/3\.png"):
        Trainer(recipe(root), tmp_path / "run").start()


def test_a_checkpoint_of_an_unknown_task_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "x.safetensors"
    card = {
        "task": "odometry",
        "taxonomy": {"name": "t", "names": ["a", "b"], "colors": [[0, 0, 0], [1, 1, 1]]},
        "size": [64, 64],
        "model": {"name": "resnet18", "options": {"num_classes": 2}},
    }
    save_checkpoint(file, create_model("resnet18", num_classes=2).state_dict(), card)
    with pytest.raises(CheckpointError, match="no evaluation for task 'odometry'"):
        evaluate_checkpoint(file, "imagefolder:x", "val")
    with pytest.raises(CheckpointError, match="unknown task 'odometry'"):
        export_checkpoint(file, tmp_path / "x.onnx")
