"""Segmentation networks, one file per published system; importing registers them."""

from litescene.models.segmentation import (
    bisenet,
    bisenet_v2,
    c3net,
    cgnet,
    contextnet,
    edanet,
    enet,
    erfnet,
    espnet,
    fast_scnn,
    icnet,
    lw_refinenet,
    pp_liteseg,
    shelfnet,
    shufflenet_v2_dpc,
    stdc_seg,
)

__all__ = [
    "bisenet",
    "bisenet_v2",
    "c3net",
    "cgnet",
    "contextnet",
    "edanet",
    "enet",
    "erfnet",
    "espnet",
    "fast_scnn",
    "icnet",
    "lw_refinenet",
    "pp_liteseg",
    "shelfnet",
    "shufflenet_v2_dpc",
    "stdc_seg",
]
