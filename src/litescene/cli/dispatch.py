"""The entry point: finds the verb, runs it, turns every ending into one line and an exit code.

    0    done
    1    our mistake, a network that failed its proof, or a training that diverged
    2    the user's mistake, a missing extra, or a check of `doctor` that failed
    130  ended by Ctrl-C, SIGTERM or a closed terminal

Only the module of the wanted verb is imported, and the overview needs none at all.
"""

from __future__ import annotations

import codecs
import errno
import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import wraps
from importlib import import_module
from types import FrameType
from typing import Any, TypeGuard

from litescene import __version__
from litescene.cli.verbs import VERBS, module_of, overview

INTERRUPTED = 130
_ENDING = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; `arguments` are those of the program by default."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in given
    _print_any_name()
    words = [word for word in given if word != "--debug"]
    with _ended_as_by_ctrl_c():
        sys.exit(_answer(words, debug))


def _print_any_name() -> None:
    """Let names of files that are not in the terminal's encoding through, as the shell does."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        utf8 = codecs.lookup(sys.stdout.encoding).name == "utf-8"
        sys.stdout.reconfigure(errors="surrogateescape" if utf8 else "backslashreplace")


def _answer(words: Sequence[str], debug: bool) -> int:
    """Run the verb; returns the exit code of whatever ending it comes to."""
    try:
        code = _run(words)
        sys.stdout.flush()
        return code
    except (Stopped, KeyboardInterrupt) as stop:
        kept = f"; {stop.args[0]}" if stop.args else ""
        _say(f"interrupted{kept}")
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output has read enough, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1  # as typer answers it where it is the first to notice
    except Exception as error:  # the last line of defence: every error ends as one line
        if debug:
            import traceback

            traceback.print_exc()
        _say(_one_line(error))
        return _exit_code(error)


def _run(words: Sequence[str]) -> int:
    """The overview, the version, or a verb."""
    if not words or words[0] in ("-h", "--help", "help"):
        sys.stdout.write(overview())
        return 0
    if words[0] in ("-V", "--version"):
        sys.stdout.write(f"litescene {__version__}\n")
        return 0
    return run_verb(words[0], words[1:])


@contextmanager
def _ended_as_by_ctrl_c() -> Iterator[None]:
    """SIGTERM and SIGHUP end every verb as Ctrl-C does, unless they were ignored before.

    Jobs with an ending of their own set theirs (`runtime.stopping`).
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with ExitStack() as afterwards:
        for number in (n for n in _ENDING if signal.getsignal(n) is not signal.SIG_IGN):
            before = signal.signal(number, interrupt)
            afterwards.callback(signal.signal, number, before or signal.SIG_DFL)
        yield


def run_verb(name: str, arguments: Sequence[str]) -> int:
    """Parse and run one verb; returns its exit code and lets its exceptions through."""
    if name not in VERBS:
        from litescene.core.errors import UnknownNameError

        raise UnknownNameError("verb", name, VERBS)
    from litescene.cli.logs import log_to_stderr

    log_to_stderr()
    # Not standalone: usage errors come out as exceptions, and the command's value as its code.
    code = parser(name).main(list(arguments), prog_name=f"litescene {name}", standalone_mode=False)
    return int(code or 0)


def parser(verb: str) -> Any:
    """The parser (a click command) of one verb."""
    import typer

    module = import_module(module_of(verb))
    app = typer.Typer(add_completion=False, rich_markup_mode="rich")
    # Typer keeps line breaks of an epilog only between paragraphs.
    epilog = "\n\n".join(("Examples:", *module.EXAMPLES))
    app.command(epilog=epilog)(_stoppable(module.command))
    return typer.main.get_command(app)


class Stopped(Exception):
    """Ctrl-C, in a form that typer does not answer itself; says what was kept."""


def _stoppable(command: Callable[..., int | None]) -> Callable[..., int | None]:
    @wraps(command)
    def run(*args: Any, **options: Any) -> int | None:
        try:
            return command(*args, **options)
        except KeyboardInterrupt as stop:
            raise Stopped(*stop.args) from stop

    return run


def _say(message: str) -> None:
    """One line; names in files may hold what a terminal would obey, which is shown instead."""
    shown = "".join(c if c.isprintable() else repr(c)[1:-1] for c in message)
    sys.stderr.write(f"litescene: {shown}\n")


def _of_a_path(error: Exception) -> TypeGuard[OSError]:
    """Whether a file or folder, which it names, is one that the user cannot use."""
    if not isinstance(error, OSError) or error.filename is None:
        return False
    return isinstance(error, PermissionError) or error.errno == errno.ENAMETOOLONG


def _one_line(error: Exception) -> str:
    from litescene.core.errors import LitesceneError

    if isinstance(error, LitesceneError):
        return " ".join(str(error).split())
    explain = getattr(error, "format_message", None)  # how typer's usage errors speak
    if explain is not None:
        return f"{' '.join(explain().split())} See --help."
    if _of_a_path(error):
        if isinstance(error, PermissionError):
            return (
                f"{error.filename}: permission denied; ask for access to it or name another place"
            )
        return f"{error.filename}: too long for the name of a file; is it one?"
    text = " ".join(str(error).split())
    if isinstance(error, MemoryError):
        return f"not enough memory: {text or 'none is left'}; take smaller sizes or fewer at once"
    return f"unexpected {type(error).__name__}: {text} (use --debug to see where)"


def _exit_code(error: Exception) -> int:
    if _of_a_path(error):
        return 2
    return int(getattr(error, "exit_code", 1))
