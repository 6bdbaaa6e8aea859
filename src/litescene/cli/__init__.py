"""The command line: one file per verb; a verb parses, calls one function of a room, prints."""

from litescene.cli.dispatch import main

__all__ = ["main"]
