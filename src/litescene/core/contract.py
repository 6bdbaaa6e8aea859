"""The contract of a bundle: what its metadata say, shared by export and runtime.

A bundle is an ONNX file. Its metadata key `litescene` holds the JSON of a `Contract`; its key
`litescene_sha256` holds the SHA-256 of everything else in the file (see `runtime.bundle`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from litescene.core.errors import BundleError
from litescene.core.taxonomy import IGNORE, Taxonomy

SCHEMA = 1
TaskName = Literal["segmentation", "detection", "classification", "restoration"]
Finish = Literal["upsample_argmax", "decode_nms", "softmax", "picture"]
FINISH_OF_TASK: dict[TaskName, Finish] = {
    "segmentation": "upsample_argmax",
    "detection": "decode_nms",
    "classification": "softmax",
    "restoration": "picture",
}
"""How the outputs of each task become its result."""


def _require_schema(schema: object) -> None:
    if schema != SCHEMA:
        raise BundleError(
            f"the bundle's metadata have schema {schema}, this litescene reads {SCHEMA}; export it "
            "again or update litescene"
        )


@dataclass(frozen=True, slots=True)
class Contract:
    """How a bundle wants its input and what its output means.

    The input is `uint8` N×H×W×3 RGB, or N×H×W×3k of k `pictures` in order of time, one after
    another; normalisation is inside the graph. `size` (height, width)
    is what the network was trained at. `stride` is the least common stride of input sides (the
    network itself takes any size from 64 up; a detector's letterbox pads to this stride).

    `finish` names the fused last step of the runtime:

    - `upsample_argmax`: the output is N×C×h×w float logits at the head's own stride; bilinear to
      the frame's size (half-pixel centres or, with `align_corners`, the outermost centres on each
      other), then the largest class.
    - `decode_nms`: the outputs are one N×(a·(5+C))×h×w float map per level before the sigmoid;
      `anchors[level]` are widths and heights in pixels, `strides[level]` the level's stride;
      decoded as YOLOv5 does, then per-class non-maximum suppression with `thresholds`
      (`score`, `iou`).
    - `softmax`: the output is N×C float logits; the softmax over them gives the classes'
      probabilities. The network sees the centre of a picture, `crop_share` of the largest part
      with the aspect of `size`, resized to it (see `media.fitting.centre_crop`).
    - `picture`: the output is N×3×(f·H)×(f·W) float from 0 to 1, f being the `factor`; times 255,
      rounded to even, it is the picture. `taxonomy` names its planes (`core.taxonomy.PLANES`).
    """

    task: TaskName
    system: str
    taxonomy: Taxonomy
    size: tuple[int, int]
    finish: Finish
    stride: int = 32
    align_corners: bool = False
    anchors: tuple[tuple[tuple[float, float], ...], ...] = ()
    strides: tuple[int, ...] = ()
    thresholds: Mapping[str, float] = field(default_factory=dict)
    crop_share: float = 1.0
    pictures: int = 1
    """How many make an input: 1, or the 2 that a picture between them is made of."""
    factor: int = 1
    """How many times larger than the input an output `picture` is."""
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Training data, recipe, seed, commit, date."""
    accuracy: Mapping[str, Any] = field(default_factory=dict)
    parity: Mapping[str, Any] = field(default_factory=dict)
    license: str = ""
    schema: int = SCHEMA

    def __post_init__(self) -> None:
        _require_schema(self.schema)
        if FINISH_OF_TASK.get(self.task) != self.finish:
            raise BundleError(f"task '{self.task}' does not end with '{self.finish}'")
        if min(self.size) < 1:
            height, width = self.size
            raise BundleError(f"size is 1 pixel or more each way, not {width}×{height}")
        if self.stride < 1:
            raise BundleError(f"stride is at least 1, not {self.stride}")
        self._check_thresholds()
        if self.finish == "decode_nms" and not (
            self.anchors and len(self.anchors) == len(self.strides)
        ):
            raise BundleError("a detector's metadata need anchors and strides for every level")
        if self.finish == "decode_nms":
            self._check_levels()
        if self.task == "segmentation" and len(self.taxonomy) > IGNORE:
            raise BundleError(
                f"pixels are labelled with 1 to {IGNORE} classes, not {len(self.taxonomy)}"
            )
        if not 0 < self.crop_share <= 1:
            raise BundleError(f"crop_share is above 0 and at most 1, not {self.crop_share}")
        if min(self.pictures, self.factor) < 1:
            raise BundleError(
                f"pictures and factor are at least 1, not {self.pictures} and {self.factor}"
            )

    def _check_thresholds(self) -> None:
        for name, value in self.thresholds.items():
            if not (isinstance(value, (int, float)) and 0 <= value <= 1):
                raise BundleError(f"the threshold '{name}' is 0 to 1, not {value}")

    def _check_levels(self) -> None:
        """Refuse anchors and strides by which no box could be decoded."""
        sides = [side for level in self.anchors for anchor in level for side in anchor]
        if min(self.strides) < 1 or not all(0 < side < math.inf for side in sides):
            raise BundleError(
                "a detector's strides are whole numbers from 1, its anchors positive pixels, not "
                f"{list(self.strides)} and {[list(level) for level in self.anchors]}"
            )
        if any(side % self.stride for side in self.size):
            height, width = self.size
            raise BundleError(
                f"a detector's size is a multiple of {self.stride}, not {width}×{height}"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form."""
        plain = asdict(self)
        plain["taxonomy"] = self.taxonomy.to_dict()
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Contract:
        """Read the plain form; a missing or unknown field is a `BundleError`."""
        _require_schema(plain.get("schema", SCHEMA))  # before fields that only a newer one has
        known = set(cls.__dataclass_fields__)
        unknown = sorted(set(plain) - known)
        if unknown:
            raise BundleError(f"the bundle's metadata have unknown fields: {', '.join(unknown)}")
        try:
            fields = dict(plain)
            fields["taxonomy"] = Taxonomy.from_dict(plain["taxonomy"])
            height, width = plain["size"]
            fields["size"] = (int(height), int(width))
            fields["thresholds"] = dict(plain.get("thresholds", {}))
            fields["strides"] = tuple(int(s) for s in plain.get("strides", ()))
            fields["anchors"] = tuple(
                tuple((float(w), float(h)) for w, h in level) for level in plain.get("anchors", ())
            )
            return cls(**fields)
        except (KeyError, TypeError, ValueError) as error:
            raise BundleError(f"the bundle's metadata are incomplete: {error}") from error
