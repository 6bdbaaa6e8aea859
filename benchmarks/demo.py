"""The demo: a rendered street drive, the main job on its video, and the exact truth beside it.

    python benchmarks/demo.py --out demo [--seconds 16] [--seed 0] [--json result.json]

Needs the base install and the extra `synth`, no PyTorch. Writes `street/` (video and truth),
`run/` (the main job's results) and `scores.json` into the folder.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

import litescene
from litescene.cli.progress import progress
from litescene.cli.table import format_table
from litescene.core import STREET_OBJECTS, Camera, Detections, SceneMap, Taxonomy, Trajectory
from litescene.core.provenance import provenance
from litescene.geometry import apply_alignment, umeyama
from litescene.media import read_labels, write_atomic
from litescene.media.camera_files import read_camera
from litescene.media.trajectory_files import read_trajectory
from litescene.metrics import (
    BoxTruth,
    ConfusionMatrix,
    DetectionMetric,
    TrueView,
    evaluate_trajectory,
    map_label_scores,
    match_trajectories,
)

DEPTH_UNITS = 256.0
"""Units per metre of the true depth pictures."""
LEAST_SIDE, LEAST_VISIBLE = 12.0, 0.4
"""Objects with a shorter side, or less of them in sight, need not be found."""
VIEW_STEP = 5
"""Every how many frames a true view confirms map points."""


def render(folder: Path, seconds: float, seed: int) -> None:
    """Video, camera file and truth."""
    from litescene.synth import Street
    from litescene.synth.layouts import write_street

    with progress("rendering the street") as report:
        write_street(Street(seed=seed, seconds=seconds), folder, "video", report)


def understand(street: Path, out: Path) -> Any:
    """The main job on the video, with the camera file that came with it."""
    with progress("running the main job") as report:
        return litescene.run(
            street / "drive.mp4", out=out, camera=str(street / "camera.yaml"), progress=report
        )


def records(run: Path) -> list[dict[str, Any]]:
    """What the run says about each frame."""
    return [json.loads(line) for line in (run / "frames.jsonl").read_text("utf-8").splitlines()]


def segmentation(street: Path, run: Path, taxonomy: Taxonomy) -> dict[str, Any]:
    """Labels of the run against the true ones, all frames."""
    matrix = ConfusionMatrix(taxonomy)
    for record in records(run):
        truth = read_labels(street / "labels" / f"{record['frame']:06d}.png")
        name = record["name"] or f"{record['frame']:06d}"
        matrix.add(read_labels(run / "labels" / f"{name}.png"), truth)
    return matrix.to_dict()


def detection(street: Path, run: Path) -> dict[str, Any]:
    """Objects of the run against the true boxes, all frames."""
    plain = json.loads((street / "detections.json").read_text("utf-8"))
    true: dict[int, list[dict[str, Any]]] = {}
    for annotation in plain["annotations"]:
        true.setdefault(annotation["image_id"] - 1, []).append(annotation)
    metric = DetectionMetric(STREET_OBJECTS)
    known = {a["category_id"] - 1 for a in plain["annotations"]}
    for record in records(run):
        truth = box_truth(true.get(record["frame"], []), known)
        metric.add(found_boxes(record["objects"]), truth)
    return metric.scores().to_dict()


def box_truth(annotations: list[dict[str, Any]], known: set[int]) -> BoxTruth:
    boxes = np.array([a["bbox"] for a in annotations], np.float32).reshape(-1, 4)
    small = boxes[:, 2:].min(axis=1, initial=np.inf) < LEAST_SIDE
    hidden = np.array([a["visible"] < LEAST_VISIBLE for a in annotations], bool)
    boxes[:, 2:] += boxes[:, :2]
    classes = np.array([a["category_id"] - 1 for a in annotations], np.int32)
    return BoxTruth(boxes, classes, ignored=small | hidden, known=known)


def found_boxes(objects: list[dict[str, Any]]) -> Detections:
    return Detections(
        np.array([o["box"] for o in objects], np.float32).reshape(-1, 4),
        np.array([o["score"] for o in objects], np.float32),
        np.array([STREET_OBJECTS.names.index(o["class"]) for o in objects], np.int32),
        STREET_OBJECTS,
    )


def aligned(scene_map: SceneMap, estimate: Trajectory, truth: Trajectory) -> SceneMap:
    """The map moved into the true world by the similarity that aligns the trajectories."""
    matched, true = match_trajectories(estimate, truth)
    s, R, t = umeyama(matched.positions, true.positions, with_scale=True)
    points = apply_alignment(s, R, t, scene_map.points).astype(np.float32)
    return SceneMap(
        points,
        scene_map.colors,
        scene_map.labels,
        scene_map.confidence,
        scene_map.instances,
        scene_map.observations,
        scene_map.taxonomy,
        "metric",
    )


def true_views(street: Path, truth: Trajectory) -> Iterator[TrueView]:
    for index in range(0, len(truth), VIEW_STEP):
        stored = np.array(PIL.Image.open(street / "depth" / f"{index:06d}.png"))
        depth = (stored / DEPTH_UNITS).astype(np.float32)
        yield TrueView(truth.poses[index], read_labels(street / f"labels/{index:06d}.png"), depth)


def score(street: Path, run: Path, scene: Any) -> dict[str, Any]:
    """Everything that the truth can say about the run."""
    truth = read_trajectory(street / "groundtruth.txt")
    frames = PIL.Image.open(street / "labels" / "000000.png").size
    camera: Camera = read_camera(str(street / "camera.yaml"), *frames)
    scene_map = aligned(scene.scene_map, scene.trajectory, truth)
    return {
        "segmentation": segmentation(street, run, scene.scene_map.taxonomy),
        "detection": detection(street, run),
        "trajectory": evaluate_trajectory(scene.trajectory, truth, "sim3").to_dict(),
        "map": map_label_scores(scene_map, camera, true_views(street, truth)).to_dict(),
    }


def show(scores: dict[str, Any], summary: dict[str, Any]) -> None:
    path, found = scores["trajectory"], scores["map"]
    rows = [
        ["mean IoU", f"{scores['segmentation']['mean_iou']:.3f}", "classes of pixels, all frames"],
        [
            "AP50",
            f"{scores['detection']['ap50']:.3f}",
            f"{scores['detection']['boxes']} true boxes",
        ],
        [
            "ATE",
            f"{path['ate']['rmse']:.3f} m",
            f"{path['matches']} poses over {path['path_length']:.1f} m, after Sim(3) alignment",
        ],
        ["map points", f"{found['points']:,}", f"{100 * found['surface']:.1f} % on a true surface"],
        ["label accuracy", f"{found['accuracy']:.3f}", "of those points"],
        [
            "speed",
            f"{summary['frames_per_second']:.1f} /s",
            f"{summary['frames']} frames, everything on",
        ],
    ]
    print(format_table(["figure", "value", "of what"], rows))


def timed(name: str, spent: dict[str, float], job: Callable[[], Any]) -> Any:
    began = time.perf_counter()
    result = job()
    spent[name] = round(time.perf_counter() - began, 1)
    print(f"{name}: {spent[name]} s", flush=True)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=16.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    street, run = given.out / "street", given.out / "run"
    torch = "installed" if importlib.util.find_spec("torch") else "not installed"
    print(f"litescene {litescene.__version__}, Python {sys.version.split()[0]}, PyTorch {torch}")
    spent: dict[str, float] = {}
    timed("rendering", spent, lambda: render(street, given.seconds, given.seed))
    scene = timed("main job", spent, lambda: understand(street, run))
    scores = timed("scoring", spent, lambda: score(street, run, scene))
    print()
    show(scores, scene.summary)
    print(f"\nreport: {run / 'report.html'}\nmap:    {run / 'map.ply'}")
    record = {"what": "demo", "seconds": spent, "pytorch": torch, "scores": scores, **provenance()}
    for target in (given.out / "scores.json", given.json):
        if target is not None:
            write_atomic(target, json.dumps(record, indent=2) + "\n")


if __name__ == "__main__":
    main()
