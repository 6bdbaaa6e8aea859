"""Segmentation networks, one file per published system; importing registers them."""

from litescene.models.segmentation import fast_scnn, pp_liteseg

__all__ = ["fast_scnn", "pp_liteseg"]
