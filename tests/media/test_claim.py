"""A folder is one process's at a time, and keeps no trace of that."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import pytest

from litescene.core import OutputError
from litescene.media.claim import LOCK, claimed

fcntl = pytest.importorskip("fcntl")


def claimed_elsewhere(folder: Path) -> bool:
    """Whether another process gets it."""
    asking = (
        "import sys; from pathlib import Path; from litescene.media.claim import claimed\n"
        "with claimed(Path(sys.argv[1])) as ours: print(ours)"
    )
    done = subprocess.run(
        [sys.executable, "-c", asking, folder], capture_output=True, text=True, check=True
    )
    return done.stdout == "True\n"


def test_nobody_else_gets_a_folder_until_it_is_free(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "results"
    with claimed(folder) as ours, claimed(folder / ".." / "results") as again:
        assert (ours, again) == (True, True)
        assert not claimed_elsewhere(folder)
    assert list(folder.iterdir()) == []
    assert claimed_elsewhere(folder)
    assert list(folder.iterdir()) == []


def test_a_lock_that_a_killed_process_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / LOCK).touch()
    with claimed(tmp_path) as ours:
        assert ours
    assert not (tmp_path / LOCK).exists()


def test_a_lock_that_its_holder_removed_meanwhile_counts_for_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between opening the file and locking it, the process that held it may end."""
    lock, gone = fcntl.flock, []

    def late(file: object, how: int) -> None:
        lock(file, how)
        if not gone:
            gone.append((tmp_path / LOCK).unlink())

    monkeypatch.setattr(fcntl, "flock", late)
    with claimed(tmp_path) as ours:
        assert ours
        assert not claimed_elsewhere(tmp_path)


def test_where_a_file_system_has_no_locks_nobody_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none)
    with claimed(tmp_path) as ours:
        assert ours


def test_a_folder_that_cannot_be_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="a file, not a folder"), claimed(tmp_path / "file" / "x"):
        pass
