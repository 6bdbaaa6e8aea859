"""The main job on good and on odd sources: what it writes, and that it is always all of it."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from short_drive import COUNT, HEIGHT, WIDTH, RunJob, assert_whole, frames_of, records

from litescene.core import Frame, OutputError
from litescene.media import read_ply, read_trajectory
from litescene.media.sources import Source
from litescene.scene import pipeline, results
from litescene.scene.keyframes import Keyframe
from litescene.scene.mapping import Mapper


def test_a_drive_gives_everything_and_all_of_it_agrees(
    drive: list[Frame], run_job: RunJob, detector_file: Path
) -> None:
    done: list[tuple[int, int | None]] = []
    scene = run_job(drive, detect=detector_file, progress=lambda n, total: done.append((n, total)))
    summary = assert_whole(scene.out, COUNT)
    assert summary == scene.summary
    assert summary["complete"] is True
    assert summary["states"] == {"initializing": 0, "tracking": COUNT, "lost": 0}
    assert summary["scale"] == "arbitrary"
    assert summary["map"]["points"] == len(scene.scene_map) > 500
    assert summary["warnings"] == []
    assert {"numpy", "onnxruntime", "litescene", "python"} <= set(summary["versions"])
    assert summary["settings"]["lens"]["width"] == WIDTH
    assert set(summary["settings"]["digests"]) == {"segmentation", "detection"}
    stages = {"decoding", "segmentation", "detection", "odometry", "depth", "fusion", "elapsed"}
    assert stages <= set(summary["milliseconds"])
    assert done == [(n, COUNT) for n in range(1, COUNT + 1)]
    poses = [r["T_world_camera"] for r in records(scene.out)]
    np.testing.assert_allclose(poses, scene.trajectory.poses, atol=1e-8)
    objects = [o for r in records(scene.out) for o in r["objects"]]
    assert set(objects[0]) == {"class", "score", "box", "id"}
    assert len({o["id"] for o in objects if o["id"] >= 0}) == summary["objects"]


def test_the_same_seed_gives_the_same_bytes_however_the_threads_run(
    drive: list[Frame], run_job: RunJob, detector_file: Path, tmp_path: Path
) -> None:
    def dawdle(done: int, total: int | None) -> None:
        time.sleep(0.03 * (done % 3))  # the threads meet at other moments

    one = run_job(drive, detect=detector_file, out=tmp_path / "one").out
    two = run_job(drive, detect=detector_file, out=tmp_path / "two", progress=dawdle).out
    for name in ("trajectory.txt", "map.ply", "frames.jsonl", "map/points3D.txt"):
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_doubtful_boxes_are_written_only_where_they_continue_an_object(
    drive: list[Frame], run_job: RunJob, detector_file: Path
) -> None:
    out = run_job(drive, detect=detector_file).out
    objects = [o for r in records(out) for o in r["objects"]]
    doubtful = [o for o in objects if o["score"] < 0.93]  # the bundle's own threshold
    assert doubtful
    assert all(o["id"] >= 0 for o in doubtful)
    assert len(doubtful) < len(objects)


def test_the_solver_of_loops_is_loaded_before_the_first_frame_is_tracked(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    step = pipeline._Run._step

    def note(job: Any, item: Any) -> None:
        order.append("frame")
        step(job, item)

    monkeypatch.setattr(pipeline, "load_solver", lambda: order.append("solver"))
    monkeypatch.setattr(pipeline._Run, "_step", note)
    run_job(drive[:2])
    assert order == ["solver", "frame", "frame"]


def test_decoding_and_the_files_of_the_end_count_among_the_seconds(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow() -> Iterator[Frame]:
        for frame in drive[:5]:
            time.sleep(0.02)
            yield frame

    monkeypatch.setattr(results, "write_ply", lambda *_: time.sleep(0.4))
    summary = run_job(slow()).summary
    assert summary["milliseconds"]["decoding"] >= 20 * 4 / 5  # the first one is read on opening
    assert summary["seconds"] >= 0.4 + 4 * 0.02
    assert summary["milliseconds"]["elapsed"] == pytest.approx(summary["seconds"] * 200, rel=0.01)


@pytest.mark.parametrize("frames", [1, 2])
def test_a_source_of_one_or_two_frames_is_written_whole(
    frames: int, drive: list[Frame], run_job: RunJob
) -> None:
    scene = run_job(drive[:frames])
    summary = assert_whole(scene.out, frames)
    assert len(scene.trajectory) == 0
    assert len(scene.scene_map) == 0
    assert summary["map"]["points"] == 0


def test_a_camera_that_never_moves_gives_no_map_and_the_report_says_why(
    drive: list[Frame], run_job: RunJob
) -> None:
    still = [Frame(i, i / 10, drive[0].image) for i in range(12)]
    scene = run_job(still)
    summary = assert_whole(scene.out, 12)
    assert summary["states"] == {"initializing": 12, "tracking": 0, "lost": 0}
    assert summary["keyframes"] == 0
    assert any("never seen to move" in line for line in summary["warnings"])
    assert "never seen to move" in (scene.out / "report.html").read_text()


def test_a_lost_camera_begins_a_segment_in_files_of_its_own(
    drive: list[Frame], run_job: RunJob
) -> None:
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    elsewhere = frames_of(12, seed=50)
    pictures = [*(f.image for f in drive[:14]), *[black] * 12, *(f.image for f in elsewhere)]
    scene = run_job([Frame(i, i / 10, image) for i, image in enumerate(pictures)])
    summary = assert_whole(scene.out, len(pictures))
    assert summary["segments"] == 2
    assert summary["states"]["lost"] >= 12
    assert any("lost" in line for line in summary["warnings"])
    assert any("trajectory_1.txt" in line for line in summary["warnings"])
    first = read_trajectory(scene.out / "trajectory.txt")
    second = read_trajectory(scene.out / "trajectory_1.txt")
    segments = [r["segment"] for r in records(scene.out)]
    assert {len(first), len(second)} == {segments.count(0), segments.count(1)}
    assert len(first) == segments.count(summary["main_segment"]) >= len(second)
    assert len(read_ply(scene.out / "map_1.ply")) > 0

    # a later, shorter run leaves nothing of it
    (scene.out / "labels" / "mine.txt").write_text("not of a run")
    (scene.out / "notes.txt").write_text("not of a run")
    again = run_job(drive[:3])
    (again.out / "labels" / "mine.txt").unlink()
    assert (again.out / "notes.txt").read_text() == "not of a run"
    assert not (again.out / "trajectory_1.txt").exists()
    assert not (again.out / "map_1.ply").exists()
    assert_whole(again.out, 3)


def test_a_new_segment_completes_the_map_of_the_one_before(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    mappers: list[Watched] = []

    class Watched(Mapper):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            assert all(not mapper._recent and not mapper._between for mapper in mappers)
            mappers.append(self)
            self.added: list[int] = []

        def add(self, keyframe: Keyframe, *given: Any) -> None:
            super().add(keyframe, *given)
            self.added.append(keyframe.frame)

    monkeypatch.setattr(pipeline, "Mapper", Watched)
    black = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    elsewhere = frames_of(12, seed=50)
    pictures = [*(f.image for f in drive[:14]), *[black] * 12, *(f.image for f in elsewhere)]
    run_job([Frame(i, i / 10, image) for i, image in enumerate(pictures)])
    assert len(mappers) == 2
    for mapper in mappers:
        assert len(mapper.added) >= 2
        assert [keyframe.frame for keyframe, _ in mapper._mapped] == mapper.added


def test_errors_that_nobody_foresaw_at_the_end_cost_only_what_they_hit(
    drive: list[Frame], run_job: RunJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("in the map")

    monkeypatch.setattr(pipeline.Mapper, "result", broken)
    monkeypatch.setattr(results, "finish_lines", broken)
    with pytest.raises(ZeroDivisionError, match="in the map"):
        run_job(drive)
    out = tmp_path / "out"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["complete"] is False
    assert summary["warnings"] == ["ZeroDivisionError: in the map"] * 2
    assert len(read_trajectory(out / "trajectory.txt")) == COUNT
    assert len(read_ply(out / "map.ply")) == 0
    assert (out / "map" / "points3D.txt").stat().st_size > 1000
    assert "ZeroDivisionError" in (out / "report.html").read_text()
    assert len((out / "frames.jsonl.part").read_text().splitlines()) == COUNT


def test_label_pictures_that_no_run_wrote_are_never_touched(
    drive: list[Frame], run_job: RunJob, tmp_path: Path
) -> None:
    mine = tmp_path / "out" / "labels" / "000000.png"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"hours of work")
    with pytest.raises(OutputError, match="no run wrote"):
        run_job(drive)
    assert mine.read_bytes() == b"hours of work"
    assert [p.name for p in mine.parent.parent.iterdir()] == ["labels"]


@pytest.mark.parametrize("name", ["overlay.mp4", "labels", "labels/*.png", "../out/overlay.mp4"])
def test_a_source_that_is_a_result_in_the_same_folder_is_refused_and_kept(
    name: str, drive: list[Frame], run_job: RunJob
) -> None:
    out = run_job(drive[:2]).out
    with pytest.raises(OutputError, match="choose another folder"):
        run_job(out / name)
    assert_whole(out, 2)


def test_frames_are_named_after_their_pictures_and_never_share_a_file(
    drive: list[Frame], run_job: RunJob
) -> None:
    names = ["1305031102.175304", "1305031102.211214", "a.png", "a.jpg", "../up", ""]
    frames = [Frame(i, i / 10, drive[i].image, name) for i, name in enumerate(names)]
    out = run_job(frames).out
    assert [r["name"] for r in records(out)] == [
        "1305031102.175304", "1305031102.211214", "a", "a_000003", "up", "000005"
    ]  # fmt: skip
    assert_whole(out, len(names))


class LiveCamera(Source):
    """Gives its frames without waiting for anybody."""

    live = True

    def __init__(self, frames: list[Frame], limit: int | None = None) -> None:
        super().__init__("live", limit)
        self._given = frames
        self._describe(frames[0], None, 10.0)

    def _frames(self) -> Iterator[Frame]:
        return iter(self._given)


def test_a_live_source_drops_frames_instead_of_waiting(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    frames = [Frame(i, i / 10, drive[i % COUNT].image) for i in range(60)]
    monkeypatch.setattr(pipeline, "open_source", lambda spec, limit: LiveCamera(spec, limit))
    scene = run_job(frames)
    summary = scene.summary
    assert summary["frames_dropped"] > 0
    assert summary["frames"] + summary["frames_dropped"] == 60
    assert_whole(scene.out, summary["frames"])
    numbers = [r["frame"] for r in records(scene.out)]
    assert numbers == sorted(numbers)
    assert numbers[-1] == 59  # the newest frame is never the one that goes


class StuckCamera(LiveCamera):
    """Gives its frames, and then nothing, for as long as nobody lets go."""

    let_go = threading.Event()

    def _frames(self) -> Iterator[Frame]:
        yield from self._given
        self.let_go.wait(60)


def test_ctrl_c_ends_a_run_whose_camera_is_stuck(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "open_source", lambda spec, limit: StuckCamera(spec, limit))
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    press = threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT))

    def first(done: int, total: int | None) -> None:
        if done == 1:
            press.start()

    scene = run_job(drive[:3], progress=first)
    StuckCamera.let_go.set()
    assert scene.interrupted
    assert "ended early by the user" in assert_whole(scene.out)["warnings"]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_run_in_another_thread_leaves_the_signals_alone(
    drive: list[Frame], run_job: RunJob
) -> None:
    handlers = []

    def note(done: int, total: int | None) -> None:
        handlers.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    worker = threading.Thread(target=lambda: run_job(drive[:2], progress=note))
    worker.start()
    worker.join(timeout=60)
    assert handlers == [before] * 2


@pytest.mark.slow
def test_pictures_are_let_go_while_the_run_goes_on(drive: list[Frame], run_job: RunJob) -> None:
    alive: list[weakref.ref[np.ndarray]] = []
    most = 0

    def given() -> Iterator[Frame]:
        for index in range(100):
            place = index % (2 * COUNT - 2)
            image = drive[min(place, 2 * COUNT - 2 - place)].image.copy()  # there and back
            alive.append(weakref.ref(image))
            yield Frame(index, index / 10, image)

    def count(done: int, total: int | None) -> None:
        nonlocal most
        most = max(most, sum(one() is not None for one in alive))

    scene = run_job(given(), progress=count)
    assert scene.summary["frames"] == 100
    assert scene.summary["keyframes"] >= 8
    # three queues of 3, 3 and 4 frames, one at work in each thread, the neighbours of keyframes
    assert most <= 35
