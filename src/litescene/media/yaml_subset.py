"""The part of YAML that calibration files use, read strictly.

Nested maps and lists by indentation, `[...]` and `{...}` in one or several lines, quoted and
plain scalars, comments, and the `%YAML`, `---` and `!!opencv-matrix` marks of OpenCV. Anchors,
block text and several documents are refused rather than guessed. The base install has no YAML
library, and calibration files need no more.
"""

from __future__ import annotations

import re
import sys
from typing import Any

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_KEY = re.compile(r"""("[^"]*"|'[^']*'|[^\s\[\]{},&*!|>'"#][^:]*?)\s*:(?:\s+(.*)|)""", re.DOTALL)
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^']|'')*)'""", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|([nrt0\"\\/ ]))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "0": "\0"}
_TAG = re.compile(r"!!?[\w\-/.:]*\s*")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys(("", "null", "Null", "NULL", "~"), None),
}

_Line = tuple[int, int, str]
"""Number in the file, indentation, text."""


def parse_yaml(text: str) -> Any:
    """Maps as dicts, lists as lists, numbers as int or float, everything else as text.

    Raises `ValueError` naming the line for what it does not understand.

    >>> parse_yaml("camera_matrix: !!opencv-matrix\\n  rows: 1\\n  data: [ 1., 2e1 ]")
    {'camera_matrix': {'rows': 1, 'data': [1.0, 20.0]}}
    """
    lines = _logical_lines(text)
    if not lines:
        return None
    value, rest = _block(lines, 0, lines[0][1])
    if rest < len(lines):
        raise ValueError(f"line {lines[rest][0]}: the indentation fits nothing above it")
    return value


def _logical_lines(text: str) -> list[_Line]:
    lines: list[_Line] = []
    pending = ""
    start = indent = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _without_comment(raw).rstrip()
        marker = line.startswith("%") or line in ("---", "...")
        if not line.strip() or (marker and not pending):
            if line == "---" and lines:
                raise ValueError(f"line {number}: several documents in one file")
            continue
        if not pending:
            start, indent = number, len(line) - len(line.lstrip(" "))
            if "\t" in line[: len(line) - len(line.lstrip())]:
                raise ValueError(f"line {number}: indented with a tab")
        pending = f"{pending} {line.strip()}".strip()
        if _open_brackets(pending) == 0:
            lines.append((start, indent, pending))
            pending = ""
    if pending:
        raise ValueError(f"line {start}: a bracket is never closed")
    return lines


def _without_comment(line: str) -> str:
    quote = ""
    for i, c in enumerate(line):
        if quote:
            quote = "" if c == quote else quote
        elif c in "\"'" and (i == 0 or line[i - 1] in " [{,:"):
            quote = c
        elif c == "#" and (i == 0 or line[i - 1].isspace()):
            return line[:i]
    return line


def _open_brackets(text: str) -> int:
    plain = re.sub(r""""[^"]*"|'[^']*'""", "", text)
    return sum(plain.count(c) for c in "[{") - sum(plain.count(c) for c in "]}")


def _block(lines: list[_Line], i: int, indent: int) -> tuple[Any, int]:
    if lines[i][2].startswith("- ") or lines[i][2] == "-":
        return _list(lines, i, indent)
    if _KEY.fullmatch(lines[i][2]):
        return _map(lines, i, indent)
    return _value(lines[i][2], lines[i][0]), i + 1


def _list(lines: list[_Line], i: int, indent: int) -> tuple[list[Any], int]:
    items: list[Any] = []
    while i < len(lines) and lines[i][1] == indent and lines[i][2][:2] in ("-", "- "):
        number, _, text = lines[i]
        rest = text[1:].lstrip()
        if rest:
            # What follows the dash is a block of its own that starts at its own column.
            inner = indent + len(text) - len(rest)
            lines[i] = (number, inner, rest)
            item, i = _block(lines, i, inner)
        else:
            item, i = _nested(lines, i + 1, indent)
        items.append(item)
    return items, i


def _map(lines: list[_Line], i: int, indent: int) -> tuple[dict[str, Any], int]:
    result: dict[str, Any] = {}
    while i < len(lines) and lines[i][1] == indent:
        number, _, text = lines[i]
        match = _KEY.fullmatch(text)
        if not match:
            raise ValueError(f"line {number}: expected 'key: value', not '{text[:40]}'")
        key = match[1].strip("\"'")
        if key in result:
            raise ValueError(f"line {number}: '{key}' is given twice")
        rest = _TAG.sub("", match[2] or "", count=1) if (match[2] or "")[:1] == "!" else match[2]
        if rest:
            result[key], i = _value(rest, number), i + 1
        else:
            result[key], i = _nested(lines, i + 1, indent)
    return result, i


def _nested(lines: list[_Line], i: int, indent: int) -> tuple[Any, int]:
    """The deeper block that follows, a list at the same column, or nothing."""
    if i < len(lines) and lines[i][1] > indent:
        return _block(lines, i, lines[i][1])
    if i < len(lines) and lines[i][1] == indent and lines[i][2][:2] in ("-", "- "):
        return _list(lines, i, indent)
    return None, i


def _value(text: str, number: int) -> Any:
    value, rest = _flow(text, number)
    if rest.strip():
        raise ValueError(f"line {number}: unexpected '{rest.strip()[:40]}'")
    return value


def _flow(text: str, number: int) -> tuple[Any, str]:
    text = text.lstrip()
    if text[:1] in ("&", "*", "|", ">"):
        raise ValueError(f"line {number}: anchors and block text are not supported")
    if text[:1] == "[":
        return _flow_list(text[1:], number)
    if text[:1] == "{":
        return _flow_map(text[1:], number)
    if text[:1] in ('"', "'"):
        quoted = _QUOTED.match(text)
        if quoted is None:
            raise ValueError(f"line {number}: a quote is never closed")
        plain = _ESCAPE.sub(_unescaped, quoted[1] or "") or (quoted[2] or "").replace("''", "'")
        return plain, text[quoted.end() :]
    return _scalar(text.strip()), ""


def _unescaped(found: re.Match[str]) -> str:
    code = found[1] or found[2] or found[3]
    if code is None:
        return _ESCAPED.get(found[4], found[4])
    return chr(min(int(code, 16), sys.maxunicode))


def _flow_list(text: str, number: int) -> tuple[list[Any], str]:
    items: list[Any] = []
    while True:
        text = text.lstrip()
        if text[:1] == "]":
            return items, text[1:]
        item, text = _flow_item(text, number, ",]")
        items.append(item)
        text = _separator(text, "]", number)


def _flow_map(text: str, number: int) -> tuple[dict[str, Any], str]:
    result: dict[str, Any] = {}
    while True:
        text = text.lstrip()
        if text[:1] == "}":
            return result, text[1:]
        key, colon, text = text.partition(":")
        if not colon:
            raise ValueError(f"line {number}: expected 'key: value' inside braces")
        key = key.strip().strip("\"'")
        if key in result:
            raise ValueError(f"line {number}: '{key}' is given twice")
        result[key], text = _flow_item(text, number, ",}")
        text = _separator(text, "}", number)


def _flow_item(text: str, number: int, stops: str) -> tuple[Any, str]:
    text = text.lstrip()
    if text[:1] in "[{\"'":
        return _flow(text, number)
    end = min((i for i in (text.find(stop) for stop in stops) if i >= 0), default=len(text))
    return _scalar(text[:end].strip()), text[end:]


def _separator(text: str, closing: str, number: int) -> str:
    text = text.lstrip()
    if text[:1] == ",":
        return text[1:]
    if text[:1] == closing:
        return text
    raise ValueError(f"line {number}: expected ',' or '{closing}'")


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _NUMBER.fullmatch(text):
        return int(text) if re.fullmatch(r"[-+]?\d+", text) else float(text)
    return text
