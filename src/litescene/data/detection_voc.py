"""Pascal VOC XML: `Annotations/*.xml` (or `annotations/`) beside `JPEGImages/` (or `images/`)."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from xml.etree import ElementTree

from litescene.core import DataError
from litescene.data.detection_records import (
    Annotated,
    Annotations,
    Flaws,
    Row,
    annotated,
    find_picture,
    read_each,
)
from litescene.data.location import find_folder
from litescene.data.splitting import split_list
from litescene.data.text_files import number, read_text

_DECLARED = re.compile(rb"""\s*<\?xml\s[^>]*?encoding\s*=\s*["']([A-Za-z][\w.-]*)""")


def read_voc(root: Path, split: str, flaws: Flaws = None) -> Annotations:
    """Boxes of VOC files, coordinates as they are stored.

    With `ImageSets/Main/<split>.txt` the split is taken from there. For `train` and `val` all of
    `trainval.txt` are given where that is the only list of both, and every file where there is no
    list at all: which of them belong to the split is left to the caller. Objects marked difficult
    become crowd regions. The classes are those that occur in any file of the set.
    """
    annotations = find_folder(root, ("Annotations", "annotations"))
    pictures = find_folder(root, ("JPEGImages", "images", "PNGImages"))
    files = sorted(annotations.glob("*.xml"))
    read = partial(_parse, pictures=pictures, flaws=flaws)
    parsed = list(read_each(files, read, flaws))
    classes = sorted({name for _, one in parsed for name in one.names})
    listed = split_list(root / "ImageSets" / "Main", split)
    if listed is not None:
        stems = {line.split()[0] for line in read_text(listed).splitlines() if line.strip()}
        missing = stems - {path.stem for path in files}
        if missing:
            raise DataError(f"{listed}: {min(missing)} has no file in {annotations}")
        parsed = [(path, one) for path, one in parsed if path.stem in stems]
    return Annotations(tuple(one for _, one in parsed), tuple(classes))


def _parse(path: Path, pictures: Path, flaws: Flaws) -> Annotated:
    text = _decoded(path)
    if "<!ENTITY" in text:
        raise DataError(f"{path}: entity declarations are not part of the VOC format")
    try:
        root = ElementTree.fromstring(text.strip())
    except ElementTree.ParseError as error:
        raise DataError(f"{path}, line {error.position[0]}: not XML: {error}") from error
    if root.tag != "annotation":
        raise DataError(f"{path}: its root is <{root.tag}>; expected the <annotation> of VOC")
    objects = enumerate(root.iter("object"), start=1)
    located = ((f"{path}, object {index}", node) for index, node in objects)
    rows = [row for _, row in read_each(located, _row, flaws)]
    file_name = (root.findtext("filename") or "").strip() or path.stem
    return annotated(_picture(pictures, path, file_name), rows, flaws)


def _decoded(path: Path) -> str:
    """The text of an XML file, in UTF-8 or else in the encoding that its first line declares."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error}") from error
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        declared = _DECLARED.match(raw)
    # UTF-16 is told by its first two bytes; the declaration is in it.
    encoding = declared[1].decode() if declared else "utf-16"
    try:
        return raw.decode(encoding)
    except (UnicodeError, LookupError) as error:
        raise DataError(
            f"{path}: cannot be read as text: {error}; expected UTF-8, or the encoding that its "
            "first line declares"
        ) from error


def _row(located: tuple[str, ElementTree.Element]) -> Row:
    """An object, with where it is."""
    where, node = located
    name = (node.findtext("name") or "").strip()
    if not name:
        raise DataError(f"{where}: expected a <name>")
    x1, y1, x2, y2 = (
        number(node.findtext(f"bndbox/{key}") or "", where, f"a number in <{key}>")
        for key in ("xmin", "ymin", "xmax", "ymax")
    )
    difficult = (node.findtext("difficult") or "0").strip() == "1"
    return Row(where, name, x1, y1, x2, y2, difficult)


def _picture(pictures: Path, path: Path, file_name: str) -> Path:
    if (pictures / file_name).exists():
        return pictures / file_name
    # Many copies rename the pictures and leave <filename> as it was.
    return find_picture(pictures, f"{path.stem}.jpg", str(path))
