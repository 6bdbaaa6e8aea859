"""Pictures from bundles, without PyTorch: larger ones and those between two."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from litescene.core import BundleError, Contract, InputError, OutputError
from litescene.core.taxonomy import PLANES
from litescene.media import VideoWriter, open_source
from litescene.runtime import (
    Bundle,
    Restorer,
    interpolate_source,
    load,
    upscale_source,
    write_metadata,
)
from litescene.runtime.restoration import picture_agreement, to_picture


def bundle_of(pictures: int, factor: int) -> Bundle:
    """The mean of the pictures, each pixel repeated `factor` times both ways."""
    weight = np.tile(np.eye(3, dtype=np.float32), pictures)[:, :, None, None] / (255 * pictures)
    scales = np.array([1, 1, factor, factor], np.float32)
    nodes = [
        helper.make_node("Cast", ["pictures"], ["cast"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["cast"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight"], ["mean"]),
        helper.make_node("Resize", ["mean", "", "scales"], ["picture"], mode="nearest",
                         coordinate_transformation_mode="asymmetric", nearest_mode="floor"),
    ]  # fmt: skip
    given = helper.make_tensor_value_info(
        "pictures", TensorProto.UINT8, ["n", "h", "w", 3 * pictures]
    )
    made = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, "y", "x"])
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(scales, "scales"),
    ]
    graph = helper.make_graph(nodes, "tiny", [given], [made], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 10
    onnx.checker.check_model(model)
    contract = Contract(
        "restoration", "tiny", PLANES, (64, 64), "picture", pictures=pictures, factor=factor
    )
    return Bundle.from_bytes(write_metadata(model.SerializeToString(), contract), "tiny")


def noise(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LITESCENE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize("size", [(70, 91), (20, 100), (1, 1)], ids=str)
def test_a_picture_of_any_size_becomes_larger_by_the_factor(size: tuple[int, int]) -> None:
    restorer = load(bundle_of(1, 2), "onnxruntime")
    assert isinstance(restorer, Restorer)
    picture = noise(0, *size)
    assert np.array_equal(restorer(picture), picture.repeat(2, 0).repeat(2, 1))


def test_engines_give_the_same_picture() -> None:
    picture, bundle = noise(1, 66, 70), bundle_of(1, 2)
    made = [Restorer(bundle, name)(picture) for name in ("onnxruntime", "openvino-f32", "auto")]
    assert np.array_equal(made[0], made[1])
    assert np.abs(made[0].astype(int) - made[2]).max() <= 1


def test_two_frames_become_the_one_between() -> None:
    before, after = noise(2, 65, 80), noise(3, 65, 80)
    made = Restorer(bundle_of(2, 1), "onnxruntime")(before, after)
    exact = (before.astype(np.float64) + after) / 2
    assert np.abs(made - exact).max() <= 0.5


def test_pictures_that_do_not_fit_the_bundle_are_refused() -> None:
    picture = noise(0, 64, 64)
    with pytest.raises(InputError, match=r"takes 2 picture\(s\) at a time, not 1"):
        Restorer(bundle_of(2, 1), "onnxruntime")(picture)
    with pytest.raises(InputError, match="of one size, not 64×64 and 70×64"):
        Restorer(bundle_of(2, 1), "onnxruntime")(picture, noise(0, 64, 70))


def test_values_are_rounded_to_even_and_cut() -> None:
    values = np.array([-0.1, 0.0, 0.5 / 255, 1.5 / 255, 254.4 / 255, 1.0, 1.7], np.float32)
    planes = np.tile(values, (3, 2, 1))
    expected = np.array([0, 0, 0, 2, 254, 255, 255], np.uint8)
    assert np.array_equal(to_picture(planes), np.tile(expected[:, None], (2, 1, 3)))


def test_agreement_is_the_share_of_values_within_one_level() -> None:
    one = np.zeros((1, 3, 2, 4), np.float32)
    other = one.copy()
    other[0, 0, 0, 0] = 1 / 255
    other[0, 1, :, 1] = 2 / 255
    assert picture_agreement([one], [other]) == pytest.approx(1 - 2 / 24)


def test_a_contract_says_what_it_takes_and_gives() -> None:
    contract = bundle_of(2, 4).contract
    assert Contract.from_dict(contract.to_dict()) == contract
    plain = contract.to_dict()
    with pytest.raises(BundleError, match="does not end with 'upsample_argmax'"):
        Contract.from_dict(plain | {"finish": "upsample_argmax"})
    with pytest.raises(BundleError, match="at least 1, not 0 and 4"):
        Contract.from_dict(plain | {"pictures": 0})


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """Six frames of 96×80, grey, 10 a second."""
    path = tmp_path / "drive.mp4"
    with VideoWriter(path, 96, 80, 10) as writer:
        for index in range(6):
            writer.write(np.full((80, 96, 3), 30 * index + 20, np.uint8), index / 10)
    return path


def test_a_video_becomes_larger_frame_by_frame(video: Path, tmp_path: Path) -> None:
    reported: list[tuple[int, int | None]] = []
    done = upscale_source(
        video, tmp_path / "large.mp4", bundle_of(1, 2), engine="onnxruntime",
        on_frame=lambda *at: reported.append(at),
    )  # fmt: skip
    assert (done.frames, done.width, done.height) == (6, 192, 160)
    assert reported == [(i, 6) for i in range(1, 7)]
    with open_source(done.file) as source:
        frames = list(source)
    assert [f.time for f in frames] == pytest.approx([i / 10 for i in range(6)])
    assert [round(float(f.image.mean())) for f in frames] == pytest.approx(
        [30 * i + 20 for i in range(6)], abs=2
    )


def test_a_frame_is_made_between_every_two(video: Path, tmp_path: Path) -> None:
    done = interpolate_source(
        video, tmp_path / "smooth.mp4", bundle_of(2, 1), engine="onnxruntime", limit=4
    )
    assert done.frames == 7
    with open_source(done.file) as source:
        frames = list(source)
        assert source.rate == pytest.approx(20)
    assert [f.time for f in frames] == pytest.approx([i / 20 for i in range(7)])
    assert [float(f.image.mean()) for f in frames] == pytest.approx(
        [15 * i + 20 for i in range(7)], abs=2
    )


def test_a_single_frame_stays_one(video: Path, tmp_path: Path) -> None:
    done = interpolate_source(
        video, tmp_path / "one.mp4", bundle_of(2, 1), engine="onnxruntime", limit=1
    )
    assert done.frames == 1


def test_jobs_that_cannot_be_done_leave_nothing(video: Path, tmp_path: Path) -> None:
    larger, between, out = bundle_of(1, 2), bundle_of(2, 1), tmp_path / "made.mp4"
    with pytest.raises(BundleError, match="makes a picture of 2, not of 1"):
        upscale_source(video, out, between, engine="onnxruntime")
    with pytest.raises(BundleError, match="makes a picture of 1, not of 2"):
        interpolate_source(video, out, larger, engine="onnxruntime")
    with pytest.raises(OutputError, match="is the source itself"):
        upscale_source(video, video, larger, engine="onnxruntime")
    with pytest.raises(OutputError, match=r"written as \.mp4"):
        upscale_source(video, tmp_path / "made.png", larger, engine="onnxruntime")
    assert sorted(p.name for p in tmp_path.iterdir() if p.is_file()) == ["drive.mp4"]


def test_what_was_made_before_an_interruption_is_a_valid_video(video: Path, tmp_path: Path) -> None:
    def interrupt(done: int, _: int | None) -> None:
        if done == 3:
            raise KeyboardInterrupt

    out = tmp_path / "made.mp4"
    with pytest.raises(KeyboardInterrupt):
        upscale_source(video, out, bundle_of(1, 2), engine="onnxruntime", on_frame=interrupt)
    with open_source(out) as source:
        assert len(list(source)) == 3
