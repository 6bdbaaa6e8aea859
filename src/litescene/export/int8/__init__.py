"""Float32 bundle to int8 bundle: post-training static quantisation."""

from litescene.export.int8.quantizing import quantize, state_accuracy

__all__ = ["quantize", "state_accuracy"]
