"""The main job on bad input: one clear error, the right exit code, and nothing written is lost."""

from __future__ import annotations

import gc
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from short_drive import HEIGHT, WIDTH, RunJob, assert_whole, records

from litescene.cli.dispatch import main
from litescene.core import (
    BundleError,
    Camera,
    CameraError,
    Frame,
    LitesceneError,
    OutputError,
    SourceError,
)
from litescene.media import VideoWriter
from litescene.runtime import Segmenter
from litescene.scene.mapping import Mapper
from litescene.scene.outputs import FrameFiles
from tiny_bundles import segmentation_model


def our_threads() -> set[threading.Thread]:
    return {t for t in threading.enumerate() if t.name.startswith("litescene")}


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    # engines that other tests still hold, such as a module's own, are not this job's
    before = our_threads()
    yield
    until = time.monotonic() + 60
    while left := our_threads() - before:
        assert time.monotonic() < until, left
        gc.collect()  # an error's traceback holds its frames, they hold it, and threads hold both
        time.sleep(0.02)


@pytest.fixture
def pictures(drive: list[Frame], tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    folder.mkdir()
    for frame in drive[:8]:
        cv2.imwrite(str(folder / f"{frame.index:03d}.png"), frame.image[..., ::-1])
    return folder


@pytest.mark.parametrize(
    ("name", "content"),
    [("absent.mp4", None), ("empty.mp4", b""), ("text.mp4", b"no video\n"), ("box.mp4", b"zero")],
)
def test_a_video_that_cannot_be_read_leaves_no_folder(
    name: str, content: bytes | None, run_job: RunJob, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content == b"zero":
        content = b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + b"\0\0\0\x08mdat" + b"\0\0\0\x08moov"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=name):
        run_job(path)
    assert not (tmp_path / "out").exists()


def test_the_frames_before_the_damage_of_a_video_are_used(
    drive_file: Path, run_job: RunJob, tmp_path: Path
) -> None:
    whole = drive_file.read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: int(len(whole) * 0.6)])
    scene = run_job(cut)
    summary = assert_whole(scene.out)
    assert 5 <= summary["frames"] < 20
    assert any("cut.mp4" in line for line in summary["warnings"])


def test_one_corrupt_picture_is_named_and_skipped_and_the_run_goes_on(
    pictures: Path, run_job: RunJob
) -> None:
    (pictures / "003.png").write_bytes(b"no picture")
    summary = assert_whole(run_job(pictures).out, 7)
    assert summary["frames_skipped"] == 1
    assert summary["complete"] is True
    assert [line for line in summary["warnings"] if "003.png" in line]


def test_a_picture_of_another_size_ends_the_run_with_what_came_before(
    pictures: Path, run_job: RunJob, tmp_path: Path
) -> None:
    cv2.imwrite(str(pictures / "005.png"), np.zeros((90, 80, 3), np.uint8))
    with pytest.raises(SourceError, match=r"'005\.png' is 80×90"):
        run_job(pictures)
    summary = assert_whole(tmp_path / "out", 5)
    assert summary["complete"] is False
    assert any("ended early" in line and "80×90" in line for line in summary["warnings"])


@pytest.mark.parametrize("size", [(1, 1), (40, 30)])
def test_pictures_too_small_to_see_a_movement_are_labelled(
    size: tuple[int, int], run_job: RunJob, tmp_path: Path
) -> None:
    (tmp_path / "small").mkdir()
    for index in range(3):
        noise = np.random.default_rng(index).integers(0, 256, (*size, 3), dtype=np.uint8)
        cv2.imwrite(str(tmp_path / f"small/{index}.png"), noise)
    scene = run_job(tmp_path / "small")
    assert len(scene.trajectory) == 0
    assert any("no trajectory and no map" in line for line in scene.summary["warnings"])
    assert cv2.imread(str(scene.out / "labels/2.png"), cv2.IMREAD_UNCHANGED).shape == size


@pytest.mark.parametrize("given", ["file", "camera"])
def test_a_camera_that_does_not_fit_the_pictures_leaves_no_folder(
    given: str, drive: list[Frame], run_job: RunJob, tmp_path: Path
) -> None:
    lens: Any = Camera(640, 360, 500, 500, 320, 180)
    if given == "file":
        (tmp_path / "cameras.txt").write_text("1 PINHOLE 640 360 500 500 320 180\n")
        lens = str(tmp_path / "cameras.txt")
    with pytest.raises(CameraError, match=r"640×360.*160×120"):
        run_job(drive, camera=lens)
    assert not (tmp_path / "out").exists()


def test_a_camera_of_the_same_shape_is_resized(drive: list[Frame], run_job: RunJob) -> None:
    scene = run_job(drive[:2], camera=Camera(2 * WIDTH, 2 * HEIGHT, 200, 200, 159.5, 119.5))
    assert scene.summary["settings"]["lens"]["fx"] == 100


def test_a_bad_bundle_is_refused_before_a_folder_is_made(
    drive: list[Frame],
    run_job: RunJob,
    segmenter_file: Path,
    detector_file: Path,
    tmp_path: Path,
) -> None:
    bare, damaged = tmp_path / "bare.onnx", tmp_path / "damaged.onnx"
    bare.write_bytes(segmentation_model())
    content = bytearray(segmenter_file.read_bytes())
    content[len(content) // 3] ^= 1
    damaged.write_bytes(content)
    for settings, said in (
        ({"segment": bare}, "no litescene metadata"),
        ({"segment": damaged}, "digest is wrong|not an ONNX"),
        ({"segment": detector_file}, "detection, not segmentation"),
        ({"detect": segmenter_file}, "segmentation, not detection"),
        ({"segment": tmp_path / "absent.onnx"}, "absent.onnx"),
    ):
        with pytest.raises((BundleError, LitesceneError), match=said):
            run_job(drive, **settings)
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", [False, True])
def test_an_output_path_that_is_a_file_is_refused_and_the_file_kept(
    inside: bool, drive: list[Frame], run_job: RunJob, tmp_path: Path
) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(OutputError, match=r"file.*choose another name"):
        run_job(drive, out=file / "inside" if inside else file)
    assert file.read_text() == "mine"


def failing_after(count: int, error: Exception, real: Any) -> Any:
    calls = iter(range(1_000_000))

    def work(*args: Any, **options: Any) -> Any:
        if next(calls) >= count:
            raise error
        return real(*args, **options)

    return work


def test_an_error_of_the_writing_thread_is_the_one_that_is_raised(
    drive: list[Frame], run_job: RunJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = OutputError("cannot write overlay.mp4: the disk is full")
    monkeypatch.setattr(VideoWriter, "write", failing_after(6, error, VideoWriter.write))
    with pytest.raises(OutputError) as raised:
        run_job(drive)
    assert raised.value is error
    out = tmp_path / "out"
    summary = json.loads((out / "summary.json").read_text())
    assert summary["frames"] == 6 == len(records(out))
    assert any("the disk is full" in line for line in summary["warnings"])


@pytest.mark.parametrize("error", [RuntimeError("the network broke"), OutputError("no room")])
def test_an_error_of_the_networks_thread_ends_the_run_with_what_came_before(
    error: Exception,
    drive: list[Frame],
    run_job: RunJob,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Segmenter, "__call__", failing_after(9, error, Segmenter.__call__))
    with pytest.raises(type(error)) as raised:
        run_job(drive)
    assert raised.value is error
    summary = assert_whole(tmp_path / "out", 9)
    assert summary["complete"] is False


def test_an_error_of_the_mapping_thread_ends_the_run_with_all_frames_so_far(
    drive: list[Frame], run_job: RunJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    error = RuntimeError("depth broke")
    monkeypatch.setattr(Mapper, "_map_view", failing_after(1, error, Mapper._map_view))
    with pytest.raises(RuntimeError) as raised:
        run_job(drive)
    assert raised.value is error
    assert any("depth broke" in line for line in assert_whole(tmp_path / "out")["warnings"])


def test_when_several_things_break_the_first_error_is_raised(
    drive: list[Frame], run_job: RunJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = RuntimeError("the network broke")
    monkeypatch.setattr(Segmenter, "__call__", failing_after(4, first, Segmenter.__call__))

    def close(files: FrameFiles) -> None:
        close_really(files)
        raise OutputError("no room for the index")

    close_really = FrameFiles.close
    monkeypatch.setattr(FrameFiles, "close", close)
    with pytest.raises(RuntimeError) as raised:
        run_job(drive)
    assert raised.value is first


def test_one_file_that_cannot_be_written_does_not_cost_the_others(
    drive: list[Frame], run_job: RunJob, tmp_path: Path
) -> None:
    blocked = tmp_path / "out" / "map.ply"

    def block(done: int, total: int | None) -> None:
        blocked.mkdir(exist_ok=True)

    with pytest.raises(OutputError, match=r"map\.ply"):
        run_job(drive[:6], progress=block)
    out = tmp_path / "out"
    assert len(records(out)) == 6
    for name in ("trajectory.txt", "map/points3D.txt", "overlay.mp4", "report.html"):
        assert (out / name).is_file(), name
    summary = json.loads((out / "summary.json").read_text())
    assert any("map.ply" in line for line in summary["warnings"])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["absent.mp4"], "absent.mp4"),
        (["drive.mp4", "--camera", "fov=400"], "fov=400"),
        (["drive.mp4", "--segment", "damaged.onnx"], "damaged.onnx"),
        (["drive.mp4", "--detect", "pp_liteseg"], "pp_liteseg"),
        (["drive.mp4", "--engine", "warp"], "warp"),
        (["drive.mp4", "--out", "damaged.onnx"], "damaged.onnx"),
        (["drive.mp4", "--limit", "0"], "--limit"),
    ],
)
def test_the_command_line_answers_with_one_line_and_exit_code_2(
    words: list[str],
    said: str,
    drive_file: Path,
    segmenter_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "drive.mp4").symlink_to(drive_file)
    (tmp_path / "damaged.onnx").write_bytes(segmenter_file.read_bytes()[:-40])
    usual = ["--segment", str(segmenter_file), "--detect", "none", "--engine", "onnxruntime"]
    with pytest.raises(SystemExit) as stopped:
        main(["run", *usual, *words])
    assert stopped.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    assert said in lines[0]
    assert not (tmp_path / "drive_run").exists()
