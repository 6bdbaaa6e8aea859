"""The entry point: help, version, one-line errors and exit codes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import litescene
from litescene.cli.verbs import VERBS, module_of
from litescene.core import BundleError, DivergedError

LENIENT_SECONDS = 2.0
"""The aim is 0.3 s; a busy machine gets more. The import test below holds what makes it fast."""


def start(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "litescene.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def with_command(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    module = ModuleType("litescene.cli.doctor")
    module.command, module.EXAMPLES = function, ()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "litescene.cli.doctor", module)


def test_the_overview_names_every_verb_and_ends_with_0(call: Any) -> None:
    for words in ((), ("--help",), ("-h",)):
        ended = call(*words)
        assert ended.code == 0
        assert all(f"  {verb} " in ended.out for verb in VERBS)


def test_the_version_is_that_of_the_package(call: Any) -> None:
    assert call("--version").out == f"litescene {litescene.__version__}\n"


@pytest.mark.parametrize("verb", VERBS)
def test_the_help_of_a_verb_has_its_examples(verb: str, call: Any) -> None:
    ended = call(verb, "--help")
    assert ended.code == 0
    flat = " ".join(ended.out.replace("│", " ").split())
    for example in import_module(module_of(verb)).EXAMPLES:
        assert " ".join(example.split()) in flat


def test_an_unknown_verb_is_one_line_with_the_nearest_name(call: Any) -> None:
    ended = call("segmnt", "x.png")
    assert ended.code == 2
    assert ended.err.count("\n") == 1
    assert "did you mean segment" in ended.err


@pytest.mark.parametrize("words", [("segment",), ("segment", "a.png", "--bogus"), ("synth", "-x")])
def test_wrong_usage_is_one_line_and_code_2(words: tuple[str, ...], call: Any) -> None:
    ended = call(*words)
    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.count("\n") == 1


@pytest.mark.parametrize(("error", "code"), [(BundleError("a\n b"), 2), (DivergedError("a b"), 1)])
def test_our_errors_are_one_line_with_their_own_code(
    error: Exception, code: int, call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    with_command(monkeypatch, fail)
    ended = call("doctor")
    assert (ended.code, ended.err) == (code, "litescene: a b\n")


def test_what_a_terminal_would_obey_is_shown_instead(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise BundleError("no place for \x1b]0;title\x07 of 漢字")

    with_command(monkeypatch, fail)
    assert call("doctor").err == "litescene: no place for \\x1b]0;title\\x07 of 漢字\n"


def test_an_unexpected_error_is_one_line_and_debug_shows_where(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ZeroDivisionError("by zero")

    with_command(monkeypatch, fail)
    ended = call("doctor")
    assert ended.code == 1
    assert ended.err.count("\n") == 1
    assert "--debug" in ended.err
    assert "Traceback" in call("doctor", "--debug").err


def test_what_no_memory_holds_is_said_with_its_size(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        np.empty((2**30, 2**20))

    with_command(monkeypatch, fail)
    ended = call("doctor")
    assert ended.code == 1
    assert ended.err.startswith("litescene: not enough memory: Unable to allocate 8.00 PiB")
    assert ended.err.count("\n") == 1


def test_a_place_without_access_is_the_users_matter(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise PermissionError(13, "Permission denied", "/closed/set")

    with_command(monkeypatch, fail)
    ended = call("doctor")
    assert ended.code == 2
    assert ended.err.startswith("litescene: /closed/set: permission denied; ")


@pytest.mark.parametrize(
    "words",
    [
        ("segment", "SOURCE"),
        ("run", "SOURCE"),
        ("segment", "x.png", "--model", "SOURCE"),
        ("export", "SOURCE", "-o", "x.onnx"),
        ("evaluate", "SOURCE", "--data", "camvid:x"),
    ],
)
def test_a_word_too_long_for_a_file_is_the_users_mistake(words: tuple[str, ...], call: Any) -> None:
    long = "a" * 300
    ended = call(*(long if word == "SOURCE" else word for word in words))
    assert ended.code == 2
    assert ended.err.startswith(f"litescene: {long}: too long for the name of a file; is it one?")
    assert ended.err.count("\n") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
@pytest.mark.parametrize(
    ("encoding", "printed"), [("utf-8", b"s\xfcd.txt"), ("ascii", rb"s\udcfcd.txt")]
)
def test_names_in_any_encoding_are_printed(encoding: str, printed: bytes, tmp_path: Path) -> None:
    (name,) = [os.fsdecode(b"s\xfcd.txt")]
    printing = (
        "import os, sys; from litescene.cli import dispatch; "
        "dispatch.run_verb = lambda *_: print(os.fsdecode(sys.argv[2])) or 0; dispatch.main()"
    )
    command = [sys.executable, "-c", printing, "doctor", name]
    env = os.environ | {"PYTHONIOENCODING": encoding}
    done = subprocess.run(command, env=env, capture_output=True, check=True)
    assert done.stdout == printed + b"\n"


def test_ctrl_c_says_what_was_kept_and_gives_130(
    call: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from litescene.cli.progress import keeps

    def stop() -> None:
        with keeps("the frames are kept"):
            raise KeyboardInterrupt

    with_command(monkeypatch, stop)
    ended = call("doctor")
    assert (ended.code, ended.err) == (130, "litescene: interrupted; the frames are kept\n")


def test_the_value_of_a_verb_is_the_exit_code(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer() -> int:
        return 2

    with_command(monkeypatch, answer)
    assert call("doctor").code == 2


def test_the_overview_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "import litescene.cli\n"
        "try:\n    litescene.cli.main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'typer', 'rich', 'cv2', 'numba', 'torch', 'openvino', 'av', 'gtsam'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_importing_the_package_loads_nothing_heavy() -> None:
    code = (
        "import sys, litescene\n"
        "heavy = {'numpy', 'typer', 'rich', 'cv2', 'numba', 'torch', 'openvino', 'av', 'gtsam'}\n"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_overview_comes_at_once() -> None:
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        assert start("--help").returncode == 0
        seconds.append(time.perf_counter() - began)
    assert min(seconds) < LENIENT_SECONDS


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("words", [["doctor", "--json"], ["models"], ["--help"], ["--version"]])
def test_a_closed_pipe_ends_quietly(words: list[str], unbuffered: str) -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "litescene.cli", *words],
            env=os.environ | {"PYTHONUNBUFFERED": unbuffered},
            stdout=write,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(write)
    assert done.stderr == ""
    assert done.returncode == 1


def test_sigterm_ends_a_verb_as_ctrl_c_does(tmp_path: Path) -> None:
    pytest.importorskip("embreex")
    words = ["synth", "street", "-o", str(tmp_path / "s"), "--layout", "camvid", "--seconds", "60"]
    drive = subprocess.Popen(
        [sys.executable, "-m", "litescene.cli", *words], stderr=subprocess.PIPE, text=True
    )
    try:
        until = time.monotonic() + 120
        while not list(tmp_path.glob("s/train/*.png")):
            assert drive.poll() is None
            assert time.monotonic() < until
            time.sleep(0.05)
        drive.terminate()
        _, said = drive.communicate(timeout=60)
    finally:
        drive.kill()
    assert drive.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
