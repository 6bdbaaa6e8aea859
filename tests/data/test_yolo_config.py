"""What a `data.yaml` says in the spellings that are found in the wild."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from litescene.core import DataError
from litescene.data.detection import open_detection


def labelled(root: Path, name: str, text: str = "0 0.5 0.5 0.5 0.5\n") -> None:
    """The picture `images/NAME.png`, 40×30, and its text `labels/NAME.txt`."""
    for kind in ("images", "labels"):
        (root / kind / name).parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.full((30, 40, 3), 90, np.uint8)).save(root / f"images/{name}.png")
    (root / f"labels/{name}.txt").write_text(text)


def names_of(root: Path, config: str) -> tuple[tuple[str, ...], list[str]]:
    """The classes of a set with this `data.yaml`, and those of its boxes of ids 0 and 1."""
    labelled(root, "train/a", "0 0.5 0.5 0.5 0.5\n1 0.5 0.5 0.5 0.5\n")
    (root / "data.yaml").write_text(config, encoding="utf-8")
    data = open_detection(f"yolo:{root}", "train")
    return data.taxonomy.names, [data.taxonomy.names[c] for c in data.samples[0].classes]


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("names:\n  1: dog\n  0: cat\n", ("cat", "dog")),
        ("names: {0: cat, 1: dog}\n", ("cat", "dog")),
        ("names: {1: dog,\n  0: cat}\nnc: 2\n", ("cat", "dog")),
        ("names:\n  '0': cat\n  \"1\": dog\n", ("cat", "dog")),
        ("names:\n  # the first\n  0: cat\n\n# the last\n  1: dog\n", ("cat", "dog")),
        ("\ufeffnames: [cat, dog]\n", ("cat", "dog")),
        ("\ufeffnc: 2\nnames:\n- cat\n- dog\n", ("cat", "dog")),
        ("names: ['cat, black', 'dog']\n", ("cat, black", "dog")),
        ("names:\n- 'driver''s cat' # mine\n- \"dog: big\"\n", ("driver's cat", "dog: big")),
        ("names: [\n'cat',\n'dog'\n]\nval: ''\n", ("cat", "dog")),
        ("names: [0, 1]\n", ("0", "1")),
        ("--- # made elsewhere\nnames: [cat, dog]\nhooks: &a\n  x: *a\ndownload: |\n  names: [\n",
         ("cat", "dog")),
    ],
)  # fmt: skip
def test_class_names_are_those_of_their_ids(
    tmp_path: Path, config: str, names: tuple[str, ...]
) -> None:
    assert names_of(tmp_path, config) == (names, list(names))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ("names:\n  0: cat\n  5: dog\n", r"line 1: names has the ids 0, 5; expected 0 to 1"),
        ("nc: 2\nnames: {1: cat, 2: dog}\n", r"line 2: names has the ids 1, 2; expected 0 to 1"),
        ("names: {0: cat, 0: dog}\n", "line 1: '0' is given twice"),
        ("names:\n  0: cat\n  0: dog\n", "line 3: '0' is given twice"),
        ("names:\n  one: cat\n", "line 1: names has the ids one; expected 0 to 0"),
        ("names: cat\n", "line 1: names is 'cat'; expected a list of class names"),
        ("names: []\n", r"line 1: names is \[\]; expected a list of class names"),
        ("names: [cat, '']\n", "line 1: the name of class 1 is ''; expected a text"),
        ("names: [cat, null]\n", "line 1: the name of class 1 is None; expected a text"),
        ("names:\n- cat: 1\n- dog\n", "line 1: the name of class 0 is"),
        ("nc: 2\nnames: [cat, cat]\n", "line 2: classes 0 and 1 are both called 'cat'"),
        ("train: x\n", "expected 'names:' with a list of class names"),
        ("names: [cat, dog\n", "line 1: a bracket is never closed"),
        ("names: [cat, dog]\nnc: 3\n", "line 2: nc is 3, and there are 2 names"),
    ],
)
def test_names_that_do_not_fit_are_refused_with_file_and_line(
    tmp_path: Path, config: str, message: str
) -> None:
    with pytest.raises(DataError, match=rf"data\.yaml.*{message}") as error:
        names_of(tmp_path, config)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "entry",
    [
        "\n- images/a\n- images/b\n",
        "\n  - images/a  # half\n  - 'images/b'\n",
        " [images/a, 'images/b']\n",
        " images/*\n",
        " images/*/*.png\n",
        " 'images/[ab]'\n",
        " images\n",
    ],
)
def test_entries_may_be_lists_and_patterns(tmp_path: Path, entry: str) -> None:
    for name in ("a/one", "a/two", "b/three"):
        labelled(tmp_path, name)
    (tmp_path / "data.yaml").write_text(f"train:{entry}names: [x]\n")
    data = open_detection(f"yolo:{tmp_path}", "train")
    assert [s.picture.stem for s in data.samples] == ["one", "two", "three"]
    assert [len(s.boxes) for s in data.samples] == [1, 1, 1]
    (tmp_path / "data.yaml").write_text("names: [x]\ntrain: gone/*\n")
    with pytest.raises(DataError, match=r"data.yaml, line 2: there is no .*gone/\*"):
        open_detection(f"yolo:{tmp_path}", "train")
    (tmp_path / "data.yaml").write_text("names: [x]\ntrain:\n  a: b\n")
    with pytest.raises(DataError, match=r"data.yaml, line 2: train is a table; expected a path"):
        open_detection(f"yolo:{tmp_path}", "train")


def test_pictures_in_folders_inside_of_a_split_are_read(tmp_path: Path) -> None:
    for name in ("train/one", "train/sub/two", "train/sub/deep/three", "val/four"):
        labelled(tmp_path, name)
    for split, count in (("train", 3), ("val", 1), ("all", 4)):
        data = open_detection(f"yolo:{tmp_path}", split)
        assert [len(s.boxes) for s in data.samples] == [1] * count
    with pytest.raises(DataError, match="no split 'test'"):
        open_detection(f"yolo:{tmp_path}", "test")
