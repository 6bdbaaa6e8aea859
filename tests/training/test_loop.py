"""The one training loop on a task of a few numbers."""

from __future__ import annotations

import resource
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_task import BATCHES, TinyTask, tiny_recipe
from torch import Tensor

from litescene.core import DivergedError, OutputError, RecipeError
from litescene.training import RunFolder, loop
from litescene.training.comparison import is_finished
from litescene.training.loop import Progress, Trainer
from litescene.training.schedule import learning_rate_factor
from litescene.training.tasks.base import made_ahead, own_steps
from litescene.training.tensorboard import shown_in_tensorboard


@pytest.fixture(autouse=True)
def tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "create_task", TinyTask)


def spoilt(monkeypatch: pytest.MonkeyPatch, spoil: Any) -> None:
    monkeypatch.setattr(TinyTask, "spoil", lambda self, weight: spoil(weight))


@pytest.mark.parametrize("steps", range(8))
@pytest.mark.parametrize("world", [1, 2, 3])
def test_processes_share_the_steps_evenly_and_take_none_twice(steps: int, world: int) -> None:
    shares = [list(own_steps(steps, rank, world)) for rank in range(world)]
    assert {len(share) for share in shares} == {steps // world}
    assert sorted(step for share in shares for step in share) == list(range(steps // world * world))


def test_losses_are_the_mean_over_the_steps_of_the_epoch(tmp_path: Path) -> None:
    seen: list[Progress] = []
    trainer = Trainer(tiny_recipe(epochs=1), tmp_path / "run", seen.append)
    trainer.start()
    assert [(p.step, p.steps) for p in seen] == [(i + 1, BATCHES) for i in range(BATCHES)]
    assert trainer.counters.log[0]["loss"] == pytest.approx(seen[-1].losses["loss"])


def test_too_few_pictures_for_one_batch_say_what_to_lower(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyTask, "steps_per_epoch", lambda self: 0)
    with pytest.raises(RecipeError, match=r"0 batches of 4, and needs at least one; lower batch_s"):
        Trainer(tiny_recipe(), tmp_path / "run")


def no_slope(weight: Tensor) -> Tensor:
    """Zero, with a gradient that is none: the root of zero has no slope."""
    return (weight * 0).sum().sqrt()


@pytest.mark.parametrize("clip_norm", [0.0, 5.0])
def test_a_gradient_that_is_no_number_commits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clip_norm: float
) -> None:
    spoilt(monkeypatch, no_slope)
    recipe = tiny_recipe(optimizer={"name": "sgd", "lr": 0.1, "clip_norm": clip_norm})
    trainer = Trainer(recipe, tmp_path / "run")
    before = [p.clone() for p in trainer.network.parameters()]
    with pytest.raises(DivergedError, match=r"^the gradient became non-finite in epoch 1, batch 1"):
        trainer.start()
    assert all(map(torch.equal, before, trainer.network.parameters()))
    assert not trainer.folder.resume_file.exists()


def test_the_advice_after_a_divergence_can_be_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = Trainer(tiny_recipe(epochs=1), tmp_path / "a run")
    first.start()
    late = Trainer(tiny_recipe(), tmp_path / "a run")
    spoilt(monkeypatch, lambda weight: weight.new_tensor(float("nan")))
    with pytest.raises(DivergedError) as said:
        late.resume()
    kept = tmp_path / "a run" / "last.safetensors"
    assert "loss became non-finite in epoch 2, batch 1" in str(said.value)
    assert f"--set optimizer.lr=0.05 --set optimizer.clip_norm=5 --set 'model.init={kept}'" in str(
        said.value
    )
    monkeypatch.undo()
    monkeypatch.setattr(loop, "create_task", TinyTask)
    plain = {"model": {"name": "pp_liteseg_t", "init": str(kept)}}
    anew = Trainer(tiny_recipe(**plain), tmp_path / "anew")
    for name, value in anew.network.state_dict().items():
        assert torch.equal(value, first.average.shadow.state_dict()[name])


def test_the_norm_of_the_gradient_does_not_change_it_unless_it_is_to_be_cut(
    tmp_path: Path,
) -> None:
    trainer = Trainer(tiny_recipe(), tmp_path / "run")
    for value in trainer.network.parameters():
        value.grad = torch.full_like(value, 2.0)
    assert trainer._clipped_norm() == pytest.approx(2 * 3**0.5)
    assert all(bool((p.grad == 2).all()) for p in trainer.network.parameters())


def test_tensorboard_shows_every_epoch_once_after_a_resumed_run(tmp_path: Path) -> None:
    for epochs in (2, 3, 5):
        trainer = Trainer(tiny_recipe(epochs=epochs), tmp_path / "run")
        trainer.resume() if trainer.folder.resume_file.exists() else trainer.start()
        time.sleep(1.1)  # events are read in the order of their files' names, which hold seconds
    shown = EventAccumulator(str(tmp_path / "run"))
    shown.Reload()
    events = shown.Scalars("loss")
    assert [event.step for event in events] == [1, 2, 3, 4, 5]
    wanted = [record["loss"] for record in trainer.counters.log]
    assert [event.value for event in events] == pytest.approx(wanted)


def test_a_full_disk_under_the_curves_is_one_error_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))  # as a disk that is full
    try:
        with (
            pytest.raises(OutputError, match="cannot write"),
            shown_in_tensorboard(tmp_path, [], writes=True) as show,
        ):
            show({"epoch": 1, "loss": 0.5})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert capsys.readouterr().err == ""


def test_an_error_of_the_first_process_reaches_all(tmp_path: Path) -> None:
    trainer = Trainer(tiny_recipe(), tmp_path / "run")

    def fail() -> None:
        raise OutputError("the disk is full")

    with pytest.raises(OutputError, match="the disk is full"):
        trainer._by_the_first(fail)


def test_the_commit_is_asked_for_once_in_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def commit() -> str:
        asked.append("asked")
        return f"{len(asked)}"

    monkeypatch.setattr(loop, "commit", commit)
    trainer = Trainer(tiny_recipe(), tmp_path / "run")
    trainer.start()
    assert len(asked) == 1
    assert trainer._card({})["commit"] == "1"


def test_pictures_made_ahead_keep_their_order_and_pass_on_their_error() -> None:
    groups = [range(3), range(3, 4), range(10, 15)]
    assert list(made_ahead(lambda i: i * i, groups)) == [[i * i for i in g] for g in groups]
    assert list(made_ahead(lambda i: i, [])) == []
    with pytest.raises(ZeroDivisionError):
        list(made_ahead(lambda i: 1 // i, [range(2)]))


def test_the_next_group_is_made_while_the_present_one_is_used() -> None:
    made: list[int] = []
    ahead = made_ahead(made.append, [range(2), range(2, 4), range(4, 6)])
    next(ahead)
    ahead.close()
    assert set(made) <= {0, 1, 2, 3}
    assert {0, 1} <= set(made)


@pytest.mark.parametrize("together", [2, 3, 5, 8])
def test_accumulated_batches_make_the_step_of_their_union(tmp_path: Path, together: int) -> None:
    trainer = Trainer(tiny_recipe(epochs=1, accumulate=together), tmp_path / "run")
    start = {name: value.clone() for name, value in trainer.network.state_dict().items()}
    trainer.start()
    # by hand: plain PyTorch on the mean loss of each group, with the trainer's learning rates
    network = torch.nn.Linear(2, 1)
    network.load_state_dict(start)
    recipe = trainer.recipe
    momentum = recipe.optimizer.momentum
    optimizer = torch.optim.SGD(network.parameters(), lr=1, momentum=momentum, nesterov=True)
    generators = [torch.Generator().manual_seed(i) for i in range(BATCHES)]
    batches = [torch.randn(4, 2, generator=generator) for generator in generators]
    for first in range(0, BATCHES, together):
        group = batches[first : first + together]
        last = first + len(group) - 1
        rate = learning_rate_factor(recipe.schedule, last / BATCHES, recipe.epochs)
        optimizer.param_groups[0]["lr"] = recipe.optimizer.lr * rate
        optimizer.zero_grad()
        whole = torch.cat(group)
        (network(whole)[:, 0] - whole.sum(1)).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), recipe.optimizer.clip_norm or 1e9)
        optimizer.step()
    for name, value in network.state_dict().items():
        torch.testing.assert_close(trainer.network.state_dict()[name], value, rtol=1e-5, atol=1e-6)


def test_patience_ends_a_run_that_grows_no_better_and_it_stays_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.1, 0.5, 0.4, 0.6, 0.3, 0.5, 0.2, 0.9])
    monkeypatch.setattr(TinyTask, "evaluate", lambda self, model: {"score": next(scores)})
    recipe = tiny_recipe(epochs=8, evaluate_every=1, patience=2)
    trainer = Trainer(recipe, tmp_path / "run")
    trainer.start()
    assert (trainer.counters.epoch, trainer.counters.best_epoch) == (6, 4)
    assert [e["epoch"] for e in trainer.counters.log if "stopped" in e] == [6]
    assert is_finished(RunFolder(tmp_path / "run"))
    again = Trainer(recipe, tmp_path / "run")
    again.resume()
    assert again.counters.epoch == 6
