"""The bundles that come with the package, and finding a bundle by name or file.

`weights/index.json` maps a name to its file, the SHA-256 of that whole file, and its task.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from litescene.core.contract import TaskName
from litescene.core.errors import BundleError, UnknownNameError
from litescene.runtime.bundle import Bundle

WEIGHTS = Path(__file__).parent / "weights"
DEFAULT_SEGMENTER = "pp_liteseg_t"
DEFAULT_DETECTOR = "yolov5_lite_s"
"""Shipped bundles that are used where nobody names one."""


@dataclass(frozen=True, slots=True)
class ShippedBundle:
    """One entry of the index; `sha256` is the hex digest of the whole file."""

    name: str
    path: Path
    sha256: str
    task: TaskName

    def open(self) -> Bundle:
        """Read the bundle and check the file against the index."""
        if not self.path.is_file():
            raise BundleError(
                f"the shipped bundle '{self.name}' is missing at {self.path}; install litescene "
                "again"
            )
        data = self.path.read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise BundleError(
                f"the shipped bundle '{self.name}' ({self.path}) is not the file that was "
                "packaged; install litescene again"
            )
        return Bundle.from_bytes(data, self.name)


def shipped(folder: Path = WEIGHTS) -> dict[str, ShippedBundle]:
    """Every shipped bundle by name, without reading the weights."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    return {
        name: ShippedBundle(name, folder / entry["file"], entry["sha256"], entry["task"])
        for name, entry in sorted(index.items())
    }


def find(name_or_path: str | Path, folder: Path = WEIGHTS) -> Bundle:
    """Open a shipped bundle by its name, or any bundle by its file.

    Raises:
        UnknownNameError: no such name; the message offers near ones.
        BundleError: the file is missing, damaged, or no bundle.

    """
    known = shipped(folder)
    name = str(name_or_path)
    if name in known:
        return known[name].open()
    path = Path(name_or_path)
    if path.suffix or len(path.parts) > 1 or path.is_file():
        return Bundle.open(path)
    raise UnknownNameError("shipped model", name, known)


def write_index(folder: Path = WEIGHTS) -> dict[str, ShippedBundle]:
    """Rebuild `index.json` from the verified `*.onnx` files of `folder`, named by their stems."""
    index = {}
    for path in sorted(folder.glob("*.onnx")):
        bundle = Bundle.open(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        index[path.stem] = {"file": path.name, "sha256": digest, "task": bundle.contract.task}
    text = json.dumps(index, indent=2, sort_keys=True) + "\n"
    (folder / "index.json").write_text(text, encoding="utf-8")
    return shipped(folder)
