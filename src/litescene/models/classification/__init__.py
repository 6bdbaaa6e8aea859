"""Classification networks, one file per published system; importing registers them."""

from litescene.models.classification import (
    densenet,
    inception_v3,
    resnet,
    resnet_3d,
    resnext,
)

__all__ = ["densenet", "inception_v3", "resnet", "resnet_3d", "resnext"]
