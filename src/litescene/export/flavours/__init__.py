"""Bundles in the formats of other runtimes: ONNX of float planes, OpenVINO, Tengine, ncnn, MNN."""

from litescene.export.flavours.converting import Converted, convert
from litescene.export.flavours.targets import TARGETS, Target

__all__ = ["TARGETS", "Converted", "Target", "convert"]
