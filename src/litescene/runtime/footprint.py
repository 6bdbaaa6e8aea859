"""Peak memory of one bundle, as a process of its own measures it.

    python -m litescene.runtime.footprint BUNDLE ENGINE THREADS HEIGHT WIDTH

prints JSON: `before`, the resident bytes once the runtime and the engine's package are loaded, and
`peak`, the largest until a few frames are labelled; both null where the system does not tell.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from litescene.runtime.bundle import Bundle
from litescene.runtime.engines import create_engine, has_bf16
from litescene.runtime.upsample import upsample_argmax

FRAMES = 3


def footprint(
    path: Path, engine: str, threads: int, size: tuple[int, int]
) -> dict[str, int | None]:
    """Resident bytes before and at the peak of labelling frames; changes the process's peak."""
    upsample_argmax(np.zeros((2, 8, 8), np.float32), *size)
    if engine.startswith("openvino"):
        has_bf16()  # loads the package
    else:
        __import__(engine)
    _forget_peak()
    before = _resident("VmRSS")
    network = create_engine(engine, Bundle.open(path), threads)
    batch = np.zeros((1, *size, 3), np.uint8)
    for _ in range(FRAMES):
        upsample_argmax(network.run(batch)[0][0], *size)
    return {"before": before, "peak": _resident("VmHWM")}


def _forget_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return  # then the peak may be that of the imports


def _resident(key: str) -> int | None:
    """A figure of `/proc/self/status`, in bytes; None where there is no such file.

    `getrusage` would do on more systems, but on Linux its peak begins with that of the parent.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return None
    for line in status.read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * 1024
    return None


def main() -> None:
    """Measure what the arguments name."""
    path, engine, threads, height, width = sys.argv[1:]
    print(json.dumps(footprint(Path(path), engine, int(threads), (int(height), int(width)))))


if __name__ == "__main__":
    main()
