"""What poolings keep of pictures: down by 2 and by 4, and up again.

    python benchmarks/pooling_fidelity.py --data ../shared/data \\
        --json benchmarks/results/pooling_fidelity.json --picture docs/pictures/pooling_fidelity.png

Pictures are the same number of every data set, at equal distances through its sorted names, cut to
multiples of 4 from the upper left; values are 0 to 1, windows k×k with stride k. Compared are the
pooled picture with the area average (that of average pooling itself, which therefore has no figure
there), and the original with the pooled picture after bilinear up-sampling, for AdaPool after
AdaUnPool besides, which goes back with the weights: a number for each element that the pooled
picture alone does not have. Poolings that learn stand as they begin; stochastic pooling and S3Pool
as in evaluation. β of AdaPool is swept in steps of 0.1. Results are rounded to 8 bits and compared
by PSNR and SSIM, means over the pictures. The picture shows the built-in street, as those of the
data sets may not be shipped.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from litescene.core import SourceError
from litescene.core.provenance import provenance
from litescene.media import write_atomic
from litescene.media.pictures import read_picture
from litescene.metrics.image_quality import ImageQuality
from litescene.ops.pooling import ada_pool, ada_pool_with_masks, ada_unpool
from litescene.ops.pooling.family import create_pool

SETS = {"camvid": "camvid/val", "coco128": "coco128/images", "road_signs": "road_signs/images"}
ENDINGS = {".png", ".jpg", ".jpeg"}
FACTORS = (2, 4)
POOLINGS = (
    "average", "max", "lp", "stochastic", "s3", "mixed", "dpp", "em", "edscw", "idw", "adapool",
)  # fmt: skip
BETAS = tuple(step / 10 for step in range(11))
SHOWN = ("average", "max", "stochastic", "s3", "em", "edscw", "idw", "adapool")
"""Poolings of the picture."""
STREET_SEED, STREET_FRAME = 3, 40
Picture = NDArray[np.uint8]
Pool = Callable[[Tensor], Tensor]


def sample(data: Path, count: int) -> dict[str, list[Path]]:
    """`count` pictures of every set, at equal distances."""
    found = {}
    for name, folder in SETS.items():
        files = sorted(p for p in (data / folder).glob("*") if p.suffix.lower() in ENDINGS)
        if len(files) < count:
            raise SourceError(f"{data / folder} has {len(files)} pictures, {count} are wanted")
        found[name] = [files[i * len(files) // count] for i in range(count)]
    return found


def as_tensor(picture: Picture) -> Tensor:
    """1×3×H×W, 0 to 1, cut to multiples of 4."""
    height, width = (length // 4 * 4 for length in picture.shape[:2])
    cut = torch.from_numpy(picture[:height, :width].copy())
    return cut.permute(2, 0, 1)[None].float() / 255


def as_picture(x: Tensor) -> Picture:
    """H×W×3 uint8 of what `as_tensor` gives."""
    return (x[0].permute(1, 2, 0).clamp(0, 1) * 255).round().to(torch.uint8).numpy()


def larger(y: Tensor, factor: int) -> Tensor:
    return F.interpolate(y, scale_factor=factor, mode="bilinear", align_corners=False)


def poolings(factor: int) -> dict[str, Pool]:
    return {name: create_pool(name, factor, channels=3).eval() for name in POOLINGS}


class Fidelity:
    """Figures of everything that is compared at one factor."""

    def __init__(self, factor: int) -> None:
        self.factor, self.pools = factor, poolings(factor)
        self.down = {name: ImageQuality() for name in POOLINGS if name != "average"}
        self.up = {name: ImageQuality() for name in POOLINGS}
        self.unpooled = ImageQuality()
        self.down_by_beta = {beta: ImageQuality() for beta in BETAS}
        self.up_by_beta = {beta: ImageQuality() for beta in BETAS}

    @torch.no_grad()
    def add(self, x: Tensor) -> None:
        """Compare all of one picture."""
        original, area = as_picture(x), as_picture(F.avg_pool2d(x, self.factor))
        for name, pool in self.pools.items():
            y = pool(x)
            if name in self.down:
                self.down[name].add(as_picture(y), area)
            self.up[name].add(as_picture(larger(y, self.factor)), original)
        y, masks = ada_pool_with_masks(x, self.factor)
        self.unpooled.add(as_picture(ada_unpool(y, masks, 0.5, normalize="mean")), original)
        for beta in BETAS:
            y = ada_pool(x, self.factor, beta=beta)
            self.down_by_beta[beta].add(as_picture(y), area)
            self.up_by_beta[beta].add(as_picture(larger(y, self.factor)), original)

    def to_dict(self) -> dict[str, Any]:
        by_beta = {"down": self.down_by_beta, "up": self.up_by_beta}
        return {
            "down": {name: quality.to_dict() for name, quality in self.down.items()},
            "up": {name: quality.to_dict() for name, quality in self.up.items()},
            "unpooled": self.unpooled.to_dict(),
            "beta": {
                which: {str(beta): quality.to_dict() for beta, quality in found.items()}
                for which, found in by_beta.items()
            },
            "best_beta": {
                which: max(BETAS, key=lambda beta: found[beta].to_dict()["psnr"])
                for which, found in by_beta.items()
            },
        }


def table(record: dict[str, Any]) -> str:
    """The figures as Markdown: PSNR in dB and SSIM."""
    head = ["pooling"]
    for factor in record["factors"]:
        head += [f"÷{factor} against area", f"÷{factor}, bilinear ×{factor}"]
    rows = [head, ["---"] * len(head)]
    for name in POOLINGS:
        rows.append([f"`{name}`"])
        for found in record["factors"].values():
            rows[-1] += [said(found[which].get(name)) for which in ("down", "up")]
    rows.append(["`adapool`, AdaUnPool"])
    for found in record["factors"].values():
        rows[-1] += ["", said(found["unpooled"])]
    rows.append(["`adapool`, best β"])
    for found in record["factors"].values():
        for which in ("down", "up"):
            beta = found["best_beta"][which]
            rows[-1].append(f"{said(found['beta'][which][str(beta)])} (β {beta})")
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def said(quality: dict[str, float] | None) -> str:
    return f"{quality['psnr']:.2f} dB, {quality['ssim']:.4f}" if quality else "-"


def street() -> Picture:
    """A picture of the built-in street."""
    from litescene.synth import Street

    frames = Street(seed=STREET_SEED, seconds=5.0).frames(STREET_FRAME, STREET_FRAME + 1)
    return next(iter(frames)).image


def crop_of(x: Tensor, side: int = 96) -> tuple[int, int]:
    """Upper left of the square with the most contrast between neighbours, on a grid of 8."""
    grey = x.mean(1)[0]
    edges = (grey[1:, 1:] - grey[:-1, 1:]).abs() + (grey[1:, 1:] - grey[1:, :-1]).abs()
    sums = F.avg_pool2d(edges[None, None], side, 8)[0, 0]
    row, column = divmod(int(sums.argmax()), sums.shape[1])
    return row * 8, column * 8


@torch.no_grad()
def comparison(factor: int = 4, side: int = 96, zoom: int = 2) -> PIL.Image.Image:
    """One crop under every pooling, with the PSNR of the whole picture up-sampled again below."""
    x = as_tensor(street())
    top, left = crop_of(x, side)
    panels = [("original", x, "")]
    for name in SHOWN:
        y = create_pool(name, factor, channels=3).eval()(x)
        quality = ImageQuality()
        quality.add(as_picture(larger(y, factor)), as_picture(x))
        pixels = F.interpolate(y, scale_factor=factor, mode="nearest")
        panels.append((name, pixels, f"{quality.to_dict()['psnr']:.2f} dB"))
    across, size = 3, side * zoom
    down, line = math.ceil(len(panels) / across), 18
    sheet = PIL.Image.new("RGB", (across * (size + 6) - 6, down * (size + line)), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for i, (name, pixels, figure) in enumerate(panels):
        cut = as_picture(pixels[..., top : top + side, left : left + side])
        corner = i % across * (size + 6), i // across * (size + line)
        panel = PIL.Image.fromarray(cut).resize((size, size), PIL.Image.Resampling.NEAREST)
        sheet.paste(panel, corner)
        draw.text((corner[0] + 2, corner[1] + size + 3), f"{name}  {figure}".strip(), fill="black")
    return sheet


def tensors(files: dict[str, list[Path]]) -> Iterator[Tensor]:
    for paths in files.values():
        for path in paths:
            yield as_tensor(read_picture(path))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with " + ", ".join(SETS.values()))
    parser.add_argument("--count", type=int, default=8, help="pictures of every set")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path, help="draw the comparison into this file")
    args = parser.parse_args()
    if args.picture:
        comparison().save(args.picture, optimize=True)
    if not args.data:
        return
    files = sample(args.data, args.count)
    found = {factor: Fidelity(factor) for factor in FACTORS}
    for x in tensors(files):
        for fidelity in found.values():
            fidelity.add(x)
    record: dict[str, Any] = {
        "conditions": {
            "sets": {name: SETS[name] for name in files},
            "pictures": sum(len(paths) for paths in files.values()),
            "names": {name: [path.name for path in paths] for name, paths in files.items()},
        },
        "factors": {str(factor): fidelity.to_dict() for factor, fidelity in found.items()},
        "machine": provenance(),
    }
    record["table"] = table(record)
    print(record["table"])
    if args.json:
        write_atomic(args.json, json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
