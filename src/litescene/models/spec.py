"""What a network expects of its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

SMALLEST_SIDE = 64
"""Networks take pictures of any height and width from here on."""
_REVERSED = [2, 1, 0]


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Normalisation of the input: (x / 255 - mean) / std per channel.

    The channels are red, green, blue, or with `bgr` blue, green, red; `mean` and `std` are in the
    same order. Pictures are RGB everywhere outside of a network; `normalised` is the only place
    where that, the mean and the std are dealt with.
    """

    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)
    bgr: bool = False

    def normalised(self, pictures: Tensor) -> Tensor:
        """N×3×H×W float, red, green, blue from 0 to 255, to the network's input.

        Or N×3k×H×W: k pictures, one after another.
        """
        count = int(pictures.shape[1]) // 3
        order = [3 * i + plane for i in range(count) for plane in _REVERSED]
        ordered = pictures[:, order] if self.bgr else pictures
        offsets = [-m / s for m, s in zip(self.mean, self.std, strict=True)]
        factor = ordered.new_tensor([1 / (255 * std) for std in self.std] * count)
        scaled = ordered * factor[:, None, None]
        if not any(offsets):
            return scaled
        offset = ordered.new_tensor(offsets * count)
        return scaled + offset[:, None, None]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON form, read back by `from_dict`."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> InputSpec:
        """Inverse of `to_dict`; `KeyError`, `TypeError` or `ValueError` for anything else."""
        (m0, m1, m2), (s0, s1, s2) = ([float(v) for v in plain[key]] for key in ("mean", "std"))
        if not min(s0, s1, s2) > 0:
            raise ValueError(f"standard deviations {s0}, {s1}, {s2} are not all above 0")
        return cls((m0, m1, m2), (s0, s1, s2), bool(plain["bgr"]))


PLAIN = InputSpec((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
"""Division by 255 and nothing else; that of networks that say nothing."""


def input_spec_of(model: Any) -> InputSpec:
    """What `model` expects of its input."""
    spec: InputSpec = getattr(model, "input_spec", PLAIN)
    return spec
