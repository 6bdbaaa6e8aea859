"""What all restoration networks share: one picture or two in, one picture out, from 0 to 1."""

from __future__ import annotations

from torch import Tensor, nn

from litescene.models.spec import PLAIN


class RestorationNetwork(nn.Module):
    """Base of the networks that make pictures; each gives its `estimate`.

    `pictures` is how many of them make an input (in order of time), `factor` how many times larger
    the output is. `num_classes` of their builders counts the planes of a picture, red, green and
    blue: a network of any task is built for so many planes of output.
    """

    input_spec = PLAIN
    pictures = 1
    factor = 1

    def estimate(self, x: Tensor) -> Tensor:
        """N×3k×H×W from 0 to 1 to N×3×fH×fW, which may leave that range a little."""
        raise NotImplementedError

    def head_picture(self, x: Tensor) -> Tensor:
        """The estimate, cut to 0..1."""
        return self.estimate(x).clamp(0, 1)

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """N×3k×H×W (any H, W from 64) from 0 to 1 to N×3×fH×fW from 0 to 1.

        In training `picture`, the estimate as it is, so that what is out of range has a gradient.
        """
        return {"picture": self.estimate(x)} if self.training else self.head_picture(x)
