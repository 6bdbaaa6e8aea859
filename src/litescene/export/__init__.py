"""Checkpoint to bundle, with its parity proof; parameters and MACs. Needs PyTorch."""

from litescene.export.fusing import fuse
from litescene.export.graph import to_onnx
from litescene.export.int8 import quantize
from litescene.export.onnx_export import contract_of, export, export_checkpoint
from litescene.export.parity import bf16_agreement, prove
from litescene.export.profile import Layer, Profile, profile

__all__ = [
    "Layer",
    "Profile",
    "bf16_agreement",
    "contract_of",
    "export",
    "export_checkpoint",
    "fuse",
    "profile",
    "prove",
    "quantize",
    "to_onnx",
]
