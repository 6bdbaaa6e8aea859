"""`litescene train`: a recipe in, a run folder out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from litescene.cli.progress import Report, keeps, progress
from litescene.core.errors import InputError, MissingExtraError
from litescene.runtime.engines import installed

if TYPE_CHECKING:
    from litescene.training.loop import Callback, Progress, Trainer

EXAMPLES = (
    "litescene train pp_liteseg_t_camvid --out runs/camvid",
    "litescene train my.toml --set optimizer.lr=0.01 --set epochs=50",
    "litescene train --resume runs/camvid",
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
) -> None:
    """Train a network by a recipe (needs the extra `train`).

    The run folder holds the resolved recipe, the log, TensorBoard's events, the last and the
    best checkpoint, and what is needed to resume after any interruption.
    """
    if not installed("torch"):
        raise MissingExtraError("training", "train")
    if (recipe is None) == (resume is None):
        raise InputError("give either a recipe or --resume RUN; see litescene train --help")
    if resume is not None and (settings or out):
        raise InputError("a resumed run keeps its recipe and folder; leave out --set and --out")
    with progress("training") as report:
        if resume is not None:
            _resume(resume, _shown(report))
        else:
            _start(str(recipe), settings or [], out, _shown(report))


def _start(name: str, settings: list[str], out: Path | None, callback: Callback) -> None:
    from litescene.training.loop import Trainer
    from litescene.training.recipe import load_recipe

    resolved = load_recipe(name, settings)
    folder = out or Path("runs") / resolved.name
    with keeps(f"go on with: litescene train --resume {folder}"):
        trainer = Trainer(resolved, folder, callback)
        print(f"{resolved.model.name}, {resolved.epochs} epochs, in {folder}")
        trainer.start()
    _print_result(trainer, folder)


def _resume(folder: Path, callback: Callback) -> None:
    from litescene.training.loop import Trainer
    from litescene.training.run_folder import RunFolder

    with keeps(f"go on with: litescene train --resume {folder}"):
        trainer = Trainer(RunFolder(folder).recipe(), folder, callback)
        trainer.resume()
    _print_result(trainer, folder)


def _shown(report: Report) -> Callback:
    """Progress over all steps, with the epoch, the running losses and the best metric."""

    def show(at: Progress) -> None:
        losses = " ".join(f"{name} {value:.3f}" for name, value in at.losses.items())
        best = "" if at.metric is None else f" best {at.metric:.4f}"
        done = at.epoch * at.steps + at.step
        report(done, at.epochs * at.steps, f"epoch {at.epoch + 1}/{at.epochs} {losses}{best}")

    return show


def _print_result(trainer: Trainer, folder: Path) -> None:
    counters, metric = trainer.counters, trainer.task.metric
    print(f"best {metric} {counters.best:.4f} in epoch {counters.best_epoch}")
    print(folder / "best.safetensors")
    print(f"next: litescene export {folder / 'best.safetensors'} -o model.onnx")
