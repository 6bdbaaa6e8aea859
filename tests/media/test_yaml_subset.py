import pytest
import yaml

from litescene.media.yaml_subset import parse_yaml

DOCUMENTS = {
    "ros": """\
image_width: 640
image_height: 480
camera_name: "left: camera"   # a comment
camera_matrix:
  rows: 3
  cols: 3
  data: [500.5, 0, 320,
         0, 5.01e+02, 240,   # another
         0, 0, 1]
distortion_model: plumb_bob
flags: {a: 1, b: [2, 3], c: 'x, y'}
""",
    "kalibr": """\
cam0:
  cam_overlaps: [1]
  rostopic: /cam0/image_raw
  T_cn_cnm1:
  - [1.0, 0.0]
  - [0.0, -1.5]
cam1:
  matrix:
  - - 1.0
    - 2
  - - -3.0e-5
    - .5
  list:
    - name: a
      value: 1
    - name: b
  empty:
  yes_no: [true, false, null, ~]
""",
    "dumped": yaml.safe_dump({"names": ["кошка", 'a "b" c', "tab\there", "x: \U0001f600", "it's"]}),
    "escapes": 'names: ["\\u043a\\x41 \\"b\\", c", "C:\\\\new"] # "comment\n',
    "scalar list": "- 1\n- two words\n-\n  - 3\n",
    "markers": "%YAML 1.2\n---\na: 1\n# only a comment\n\nb: it's # not text\n",
}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_documents_read_like_a_full_yaml_library_reads_them(name: str) -> None:
    assert parse_yaml(DOCUMENTS[name]) == yaml.safe_load(DOCUMENTS[name])


def test_marks_of_opencv_are_read_over() -> None:
    text = "%YAML:1.0\n---\nK: !!opencv-matrix\n   rows: 1\n   dt: d\n   data: [ 1., -2.5e-01 ]\n"
    assert parse_yaml(text) == {"K": {"rows": 1, "dt": "d", "data": [1.0, -0.25]}}


def test_an_empty_document_is_nothing() -> None:
    assert parse_yaml("# nothing\n") is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\n  b: 2\n", "line 2: the indentation"),
        ("a: [1, 2\nb: 3\n", "line 1: a bracket is never closed"),
        ("a: 1\njust text\n", "line 2: expected 'key: value'"),
        ("a: 1\na: 2\n", "line 2: 'a' is given twice"),
        ("a: &anchor 1\n", "line 1: anchors"),
        ("a: |\n  text\n", "line 1: anchors and block text"),
        ("a: 1\n---\nb: 2\n", "line 2: several documents"),
        ("a:\n\tb: 2\n", "line 2: indented with a tab"),
        ("a: [1 2] 3\n", "line 1: unexpected '3'"),
        ("a: ['x' y]\n", "line 1: expected ',' or ']'"),
        ("a: {x}\n", "line 1: expected 'key: value' inside"),
        ("a: 'x\n", "line 1: a quote is never closed"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_yaml(text)
    assert message in str(error.value)
