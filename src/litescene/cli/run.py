"""`litescene run`: the main job."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from litescene.cli.options import Engine, Limit, OutFolder, Source
from litescene.cli.progress import progress
from litescene.cli.table import format_table, number
from litescene.runtime.catalog import DEFAULT_DETECTOR, DEFAULT_SEGMENTER

if TYPE_CHECKING:
    from litescene.scene import SceneResult
    from litescene.scene.view import LiveView

EXAMPLES = (
    "litescene run drive.mp4 --camera fov=60 --out drive/",
    "litescene run pictures/ --camera calib.txt --limit 200",
    "litescene run camera:0 --camera camera.yaml --detect none --view",
)
INTERRUPTED = 130


def command(
    source: Source,
    out: OutFolder = None,
    camera: Annotated[
        str | None,
        typer.Option(
            help="fov=DEGREES, K=fx,fy,cx,cy, or a calibration file of OpenCV, ROS, Kalibr, "
            "EuRoC, KITTI (calib.txt) or COLMAP (cameras.txt)",
            show_default="fov=70",
        ),
    ] = None,
    segment: Annotated[
        str, typer.Option(help="shipped model or bundle for the classes of pixels")
    ] = DEFAULT_SEGMENTER,
    detect: Annotated[
        str, typer.Option(help="shipped model or bundle for objects, or none")
    ] = DEFAULT_DETECTOR,
    engine: Engine = "auto",
    limit: Limit = None,
    view: Annotated[
        bool,
        typer.Option(
            "--view", help="show the map live in the browser, until Ctrl-C (needs the extra view)"
        ),
    ] = False,
) -> int:
    """Turn a video into classes, objects, the camera's trajectory and a labelled 3D map.

    The folder, NAME_run/ by default, gets trajectory.txt (TUM), map.ply, map/ (COLMAP),
    frames.jsonl, labels/, overlay.mp4, summary.json and report.html; results of an earlier run
    in it are replaced.
    Ctrl-C ends early: what was done is finished and valid.
    """
    from litescene.media.result_folder import default_folder
    from litescene.scene import run

    folder = out or default_folder(source, "run")
    with progress("running") as report:
        scene = run(
            source,
            out=folder,
            camera=camera,
            segment=segment,
            detect=None if detect == "none" else detect,
            engine=engine,
            limit=limit,
            view=view,
            progress=report,
        )
    _print(scene)
    if scene.interrupted:
        return INTERRUPTED
    if scene.view is not None:
        _keep_open(scene.view)
    return 0


def _keep_open(view: LiveView) -> None:
    """The page lives as long as the program: until Ctrl-C."""
    print(f"the 3D page stays open at {view.url} until Ctrl-C")
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    view.close()


def _print(scene: SceneResult) -> None:
    summary, trajectory, points = scene.summary, scene.trajectory, scene.scene_map
    stages = summary["milliseconds"].items()
    print(format_table(["stage", "ms a frame"], [[name, number(ms, 2)] for name, ms in stages]))
    print(
        f"\n{summary['frames']} frames at {summary['frames_per_second']} a second, "
        f"{len(trajectory)} with a pose, path {trajectory.length:.2f} ({trajectory.scale} scale), "
        f"{len(points):,} map points"
    )
    for warning in summary["warnings"]:
        print(f"note: {warning}")
    print(scene.out / "report.html")
