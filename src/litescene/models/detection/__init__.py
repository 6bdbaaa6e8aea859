"""Detectors. Importing this package registers them."""

from litescene.models.detection import yolov5_lite

__all__ = ["yolov5_lite"]
