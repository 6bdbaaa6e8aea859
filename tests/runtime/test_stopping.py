"""What ends a job between two frames, and what does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from litescene.runtime.stopping import ENDING, StopSignals

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_is_kept_until_the_frame_is_done(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_DFL)  # tests may run where some are ignored
    try:
        with StopSignals() as signals:
            assert not signals.stopped
            os.kill(os.getpid(), number)
            assert signals.stopped
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_that_the_program_ignores_ends_nothing(number: signal.Signals) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            os.kill(os.getpid(), number)
            assert not signals.stopped
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize(("ignored", "code"), [(False, 130), (True, 0)])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_verb_without_an_ending_of_its_own_ends_too(
    number: signal.Signals, ignored: bool, code: int
) -> None:
    verb = (
        "import os, signal; from litescene.cli import dispatch; "
        f"signal.signal({int(number)}, signal.{'SIG_IGN' if ignored else 'SIG_DFL'}); "
        f"dispatch.run_verb = lambda *_: os.kill(os.getpid(), {int(number)}) or 0; "
        "dispatch.main(['doctor'])"
    )
    done = subprocess.run([sys.executable, "-c", verb], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
