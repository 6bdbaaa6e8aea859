"""Official names of YOLOv5-Lite: layers by their number, in the order of the network's table."""

from __future__ import annotations

from typing import Any

import torch

from litescene.core import CheckpointError
from litescene.models.detection.anchor_head import COCO_ANCHORS
from litescene.models.spec import PLAIN
from litescene.training.foreign.keys import Weights, within
from litescene.training.foreign.published import Published

_CONV = {"conv": "conv", "bn": "bn"}
_CONV_NORM = {"conv": "0", "bn": "1"}
_DEPTHWISE = {name: name for name in ("conv1", "bn1", "conv2", "bn2")}
_BRANCH = {str(i): str(i) for i in (0, 1, 3, 4, 5, 6)}
_SHORTCUT = {str(i): str(i) for i in (0, 1, 2, 3)}
_C3 = {
    **within("cv1", "cv1", _CONV),
    **within("cv2", "cv2", _CONV),
    **within("cv3", "cv3", _CONV),
    **within("m.#.cv1", "bottlenecks.#.0", _CONV),
    **within("m.#.cv2", "bottlenecks.#.1", _CONV),
}
_LC = {
    "dw_conv.conv": "depthwise",
    "dw_conv.bn": "bn1",
    "pw_conv.conv": "pointwise",
    "pw_conv.bn": "bn2",
    "se.conv1": "gate.reduce",
    "se.conv2": "gate.expand",
}
_REP = {
    **within("rbr_dense", "conv.dense", _CONV_NORM),
    **within("rbr_1x1", "conv.point", _CONV_NORM),
}
_SPP = {**within("cv1", "cv1", _CONV), **within("cv2", "cv2", _CONV)}


def _shuffled(repeats: tuple[int, int, int]) -> dict[str, str]:
    """ShuffleNetV2: the stem, then a unit of stride 2 and the others in turn."""
    table = {"model.0.conv.0": "backbone.stem.0", "model.0.conv.1": "backbone.stem.1"}
    for stage, count in enumerate(repeats):
        down, rest, ours = 1 + 2 * stage, 2 + 2 * stage, f"backbone.stage{3 + stage}"
        table |= within(f"model.{down}.branch1", f"{ours}.0.shortcut", _SHORTCUT)
        table |= within(f"model.{down}.branch2", f"{ours}.0.branch", _BRANCH)
        for unit in range(count):
            number = f".{unit}" if count > 1 else ""
            table |= within(f"model.{rest}{number}.branch2", f"{ours}.{1 + unit}.branch", _BRANCH)
    return table


def _lcnet() -> dict[str, str]:
    table = within("model.0", "backbone.stem", _CONV_NORM) | {
        "model.17.dense_conv": "backbone.dense.0"
    }
    layer = 1
    for stage, count in ((2, 2), (3, 4), (4, 6), (5, 4)):
        for block in range(count):
            table |= within(f"model.{layer}", f"backbone.stage{stage}.{block}", _LC)
            layer += 1
    return table


def _rep_csp() -> dict[str, str]:
    table = within("model.0.conv", "backbone.stem", _CONV)
    for stage in (2, 3, 4, 5):
        table |= within(f"model.{2 * stage - 3}", f"backbone.stage{stage}.0", _REP)
    for stage in (2, 3, 4):
        table |= within(f"model.{2 * stage - 2}", f"backbone.stage{stage}.1", _C3)
    table |= within("model.8", "backbone.stage5.1", _SPP)
    return table | within("model.9", "backbone.stage5.2", _C3)


_PARTS = ("lateral5", "top4", "lateral4", "top3", "down4", "out4", "down5", "out5")


def _neck(first: int, block: dict[str, str], down: dict[str, str]) -> dict[str, str]:
    """The neck whose first layer has this number; between its parts are layers without weights."""
    table: dict[str, str] = {}
    for part, offset in zip(_PARTS, (0, 3, 4, 7, 8, 10, 11, 13), strict=True):
        kind = _CONV if "lateral" in part else down if "down" in part else block
        table |= within(f"model.{first + offset}", f"neck.{part}", kind)
    return table | {f"model.{first + 14}.m.#": "head.convs.#"}


def _classes(rows: int) -> int:
    """Of the rows of a head: three anchors, each with a box, objectness and the classes."""
    return rows // 3 - 5


def _published(
    backbone: dict[str, str], first: int, block: dict[str, str], down: dict[str, str], side: int
) -> Published:
    head = f"model.{first + 14}"

    def options(weights: Weights) -> dict[str, Any]:
        """Anchors, where they are not those of COCO: retrained networks have their own.

        In pixels, or in cells of their level; a file of parameters alone has the published ones.
        """
        grid, scale = weights.get(f"{head}.anchor_grid"), torch.ones(3)
        if grid is None:
            grid, scale = weights.get(f"{head}.anchors"), torch.tensor([8.0, 16.0, 32.0])
        if grid is None:
            return {}
        if grid.numel() != 18:
            shape = "×".join(map(str, grid.shape))
            raise CheckpointError(f"{head} has anchors {shape}, not three on each of three levels")
        sizes = tuple(
            tuple((float(w), float(h)) for w, h in level)
            for level in grid.reshape(3, 3, 2) * scale[:, None, None]
        )
        return {} if sizes == COCO_ANCHORS else {"anchors": sizes}

    return Published(
        code="https://github.com/ppogg/YOLOv5-Lite",
        license="GPL-3.0",
        table=backbone | _neck(first, block, down),
        classes=f"{head}.m.0.weight",
        classes_of=_classes,
        options=options,
        boxes=True,
        input_spec=PLAIN,
        sizes={},
        size=(side, side),
        ignored=(f"{head}.anchors", f"{head}.anchor_grid"),
    )


PUBLISHED = {
    "yolov5_lite_e": _published(_shuffled((3, 7, 1)), 7, _DEPTHWISE, _DEPTHWISE, 320),
    "yolov5_lite_s": _published(_shuffled((3, 7, 3)), 7, _C3, _CONV, 416),
    "yolov5_lite_c": _published(_lcnet(), 18, _C3, _LC, 512),
    "yolov5_lite_g": _published(_rep_csp(), 10, _C3, _CONV, 640),
}
