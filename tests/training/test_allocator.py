"""Memory that is freed and asked for again is not taken from the system anew."""

import platform
import subprocess
import sys

import pytest

PROGRAM = """
import resource
import sys

import numpy as np

from litescene.training.allocator import keep_freed_memory

def pages():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

if sys.argv[1] == "kept":
    keep_freed_memory()
for _ in range(2):
    np.ones(16_000_000)
before = pages()
for _ in range(5):
    np.ones(16_000_000)
print(pages() - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc has the setting")
@pytest.mark.parametrize(("how", "low", "high"), [("as_it_comes", 100, 10**6), ("kept", 0, 50)])
def test_pages_are_taken_once(how: str, low: int, high: int) -> None:
    said = subprocess.run(
        [sys.executable, "-c", PROGRAM, how], check=True, capture_output=True, text=True
    ).stdout
    assert low <= int(said) <= high
