"""The commit of a measurement is ours, or none."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from litescene.core import provenance


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout of somebody's project with one commit."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], [*author, "commit", "-q", "--allow-empty", "-m", "x"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True)
    return tmp_path


def package(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root.mkdir(parents=True)
    monkeypatch.setattr(provenance, "_PACKAGE", root)


def test_a_package_in_its_own_checkout_has_its_commit(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(checkout / "src" / "litescene", monkeypatch)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=checkout, capture_output=True, text=True, check=True
    )
    found = provenance.commit()
    assert found is not None
    assert len(found) == 12
    assert head.stdout.startswith(found)


def test_a_package_installed_inside_another_checkout_has_none(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(checkout / ".venv" / "lib" / "site-packages" / "litescene", monkeypatch)
    assert provenance.commit() is None


def test_a_package_outside_of_any_checkout_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(tmp_path / "litescene", monkeypatch)
    assert provenance.commit() is None


@pytest.mark.parametrize("folder", ["benchmarks/results", "src/litescene/results"])
def test_stored_measurements_make_no_checkout_dirty(
    folder: str, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package(checkout / "src" / "litescene", monkeypatch)
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    files = [checkout / folder / "a.json", checkout / "src/litescene/code.py"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("1")
    for words in (["add", "."], [*author, "commit", "-q", "-m", "y"]):
        subprocess.run(["git", *words], cwd=checkout, check=True)
    found = []
    for file in files:
        file.write_text("2")
        found.append(str(provenance.commit()).endswith("-dirty"))
    assert found == [False, True]
