"""Segmentation networks, one file per published system; importing registers them."""

from litescene.models.segmentation import contextnet, fast_scnn, pp_liteseg

__all__ = ["contextnet", "fast_scnn", "pp_liteseg"]
