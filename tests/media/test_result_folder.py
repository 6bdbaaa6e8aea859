"""Before a job begins, its folder is cleared of results of its kind, and of nothing else."""

from __future__ import annotations

from itertools import permutations
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


@pytest.mark.parametrize(("job", "other"), list(permutations(JOBS, 2)))
@pytest.mark.parametrize("name", SHARED)
def test_what_another_job_wrote_stays(job: str, other: str, name: str, tmp_path: Path) -> None:
    lines = fill(tmp_path, JOBS[other][1], LINE)
    theirs = fill(tmp_path, name)
    with pytest.raises(OutputError, match=f"{name} is there, and no {job} wrote it"):
        JOBS[job][0](tmp_path, SOURCE)
    assert theirs.exists()
    assert lines.exists()
