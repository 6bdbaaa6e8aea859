"""What all segmentation networks share: any input size, the head's own map, training heads."""

from __future__ import annotations

from torch import Tensor, nn

from litescene.models.blocks import crop_to, pad_to_multiple, resize_to
from litescene.models.spec import InputSpec


class SegmentationNetwork(nn.Module):
    """Base of the segmentation networks; each gives its `maps`.

    `align_corners` says how the head's logits become those of the picture: bilinear with
    half-pixel centres, or with the outermost centres on each other.

    `divisor` is for networks whose strides need divisible sides and whose head is at full
    resolution: the picture's last row and column are repeated up to the next multiple, and the
    logits cut to the picture. All other networks resize a map to the one that it meets.

    `unpools` says that the network pools with places (`blocks.MaxPoolAndBack`). Where two
    values of a window differ in their last digits only, each engine may find another place, and
    the pixels around move; the proof of an export knows it from here.
    """

    input_spec = InputSpec()
    align_corners = False
    divisor = 1
    unpools = False

    def maps(self, x: Tensor) -> dict[str, Tensor]:
        """Normalised N×3×H×W to `logits` N×classes×h×w at the head's own stride.

        In training also the maps of the training heads, named `aux_...`; in evaluation those are
        not computed.
        """
        raise NotImplementedError

    def _padded_maps(self, x: Tensor) -> dict[str, Tensor]:
        if self.divisor == 1:
            return self.maps(x)
        found = self.maps(pad_to_multiple(x, self.divisor))
        return {**found, "logits": crop_to(found["logits"], x)}

    def head_logits(self, x: Tensor) -> Tensor:
        """Normalised N×3×H×W to logits N×classes×h×w of the main head."""
        return self._padded_maps(x)["logits"]

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """Normalised N×3×H×W (any H, W from 64) to logits N×classes×H×W.

        In training the dict of `maps`, each at its head's own stride.
        """
        if self.training:
            return self._padded_maps(x)
        return resize_to(self.head_logits(x), x, align_corners=self.align_corners)
