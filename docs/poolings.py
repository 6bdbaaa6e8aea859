"""The sections that say what poolings bring networks: a table for each record that is there."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from comparison import table

Record = Mapping[str, Any]

CLASSIFICATION = """\
### A classifier

One network on the data set of crops ([data formats](data.md#classification)), with the poolings of
its paper (`published`) or another one in their place (`model.pool`). Top-1 accuracy (0 to 1) on val
after the last epoch, over all pictures (`top1`) and with all classes counting alike
(`mean_top1`)."""

SEGMENTATION = """\
### Segmentation

CamVid, by a shorter form of the [common protocol](training.md#the-comparison). With AdaPool every
pooling of the network is replaced, and ENet goes back by AdaUnPool instead of by the places of its
maxima. Mean IoU (0 to 1) on val after the last epoch."""

DETECTION = """\
### Detection

YOLOv5-Lite-s on road signs alone, from scratch and briefly, with another pooling in its stem, the
only one that it has. AP50 (0 to 1) on val after the last epoch."""

RESTORATION = """\
### Super-resolution and interpolation

The ways of up-sampling in networks that are alike otherwise. Of a motorway video and of a drive
through the built-in street the first four fifths in time are learned from, the last is measured:
PSNR in dB and SSIM after the last epoch. `untrained` is what needs no network: the bilinear
enlargement of the picture, and the mean of both frames."""


TASKS = {
    "classification": CLASSIFICATION,
    "segmentation": SEGMENTATION,
    "detection": DETECTION,
    "restoration": RESTORATION,
}


def poolings(folder: Path) -> str:
    """A section for each experiment whose record is in a folder."""
    parts = []
    for task, explained in TASKS.items():
        name = f"pooling_{task}"
        file = folder / f"{name}.json"
        if file.is_file():
            record = json.loads(file.read_text("utf-8"))
            tables = restoration(record) if "ways" in record else networks(record)
            parts += [explained, *tables, origin(name, record)]
    return "\n\n".join(parts)


def conditions(given: Record) -> str:
    """A line on what was trained."""
    height, width = given["size"]
    return f"By the recipe `{given['protocol']}`, {given['epochs']} epochs, at {width}×{height}."


def origin(script: str, record: Record) -> str:
    """A line on what wrote the record, where and when."""
    told = [f" --{key} {record[key]}" for key in ("recipe", "seeds") if record.get(key)]
    changes = "".join([*told, *(f" --set {shlex.quote(s)}" for s in record["settings"])])
    machine = record["machine"]
    return (
        f"Mean ± sample standard deviation over the seeds; by `python benchmarks/{script}.py "
        f"train{changes}`. ({machine['processor']}, {machine['date']}, commit {machine['commit']})"
    )


def networks(record: Record) -> Iterator[str]:
    """Networks with one pooling after the other, and the crops that they were trained on."""
    yield conditions(record["conditions"])
    metrics = record["metrics"]
    rows = [
        [
            *(f"`{entry['network']}`", f"`{entry['pooling']}`"),
            *(spread(entry[metric]) for metric in metrics),
            str(len(entry["runs"])),
        ]
        for entry in record["networks"].values()
    ]
    yield table(["network", "pooling", *(f"`{m}`" for m in metrics), "seeds"], rows)
    if record.get("crops"):
        yield contents(record["crops"])


def spread(figures: Mapping[str, float | None], digits: int = 4) -> str:
    """Mean and, of at least two seeds, deviation."""
    deviation = figures["deviation"]
    mean = f"{figures['mean']:.{digits}f}"
    return mean if deviation is None else f"{mean} ± {deviation:.{digits}f}"


def contents(crops: Record) -> str:
    """The classes of the crops with their numbers and sources."""
    rows = []
    for name, splits in crops["classes"].items():
        counts = [str(sum(splits[split].values())) for split in ("train", "val")]
        sources = sorted({*splits["train"], *splits["val"]})
        rows.append([name, *counts, ", ".join(sources)])
    total = (
        f"The crops, {crops['side']}×{crops['side']} pixels (SHA-256 `{crops['digest'][:16]}…`):"
    )
    return f"{total}\n\n{table(['class', 'train', 'val', 'sources'], rows)}"


def restoration(record: Record) -> Iterator[str]:
    """Each problem's networks, with one way of up-sampling after the other."""
    for videos in record["ways"].values():
        rows = []
        for video, ways in videos.items():
            for way, entry in ways.items():
                if way == "conditions":
                    continue
                if way == "untrained":
                    figures = [f"{entry['psnr']:.2f}", f"{entry['ssim']:.4f}", "-"]
                else:
                    figures = [spread(entry["psnr"], 2), spread(entry["ssim"])]
                    figures.append(str(len(entry["runs"])))
                rows.append([video, f"`{way}`", *figures])
        given = next(iter(videos.values()))["conditions"]
        yield f"By the recipe `{given['protocol']}`, {given['epochs']} epochs:"
        yield table(["video", "up-sampling", "PSNR", "SSIM", "seeds"], rows)
