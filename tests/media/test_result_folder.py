"""Before a job begins, its folder is cleared of results of its kind, and of nothing else."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import permutations
from pathlib import Path

import pytest

from litescene.core import OutputError
from litescene.media.result_folder import default_folder
from litescene.runtime.records import BoxRecords, LabelRecords
from litescene.scene.out_folder import prepared_folder

SOURCE = Path("drive.mp4")
LINE = '{"frame": 0, "time": 0.0, "name": "0"}\n'
JOBS = {
    "run": (prepared_folder, "frames.jsonl", ("trajectory.txt", "map_2.ply", "map/points3D.txt")),
    "segment": (LabelRecords.prepared, "labels.jsonl", ()),
    "detect": (BoxRecords.prepared, "detections.jsonl", ("detections_mot.txt",)),
}
SHARED = ("overlay.mp4", "summary.json")


def fill(out: Path, name: str, text: str = "hours of work") -> Path:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def clear(out: Path, job: str) -> None:
    with JOBS[job][0](out, SOURCE):
        pass


@pytest.mark.parametrize(
    ("job", "name"), [(job, name) for job in JOBS for name in (*JOBS[job][2], *SHARED)]
)
def test_a_file_called_like_a_result_stays_unless_a_job_wrote_it(
    job: str, name: str, tmp_path: Path
) -> None:
    _, lines, _ = JOBS[job]
    mine = fill(tmp_path, name)
    with pytest.raises(OutputError, match=f"{mine.name} is there, and no {job} wrote it"):
        clear(tmp_path, job)
    assert mine.read_text() == "hours of work"
    fill(tmp_path, lines, LINE)
    clear(tmp_path, job)
    assert not mine.exists()
    assert not (tmp_path / lines).exists()


@pytest.mark.parametrize("job", JOBS)
def test_lines_of_another_kind_stay(job: str, tmp_path: Path) -> None:
    _, lines, _ = JOBS[job]
    mine = fill(tmp_path, lines, '{"image_id": 3}\n')
    with pytest.raises(OutputError, match=f"no {job} wrote it"):
        clear(tmp_path, job)
    assert mine.exists()
    mine.write_text("")  # as a job leaves it that was stopped at once
    clear(tmp_path, job)
    assert not mine.exists()


@pytest.mark.parametrize(("job", "other"), list(permutations(JOBS, 2)))
@pytest.mark.parametrize("name", SHARED)
def test_what_another_job_wrote_stays(job: str, other: str, name: str, tmp_path: Path) -> None:
    lines = fill(tmp_path, JOBS[other][1], LINE)
    theirs = fill(tmp_path, name)
    with pytest.raises(OutputError, match=f"{name} is there, and no {job} wrote it"):
        clear(tmp_path, job)
    assert theirs.exists()
    assert lines.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="there nobody is refused")
@pytest.mark.parametrize("job", JOBS)
def test_a_folder_that_another_process_writes_into_is_left_alone(job: str, tmp_path: Path) -> None:
    prepare, lines, _ = JOBS[job]
    clearing = (
        "from pathlib import Path; from tests.media.test_result_folder import clear; "
        f"clear(Path({str(tmp_path)!r}), {job!r})"
    )
    with prepare(tmp_path, SOURCE):
        theirs = fill(tmp_path, lines, LINE)
        other = subprocess.run([sys.executable, "-c", clearing], capture_output=True, text=True)
    assert other.stderr.splitlines()[-1].endswith(
        f"another job writes into {tmp_path} just now; choose another folder for the results"
    )
    assert theirs.read_text() == LINE
    assert not (tmp_path / "claim.lock").exists()
    clear(tmp_path, job)
    assert not theirs.exists()


@pytest.mark.parametrize(
    ("earlier", "source", "same"),
    [
        ("a/drive.mp4", "a/drive.mp4", True),
        ("a/drive.mp4", "./a/../a/drive.mp4", True),
        ("a/drive.mp4", "link.mp4", True),
        ("a/drive.mp4", "b/drive.mp4", False),
        ("rtsp://host/drive", "rtsp://me:secret@host/drive", True),
        ("rtsp://host/drive", "rtsp://other/drive", False),
        ("camera:0", "camera:0", True),
    ],
)
@pytest.mark.parametrize("nested", [True, False])
def test_nobody_gets_the_folder_of_another_source_unasked(
    earlier: str,
    source: str,
    same: bool,
    nested: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("a", "b"):
        fill(tmp_path, f"{folder}/drive.mp4")
    (tmp_path / "link.mp4").symlink_to("a/drive.mp4")
    folder = default_folder(source, "run")
    summary = {"settings": {"source": earlier}} if nested else {"source": earlier}
    fill(tmp_path, f"{folder}/summary.json", json.dumps(summary))
    if same:
        assert default_folder(source, "run") == folder
    else:
        with pytest.raises(OutputError, match=rf"{folder} holds .* {earlier}; .* {source} with"):
            default_folder(source, "run")


@pytest.mark.parametrize("text", ["", "[]", '{"source": 3}', '{"settings": []}'])
def test_a_summary_that_names_no_source_is_nobodys(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fill(tmp_path, "drive_run/summary.json", text)
    assert default_folder("drive.mp4", "run") == Path("drive_run")
