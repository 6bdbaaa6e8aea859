"""The cache folder is there on every machine, and is nobody else's."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from litescene.core import cache
from litescene.core.cache import cache_folder

NOWHERE = "/dev/null/home"
pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="permissions of Unix")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder of temporary files; no home folder can be written."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("HOME", NOWHERE)
    for name in ("LITESCENE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    cache._fresh.cache_clear()
    yield tmp_path
    cache._fresh.cache_clear()


def test_without_a_home_folder_it_is_among_the_temporary_files(place: Path) -> None:
    folder = place / f"litescene-{os.getuid()}"
    assert cache_folder() == folder == cache_folder()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_home_folder_that_is_there_comes_first(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(place))
    assert cache_folder() == place / ".cache/litescene"
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "x"))
    assert cache_folder() == place / "x/litescene"
    monkeypatch.setenv("LITESCENE_CACHE", "mine")
    assert cache_folder() == Path("mine")
    assert list(place.iterdir()) == []


def test_a_home_folder_that_may_not_even_be_looked_into_is_none(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As root's is to the user of a container that was given it as home."""
    closed, look, may = str(place / "root"), os.stat, os.access
    (place / "root").mkdir()
    monkeypatch.setenv("HOME", closed)

    def stat_of(path: str | Path, **options: Any) -> os.stat_result:
        if str(path).startswith(f"{closed}/"):
            raise PermissionError(13, "Permission denied", str(path))
        return look(path, **options)

    monkeypatch.setattr(os, "stat", stat_of)
    monkeypatch.setattr(os, "access", lambda p, mode: str(p) != closed and may(p, mode))
    assert cache_folder() == place / f"litescene-{os.getuid()}"


def test_a_user_whom_the_system_does_not_know_has_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # as it is then
    assert cache_folder() == place / f"litescene-{os.getuid()}"


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_folder_that_others_can_write_is_not_taken(place: Path, mode: int) -> None:
    shared = place / f"litescene-{os.getuid()}"
    shared.mkdir()
    shared.chmod(mode)
    assert cache_folder() != shared
    assert cache_folder() == cache_folder()
    assert stat.S_IMODE(cache_folder().stat().st_mode) == 0o700


def test_neither_is_a_link_to_one(place: Path) -> None:
    (place / "else").mkdir(mode=0o700)
    (place / f"litescene-{os.getuid()}").symlink_to("else")
    assert cache_folder().name not in ("else", f"litescene-{os.getuid()}")


KERNEL = """
import os
may = os.access
os.access = lambda path, mode: "litescene" not in os.path.basename(path) and may(path, mode)
from litescene.core.njit import njit
import sys; sys.path.insert(0, sys.argv[1])
import kernel
print(kernel.one())
"""


def test_machine_code_is_kept_there_where_it_cannot_be_beside_the_source(tmp_path: Path) -> None:
    (tmp_path / "kernel.py").write_text(
        "from litescene.core.njit import njit\n\n@njit(cache=True)\ndef one():\n    return 1\n"
    )
    known = {k: v for k, v in os.environ.items() if k not in ("LITESCENE_CACHE", "NUMBA_CACHE_DIR")}
    where = {"HOME": NOWHERE, "XDG_CACHE_HOME": NOWHERE, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", KERNEL, str(tmp_path)]
    done = subprocess.run(command, env=known | where, capture_output=True, text=True, check=True)
    assert done.stdout == "1\n"
    folder = tmp_path / f"litescene-{os.getuid()}" / "kernels"
    assert len(list(folder.glob("*/kernel.one-*.nbi"))) == 1
