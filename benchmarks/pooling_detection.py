"""What the pooling of YOLOv5-Lite-s' stem brings on road signs: one after the other, several seeds.

    python benchmarks/pooling_detection.py train
    python benchmarks/pooling_detection.py measure

`train` trains the detector on the train split of `road_signs` in LITESCENE_DATA, from scratch and
by a shortened form of its own recipe (`SETTINGS`), with the maximum of its paper (`published`) and
with other poolings in its place (`model.pool`). What is finished is skipped, what was begun is gone
on with, and started once per core the processes share the runs out. `measure` writes the record:
AP50 on the val split after the last epoch, as mean and sample standard deviation over the seeds.
Give it the same words as `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pooled import PUBLISHED, measure, show, variants_of
from variants import carry_out, command

NETWORK = "yolov5_lite_s"
POOLS = (PUBLISHED, "adapool", "em", "average")
METRICS = ("ap50",)
SETTINGS = (
    "epochs=30",
    'detection.train=[{data="voc:road_signs"}]',
    'detection.val=["voc:road_signs"]',
    "detection.pictures=720",
    "detection.size=320",
    "detection.stages=[{epoch=0,size=192,mosaic=0.8},{epoch=20,size=256,mosaic=0.8},"
    "{epoch=26,size=320,mosaic=0.3}]",
    "ema.decay=0.99",
    "evaluate_every=30",
)
"""One data set, smaller pictures, fewer epochs."""


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "pooling_detection", NETWORK)
    parser.add_argument("--pool", action="append", metavar="NAME", help=f"default {POOLS}")
    given = parser.parse_args(words)
    settings = [*SETTINGS, *given.set]
    variants = variants_of(given.recipe, [NETWORK], given.pool or POOLS, settings)
    carry_out(parser, given, variants, partial(measure, metrics=METRICS), show)


if __name__ == "__main__":
    main()
