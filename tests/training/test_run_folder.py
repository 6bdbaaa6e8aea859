"""What a run folder keeps so that the run goes on from anywhere."""

from __future__ import annotations

import fcntl
import os
import shlex
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
from tiny_task import tiny_recipe

from litescene.core import DataError, RecipeError
from litescene.training.data_specs import with_absolute_data, without_data_folders
from litescene.training.recipe import Recipe, recipe_from_dict
from litescene.training.run_folder import RunFolder


def test_the_command_of_a_run_holds_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    RunFolder(Path("my runs/a")).begin(tiny_recipe())
    words = shlex.split((tmp_path / "my runs/a/command.txt").read_text())
    assert words == ["litescene", "train", "--resume", str(tmp_path / "my runs" / "a")]


def test_a_folder_in_which_another_process_trains_is_refused(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.claimed(), folder.claimed():  # this process may twice
        other = f"import fcntl; fcntl.flock(open({str(tmp_path / 'run/claim.lock')!r}, 'w'), 6)"
        assert subprocess.run([sys.executable, "-c", other], stderr=-3).returncode != 0
    with (tmp_path / "run/claim.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with ExitStack() as held, pytest.raises(RecipeError, match=r"another process .*run"):
            held.enter_context(folder.claimed())


def test_a_run_without_a_finished_epoch_may_be_begun_anew(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(tiny_recipe(epochs=5))
    folder.begin(tiny_recipe(epochs=7))
    assert folder.recipe().epochs == 7
    for name in ("resume", "best"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"an epoch")
        with pytest.raises(RecipeError, match="already holds a run"):
            folder.begin(tiny_recipe())
        (tmp_path / f"{name}.safetensors").unlink()


def test_pictures_of_which_a_kill_left_parts_are_not_there(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.begin(tiny_recipe())
    folder.pictures.mkdir()
    (folder.pictures / ".confusion.png.12-34.part").write_bytes(b"half")
    assert not folder.has_pictures
    folder.clear_leftovers()
    assert list(folder.pictures.iterdir()) == []
    folder.save_pictures({"confusion.png": b"whole"})
    assert folder.has_pictures


def test_pictures_of_older_weights_are_not_those_of_the_run(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.save_pictures({"confusion.png": b"of the run before"})
    os.utime(folder.pictures / "confusion.png", ns=(1, 1))
    (tmp_path / "best.safetensors").write_bytes(b"an epoch")
    assert not folder.has_pictures


def test_files_of_others_and_of_runs_below_are_left_alone(tmp_path: Path) -> None:
    others = [tmp_path / ".film.mkv.part", tmp_path / "a/.resume.safetensors.7-8.part"]
    ours = tmp_path / ".last.json.7-8.part"
    for path in (*others, ours):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"half")
    RunFolder(tmp_path).begin(tiny_recipe())
    assert [path.exists() for path in (*others, ours)] == [True, True, False]


def test_curves_of_a_run_whose_weights_are_gone_go_with_them(tmp_path: Path) -> None:
    curves = tmp_path / "events.out.tfevents.1.host"
    curves.write_bytes(b"of something else")
    folder = RunFolder(tmp_path)
    folder.begin(tiny_recipe())
    assert curves.exists()
    folder.begin(tiny_recipe())
    assert not curves.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "recipe.json: not a JSON file"),
        ("[]", r"recipe\.json: "),
        ('{"name": "x", "epochz": 3}', r"unknown key 'epochz'; did you mean 'epochs'"),
    ],
)
def test_a_recipe_that_was_damaged_by_hand_is_refused(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "recipe.json").write_text(text)
    with pytest.raises(RecipeError, match=message):
        RunFolder(tmp_path).recipe()


def mixed(*specs: str) -> Recipe:
    plain = {"name": "x", "task": "detection", "epochs": 1, "batch_size": 1}
    detection = {"train": [{"data": spec} for spec in specs], "val": list(specs), "size": 64}
    model = {"name": "yolov5_lite_e"}
    return recipe_from_dict({**plain, "model": model, "detection": detection}, "test")


def test_data_are_found_from_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "signs").mkdir(parents=True)
    (tmp_path / "data" / "cars").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("LITESCENE_DATA", str(tmp_path / "data"))
    whole = with_absolute_data(mixed("voc:signs", "boxcsv:cars"))
    specs = [f"voc:{tmp_path}/here/signs", f"boxcsv:{tmp_path}/data/cars"]
    assert whole.settings["val"] == specs
    assert [source["data"] for source in whole.settings["train"]] == specs
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LITESCENE_DATA")
    assert with_absolute_data(whole) == whole
    assert without_data_folders(whole.settings) == mixed("voc:signs", "boxcsv:cars").settings


def test_data_that_moved_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="/gone does not exist; give the right path"):
        with_absolute_data(mixed(f"voc:{tmp_path}/gone"))
