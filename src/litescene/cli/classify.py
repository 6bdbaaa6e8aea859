"""`litescene classify`: what is in pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from litescene.cli.options import Engine, JsonSwitch
from litescene.cli.progress import progress
from litescene.cli.table import format_table, number
from litescene.core.errors import SourceError

if TYPE_CHECKING:
    from litescene.runtime.classification import Classifier

EXAMPLES = (
    "litescene classify picture.jpg --model runs/flowers/best.onnx",
    "litescene classify pictures/ 'more/*.png' --model flowers.onnx --top 3 --json",
)


def command(
    pictures: Annotated[
        list[str], typer.Argument(help="pictures, folders or globs", show_default=False)
    ],
    model: Annotated[str, typer.Option(help="a bundle's file", show_default=False)],
    top: Annotated[int, typer.Option(help="how many classes of each picture", min=1)] = 5,
    engine: Engine = "auto",
    as_json: JsonSwitch = False,
) -> None:
    """Name the likeliest classes of pictures, with their probabilities.

    A picture that cannot be read is named and left out; if none can be read, the code is 2.
    """
    from litescene.media.picture_source import find_pictures
    from litescene.runtime.classification import Classifier

    files = [file for spec in pictures for file in find_pictures(spec)]
    records = _classified(Classifier(model, engine, top=top), files)
    if as_json:
        print(json.dumps(records, indent=2))
    else:
        _print(records)


def _classified(classifier: Classifier, files: list[Path]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = []
    with progress("classifying") as report:
        for done, file in enumerate(files, 1):
            try:
                found: dict[str, Any] = {"classes": classifier(file).to_dict()}
            except SourceError as error:
                found = {"unreadable": str(error)}
            records.append({"picture": str(file), **found})
            report(done, len(files))
    if all("unreadable" in record for record in records):
        raise SourceError(records[0]["unreadable"])
    return records


def _print(records: list[dict[str, Any]]) -> None:
    rows = [
        ["" if place else record["picture"], one["class"], number(one["probability"])]
        for record in records
        for place, one in enumerate(record.get("classes", []))
    ]
    print(format_table(["picture", "class", "probability"], rows))
    for record in records:
        if "unreadable" in record:
            print(f"left out {record['picture']}: {record['unreadable']}")
