"""A training killed at any moment resumes and ends bit-equal to an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from litescene.core import CheckpointError, DivergedError, RecipeError
from litescene.training.checkpoint import load_checkpoint, load_model, save_checkpoint
from litescene.training.loop import Trainer
from litescene.training.recipe import Recipe, recipe_from_dict

RUN = Path(__file__).with_name("killed_run.py")

IN_SAVES = (
    "recipe.json",
    "command.txt",
    "best.safetensors",
    "last.safetensors",
    "last.json",
    "log.jsonl",
    "resume.safetensors",
    "resume.safetensors",
)
"""Files of a run in whose saves it is killed; the one that commits an epoch twice."""


@pytest.fixture
def camvid(tmp_path: Path) -> Path:
    """A tiny data set in the CamVid layout."""
    g = np.random.default_rng(0)
    root = tmp_path / "tiny"
    for split, count in (("train", 4), ("val", 2)):
        (root / split).mkdir(parents=True)
        (root / f"{split}annot").mkdir()
        for i in range(count):
            image = g.integers(0, 256, (64, 80, 3), dtype=np.uint8)
            labels = np.kron(g.integers(0, 12, (8, 10)), np.ones((8, 8))).astype(np.uint8)
            cv2.imwrite(str(root / split / f"{i}.png"), image)
            cv2.imwrite(str(root / f"{split}annot" / f"{i}.png"), labels)
    return root


def plain_recipe(root: Path, **changes: object) -> dict[str, Any]:
    return {
        "name": "tiny",
        "task": "segmentation",
        "epochs": 6,
        "batch_size": 2,
        "evaluate_every": 2,
        "precision": "32-true",
        "model": {"name": "pp_liteseg_t"},
        "segmentation": {"data": f"camvid:{root}", "stages": [{"height": 64, "width": 64}]},
        **changes,
    }


Place = dict[str, Any]
"""Where a run is killed; see `killed_run`."""


def train(plain: dict[str, Any], out: Path, place: Place) -> subprocess.Popen[str]:
    """Start or resume a run on one core; it says on its output where it is."""
    words = [json.dumps(plain), str(out), json.dumps(place)]
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", str(RUN), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )


def finish(plain: dict[str, Any], out: Path) -> int:
    """Let a run come to its end; returns the steps that were left."""
    with train(plain, out, {}) as process:
        said, _ = process.communicate()
    assert process.returncode == 0
    return int(said.split()[-2])


def kill(plain: dict[str, Any], out: Path, place: Place) -> list[int]:
    """SIGKILL a run at its place; returns the sizes of the files left half written."""
    with train(plain, out, place) as process:
        assert process.stdout is not None
        lines = iter(process.stdout.readline, "")
        assert "here\n" in lines, f"the run never came to {place}"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    return [part.stat().st_size for part in out.glob(".*.part")]


def places(chance: random.Random) -> list[Place]:
    """The saves of `IN_SAVES` and four places after some steps, mixed.

    The first save of the best weights, which surely comes, and those before it keep their order.
    """
    in_saves: list[Place] = [
        {"file": name, "save": 1, "share": chance.random()} for name in IN_SAVES
    ]
    in_saves[-1]["save"] = 2  # an epoch is committed first
    mixed = [*in_saves[3:], *({"step": steps} for steps in range(1, 5))]
    chance.shuffle(mixed)
    return in_saves[:3] + mixed


def equal(a: Path, b: Path) -> bool:
    one, two = load_checkpoint(a).tensors, load_checkpoint(b).tensors
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def log_of(out: Path) -> list[dict[str, Any]]:
    """The lines of a run's log but for the time that it took."""
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_twelve_times_it_ends_bit_equal(camvid: Path, tmp_path: Path) -> None:
    plain = plain_recipe(camvid, epochs=10)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert finish(plain, whole) == 20
    half_written = []
    for place in places(random.Random(5)):
        left = kill(plain, broken, place)
        assert len(left) == ("file" in place), place
        half_written += left
    assert len(half_written) == len(IN_SAVES)
    assert sum(size > 0 for size in half_written) >= 5
    assert 2 <= finish(plain, broken) < 20
    assert not list(broken.glob(".*.part"))
    for name in ("last.safetensors", "best.safetensors", "resume.safetensors"):
        assert equal(whole / name, broken / name), name
    assert log_of(whole) == log_of(broken)


def test_a_folder_with_a_run_is_not_overwritten(camvid: Path, tmp_path: Path) -> None:
    recipe = recipe_from_dict(plain_recipe(camvid, epochs=1), "test")
    out = tmp_path / "run"
    Trainer(recipe, out).start()
    assert {"recipe.json", "log.jsonl", "last.safetensors", "best.safetensors"} <= {
        p.name for p in out.iterdir()
    }
    with pytest.raises(RecipeError, match="--resume"):
        Trainer(recipe, out).start()
    model, card = load_model(out / "best.safetensors")
    assert card["result"]["epoch"] == 1
    assert card["taxonomy"]["name"] == "camvid11"
    assert not model.training


def test_a_non_finite_loss_stops_at_once_and_names_the_batch(camvid: Path, tmp_path: Path) -> None:
    plain = plain_recipe(camvid, epochs=40, optimizer={"name": "sgd", "lr": 1e30})
    with pytest.raises(DivergedError, match=r"epoch \d+, batch \d+"):
        Trainer(recipe_from_dict(plain, "test"), tmp_path / "run").start()


def test_a_damaged_or_foreign_checkpoint_is_refused(camvid: Path, tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(CheckpointError, match="no checkpoint"):
        load_checkpoint(path)
    path.write_bytes(b"not a checkpoint at all")
    with pytest.raises(CheckpointError, match="not a readable"):
        load_checkpoint(path)
    card = {"model": {"name": "pp_liteseg_t", "options": {"num_classes": 3}}}
    save_checkpoint(path, {"head8.1.weight": torch.zeros(1)}, card)
    with pytest.raises(CheckpointError, match="does not fit the network: missing"):
        load_model(path)


def test_what_is_no_state_of_this_run_is_not_resumed(camvid: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    Trainer(recipe_from_dict(plain_recipe(camvid, epochs=1), "test"), out).start()
    state = load_checkpoint(out / "resume.safetensors")
    spoilt = {key: value for key, value in state.tensors.items() if key != "model.head8.1.weight"}
    for tensors, card, said in (
        (load_checkpoint(out / "best.safetensors").tensors, {}, "not the state of a run"),
        (spoilt, state.card, r"resume\.safetensors does not fit the network: missing head8"),
    ):
        save_checkpoint(out / "resume.safetensors", tensors, card)
        with pytest.raises(CheckpointError, match=said):
            Trainer(recipe_from_dict(plain_recipe(camvid, epochs=2), "test"), out).resume()


def test_a_recipe_survives_the_round_trip(camvid: Path) -> None:
    recipe = recipe_from_dict(plain_recipe(camvid), "test")
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
