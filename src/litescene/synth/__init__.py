"""The built-in street: a renderer whose every pixel, box, pose and IMU sample has exact truth."""

from litescene.synth.layouts import Layout, write_street
from litescene.synth.street import ImuSamples, Street, StreetFrame
from litescene.synth.truth import Objects

__all__ = ["ImuSamples", "Layout", "Objects", "Street", "StreetFrame", "write_street"]
