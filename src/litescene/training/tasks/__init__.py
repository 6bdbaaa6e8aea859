"""Tasks: what a sample is, which losses and metrics belong to it, how it is decoded."""

from litescene.training.tasks.base import Task, create_task

__all__ = ["Task", "create_task"]
