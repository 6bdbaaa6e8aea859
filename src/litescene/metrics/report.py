"""What an evaluation shows besides its figures, and who gets it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from litescene.core import InputError
from litescene.core.contract import TaskName


class EvaluationReport(Protocol):
    """Pictures of how a network did on labelled data, once it has seen them all."""

    def files(self, title: str) -> dict[str, bytes]:
        """PNG files by name."""
        ...


OnReport = Callable[[EvaluationReport], None]
"""Hears of a report when it has seen all pictures of an evaluation."""

_SHOWN: tuple[TaskName, ...] = ("segmentation", "detection")


def require_report(task: TaskName, report_to: OnReport | None) -> None:
    """An `InputError` where a report is wanted of a task that has none."""
    if report_to is not None and task not in _SHOWN:
        raise InputError(
            f"pictures of an evaluation are drawn of {' and '.join(_SHOWN)}, and this is a model "
            f"of {task}; leave them out"
        )
