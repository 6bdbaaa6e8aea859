"""AdaUnPool against bilinear, transposed and pixel-shuffle up-sampling, where pictures are made.

    python benchmarks/pooling_restoration.py train
    python benchmarks/pooling_restoration.py measure

`train` trains super-resolution ×2 (`edsr_light_x2`) and frame interpolation (`unet_interpolation`)
with every way of up-sampling and every seed, on two videos: `video/solidWhiteRight.mp4` in
LITESCENE_DATA (for interpolation at half its size), and a drive through the built-in street that is
rendered first, without loss, into --out. Of both the first four fifths in time are learned from and
the last is measured. All forms of a network are alike but for the up-sampling and, in
interpolation, the pooling that goes with it; their parameters and multiply-accumulates stand in the
networks' files. What is finished is skipped, and started once per core the processes share the runs
out. A run takes some five minutes of a core.

`measure` writes the record: PSNR and SSIM after the last epoch, their mean and sample standard
deviation over the seeds. Beside them stands what needs no training, on the same pictures: the
bilinear enlargement of the input, and the mean of both frames. Give it the same --set as `train`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from litescene.core import Image
from litescene.core.provenance import provenance
from litescene.data import open_restoration
from litescene.data.restoration import Sample
from litescene.media import write_atomic
from litescene.media.pictures import encode_png
from litescene.metrics import ImageQuality
from litescene.synth import Street
from litescene.training import Recipe, load_recipe
from variants import (
    PER_RECIPE,
    Variants,
    carry_out,
    command,
    finished,
    reached,
    results,
    written,
)

EPOCHS = 10
METRICS = ("psnr", "ssim")
PROBLEMS = {"super_resolution": "super_resolution_x2", "interpolation": "frame_interpolation"}
"""The recipe of each."""
WAYS: dict[str, dict[str, dict[str, str]]] = {
    "super_resolution": {
        way: {"upsampling": way} for way in ("bilinear", "transposed", "pixel_shuffle", "adaunpool")
    },
    "interpolation": {
        "bilinear": {"upsampling": "bilinear", "pooling": "max"},
        "bilinear_average": {"upsampling": "bilinear", "pooling": "average"},
        "bilinear_adapool": {"upsampling": "bilinear", "pooling": "adapool"},
        "transposed": {"upsampling": "transposed", "pooling": "max"},
        "pixel_shuffle": {"upsampling": "pixel_shuffle", "pooling": "max"},
        "adaunpool": {"upsampling": "adaunpool", "pooling": "adapool"},
    },
}
"""The network's options by the name of the way."""
UNTRAINED = "untrained"
VIDEOS = ("motorway", "street")
STREET = {"seed": 7, "width": 480, "height": 360, "seconds": 10.0, "rate": 20.0}


def spec_of(problem: str, video: str, out: Path) -> str:
    """Where a video is; the motorway is interpolated at half its size, as in the recipe."""
    if video == "street":
        return f"video:{out / 'street'}"
    view = "@480x270" if problem == "interpolation" else ""
    return f"video:video/solidWhiteRight.mp4{view}"


def render_street(folder: Path, facts: Mapping[str, Any]) -> None:
    """The drive as numbered PNG files; what is there already stays."""
    street = Street(**facts)
    for frame in street.frames(len(list(folder.glob("*.png")))):
        write_atomic(folder / f"{frame.index:05d}.png", encode_png(frame.image))


def name_of(problem: str, video: str, way: str) -> str:
    return f"{problem}_{video}_{way}"


def chosen(only: Sequence[str] | None) -> Iterator[tuple[str, str, str]]:
    """Problem, video and way of every variant whose name holds one of the words."""
    for problem, ways in WAYS.items():
        for video in VIDEOS:
            for way in ways:
                name = name_of(problem, video, way)
                if only is None or any(word in name for word in only):
                    yield problem, video, way


def recipe_of(problem: str, video: str, way: str, out: Path, settings: Sequence[str]) -> Recipe:
    """The problem's recipe on a video, with one way, measured once at its end."""
    options = ", ".join(f'{key} = "{value}"' for key, value in WAYS[problem][way].items())
    words = [
        *(f"epochs={EPOCHS}", "restoration.val_every=1"),
        *settings,
        f"model.options={{{options}}}",
        f"restoration.data={spec_of(problem, video, out)}",
    ]
    recipe = load_recipe(PROBLEMS[problem], words)
    return recipe.model_copy(update={"evaluate_every": recipe.epochs})


def without_training(sample: Sample) -> Image:
    """The mean of two frames, or the bilinear enlargement of one."""
    pictures, truth = sample
    if len(pictures) == 2:
        return np.asarray(np.rint(np.mean(pictures, axis=0)), np.uint8)
    size = truth.shape[1], truth.shape[0]
    return np.asarray(cv2.resize(pictures[0], size, interpolation=cv2.INTER_LINEAR), np.uint8)


def untrained(problem: str, data: str, every: int) -> dict[str, Any]:
    """What needs no training, on the samples that the networks are measured on."""
    pictures, factor = (1, 2) if problem == "super_resolution" else (2, 1)
    quality = ImageQuality()
    for sample in open_restoration(data, "val", pictures).samples(factor, every):
        quality.add(without_training(sample), sample[1])
    return quality.to_dict()


def measure(variants: Variants, seeds: int, out: Path) -> dict[str, Any]:
    """The record of all finished runs; empty without any."""
    trained = results(finished(variants, seeds, out))
    if not trained:
        return {}
    record: dict[str, Any] = {"machine": provenance(), "ways": {}}
    places = {name_of(*place): place for place in chosen(None)}
    for name, runs in trained.items():
        problem, video, way = places[name]
        group = record["ways"].setdefault(problem, {}).setdefault(video, {})
        if not group:
            settings = variants[name].settings
            every = int(settings.get("val_every", 1))
            group["conditions"] = {key: runs[0][key] for key in PER_RECIPE}
            group[UNTRAINED] = untrained(problem, settings["data"], every)
        group[way] = {"options": WAYS[problem][way], **reached(runs, METRICS)}
    return record


def rows(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str, str, int]]:
    """Problem, video, way, PSNR, SSIM and number of seeds."""
    for problem, videos in record["ways"].items():
        for video, group in videos.items():
            for way, entry in group.items():
                if way == UNTRAINED:
                    yield problem, video, way, f"{entry['psnr']:.2f}", f"{entry['ssim']:.4f}", 0
                elif way != "conditions":
                    psnr, ssim = written(entry["psnr"], 2), written(entry["ssim"])
                    yield problem, video, way, psnr, ssim, len(entry["runs"])


def show(record: Mapping[str, Any]) -> None:
    """The record as a table."""
    print("| problem | video | way | PSNR (dB) | SSIM | seeds |")
    print("|---" * 6 + "|")
    for row in rows(record):
        print(f"| {' | '.join(map(str, row))} |")


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "pooling_restoration")
    parser.add_argument("--only", action="append", metavar="WORD", help="variants with it in it")
    given = parser.parse_args(words)
    places = list(chosen(given.only))
    if any(video == "street" for _, video, _ in places):
        render_street(given.out / "street", STREET)
    variants = {
        name_of(*place): recipe_of(*place, given.out.resolve(), given.set) for place in places
    }
    carry_out(parser, given, variants, measure, show)


if __name__ == "__main__":
    main()
