"""Where the results of single frames go: label pictures, lines of objects, overlays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from litescene.core import Detections, Frame, Image, SegmentationMap
from litescene.media.atomic import write_atomic
from litescene.media.box_files import BoxFile, CocoFile, MotFile
from litescene.media.fitting import fit_whole
from litescene.media.frame_names import FrameNames
from litescene.media.json_lines import JsonLines
from litescene.media.overlay import blend_labels, draw_detections, draw_legend
from litescene.media.pictures import encode_png, write_png_labels
from litescene.media.result_folder import LABELS, LINES, OVERLAY, ResultFiles, prepared_folder
from litescene.media.video_writer import VideoWriter


class Records(ABC):
    """Keeps the results of each frame and draws them; a context manager.

    `folder` must be ready, for a sequence by `prepared`. `single` is the stem of a single
    picture, or empty for a sequence. Whatever ends the work, the files written so far are whole.
    """

    kept: ClassVar[ResultFiles]
    """What a sequence leaves in its folder."""
    files: list[str]

    def __init__(self, folder: Path, single: str) -> None:
        self._folder, self._single = folder, single

    @classmethod
    def prepared(cls, folder: Path, source: Path) -> AbstractContextManager[None]:
        """Keep the folder of a sequence, cleared of what the same job left there."""
        return prepared_folder(folder, cls.kept, source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027 - not every kind holds a file open
        """Finish the files; safe to call twice."""

    @abstractmethod
    def add(self, frame: Frame, result: Any) -> Image:
        """Keep the result of a frame; returns the picture with the result drawn over it."""

    @abstractmethod
    def facts(self) -> dict[str, Any]:
        """What a summary says about the results so far."""


class LabelRecords(Records):
    """One index PNG per frame; for a sequence also one line of JSON: index, time and name."""

    kept = ResultFiles("segment", labels=True)

    def __init__(self, folder: Path, single: str) -> None:
        super().__init__(folder, single)
        (lines,) = LINES[self.kept.job]
        self.files = [f"{single}_labels.png"] if single else [f"{LABELS}/", lines]
        self._lines = None if single else JsonLines(folder / lines)
        self._names = FrameNames()
        self._sums: dict[str, float] = {}
        self._frames = 0

    def add(self, frame: Frame, result: SegmentationMap) -> Image:
        """Write the labels; the overlay mixes class colours in and has a legend."""
        write_png_labels(self._folder / self._file_of(frame), result.labels)
        shares = result.shares()
        for class_name, share in shares.items():
            self._sums[class_name] = self._sums.get(class_name, 0.0) + share
        self._frames += 1
        overlay = blend_labels(frame.image, result.labels, result.taxonomy.palette)
        amounts = list(shares.values())
        present = [i for i in np.argsort(amounts)[::-1].tolist() if amounts[i]]
        return draw_legend(overlay, result.taxonomy, present)

    def close(self) -> None:
        """Close the lines."""
        if self._lines is not None:
            self._lines.close()

    def facts(self) -> dict[str, Any]:
        """Mean share of the picture per class."""
        return {"shares": {n: round(s / self._frames, 6) for n, s in self._sums.items()}}

    def _file_of(self, frame: Frame) -> str:
        if self._lines is None:
            return self.files[0]
        name = self._names.give(frame)
        # The line comes first: it is how a later job knows the label picture for one of its kind.
        self._lines.add({"frame": frame.index, "time": round(frame.time, 6), "name": name})
        return f"{LABELS}/{name}.png"


class BoxFormat(StrEnum):
    """Files beside the lines of JSON; see `media.box_files`."""

    COCO = "coco"
    MOT = "mot"


class BoxRecords(Records):
    """One line of JSON per frame: index, time, name, and the objects; and files in `formats`.

    `tracked` says whether objects have ids.
    """

    kept = ResultFiles("detect", fixed=("detections_coco.json", "detections_mot.txt"))

    def __init__(
        self,
        folder: Path,
        single: str,
        formats: Sequence[str] = (),
        tracked: bool = False,
    ) -> None:
        super().__init__(folder, single)
        names = (*LINES[self.kept.job], *self.kept.fixed)
        lines, coco, mot = (f"{single}_{n}" if single else n for n in names)
        others: dict[BoxFormat, tuple[str, Callable[[Path], BoxFile]]] = {
            BoxFormat.COCO: (coco, CocoFile),
            BoxFormat.MOT: (mot, MotFile),
        }
        chosen = [others[BoxFormat(name)] for name in dict.fromkeys(formats)]
        self.files = [lines, *(name for name, _ in chosen)]
        self._tracked = tracked
        self._names = FrameNames()
        self._lines = JsonLines(folder / lines)
        self._others: list[BoxFile] = [kind(folder / name) for name, kind in chosen]
        self._counts: dict[str, int] = {}

    def add(self, frame: Frame, result: Detections) -> Image:
        """Write a line; the overlay has the boxes."""
        objects = result.to_dict()
        for record in objects:
            if not self._tracked:
                del record["id"]
            self._counts[record["class"]] = self._counts.get(record["class"], 0) + 1
        name = self._names.give(frame)
        line = {"frame": frame.index, "time": round(frame.time, 6), "name": name}
        self._lines.add({**line, "objects": objects})
        for other in self._others:
            other.add(frame, result)
        return draw_detections(frame.image.copy(), result)

    def close(self) -> None:
        """Close the files."""
        self._lines.close()
        for other in self._others:
            other.close()

    def facts(self) -> dict[str, Any]:
        """Objects found per class, summed over the frames."""
        return {"objects": dict(sorted(self._counts.items()))}


class Overlay:
    """Drawn frames: a PNG for a single picture, else a video; a context manager.

    `size` is the video's width and height in pixels; pictures of another size are fitted into it.
    """

    def __init__(self, folder: Path, single: str, size: tuple[int, int], rate: float) -> None:
        self._size = size
        self.name = f"{single}_overlay.png" if single else OVERLAY
        self._path = folder / self.name
        self._video = None if single else VideoWriter(self._path, *size, rate)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._video is not None:
            self._video.close()

    def add(self, picture: Image, time: float) -> None:
        """Add a picture shown at `time` seconds."""
        if self._video is not None:
            self._video.write(fit_whole(picture, self._size[::-1]), time)
            return
        write_atomic(self._path, encode_png(picture))
