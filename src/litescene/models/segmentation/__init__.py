"""Segmentation networks, one file per published system; importing registers them."""

from litescene.models.segmentation import (
    bisenet,
    cgnet,
    contextnet,
    edanet,
    erfnet,
    espnet,
    fast_scnn,
    pp_liteseg,
    shufflenet_v2_dpc,
)

__all__ = [
    "bisenet",
    "cgnet",
    "contextnet",
    "edanet",
    "erfnet",
    "espnet",
    "fast_scnn",
    "pp_liteseg",
    "shufflenet_v2_dpc",
]
