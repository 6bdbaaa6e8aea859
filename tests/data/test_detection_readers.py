"""Readers of box annotations: tiny sets written here, damaged files, and the real data."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from litescene.core import CAMVID, STREET_OBJECTS, DataError, Taxonomy
from litescene.core.errors import AbsentSplitError
from litescene.data.detection import open_detection, validation_stems
from litescene.data.detection_camvid import read_camvid_boxes
from litescene.data.detection_records import Row, annotated, find_picture
from litescene.data.splitting import named_split
from real_data import DataSet


def picture(path: Path, width: int = 40, height: int = 30) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 90, np.uint8))


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def coco(root: Path, **changes: object) -> dict[str, object]:
    plain: dict[str, object] = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 40, "height": 30}],
        "categories": [{"id": 1, "name": "person"}, {"id": 8, "name": "truck"}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 8, "bbox": [1, 2, 10, 20], "iscrowd": 0},
            {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 40, 30], "iscrowd": 1},
            {"id": 3, "image_id": 7, "category_id": 1, "bbox": [5, 5, 0, 3], "iscrowd": 0},
        ],
    }
    plain |= changes
    write(root / "annotations" / "instances_train2017.json", json.dumps(plain))
    picture(root / "images" / "a.jpg")
    return plain


def test_without_names_every_split_of_yolo_has_the_classes_of_all(tmp_path: Path) -> None:
    for split, lines in (("train", "0 .5 .5 .2 .2\n2 .5 .5 .2 .2\n"), ("val", "1 .5 .5 .2 .2\n")):
        picture(tmp_path / f"images/{split}/a.png")
        write(tmp_path / f"labels/{split}/a.txt", lines)
    write(tmp_path / "labels/classes.txt", "9\n")
    for split, classes in (("train", [0, 2]), ("val", [1])):
        data = open_detection(f"yolo:{tmp_path}", split)
        assert data.taxonomy.names == ("0", "1", "2")
        assert data.samples[0].classes.tolist() == classes


def test_a_dot_in_a_name_without_an_ending_is_no_ending(tmp_path: Path) -> None:
    for name in ("a.1.png", "a.png"):
        picture(tmp_path / name)
    assert find_picture(tmp_path, "a.1", "line 2").name == "a.1.png"
    assert find_picture(tmp_path, "a.jpg", "line 3").name == "a.png"


def test_coco_boxes_become_corners_and_crowds_are_marked(tmp_path: Path) -> None:
    coco(tmp_path)
    data = open_detection(f"coco:{tmp_path}", "train")
    (sample,) = data.samples
    assert data.taxonomy.names == ("person", "truck")
    np.testing.assert_array_equal(sample.boxes, [[1, 2, 11, 22], [0, 0, 40, 30]])
    assert sample.classes.tolist() == [1, 0]
    assert sample.crowd.tolist() == [False, True]
    assert sample.known == {0, 1}


def test_coco_classes_are_mapped_to_the_street_mix(tmp_path: Path) -> None:
    coco(tmp_path)
    data = open_detection(f"coco:{tmp_path}", "train", STREET_OBJECTS)
    names = [STREET_OBJECTS.names[c] for c in data.samples[0].classes]
    assert names == ["truck_bus", "person"]
    assert {STREET_OBJECTS.names[c] for c in data.known} == {"truck_bus", "person"}


@pytest.mark.parametrize(
    "entry",
    [
        {"bbox": [1, 2, 3]},
        {"bbox": None},
        {},
        {"bbox": "1234"},
        {"bbox": [1, 2, None, 4]},
        {"bbox": [1, 2, 10**400, 4]},
        {"bbox": [float("nan"), 2, 3, 4]},
        {"bbox": [1, 2, float("inf"), 4]},
    ],
)
def test_an_annotation_without_a_box_is_named_and_costs_no_other(
    tmp_path: Path, entry: dict[str, object]
) -> None:
    good = {"id": 4, "image_id": 7, "category_id": 8, "bbox": [1, 2, 10, 20]}
    coco(tmp_path, annotations=[{"id": 5, "image_id": 7, "category_id": 1, **entry}, good])
    said = r"instances_train2017.json, annotation 5: bbox is .*; expected a bbox of four finite num"
    with pytest.raises(DataError, match=said):
        open_detection(f"coco:{tmp_path}", "train")
    flaws: list[str] = []
    (sample,) = open_detection(f"coco:{tmp_path}", "train", flaws=flaws).samples
    np.testing.assert_array_equal(sample.boxes, [[1, 2, 11, 22]])
    (flaw,) = flaws
    assert "annotation 5: bbox is" in flaw


def test_coco_files_of_another_shape_are_refused_in_one_line(tmp_path: Path) -> None:
    coco(tmp_path, categories=[{"id": 1, "name": "cat"}, {"id": 8, "name": "cat"}])
    with pytest.raises(DataError, match=r"train2017.json: categories 1 and 8 are both called 'cat"):
        open_detection(f"coco:{tmp_path}", "train")
    coco(tmp_path, categories=[{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}])
    with pytest.raises(DataError, match=r"train2017.json: two categories have the id 1"):
        open_detection(f"coco:{tmp_path}", "train")
    coco(tmp_path, annotations=[[1, 2]])
    with pytest.raises(DataError, match=r"train2017.json: not a COCO detection file"):
        open_detection(f"coco:{tmp_path}", "train")
    write(tmp_path / "annotations" / "instances_train2017.json", "[]")
    with pytest.raises(DataError, match=r"train2017.json: .*its root is a list; expected .*images"):
        open_detection(f"coco:{tmp_path}", "train")


def test_files_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    coco(tmp_path / "c")
    voc(tmp_path / "v", "a", voc_object("dog", (1, 2, 10, 20)))
    picture(tmp_path / "b" / "images" / "a.jpg")
    write(tmp_path / "b" / "boxes.csv", "image,xmin,ymin,xmax,ymax\na.jpg,1,2,10,20\n")
    picture(tmp_path / "y" / "images" / "a.jpg")
    write(tmp_path / "y" / "labels" / "a.txt", "0 0.5 0.5 0.5 0.5\n")
    write(tmp_path / "y" / "data.yaml", "names: [x]\n")
    for ending in ("json", "xml", "csv", "txt", "yaml"):
        for path in tmp_path.rglob(f"*.{ending}"):
            path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    specs = {"coco": ("c", "train"), "voc": ("v", "all"), "boxcsv": ("b", "all")}
    for name, (folder, split) in {**specs, "yolo": ("y", "all")}.items():
        (sample,) = open_detection(f"{name}:{tmp_path / folder}", split).samples
        assert len(sample.boxes) > 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_coordinates_that_are_not_finite_are_refused(value: float) -> None:
    rows = [Row("line 1", "car", 0, 0, 4, 5), Row("line 2", "car", value, 1, value, 5)]
    with pytest.raises(DataError, match=r"line 2: the box is \(.*; expected four finite numbers"):
        annotated(Path("a.png"), rows)
    flaws: list[str] = []
    assert annotated(Path("a.png"), rows, flaws).boxes.tolist() == [[0, 0, 4, 5]]
    (flaw,) = flaws
    assert flaw.startswith("line 2: the box is (")


def test_coco_damage_is_named(tmp_path: Path) -> None:
    coco(tmp_path, annotations=[{"id": 5, "image_id": 9, "category_id": 1, "bbox": [0, 0, 1, 1]}])
    with pytest.raises(DataError, match=r"instances_train2017.json: annotation 5 names picture 9"):
        open_detection(f"coco:{tmp_path}", "train")
    coco(tmp_path, images=[{"id": 1, "file_name": name} for name in ("a.png", "b.png")])
    with pytest.raises(DataError, match=r"instances_train2017.json: two pictures have the id 1"):
        open_detection(f"coco:{tmp_path}", "train")
    write(tmp_path / "annotations" / "instances_train2017.json", '{"images": [}')
    with pytest.raises(DataError, match=r"line 1: not JSON"):
        open_detection(f"coco:{tmp_path}", "train")
    for text in ("9" * 5000, "[" * 100_000):
        write(tmp_path / "annotations" / "instances_train2017.json", text)
        with pytest.raises(DataError, match=r"instances_train2017.json: cannot be read as JSON"):
            open_detection(f"coco:{tmp_path}", "train")
    for name in ("a" * 5000, "a\0.jpg"):
        coco(tmp_path, images=[{"id": 7, "file_name": name}])
        with pytest.raises(DataError, match="there is no picture"):
            open_detection(f"coco:{tmp_path}", "train")
    write(tmp_path / "annotations" / "instances_train2017.json", '{"images": []}')
    with pytest.raises(DataError, match="'categories' is missing"):
        open_detection(f"coco:{tmp_path}", "train")
    with pytest.raises(DataError, match="one JSON file for split 'val'"):
        open_detection(f"coco:{tmp_path}", "val")


def test_yolo_text_gives_pixels_from_boxes_and_polygons(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "train" / "a.png")
    picture(tmp_path / "images" / "train" / "empty.png")
    polygon = "0 0.25 0.5 0.5 0.5 0.5 1.0 0.25 0.9"
    write(tmp_path / "labels" / "train" / "a.txt", f"1 0.5 0.5 0.5 0.2\n{polygon}\n")
    write(tmp_path / "data.yaml", "train: x\nnames:\n  0: car\n  1: 'stop sign'\nnc: 2\n")
    data = open_detection(f"yolo:{tmp_path}", "train")
    assert data.taxonomy.names == ("car", "stop sign")
    sample = data.samples[0]
    np.testing.assert_allclose(sample.boxes, [[10, 12, 30, 18], [10, 15, 20, 30]], atol=1e-5)
    assert sample.classes.tolist() == [1, 0]
    assert len(data.samples[1].boxes) == 0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.1", "expected 5 columns"),
        ("0 0.5 x 0.1 0.1", "expected 'class cx cy w h'"),
        ("0 50 50 10 10", "shares of the picture"),
        ("3 0.5 0.5 0.1 0.1", r"expected a class \(0 to 1\), not 3"),
        ("0.5 0.5 0.5 0.1 0.1", "not 0.5"),
    ],
)
def test_yolo_damage_is_named_with_its_line(tmp_path: Path, line: str, message: str) -> None:
    picture(tmp_path / "images" / "a.png")
    write(tmp_path / "labels" / "a.txt", f"0 0.5 0.5 0.2 0.2\n{line}\n")
    write(tmp_path / "data.yaml", "names: [car, 'bus']\n")
    with pytest.raises(DataError, match=rf"a.txt, line 2: .*{message}"):
        open_detection(f"yolo:{tmp_path}", "all")


def elsewhere(root: Path, config: str) -> Path:
    """A set whose pictures lie where only its data.yaml says."""
    for split, name in (("learn", "a"), ("check", "b")):
        picture(root / "pool" / split / "images" / f"{name}.png")
        write(root / "pool" / split / "labels" / f"{name}.txt", "0 0.5 0.5 0.5 0.5\n")
    write(root / "data.yaml", config)
    return root


@pytest.mark.parametrize(
    "config",
    [
        "path: pool  # the root\ntrain: learn/images\nval: check/images\nnames: [x]\nnc: 1\n",
        "train: ../pool/learn/images\nval: '../pool/check'\nnames:\n  0: x  # the only one\n",
        "train: [pool/learn/images]\nval: pool/list.txt\nnames:\n- x\ndownload: |\n  a: [\n",
    ],
)
def test_data_yaml_says_where_the_pictures_of_a_split_are(tmp_path: Path, config: str) -> None:
    root = elsewhere(tmp_path / "mine", config)
    write(root / "pool" / "list.txt", "check/images/b.png\n\n")
    for spec in (f"yolo:{root}", f"yolo:{root / 'data.yaml'}"):
        for split, names in (("train", ["a"]), ("val", ["b"]), ("all", ["a", "b"])):
            data = open_detection(spec, split)
            assert sorted(s.picture.stem for s in data.samples) == names
            assert data.taxonomy.names == ("x",)
            assert data.name == f"yolo:mine:{split}"
            np.testing.assert_allclose(data.samples[0].boxes, [[10, 7.5, 30, 22.5]])


def test_a_data_yaml_that_points_nowhere_is_named_with_its_line(tmp_path: Path) -> None:
    root = elsewhere(tmp_path, "names: [x]\ntrain: gone/images\nval: pool/list.txt\n")
    with pytest.raises(
        DataError, match=r"data.yaml, line 2: there is no .*gone.images; expected a"
    ):
        open_detection(f"yolo:{root}", "train")
    write(root / "pool" / "list.txt", "check/images/b.png\ncheck/images/c.png\n")
    with pytest.raises(DataError, match=r"list.txt, line 2: there is no picture .*c.png"):
        open_detection(f"yolo:{root}", "val")
    write(root / "data.yaml", "nc: 3\nnames: [x]\ntrain: pool/learn/images\n")
    with pytest.raises(DataError, match=r"data.yaml, line 1: nc is 3, and there are 1 names"):
        open_detection(f"yolo:{root}", "train")
    write(root / "data.yaml", "names: [x]\ntrain: pool/learn/images\n")
    with pytest.raises(DataError, match=r"nor has data.yaml an entry 'val'"):
        open_detection(f"yolo:{root}", "val")


def voc(root: Path, stem: str, objects: str) -> None:
    picture(root / "JPEGImages" / f"{stem}.jpg")
    name = f"<filename>{stem}.jpg</filename>"
    write(root / "Annotations" / f"{stem}.xml", f"<annotation>{name}{objects}</annotation>")


def voc_object(name: str, box: tuple[object, ...], difficult: int = 0) -> str:
    keys = ("xmin", "ymin", "xmax", "ymax")
    inner = "".join(f"<{k}>{v}</{k}>" for k, v in zip(keys, box, strict=True))
    flag = f"<difficult>{difficult}</difficult>"
    return f"<object><name>{name}</name>{flag}<bndbox>{inner}</bndbox></object>"


def test_voc_takes_its_own_image_sets_and_marks_difficult_objects(tmp_path: Path) -> None:
    voc(tmp_path, "a", voc_object("dog", (1, 2, 10, 20)) + voc_object("cat", (3, 4, 5, 6), 1))
    voc(tmp_path, "b", voc_object("dog", (1, 2, 10, 20)))
    write(tmp_path / "ImageSets" / "Main" / "val.txt", "a\n")
    data = open_detection(f"voc:{tmp_path}", "val")
    (sample,) = data.samples
    assert data.taxonomy.names == ("cat", "dog")
    assert sample.classes.tolist() == [1, 0]
    assert sample.crowd.tolist() == [False, True]
    np.testing.assert_array_equal(sample.boxes[0], [1, 2, 10, 20])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1", "gbk"])
def test_voc_may_be_written_in_the_encoding_that_it_declares(tmp_path: Path, encoding: str) -> None:
    name = "\u72d7" if encoding == "gbk" else "Stra\u00dfe"
    voc(tmp_path, "a", voc_object(name, (1, 2, 10, 20)))
    path = tmp_path / "Annotations" / "a.xml"
    text = f"<?xml version='1.0' encoding='{encoding}'?>\n{path.read_text('utf-8')}\n"
    path.write_bytes(text.encode(encoding))
    assert open_detection(f"voc:{tmp_path}", "all").taxonomy.names == (name,)


def test_voc_damage_is_named(tmp_path: Path) -> None:
    voc(tmp_path, "a", voc_object("dog", (1, "two", 10, 20)))
    with pytest.raises(DataError, match=r"a.xml, object 1: expected a number in <ymin>, not 'two'"):
        open_detection(f"voc:{tmp_path}", "all")
    voc(tmp_path, "a", voc_object("dog", (10, 2, 1, 20)))
    with pytest.raises(DataError, match="expected x1 < x2"):
        open_detection(f"voc:{tmp_path}", "all")
    write(tmp_path / "Annotations" / "a.xml", "<annotation><object>")
    with pytest.raises(DataError, match=r"a.xml, line 1: not XML"):
        open_detection(f"voc:{tmp_path}", "all")
    write(tmp_path / "Annotations" / "a.xml", "<project><object/></project>")
    with pytest.raises(DataError, match=r"a.xml: its root is <project>; expected the <annotation>"):
        open_detection(f"voc:{tmp_path}", "all")
    other = "<?xml version='1.0' encoding='{}'?><annotation>\xff</annotation>"
    for encoding in ("ascii", "unheard-of"):
        text = other.format(encoding).encode("iso-8859-1")
        (tmp_path / "Annotations" / "a.xml").write_bytes(text)
        with pytest.raises(DataError, match=r"a.xml: cannot be read as text: .*expected UTF-8"):
            open_detection(f"voc:{tmp_path}", "all")
    write(tmp_path / "Annotations" / "a.xml", '<!DOCTYPE a [<!ENTITY x "y">]><annotation/>')
    with pytest.raises(DataError, match="entity declarations"):
        open_detection(f"voc:{tmp_path}", "all")


def test_a_box_table_lists_pictures_without_boxes_too(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg", "._b.jpg"):  # such hidden ones are no pictures
        picture(tmp_path / "images" / name)
    write(tmp_path / "boxes.csv", "image,xmin,ymin,xmax,ymax\n\na.jpg,1.5,2,10,20\n  \n\n")
    data = open_detection(f"boxcsv:{tmp_path}", "all", STREET_OBJECTS)
    assert [len(s.boxes) for s in data.samples] == [1, 0]
    assert [STREET_OBJECTS.names[c] for c in data.known] == ["car"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("picture,x\n", "line 1: expected 'image,xmin,ymin,xmax,ymax'"),
        ("image,xmin,ymin,xmax,ymax\na.jpg,1,2,3\n", "line 2: expected 5 columns, found 4"),
        ("image,xmin,ymin,xmax,ymax\na.jpg,1,2,nan,4\n", "line 2: expected a number of pixels"),
        ("image,xmin,ymin,xmax,ymax\nc.jpg,1,2,3,4\n", "there is no picture .*c.jpg"),
        ("image,xmin,ymin,xmax,ymax\n\n ,,,,\na.jpg,1,2,3\n", "line 4: expected 5 columns"),
        (
            f"image,xmin,ymin,xmax,ymax\na.jpg,1,2,3,4\n{'a' * 200_000},1,2,3,4\n",
            "boxes.csv, line 3: field larger than",
        ),
        (
            "image,xmin,ymin,xmax,ymax,class\na.jpg,1,2,3,4, \n",
            "boxes.csv, line 2: the class is empty; expected a name",
        ),
    ],
)
def test_damage_of_a_box_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    picture(tmp_path / "images" / "a.jpg")
    write(tmp_path / "boxes.csv", text)
    with pytest.raises(DataError, match=message):
        open_detection(f"boxcsv:{tmp_path}", "all")


PENN = """# Compatible with PASCAL Annotation Version 1.00
Objects with ground truth : {count} {{ "PASpersonWalking" }}
# Top left pixel co-ordinates : (1, 1)
Bounding box for object 1 "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax) : {box}
"""


def test_penn_coordinates_count_from_one(tmp_path: Path) -> None:
    picture(tmp_path / "PNGImages" / "P1.png")
    write(tmp_path / "Annotation" / "P1.txt", PENN.format(count=1, box="(3, 4) - (20, 30)"))
    data = open_detection(f"penn:{tmp_path}", "all", STREET_OBJECTS)
    np.testing.assert_array_equal(data.samples[0].boxes, [[2, 3, 19, 29]])
    write(tmp_path / "Annotation" / "P1.txt", PENN.format(count=2, box="(3, 4) - (20, 30)"))
    with pytest.raises(DataError, match="promises 2 objects but has 1 boxes"):
        open_detection(f"penn:{tmp_path}", "all")
    write(tmp_path / "Annotation" / "P1.txt", PENN.format(count=1, box="3 4 20 30"))
    with pytest.raises(DataError, match=r"P1.txt, line 4: not a PASCAL v1.00 bounding box"):
        open_detection(f"penn:{tmp_path}", "all")


def test_camvid_components_are_objects_only_where_they_stand_alone(tmp_path: Path) -> None:
    labels = np.full((120, 200), 11, np.uint8)
    car, person = CAMVID.names.index("car"), CAMVID.names.index("pedestrian")
    labels[20:40, 10:40] = car  # alone
    labels[60:80, 10:40] = car  # two cars three pixels apart
    labels[60:80, 43:70] = car
    labels[20:40, 80:190] = car  # a row of parked cars
    labels[60:100, 120:134] = person
    labels[110:113, 5:8] = person  # a speck
    picture(tmp_path / "train" / "a.jpg", 200, 120)
    (tmp_path / "trainannot").mkdir()
    cv2.imwrite(str(tmp_path / "trainannot" / "a.png"), labels)
    (one,) = read_camvid_boxes(tmp_path, "train").pictures
    found = {
        (name, *map(int, box)): bool(crowd)
        for name, box, crowd in zip(one.names, one.boxes, one.crowd, strict=True)
    }
    assert found == {
        ("car", 10, 20, 40, 40): False,
        ("car", 10, 60, 40, 80): True,
        ("car", 43, 60, 70, 80): True,
        ("car", 80, 20, 190, 40): True,
        ("pedestrian", 120, 60, 134, 100): False,
    }


def bad_table(root: Path) -> str:
    picture(root / "images" / "a.jpg")
    write(root / "boxes.csv", "image,xmin,ymin,xmax,ymax\na.jpg,1,x,3,4\n")
    return f"boxcsv:{root}"


def flat_voc(root: Path) -> str:
    voc(root, "a", voc_object("dog", (1, 2, 1, 20)))
    return f"voc:{root}"


def test_a_set_without_one_usable_box_is_refused_with_what_is_wrong(tmp_path: Path) -> None:
    """Not as a taxonomy without a class, which no user has asked for."""
    with pytest.raises(
        DataError, match=r"flat: .*no usable box.*a.xml, object 1: the box .* has no area"
    ):
        open_detection(flat_voc(tmp_path / "flat"), "all")
    with pytest.raises(DataError, match=r"boxes.csv, line 2: expected a number"):
        open_detection(bad_table(tmp_path / "bad"), "all")
    flaws: list[str] = []
    with pytest.raises(DataError, match=r"bad: .*no usable box"):
        open_detection(f"boxcsv:{tmp_path / 'bad'}", "all", flaws=flaws)
    assert len(flaws) == 1
    picture(tmp_path / "bare" / "images" / "a.jpg")
    (tmp_path / "bare" / "labels").mkdir()
    with pytest.raises(DataError, match=r"bare: .*no usable box"):
        open_detection(f"yolo:{tmp_path / 'bare'}", "all", STREET_OBJECTS)


def test_a_set_without_any_class_of_the_taxonomy_is_refused(tmp_path: Path) -> None:
    coco(tmp_path)
    other = Taxonomy("fruit", ("apple",), ((1, 2, 3),))
    with pytest.raises(DataError, match=r"none of its classes \(person, truck\)"):
        open_detection(f"coco:{tmp_path}", "train", other)


def table(root: Path, stems: list[str]) -> str:
    lines = ["image,xmin,ymin,xmax,ymax,class"]
    for stem in stems:
        picture(root / "images" / f"{stem}.png")
        lines.append(f"{stem}.png,1,2,3,4,dog")
    write(root / "boxes.csv", "\n".join(lines))
    return f"boxcsv:{root}"


def stems_of(spec: str, split: str) -> list[str]:
    return [sample.picture.stem for sample in open_detection(spec, split).samples]


def test_a_set_without_splits_is_split_by_the_names_of_its_pictures(tmp_path: Path) -> None:
    stems = sorted(f"p{i}" for i in range(40))
    val = [stem for stem in stems if named_split("images", f"{stem}.png") == "val"]
    assert 0 < len(val) < 20
    specs = [table(tmp_path / "own", stems), table(tmp_path / "moved", stems[::-1])]
    for stem in stems:
        picture(tmp_path / "yolo" / "images" / f"{stem}.png")
        write(tmp_path / "yolo" / "labels" / f"{stem}.txt", "0 0.5 0.5 0.5 0.5\n")
    for spec in (*specs, f"yolo:{tmp_path / 'yolo'}"):
        assert stems_of(spec, "val") == val
        assert stems_of(spec, "train") == [stem for stem in stems if stem not in val]
        assert stems_of(spec, "all") == stems
        with pytest.raises(AbsentSplitError, match="no split 'test'; its splits are all, train, v"):
            open_detection(spec, "test")
    with pytest.raises(DataError, match="no split 'tests'"):
        open_detection(specs[0], "tests")
    few = table(tmp_path / "few", [val[0]])
    with pytest.raises(AbsentSplitError, match="none of its 1 pictures is in split 'train' by its"):
        open_detection(few, "train")


def test_voc_without_lists_of_train_and_val_is_split_by_name(tmp_path: Path) -> None:
    stems = sorted(f"p{i}" for i in range(40))
    for stem in stems:
        voc(tmp_path, stem, voc_object("dog", (1, 2, 10, 20)))
    val = [stem for stem in stems if named_split("JPEGImages", f"{stem}.jpg") == "val"]
    assert stems_of(f"voc:{tmp_path}", "val") == val
    lists = tmp_path / "ImageSets" / "Main"
    write(lists / "trainval.txt", "\n".join(stems[:30]))
    write(lists / "dog_train.txt", "p0 1\n")  # of a class, and no split
    assert stems_of(f"voc:{tmp_path}", "val") == [stem for stem in val if stem in stems[:30]]
    assert stems_of(f"voc:{tmp_path}", "train") == [x for x in stems[:30] if x not in val]
    with pytest.raises(AbsentSplitError, match=r"Main: there is no test.txt beside trainval.txt"):
        open_detection(f"voc:{tmp_path}", "test")
    write(lists / "train.txt", "p0\np1\n")
    assert stems_of(f"voc:{tmp_path}", "train") == ["p0", "p1"]
    with pytest.raises(AbsentSplitError, match=r"there is no val.txt beside train.txt, trainval.t"):
        open_detection(f"voc:{tmp_path}", "val")


@pytest.mark.parametrize("folders", [("train2017", "val2017"), ("training", "valid")])
def test_folders_that_look_like_splits_are_not_mixed(
    tmp_path: Path, folders: tuple[str, str]
) -> None:
    for folder in folders:
        picture(tmp_path / "images" / folder / "a.png")
        write(tmp_path / "labels" / folder / "a.txt", "0 0.5 0.5 0.5 0.5\n")
    with pytest.raises(AbsentSplitError, match=r"no split 'train': there is no folder .*train"):
        open_detection(f"yolo:{tmp_path}", "train")


def test_a_split_test_is_the_sets_own_and_never_made(tmp_path: Path) -> None:
    for stem in ("a", "b", "c"):
        voc(tmp_path / "own", stem, voc_object("dog", (1, 2, 10, 20)))
    write(tmp_path / "own" / "ImageSets" / "Main" / "test.txt", "b\nc\n")
    data = open_detection(f"voc:{tmp_path / 'own'}", "test")
    assert [s.picture.stem for s in data.samples] == ["b", "c"]
    # Of a set with a fixed list of validation pictures the others are train, and none is test.
    voc(tmp_path / "road_signs", "road1", voc_object("stop", (1, 2, 10, 20)))
    with pytest.raises(DataError, match="no split 'test'"):
        open_detection(f"voc:{tmp_path / 'road_signs'}", "test")


def test_the_fixed_lists_hold_about_a_fifth() -> None:
    sizes = {"road_signs": 142, "road_cars": 69, "penn_pedestrians": 27}
    for name, size in sizes.items():
        stems = validation_stems(name)
        assert stems is not None
        assert len(stems) == size
    assert validation_stems("unheard_of") is None


@pytest.mark.data
@pytest.mark.parametrize(
    ("spec", "train", "val"),
    [
        ("voc:road_signs", 558, 142),
        ("boxcsv:road_cars", 275, 69),
        ("penn:penn_pedestrians", 69, 27),
    ],
)
def test_the_real_sets_split_without_overlap(
    data_set: DataSet, spec: str, train: int, val: int
) -> None:
    name, _, folder = spec.partition(":")
    full = f"{name}:{data_set(folder)}"
    stems = [
        {s.picture.stem for s in open_detection(full, split, STREET_OBJECTS).samples}
        for split in ("train", "val")
    ]
    assert (len(stems[0]), len(stems[1])) == (train, val)
    assert not stems[0] & stems[1]


@pytest.mark.data
def test_road_cars_are_split_by_time(data_set: DataSet) -> None:
    spec = f"boxcsv:{data_set('road_cars')}"
    train, val = (
        [int(s.picture.stem.split("_")[-1]) for s in open_detection(spec, split).samples]
        for split in ("train", "val")
    )
    assert max(train) < min(val)


@pytest.mark.data
def test_coco_json_and_yolo_text_of_one_set_agree(data_set: DataSet) -> None:
    root = data_set("coco128")
    from_json = {s.picture.name: s for s in open_detection(f"coco:{root}", "train").samples}
    for sample in open_detection(f"yolo:{root}", "all").samples[:40]:
        other = from_json[sample.picture.name]
        expected = other.boxes[~other.crowd]
        if len(expected) == len(sample.boxes):
            order = np.lexsort(np.round(expected).T), np.lexsort(np.round(sample.boxes).T)
            np.testing.assert_allclose(
                sample.boxes[order[1]], expected[order[0]], atol=1.0, err_msg=sample.picture.name
            )
