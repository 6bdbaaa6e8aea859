"""The main job in a process of its own: Ctrl-C, SIGTERM, SIGKILL and a full disk."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from short_drive import COUNT, HEIGHT, WIDTH, assert_whole, frames_of, records

from litescene.media import VideoWriter, open_source, read_trajectory

PATIENCE = 120.0
"""Seconds for a start with kernels to compile on a busy machine."""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def long_drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """To and fro, for longer than any test here waits."""
    path = tmp_path_factory.mktemp("clips") / "long.mp4"
    frames = frames_of()
    round_trip = [*frames, *frames[-2:0:-1]]
    with VideoWriter(path, WIDTH, HEIGHT, 10) as video:
        for index in range(600):
            video.write(round_trip[index % len(round_trip)].image, index / 10)
    return path


@pytest.fixture
def start(segmenter_file: Path) -> Iterator[Start]:
    """Start `litescene run` in a process; what still runs in the end is killed."""
    processes = []

    def run(
        source: Path, out: Path, *words: str, largest_file: int = 0, threads: int = 1
    ) -> subprocess.Popen[str]:
        command = [
            *(sys.executable, "-m", "litescene.cli", "run", str(source), "--out", str(out)),
            *("--segment", str(segmenter_file), "--detect", "none", "--engine", "onnxruntime"),
            *words,
        ]

        def limit() -> None:
            signal.signal(signal.SIGHUP, signal.SIG_DFL)  # which a test under nohup would ignore
            if largest_file:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | dict.fromkeys(("OMP_NUM_THREADS", "NUMBA_NUM_THREADS"), str(threads)),
            preexec_fn=limit,
        )
        processes.append(process)
        return process

    yield run
    for process in processes:
        process.kill()
        process.communicate()


def wait_for_frames(process: subprocess.Popen[str], out: Path, count: int) -> None:
    lines, until = out / "frames.jsonl.part", time.monotonic() + PATIENCE
    while not lines.exists() or lines.read_bytes().count(b"\n") < count:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until, "no frames came"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.parametrize(
    "signals",
    [[signal.SIGINT], [signal.SIGINT] * 3, [signal.SIGTERM], [signal.SIGHUP]],
    ids=["ctrl-c", "three times ctrl-c", "sigterm", "closed terminal"],
)
def test_a_stopped_run_is_finished_and_valid(
    signals: list[signal.Signals], start: Start, long_drive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(long_drive, out)
    wait_for_frames(process, out, 12)
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, said
    assert said.splitlines().count("stopping; writing the results") == 1, said
    summary = assert_whole(out)
    assert 12 <= summary["frames"] < 600
    assert summary["complete"] is False
    assert "ended early by the user" in summary["warnings"]
    assert "ended early by the user" in (out / "report.html").read_text()
    assert summary["states"]["tracking"] == summary["frames"]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "sigterm"])
def test_stopped_labelling_is_finished_and_valid(
    number: signal.Signals, long_drive: Path, segmenter_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "litescene.cli", "segment", str(long_drive), "--out", str(out),
               "--model", str(segmenter_file), "--engine", "onnxruntime"]  # fmt: skip
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        until = time.monotonic() + PATIENCE
        while len(list(out.glob("labels/*.png"))) < 12:
            assert time.monotonic() < until
            time.sleep(0.01)
        # at once: a signal after the last file is written would meet the program's own end
        for _ in range(3):
            process.send_signal(number)
        _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert said.splitlines()[-1] == (
        "litescene: interrupted; the frames so far are kept, and their files are valid"
    )
    summary = json.loads((out / "summary.json").read_text())
    assert summary["complete"] is False
    with open_source(out / "overlay.mp4") as overlay:
        assert len(list(overlay)) == summary["frames"] == len(list((out / "labels").iterdir()))


@pytest.mark.slow
def test_a_killed_run_leaves_the_frames_so_far_and_the_next_one_cleans_up(
    start: Start, long_drive: Path, drive_file: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = start(long_drive, out)
    wait_for_frames(process, out, COUNT + 5)
    process.kill()
    process.communicate()
    whole = (out / "frames.jsonl.part").read_text().rpartition("\n")[0].splitlines()
    lines = [json.loads(line) for line in whole]
    assert [line["frame"] for line in lines] == list(range(len(lines)))
    assert lines[-1]["T_world_camera"] is not None
    assert all((out / "labels" / f"{line['name']}.png").stat().st_size for line in lines[:-1])

    process = start(drive_file, out)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, said
    assert_whole(out, COUNT)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for the video's reserve and a few frames."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8448k", "tmpfs", str(place)]
    try:
        subprocess.run(mount, check=True, capture_output=True, timeout=20)
    except (OSError, subprocess.SubprocessError) as error:
        pytest.skip(f"this user may not mount a small file system ({error})")
    yield place
    subprocess.run(["umount", str(place)], check=True, timeout=20)


def assert_one_clear_line(process: subprocess.Popen[str], said: str) -> None:
    assert process.returncode == 2, said
    lines = said.strip().splitlines()
    assert len(lines) == 1
    assert "cannot write" in lines[0]


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_what_was_written_is_valid(
    start: Start, long_drive: Path, small_disk: Path
) -> None:
    out = small_disk / "out"
    process = start(long_drive, out)
    _, said = process.communicate(timeout=PATIENCE)
    assert_one_clear_line(process, said)
    assert "the disk is full; free some space or choose another folder" in said
    summary = assert_whole_but_the_last_label(out)
    assert any("the disk is full" in line for line in summary["warnings"])
    assert summary["complete"] is False


def assert_whole_but_the_last_label(out: Path) -> dict[str, object]:
    summary = json.loads((out / "summary.json").read_text())
    lines = records(out)
    assert len(lines) == summary["frames"] > 5
    with open_source(out / "overlay.mp4") as overlay:
        assert len(list(overlay)) >= len(lines)
    assert all((out / "labels" / f"{r['name']}.png").stat().st_size for r in lines)
    assert len(read_trajectory(out / "trajectory.txt")) >= len(lines)
    return dict(summary)


@pytest.mark.slow
def test_a_file_that_may_grow_no_further_is_one_line(
    start: Start, drive_file: Path, tmp_path: Path
) -> None:
    process = start(drive_file, tmp_path / "out", largest_file=2 << 20)
    _, said = process.communicate(timeout=PATIENCE)
    assert_one_clear_line(process, said)
    assert "overlay.mp4: the file would be larger than the system allows" in said
    summary = json.loads((tmp_path / "out/summary.json").read_text())
    assert summary["complete"] is False
    assert (tmp_path / "out/report.html").exists()


@pytest.mark.slow
def test_the_number_of_threads_does_not_change_a_byte(
    start: Start, drive_file: Path, tmp_path: Path
) -> None:
    for threads in (1, 3):
        process = start(drive_file, tmp_path / str(threads), threads=threads)
        _, said = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, said
    for name in ("trajectory.txt", "map.ply", "frames.jsonl", "map/points3D.txt"):
        one, three = ((tmp_path / str(n) / name).read_bytes() for n in (1, 3))
        assert one == three, name
