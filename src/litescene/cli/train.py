"""`litescene train`: a recipe in, a run folder out."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from litescene.cli.progress import Report, keeps, progress
from litescene.core.errors import InputError, MissingExtraError
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.training.loop import Callback, Progress, Trainer

EXAMPLES = (
    "litescene train pp_liteseg_t_camvid --out runs/camvid",
    "litescene train my.toml --set optimizer.lr=0.01 --set epochs=50",
    "litescene train pp_liteseg_t_camvid --set model.name=enet --pool adapool",
    "litescene train own_segmenter --data masks:my_rooms --out runs/my_rooms",
    "litescene train own_detector --data yolo:my_signs --out runs/my_signs",
    "litescene train --resume runs/camvid",
    "litescene train --all segmentation --models 'espnet*' --models enet",
)


def command(
    recipe: Annotated[
        str | None,
        typer.Argument(help="a TOML file or the name of a shipped recipe", show_default=False),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="change a key of the recipe: key=value", show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="run folder; runs/NAME by default", show_default=False),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="go on with the run in this folder", show_default=False)
    ] = None,
    data: Annotated[
        str | None,
        typer.Option(
            help="FORMAT:PATH to train and validate on instead of the recipe's data",
            show_default=False,
        ),
    ] = None,
    pool: Annotated[
        str | None,
        typer.Option(
            help="pooling in the place of the network's own, e.g. adapool; as --set model.pool",
            show_default=False,
        ),
    ] = None,
    every: Annotated[
        Literal["segmentation"] | None,
        typer.Option(
            "--all",
            help="train every network of this task by one recipe, TASK_common by default",
            show_default=False,
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option(help="with --all: only names like this pattern", show_default=False),
    ] = None,
    gmacs: Annotated[
        str | None,
        typer.Option(
            help="with --all: only networks from LOW to below HIGH billion multiply-accumulates "
            "at their size, LOW:HIGH",
            show_default=False,
        ),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(
            help="with --all: folder of the result files; results/ in --out by default",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Train a network by a recipe (needs the extra `train`).

    The run folder holds the resolved recipe, the log, TensorBoard's events, the last and the
    best checkpoint, and what is needed to resume after any interruption.

    With --all every network gets a run folder of its own in --out and a result file. Give the
    same command again after an interruption: what is trained is skipped, what was begun is gone
    on with. Started once per core, the processes share the networks out.
    """
    if not installed("torch"):
        raise MissingExtraError("training", "train")
    settings = [*(settings or []), *([] if pool is None else [f"model.pool={pool}"])]
    if data is not None:
        settings = [*_on_data(recipe, data), *settings]
    if every is not None:
        from litescene.cli.train_all import Choice, train_all

        if resume is not None:
            raise InputError("--all goes on by itself; leave out --resume")
        train_all(every, recipe, settings, out, results, Choice.parse(models, gmacs))
        return
    if models or gmacs or results:
        raise InputError("--models, --gmacs and --results go with --all TASK")
    if (recipe is None) == (resume is None):
        raise InputError("give a recipe, --resume RUN or --all TASK; see litescene train --help")
    if resume is not None and (settings or out):
        raise InputError(
            "a resumed run keeps its recipe and folder; leave out --set, --data, --pool and --out"
        )
    if resume is not None:
        _resume(resume)
    else:
        _start(str(recipe), settings, out)


def _on_data(recipe: str | None, data: str) -> list[str]:
    from litescene.training.data_specs import trained_on
    from litescene.training.recipe import load_recipe

    if recipe is None:
        raise InputError(f"--data {data} goes with a recipe; see litescene train --help")
    return trained_on(load_recipe(recipe).task, data)


def _start(name: str, settings: list[str], out: Path | None) -> None:
    from litescene.training.loop import Trainer
    from litescene.training.recipe import load_recipe
    from litescene.training.run_folder import RunFolder

    resolved = load_recipe(name, settings)
    folder = out or Path("runs") / resolved.name
    RunFolder(folder).require_free()
    with _resumable(folder):
        trainer = Trainer(resolved, folder)
        if trainer.is_first:
            print(f"{resolved.model.name}, {resolved.epochs} epochs, in {folder}")
            if trainer.left_random:
                print(f"not in {resolved.model.init}: {_listed(trainer.left_random)}")
        follow(trainer, trainer.start)


def _listed(names: list[str]) -> str:
    """The first few names and how many more there are."""
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more


def _resume(folder: Path) -> None:
    from litescene.training.loop import Trainer
    from litescene.training.run_folder import RunFolder

    with _resumable(folder):
        trainer = Trainer(RunFolder(folder).recipe(), folder)
        follow(trainer, trainer.resume)


def _resumable(folder: Path) -> AbstractContextManager[None]:
    return keeps(f"go on with: litescene train --resume {shlex.quote(str(folder))}")


def follow(trainer: Trainer, train: Callable[[], None]) -> None:
    """Train to the end; of several processes the first one shows and says what comes of it."""
    from litescene.training.allocator import keep_freed_memory

    if trainer.fabric.device.type == "cpu":
        keep_freed_memory()
    if not trainer.is_first:
        train()
        return
    if trainer.precision != trainer.recipe.precision:
        print("in float32, as this processor computes no faster in bf16")
    with progress(trainer.recipe.model.name) as report:
        trainer.callback = _shown(report)
        train()
    _print_result(trainer)


def _shown(report: Report) -> Callback:
    """Progress over all steps, with the epoch, the running losses and the best metric."""

    def show(at: Progress) -> None:
        losses = " ".join(f"{name} {value:.3f}" for name, value in at.losses.items())
        best = "" if at.metric is None else f" best {at.metric:.4f}"
        done = at.epoch * at.steps + at.step
        report(done, at.epochs * at.steps, f"epoch {at.epoch + 1}/{at.epochs} {losses}{best}")

    return show


def _print_result(trainer: Trainer) -> None:
    from litescene.training.tasks.base import takes_clips

    counters, metric = trainer.counters, trainer.task.metric
    best = trainer.folder.path / "best.safetensors"
    print(f"best {metric} {counters.best:.4f} in epoch {counters.best_epoch}")
    print(best)
    if trainer.folder.has_pictures:
        print(trainer.folder.pictures)
    if not takes_clips(trainer.network):  # bundles take single pictures
        print(f"next: litescene export {shlex.quote(str(best))} -o model.onnx")
