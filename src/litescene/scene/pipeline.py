"""The main job: one video in, trajectory and labelled map out.

Several threads share the work: decoding, the networks, odometry (the caller's), mapping, and
writing. Queues between them are bounded: what grows with the way is the map alone, its landmarks
and keyframes (by 20 kB a frame in `benchmarks/results/run_speed_camvid.json`). Results do not
depend on the threads' timing (but for live sources, which drop frames when the machine is too
slow).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from litescene.core import Camera, Detections, SceneMap, Taxonomy, Trajectory
from litescene.media import Source, open_source
from litescene.media.camera_files import fit_camera, read_camera
from litescene.media.frame_names import FrameNames
from litescene.media.sources import without_password
from litescene.runtime import BoundedStream, Detector, Segmenter
from litescene.runtime.catalog import DEFAULT_DETECTOR, DEFAULT_SEGMENTER
from litescene.runtime.detection import stated_score
from litescene.runtime.stopping import StopSignals
from litescene.scene.depth import EpipolarDepth
from litescene.scene.instances import instance_picture
from litescene.scene.loop_closing import load_solver
from litescene.scene.mapping import Mapper, Rectifier
from litescene.scene.objects import ObjectTracker
from litescene.scene.odometry import Odometry
from litescene.scene.out_folder import MAP_FOLDER, prepared_folder
from litescene.scene.outputs import FrameFiles, Shown
from litescene.scene.perception import (
    Perceived,
    Perception,
    doubting_detector,
    network_threads,
)
from litescene.scene.results import Findings, ShareLog, attempt, write_findings
from litescene.scene.sparse_model import LandmarkColors, write_sparse_model
from litescene.scene.summary import counts_of, milliseconds_of, versions, warnings_of
from litescene.scene.view import LiveView
from litescene.scene.worker import InOrder

DEFAULT_CAMERA = "fov=70"
_ASSUMED = (
    "no camera was given: a horizontal field of view of 70° was assumed; where it is another one, "
    "angles and distances are wrong"
)

ProgressCallback = Callable[[int, int | None], None]


@dataclass(frozen=True)
class SceneResult:
    """What a run found. `trajectory` and `scene_map` are of the longest segment.

    `summary` is the content of `summary.json`; `interrupted` whether Ctrl-C, SIGTERM or
    SIGHUP ended the run; `view` the live page, if asked for, which stays open until its `close` or
    the program's end.
    """

    out: Path
    trajectory: Trajectory
    scene_map: SceneMap
    summary: dict[str, Any]
    interrupted: bool = False
    view: LiveView | None = field(default=None, repr=False)


def run(
    source: Any,
    *,
    out: str | Path,
    camera: str | Camera | None = None,
    segment: str | Path = DEFAULT_SEGMENTER,
    detect: str | Path | None = DEFAULT_DETECTOR,
    engine: str = "auto",
    limit: int | None = None,
    view: bool = False,
    seed: int = 0,
    progress: ProgressCallback | None = None,
) -> SceneResult:
    """Understand a video: classes, objects, trajectory, and a labelled 3D map.

    Args:
        source: a video, camera, stream, folder, glob or iterable (see `media.open_source`).
        out: folder for the results; made if missing. The results of an earlier run in it are
            removed, other files stay.
        camera: a `Camera`, or a specification as `media.read_camera` takes it; `fov=70` if absent.
        segment: name or file of the segmentation bundle.
        detect: name or file of the detection bundle; None for no detection.
        engine: `auto`, `openvino`, `onnxruntime`, ...
        limit: at most so many frames.
        view: open the live 3D page.
        seed: of everything random in the odometry.
        progress: called with (frames done, frames expected or None).

    Raises `SourceError`, `CameraError`, `BundleError`, `UnknownNameError`, `MissingExtraError` or
    `OutputError`; those known before the first frame leave no folder behind. An error on the way
    (a picture of another size, a full disk) ends the run: what was done is finished and written,
    then the error is raised. Ctrl-C, SIGTERM and SIGHUP do the same after the frame at hand, and
    set `interrupted`.

    Example:
        >>> scene = litescene.run("drive.mp4", out="drive/")    # doctest: +SKIP
        >>> scene.trajectory.poses.shape                        # doctest: +SKIP

    """
    out = Path(out).expanduser()
    threads = network_threads()
    segmenter = Segmenter(segment, engine, threads)
    detector = None if detect is None else doubting_detector(detect, engine, threads)
    settings = {"source": _name(source), "segment": str(segment), "detect": detect and str(detect),
                "engine": engine, "limit": limit, "seed": seed, "out": str(out),
                "camera": f"{camera or DEFAULT_CAMERA}"}  # fmt: skip
    with open_source(source, limit=limit) as opened:
        lens = _camera(camera, opened)
        page = LiveView(lens) if view else None
        try:
            place = Path(source).expanduser() if isinstance(source, (str, Path)) else None
            with prepared_folder(out, place):
                job = _Run(opened, lens, segmenter, detector, out, seed, page)
                if camera is None:
                    job.warnings.append(_ASSUMED)
                return job.go(settings, progress)
        except BaseException:
            if page is not None:
                page.close()
            raise


def _name(source: Any) -> str:
    if isinstance(source, (str, Path, int)):
        return without_password(str(source)) if "://" in str(source) else str(source)
    return type(source).__name__


def _camera(camera: str | Camera | None, source: Source) -> Camera:
    if isinstance(camera, Camera):
        return fit_camera("given", camera, source.width, source.height)
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
        view: LiveView | None,
    ) -> None:
        self.source, self.camera, self.view = source, camera, view
        self.perception = Perception(segmenter, detector)
        self.odometry = Odometry(camera, seed=seed)
        self.tracker: ObjectTracker | None = None
        if detector is not None:
            self.tracker = ObjectTracker(high=stated_score(detector.contract), low=detector.score)
        self.rectifier = Rectifier(camera)
        self.depth = EpipolarDepth()
        self.mappers: dict[int, Mapper] = {}
        self.names = FrameNames()
        self.shares = ShareLog()
        self.colors = LandmarkColors()
        self.decoding = 0.0
        self.milliseconds = {"odometry": 0.0}
        if self.tracker is not None:
            self.milliseconds["tracking of objects"] = 0.0
        self.dropped = 0
        self.warnings: list[str] = []
        self.files = FrameFiles(out, source.width, source.height)
        self.writer, self.map_worker = InOrder("write"), InOrder("map")

    @property
    def taxonomy(self) -> Taxonomy:
        """Classes of the labels."""
        return self.perception.segmenter.taxonomy

    def go(self, settings: dict[str, Any], progress: ProgressCallback | None) -> SceneResult:
        """Run to the end, to the first error or to Ctrl-C; always write what is there."""
        began = time.perf_counter()
        errors: list[Exception] = []
        with StopSignals() as signals:
            try:
                self._loop(signals, progress)
            except KeyboardInterrupt:  # of a caller's `progress`
                signals.stopped = True
            except Exception as error:  # raised again below, when the rest is safe
                errors.append(error)
            interrupted = signals.stopped  # later signals find the last frame done
            errors += self._drain()
            late: list[Exception] = []
            found = self._found(late)
            summary = write_findings(
                self.files.out,
                found,
                lambda: self._write_model(found),
                lambda: self._summary(settings, began, interrupted, errors),
                late,
            )
        errors += late
        if errors:
            raise errors[0]
        return SceneResult(
            self.files.out,
            found.odometry.trajectory,
            found.scene_map,
            summary,
            interrupted,
            self.view,
        )

    def _loop(self, signals: StopSignals, progress: ProgressCallback | None) -> None:
        live = self.source.live
        with BoundedStream(self.source, 3, live=live) as frames:
            try:
                with BoundedStream(self.perception.over(frames), 1 if live else 3) as perceived:
                    load_solver()  # while the networks get ready for the first frame
                    for item in signals.until_stopped(perceived):
                        self._step(item)
                        if progress is not None:
                            progress(self.shares.frames, self.source.frame_count)
            finally:
                self.dropped, self.decoding = frames.dropped, frames.seconds

    def _step(self, item: Perceived) -> None:
        frame, labels, detections = item.frame, item.labels, item.detections
        if self.tracker is not None and detections is not None:
            began = time.perf_counter()
            detections = self.tracker.update(detections, frame.time)
            self.milliseconds["tracking of objects"] += (time.perf_counter() - began) * 1e3
        began = time.perf_counter()
        tracked = self.odometry.track(frame, labels)
        self.milliseconds["odometry"] += (time.perf_counter() - began) * 1e3
        self.shares.add(frame.time, labels)
        shown = Shown(frame, self.names.give(frame), labels, detections, tracked)
        self.writer.submit(lambda: self.files.write(shown))
        if tracked.pose is not None and not tracked.keyframe and tracked.segment in self.mappers:
            self.mappers[tracked.segment].pass_by(frame, labels, tracked.pose)
        if tracked.keyframe:
            self._map(item, tracked.segment, detections)
            if self.view is not None and tracked.pose is not None:
                self.view.show_camera(tracked.pose, frame.image, self._path(tracked.segment))

    def _path(self, segment: int) -> NDArray[np.float64]:
        """Where the keyframes of `segment` are by now, n×3."""
        return np.stack(
            [k.pose[:3, 3] for k in self.odometry.map.keyframes if k.segment == segment]
        )

    def _map(self, item: Perceived, segment: int, detections: Detections | None) -> None:
        if segment not in self.mappers:
            self._finish_mapping()  # of the segment before: it is never taken up again
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

    def _drain(self) -> list[Exception]:
        """Finish and end the threads and the growing files; returns what went wrong."""
        errors: list[Exception] = []
        for finish in (
            self._finish_mapping,
            self.map_worker.close,
            self.writer.close,
            self.files.close,
        ):
            attempt(finish, errors)
        return errors

    def _finish_mapping(self) -> None:
        """Have the last keyframe of the newest segment mapped too."""
        if self.mappers:
            self.mappers[max(self.mappers)].finish(self.odometry.map)

    def _found(self, errors: list[Exception]) -> Findings:
        """The results; maps and objects that cannot be had are left out and go to `errors`."""
        odometry = self.odometry.finish()
        tracker = self.tracker
        objects = None if tracker is None else attempt(tracker.objects_over_time, errors)
        maps = {segment: attempt(mapper.result, errors) for segment, mapper in self.mappers.items()}
        return Findings(
            self.files.frames,
            odometry,
            {segment: scene_map for segment, scene_map in maps.items() if scene_map is not None},
            objects or [],
            self.shares,
            self.files.moments.chosen(),
            self.taxonomy,
        )

    def _write_model(self, found: Findings) -> None:
        write_sparse_model(
            self.files.out / MAP_FOLDER,
            self.camera,
            self.odometry.map,
            found.odometry.segment,
            self.names.picture,
            self.colors,
        )

    def _summary(
        self,
        settings: dict[str, Any],
        began: float,
        interrupted: bool,
        errors: list[Exception],
    ) -> dict[str, Any]:
        frames, seconds = self.files.frames, time.perf_counter() - began
        stages = [
            # A live source's time is waiting for the next picture.
            {} if self.source.live else {"decoding": self.decoding * 1e3},
            self.perception.milliseconds,
            self.milliseconds,
            *(mapper.milliseconds for mapper in self.mappers.values()),
            {"drawing and writing": self.files.milliseconds},
        ]
        error = errors[0] if errors else None
        return {
            **counts_of(self.source, frames, self.dropped, seconds),
            "complete": error is None and not interrupted,
            "milliseconds": milliseconds_of(stages, frames, seconds),
            "warnings": [*self.warnings, *warnings_of(self.source, interrupted, error)],
            "settings": settings | self._resolved(),
            "versions": versions(),
        }

    def _resolved(self) -> dict[str, Any]:
        """Settings as they came out: what `auto`, names and defaults meant."""
        segmenter, detector = self.perception.segmenter, self.perception.detector
        return {
            "engines": {"segmentation": segmenter.engine}
            | ({} if detector is None else {"detection": detector.engine}),
            "digests": {"segmentation": segmenter.bundle.digest}
            | ({} if detector is None else {"detection": detector.bundle.digest}),
            "size": [self.source.width, self.source.height],
            "lens": asdict(self.camera) | {"distortion": list(self.camera.distortion)},
        }
