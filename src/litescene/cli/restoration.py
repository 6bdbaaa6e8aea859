"""What the verbs `upscale` and `interpolate` have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litescene.cli.progress import keeps, progress

if TYPE_CHECKING:
    from litescene.runtime.restore import Restored

Model = Annotated[str, typer.Option(help="file of a bundle (litescene export writes them)")]


def restore(what: str, job: Callable[..., Restored], source: str, out: Path, **how: Any) -> None:
    """Run `job` with progress and say what it made."""
    with keeps(f"the frames so far are in {out}, and it is valid"), progress(what) as report:
        done = job(source, out, on_frame=report, **how)
    print(done.file)
    plural = "" if done.frames == 1 else "s"
    print(
        f"{done.frames} picture{plural} of {done.width}×{done.height} with {done.model} on "
        f"{done.engine}, {done.milliseconds:.1f} ms each"
    )
    for skipped in done.skipped:
        print(f"left out {skipped.name}: {skipped.reason}")
