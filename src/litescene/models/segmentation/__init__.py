"""Segmentation networks, one file per published system; importing registers them."""

from litescene.models.segmentation import pp_liteseg

__all__ = ["pp_liteseg"]
