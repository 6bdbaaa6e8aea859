"""The main job: one video in, trajectory and labelled map out.

Four threads share the work: decoding, the networks, odometry (the caller's), and writing; mapping
runs beside them. Queues between them are bounded, so memory stays flat. Results do not depend on
the threads' timing (but for live sources, which drop frames when the machine is too slow).
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import litescene
from litescene.core import (
    Camera,
    Detections,
    LitesceneError,
    SceneMap,
    Taxonomy,
    Trajectory,
)
from litescene.media import Source, open_source
from litescene.media.camera_files import read_camera
from litescene.runtime import BoundedStream, Detector, Segmenter
from litescene.scene.depth import EpipolarDepth
from litescene.scene.instances import instance_picture
from litescene.scene.mapping import Mapper, Rectifier
from litescene.scene.objects import ObjectTracker
from litescene.scene.odometry import Odometry
from litescene.scene.outputs import FrameFiles, InOrder, Shown, frame_name
from litescene.scene.perception import Perceived, Perception
from litescene.scene.results import Findings, FrameLog, write_findings
from litescene.scene.sparse_model import LandmarkColors, write_sparse_model
from litescene.scene.view import LiveView

DEFAULT_CAMERA = "fov=70"
SEGMENTER = "pp_liteseg_t"
DETECTOR = "yolov5_lite_s"

ProgressCallback = Callable[[int, int | None], None]


@dataclass(frozen=True)
class SceneResult:
    """What a run found. `trajectory` and `scene_map` are of the longest segment."""

    out: Path
    trajectory: Trajectory
    scene_map: SceneMap
    summary: dict[str, Any]
    interrupted: bool = False


def run(
    source: Any,
    *,
    out: str | Path,
    camera: str | Camera | None = None,
    segment: str | Path = SEGMENTER,
    detect: str | Path | None = DETECTOR,
    engine: str = "auto",
    limit: int | None = None,
    view: bool = False,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> SceneResult:
    """Understand a video: classes, objects, trajectory, depth and a labelled 3D map.

    Args:
        source: a video, camera, stream, folder, glob or iterable (see `media.open_source`).
        out: folder for the results; made if missing, files in it are replaced.
        camera: a `Camera`, or a specification as `media.read_camera` takes it; `fov=70` if absent.
        segment: name or file of the segmentation bundle.
        detect: name or file of the detection bundle; None for no detection.
        engine: `auto`, `openvino`, `onnxruntime`, ...
        limit: at most so many frames.
        view: open the live 3D page.
        seed: of everything random in the odometry.
        progress: called with (frames done, frames expected or None).

    Ctrl-C ends the run early: what was done is finished and written, and `interrupted` is set.
    An error of the source or the disk does the same and is then raised.

    Example:
        >>> scene = litescene.run("drive.mp4", out="drive/")    # doctest: +SKIP
        >>> scene.trajectory.poses.shape                        # doctest: +SKIP

    """
    segmenter = Segmenter(segment, engine)
    detector = None if detect is None else Detector(detect, engine)
    settings = {"source": _name(source), "segment": str(segment), "detect": str(detect),
                "engine": engine, "limit": limit, "seed": seed, "out": str(out)}  # fmt: skip
    with open_source(source, limit=limit) as opened:
        lens = _camera(camera, opened)
        settings["camera"] = f"{camera or DEFAULT_CAMERA}"
        job = _Run(opened, lens, segmenter, detector, Path(out), seed, view)
        return job.go(settings, progress)


def _name(source: Any) -> str:
    return str(source) if isinstance(source, (str, Path, int)) else type(source).__name__


def _camera(camera: str | Camera | None, source: Source) -> Camera:
    if isinstance(camera, Camera):
        if (camera.width, camera.height) != (source.width, source.height):
            return camera.resized(source.width, source.height)
        return camera
    return read_camera(camera or DEFAULT_CAMERA, source.width, source.height)


class _Run:
    """The state of one run."""

    def __init__(
        self,
        source: Source,
        camera: Camera,
        segmenter: Segmenter,
        detector: Detector | None,
        out: Path,
        seed: int,
        view: bool,
    ) -> None:
        self.source, self.camera = source, camera
        self.perception = Perception(segmenter, detector)
        self.odometry = Odometry(camera, seed=seed)
        self.tracker = None if detector is None else ObjectTracker()
        self.files = FrameFiles(out, source.width, source.height, source.frame_count)
        self.writer, self.map_worker = InOrder("write"), InOrder("map")
        self.rectifier = Rectifier(camera)
        self.depth = EpipolarDepth()
        self.mappers: dict[int, Mapper] = {}
        self.view = LiveView(camera) if view else None
        self.log = FrameLog()
        self.colors = LandmarkColors()
        self.milliseconds = {"odometry": 0.0, "tracking of objects": 0.0}
        self.dropped = 0

    @property
    def taxonomy(self) -> Taxonomy:
        """Classes of the labels."""
        return self.perception.segmenter.taxonomy

    def go(self, settings: dict[str, Any], progress: ProgressCallback | None) -> SceneResult:
        """Run to the end, to the first error or to Ctrl-C; always write what is there."""
        began = time.perf_counter()
        error: LitesceneError | None = None
        interrupted = False
        try:
            self._loop(progress)
        except KeyboardInterrupt:
            interrupted = True
        except LitesceneError as caught:
            error = caught
        error = self._drain(error)
        found = self._found()
        seconds = time.perf_counter() - began
        summary = self._summary(settings, seconds, interrupted, error)
        try:
            summary = self._write(found, summary)
        except LitesceneError as caught:
            error = error or caught
        if error is not None:
            raise error
        return SceneResult(
            self.files.out, found.odometry.trajectory, found.scene_map, summary, interrupted
        )

    def _found(self) -> Findings:
        odometry = self.odometry.finish()
        objects = [] if self.tracker is None else self.tracker.objects_over_time()
        maps = {segment: mapper.result() for segment, mapper in self.mappers.items()}
        return Findings(odometry, maps, objects, self.log, self.files.moments, self.taxonomy)

    def _write(self, found: Findings, summary: dict[str, Any]) -> dict[str, Any]:
        names = [f"{name}.png" for name in self.log.names]
        main = found.odometry.segment
        write_sparse_model(
            self.files.out / "map", self.camera, self.odometry.map, main, names, self.colors
        )
        return write_findings(self.files.out, found, summary)

    def _loop(self, progress: ProgressCallback | None) -> None:
        live = self.source.live
        with BoundedStream(self.source, 3, live=live) as frames:
            try:
                with BoundedStream(self.perception.over(frames), 1 if live else 3) as perceived:
                    for item in perceived:
                        self._step(item)
                        if progress is not None:
                            progress(len(self.log), self.source.frame_count)
            finally:
                self.dropped = frames.dropped

    def _step(self, item: Perceived) -> None:
        frame, labels = item.frame, item.labels
        began = time.perf_counter()
        detections = item.detections
        if self.tracker is not None and detections is not None:
            detections = self.tracker.update(detections, frame.time)
        middle = time.perf_counter()
        tracked = self.odometry.track(frame, labels)
        self.milliseconds["tracking of objects"] += (middle - began) * 1e3
        self.milliseconds["odometry"] += (time.perf_counter() - middle) * 1e3
        name = frame_name(frame)
        self.log.add(name, frame.time, labels, detections)
        shown = Shown(frame, name, labels, detections, tracked.state)
        self.writer.submit(lambda: self.files.write(shown))
        if tracked.keyframe:
            self._map(item, tracked.segment, detections)
            if self.view is not None and tracked.pose is not None:
                self.view.show_camera(tracked.pose, frame.image)

    def _map(self, item: Perceived, segment: int, detections: Detections | None) -> None:
        if segment not in self.mappers:
            self.mappers[segment] = Mapper(
                self.rectifier, self.taxonomy, self.depth, self.map_worker
            )
        mapper = self.mappers[segment]
        instances = None
        if detections is not None:
            instances = instance_picture(detections, item.labels)
        sparse = self.odometry.map
        keyframe = sparse.keyframes[-1]
        self.colors.see(keyframe, item.frame.image)
        mapper.add(keyframe, item.frame, item.labels, instances, sparse)
        if self.view is not None:
            view = self.view
            self.map_worker.submit(lambda: view.show_map(*mapper.preview()))

    def _drain(self, error: LitesceneError | None) -> LitesceneError | None:
        """Finish the threads; the first error wins."""
        for finish in (
            self._finish_mapping,
            self.map_worker.close,
            self.writer.close,
            self.files.close,
        ):
            try:
                finish()
            except LitesceneError as caught:
                error = error or caught
        return error

    def _finish_mapping(self) -> None:
        if self.mappers:
            self.mappers[max(self.mappers)].finish(self.odometry.map)

    def _summary(
        self,
        settings: dict[str, Any],
        seconds: float,
        interrupted: bool,
        error: LitesceneError | None,
    ) -> dict[str, Any]:
        frames = max(len(self.log), 1)
        stages = {**self.perception.milliseconds, **self.milliseconds}
        for mapper in self.mappers.values():
            for stage, ms in mapper.milliseconds.items():
                stages[stage] = stages.get(stage, 0.0) + ms
        stages["drawing and writing"] = self.files.milliseconds
        per_frame = {stage: round(ms / frames, 3) for stage, ms in stages.items()}
        per_frame["elapsed"] = round(seconds / frames * 1e3, 3)
        warnings = [f"{name}: {reason}" for name, reason in self.source.skipped]
        warnings += list(self.source.notes)
        if error is not None:
            warnings.append(f"ended early: {error}")
        if interrupted:
            warnings.append("ended early by the user")
        return {
            "frames": len(self.log),
            "frames_dropped": self.dropped,
            "frames_skipped": len(self.source.skipped),
            "seconds": round(seconds, 3),
            "frames_per_second": round(len(self.log) / max(seconds, 1e-9), 2),
            "milliseconds": per_frame,
            "warnings": warnings,
            "settings": settings
            | {"engines": self._engines(), "size": [self.source.width, self.source.height]},
            "versions": _versions(),
        }

    def _engines(self) -> dict[str, str]:
        perception = self.perception
        engines = {"segmentation": perception.segmenter.engine}
        if perception.detector is not None:
            engines["detection"] = perception.detector.engine
        return engines


def _versions() -> dict[str, str]:
    packages = ("numpy", "opencv-python-headless", "av", "numba", "gtsam")
    return {
        "litescene": litescene.__version__,
        "python": platform.python_version(),
        **{name: version(name) for name in packages},
    }
