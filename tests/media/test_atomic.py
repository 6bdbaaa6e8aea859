from __future__ import annotations

import errno
import os
import resource
import stat
from pathlib import Path

import pytest

from litescene.core import OutputError
from litescene.media.atomic import (
    atomic_write,
    output_error,
    require_writable,
    write_atomic,
    write_together,
)


def test_a_file_appears_whole_and_alone(tmp_path: Path) -> None:
    write_atomic(tmp_path / "new" / "folder" / "notes.txt", "höhe")
    assert (tmp_path / "new" / "folder" / "notes.txt").read_bytes() == "höhe".encode()
    assert [p.name for p in (tmp_path / "new" / "folder").iterdir()] == ["notes.txt"]


def test_a_link_stays_one_and_a_pipe_is_written_to(tmp_path: Path) -> None:
    (tmp_path / "real.json").write_text("old")
    (tmp_path / "link.json").symlink_to("real.json")
    write_atomic(tmp_path / "link.json", "new")
    assert (tmp_path / "link.json").is_symlink()
    assert (tmp_path / "real.json").read_text() == "new"
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(pipe, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.skipif(not os.path.exists("/dev/fd"), reason="there is no /dev/fd")
def test_an_output_that_has_no_name_but_its_number_is_written_to() -> None:
    """As /dev/stdout is when it is a pipe, and what a shell writes for >(...)."""
    reader, writer = os.pipe()
    path = Path(f"/dev/fd/{writer}")
    require_writable(path)
    write_atomic(path, "through")
    assert os.read(reader, 100) == b"through"
    os.close(reader)
    os.close(writer)


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "poses.txt"
    write_atomic(path, b"old")

    def interrupted() -> None:
        with atomic_write(path) as file:
            file.write(b"half of the new")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        interrupted()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_has_the_final_name_before_the_end(tmp_path: Path) -> None:
    path = tmp_path / "map.ply"
    with atomic_write(path) as file:
        file.write(b"ply")
        assert not path.exists()
    assert path.exists()


def test_new_files_have_the_usual_permissions(tmp_path: Path) -> None:
    write_atomic(tmp_path / "ours", b"", sync=False)
    (tmp_path / "plain").write_bytes(b"")
    modes = {stat.S_IMODE((tmp_path / n).stat().st_mode) for n in ("ours", "plain")}
    assert len(modes) == 1


def test_a_full_disk_is_one_clear_line(tmp_path: Path) -> None:
    with (
        pytest.raises(OutputError, match=r"map\.ply: the disk is full") as caught,
        atomic_write(tmp_path / "map.ply"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "permission"), (errno.EROFS, "read-only"), (errno.EFBIG, "larger")],
)
def test_the_reason_is_said_in_words(number: int, words: str) -> None:
    assert words in str(output_error(Path("x"), OSError(number, "Exxx")))


def test_an_unknown_reason_is_the_systems_own(tmp_path: Path) -> None:
    message = str(output_error(Path("x"), OSError(errno.ENODEV, "No such device")))
    assert message == "cannot write x: No such device"


def test_what_could_not_be_written_is_known_before_the_work(tmp_path: Path) -> None:
    for folder in (False, True):
        require_writable(tmp_path / "new" / "deep" / "x", folder=folder)
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").write_bytes(b"older")
    require_writable(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"older"
    require_writable(tmp_path, folder=True)
    for path, folder, said in (
        (tmp_path / "file", True, "a file, not a folder"),
        (tmp_path / "file" / "x", False, "a file, not a folder"),
        (tmp_path, False, "there is a folder of that name"),
        (Path("/proc/litescene/x"), False, "cannot write /proc/litescene/x"),
    ):
        with pytest.raises(OutputError, match=said):
            require_writable(path, folder=folder)


def test_a_file_in_the_way_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"")
    with pytest.raises(OutputError, match="a file, not a folder"):
        write_atomic(tmp_path / "out" / "poses.txt", b"")
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="there is a folder of that name"):
        write_atomic(tmp_path / "folder", b"")


def test_files_that_belong_together_come_together_or_not_at_all(tmp_path: Path) -> None:
    old = {"net.xml": b"old graph", "net.bin": b"old weights"}
    write_together(tmp_path, old)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))  # as a disk that fills up
    try:
        with pytest.raises(OutputError, match=r"net\.bin"):
            write_together(tmp_path, {"net.xml": b"new graph", "net.bin": bytes(1000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == old
    write_together(tmp_path, {"net.xml": b"new graph", "net.bin": bytes(1000)})
    assert (tmp_path / "net.xml").read_bytes() == b"new graph"
