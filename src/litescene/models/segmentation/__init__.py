"""Segmentation networks, one file per published system; importing registers them."""

from litescene.models.segmentation import (
    cgnet,
    contextnet,
    edanet,
    erfnet,
    espnet,
    fast_scnn,
    pp_liteseg,
)

__all__ = ["cgnet", "contextnet", "edanet", "erfnet", "espnet", "fast_scnn", "pp_liteseg"]
