"""A training killed at any moment resumes and ends bit-equal to an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from litescene.core import CheckpointError, DivergedError, RecipeError
from litescene.training.checkpoint import load_checkpoint, load_model, save_checkpoint
from litescene.training.loop import Trainer
from litescene.training.recipe import Recipe, recipe_from_dict

RUN = """
import sys, torch
from pathlib import Path
torch.set_num_threads(1)
from litescene.training.loop import Trainer
from litescene.training.recipe import recipe_from_dict
from litescene.training.run_folder import RunFolder
import json
plain, out = json.loads(sys.argv[1]), Path(sys.argv[2])
def say(progress):
    print("last" if progress.step == progress.steps else "step", flush=True)
if (out / "recipe.json").exists():
    Trainer(RunFolder(out).recipe(), out, say).resume()
else:
    Trainer(recipe_from_dict(plain, "test"), out, say).start()
"""


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


def plain_recipe(root: Path, **changes: object) -> dict[str, object]:
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


def train(plain: dict[str, object], out: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", RUN, json.dumps(plain), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def equal(a: Path, b: Path) -> bool:
    one, two = load_checkpoint(a).tensors, load_checkpoint(b).tensors
    return one.keys() == two.keys() and all(torch.equal(one[k], two[k]) for k in one)


def kill_after(process: subprocess.Popen[str], steps: int, wait: float) -> None:
    """SIGKILL some steps into the training, and a moment more."""
    assert process.stdout is not None
    for _ in range(steps):
        process.stdout.readline()
    time.sleep(wait)
    process.send_signal(signal.SIGKILL)
    process.communicate()


def kill_in_save(process: subprocess.Popen[str], out: Path, name: str) -> bool:
    """SIGKILL while the file `name` is being written; whether it was."""
    assert process.stdout is not None
    while process.stdout.readline() not in ("last\n", ""):
        pass
    while not list(out.glob(f".{name}.*.part")) and process.poll() is None:
        time.sleep(0.0002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    return bool(list(out.glob(f".{name}.*.part")))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_ten_times_it_ends_bit_equal(camvid: Path, tmp_path: Path) -> None:
    plain = plain_recipe(camvid, epochs=12)
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    first = train(plain, whole)
    first.communicate()
    assert first.returncode == 0
    chance = random.Random(5)
    in_save = 0
    for name in ("last.safetensors", "resume.safetensors", "log.jsonl", "resume.safetensors"):
        kill_after(train(plain, broken), chance.randint(1, 3), chance.uniform(0, 0.3))
        in_save += kill_in_save(train(plain, broken), broken, name)
    kill_after(train(plain, broken), 0, chance.uniform(0, 2))
    kill_after(train(plain, broken), 2, 0)
    assert in_save >= 2
    last = train(plain, broken)
    said, _ = last.communicate()
    assert last.returncode == 0
    assert said.count("last") >= 2  # there was something left to do
    assert not list(broken.glob(".*.part"))
    for name in ("last.safetensors", "best.safetensors", "resume.safetensors"):
        assert equal(whole / name, broken / name), name


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


def test_a_recipe_survives_the_round_trip(camvid: Path) -> None:
    recipe = recipe_from_dict(plain_recipe(camvid), "test")
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe
