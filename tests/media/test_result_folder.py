"""Before a job begins, its folder is cleared of results of its kind, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from litescene.core import OutputError
from litescene.runtime.records import BoxRecords, LabelRecords
from litescene.scene.out_folder import prepare_folder

SOURCE = Path("drive.mp4")
LINE = '{"frame": 0, "time": 0.0, "name": "0"}\n'
JOBS = {
    "run": (prepare_folder, "frames.jsonl", ("trajectory.txt", "map_2.ply", "map/points3D.txt")),
    "segment": (LabelRecords.prepare, "labels.jsonl", ()),
    "detect": (BoxRecords.prepare, "detections.jsonl", ("detections_mot.txt",)),
}
SHARED = ("overlay.mp4", "summary.json")


def fill(out: Path, name: str, text: str = "hours of work") -> Path:
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("job", "name"), [(job, name) for job in JOBS for name in (*JOBS[job][2], *SHARED)]
)
def test_a_file_called_like_a_result_stays_unless_a_job_wrote_it(
    job: str, name: str, tmp_path: Path
) -> None:
    prepare, lines, _ = JOBS[job]
    mine = fill(tmp_path, name)
    with pytest.raises(OutputError, match=f"{mine.name} is there, and no {job} wrote it"):
        prepare(tmp_path, SOURCE)
    assert mine.read_text() == "hours of work"
    fill(tmp_path, lines, LINE)
    prepare(tmp_path, SOURCE)
    assert not mine.exists()
    assert not (tmp_path / lines).exists()


@pytest.mark.parametrize("job", JOBS)
def test_lines_of_another_kind_stay(job: str, tmp_path: Path) -> None:
    prepare, lines, _ = JOBS[job]
    mine = fill(tmp_path, lines, '{"image_id": 3}\n')
    with pytest.raises(OutputError, match=f"no {job} wrote it"):
        prepare(tmp_path, SOURCE)
    assert mine.exists()
    mine.write_text("")  # as a job leaves it that was stopped at once
    prepare(tmp_path, SOURCE)
    assert not mine.exists()


def test_detect_goes_beside_segment_but_not_into_the_files_of_a_run_that_was_none(
    tmp_path: Path,
) -> None:
    labels = fill(tmp_path, "labels.jsonl", LINE)
    label = fill(tmp_path, "labels/0.png")
    overlay = fill(tmp_path, "overlay.mp4")
    BoxRecords.prepare(tmp_path, SOURCE)
    assert not overlay.exists()
    assert labels.exists()
    assert label.exists()
    truth = fill(tmp_path, "trajectory.txt")
    label.unlink()
    with pytest.raises(OutputError, match=r"trajectory\.txt is there"):
        prepare_folder(tmp_path, SOURCE)
    assert truth.exists()
