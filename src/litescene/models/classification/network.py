"""What all classification networks share: the last map averaged and classified."""

from __future__ import annotations

from torch import Tensor, nn

from litescene.models.spec import InputSpec


class ClassificationNetwork(nn.Module):
    """Base of the classification networks; each has a `classifier` and gives its `features`.

    `clip_frames` is 0 for networks that take pictures; those that take clips, N×3×T×H×W, have
    there the number of frames that they were made for.
    """

    input_spec = InputSpec((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    clip_frames = 0
    classifier: nn.Module

    def features(self, x: Tensor) -> Tensor:
        """Normalised input to the last map, N×channels×h×w (of clips N×channels×t×h×w)."""
        raise NotImplementedError

    def pooled_logits(self, features: Tensor) -> Tensor:
        """The last map, averaged over all places, to logits N×classes."""
        places = tuple(range(2, features.ndim))
        logits: Tensor = self.classifier(features.mean(places))
        return logits

    def head_logits(self, x: Tensor) -> Tensor:
        """Normalised N×3×H×W (any H, W from 64) to logits N×classes of the main head."""
        return self.pooled_logits(self.features(x))

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """Logits N×classes; in training a dict: `logits`, and `aux_...` of training heads."""
        logits = self.head_logits(x)
        return {"logits": logits} if self.training else logits


def draw_weights(network: nn.Module) -> None:
    """Draw the weights of all convolutions from N(0, √(2 / (outputs · kernel))).

    He et al., "Delving Deep into Rectifiers", ICCV 2015, section 2.2, for the backward pass.
    """
    for module in network.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d)):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
