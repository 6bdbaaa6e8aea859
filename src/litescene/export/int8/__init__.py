"""Float32 bundle to int8 bundle: post-training static quantisation."""

from litescene.export.int8.quantizing import LEAST_PICTURES, quantize, state_accuracy

__all__ = ["LEAST_PICTURES", "quantize", "state_accuracy"]
