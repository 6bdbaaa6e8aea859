"""Poolings that keep more than the mean or the maximum, and the way back. Needs PyTorch."""

from litescene.ops.pooling.exponential import (
    AdaPool,
    EDSCWPool,
    EMPool,
    IDWPool,
    Masks,
    ada_pool,
    ada_pool_with_masks,
    edscw_pool,
    em_pool,
    idw_pool,
)
from litescene.ops.pooling.unpool import AdaUnPool, ada_unpool, ada_unpool_into

__all__ = [
    "AdaPool",
    "AdaUnPool",
    "EDSCWPool",
    "EMPool",
    "IDWPool",
    "Masks",
    "ada_pool",
    "ada_pool_with_masks",
    "ada_unpool",
    "ada_unpool_into",
    "edscw_pool",
    "em_pool",
    "idw_pool",
]
