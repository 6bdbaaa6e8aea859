"""What AdaPool brings segmentation networks on CamVid val: with it and without, several seeds.

    python benchmarks/pooling_segmentation.py train
    python benchmarks/pooling_segmentation.py measure

`train` trains PP-LiteSeg-T and ENet by the short form of the common protocol, as published and with
every pooling replaced (`model.pool`); ENet then goes back by AdaUnPool instead of by the places of
maxima. What is finished is skipped, what was begun is gone on with, and started once per core the
processes share the runs out. `measure` writes the record: mean IoU as mean and sample standard
deviation over the seeds. Give it the same words as `train`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from pooled import PUBLISHED, measure, show, variants_of
from variants import carry_out, command

NETWORKS = ("pp_liteseg_t", "enet")
POOLS = (PUBLISHED, "adapool")
METRICS = ("mean_iou",)


def main(words: Sequence[str] | None = None) -> None:
    parser = command(__doc__, "pooling_segmentation", "segmentation_short")
    parser.add_argument("--pool", action="append", metavar="NAME", help="both by default")
    given = parser.parse_args(words)
    variants = variants_of(given.recipe, NETWORKS, given.pool or POOLS, given.set)
    carry_out(parser, given, variants, partial(measure, metrics=METRICS), show)


if __name__ == "__main__":
    main()
