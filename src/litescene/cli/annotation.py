"""What the verbs `segment` and `detect` have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from litescene.cli.progress import keeps, progress

if TYPE_CHECKING:
    from litescene.runtime.annotate import Annotation

_SHOWN_SHARE = 0.01


def annotate(
    what: str, job: Callable[..., Annotation], source: str, out: Path | None, **settings: Any
) -> None:
    """Run `job` with progress and print what it wrote."""
    with keeps("the frames so far are kept, and their files are valid"), progress(what) as report:
        done = job(source, out, on_frame=report, **settings)
    _print(done)


def _print(done: Annotation) -> None:
    summary = done.summary
    for file in done.files:
        print(done.folder / file)
    spent = summary["milliseconds_per_frame"]
    plural = "" if summary["frames"] == 1 else "s"
    print(
        f"{summary['frames']} frame{plural} with {summary['model']} on {summary['engine']}, "
        f"{spent.get('predict', 0.0):.1f} ms each"
    )
    shares = {n: s for n, s in summary.get("shares", {}).items() if s >= _SHOWN_SHARE}
    if shares:
        ordered = sorted(shares.items(), key=lambda entry: -entry[1])
        print(", ".join(f"{name} {100 * share:.0f} %" for name, share in ordered))
    if "objects" in summary:
        counts = summary["objects"] or {"nothing": 0}
        print(", ".join(f"{name} {count}" for name, count in counts.items()))
    for skipped in summary["skipped"]:
        print(f"left out {skipped['name']}: {skipped['reason']}")
