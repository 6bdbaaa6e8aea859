from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from litescene.core import OutputError, SourceError
from litescene.media.pictures import encode_png, read_labels, read_picture, write_png_labels


def noise(height: int = 20, width: int = 30, channels: int = 3) -> NDArray[np.uint8]:
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(7).integers(0, 256, shape, dtype=np.uint8)


def smooth() -> NDArray[np.uint8]:
    y, x = np.mgrid[0:64, 0:80]
    return np.stack([x * 3, y * 3, 255 - x - y], -1).astype(np.uint8)


def encoded(image: PIL.Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"])
def test_path_bytes_array_and_pil_image_give_the_same_bytes(tmp_path: Path, kind: str) -> None:
    data = encoded(PIL.Image.fromarray(noise()), kind)
    path = tmp_path / f"picture.{kind.lower()}"
    path.write_bytes(data)
    expected = read_picture(path)
    assert expected.shape == (20, 30, 3)
    assert expected.dtype == np.uint8
    assert expected.flags.writeable
    assert expected.flags.c_contiguous
    for other in (str(path), data, expected.copy(), PIL.Image.open(path), memoryview(data)):
        np.testing.assert_array_equal(read_picture(other), expected)


def test_a_lossless_file_gives_the_pixels_that_were_stored(tmp_path: Path) -> None:
    image = noise()
    cv2.imwrite(str(tmp_path / "a.png"), image[..., ::-1])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png"), image)


def test_a_jpeg_is_decoded_as_opencv_decodes_it_within_rounding(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), smooth()[..., ::-1])
    theirs = cv2.imread(str(tmp_path / "a.jpg"))[..., ::-1].astype(int)
    assert np.abs(read_picture(tmp_path / "a.jpg").astype(int) - theirs).max() <= 3


# TIFF 6.0, tag 274: how the stored rows and columns lie in the upright picture.
UPRIGHT = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, 1),
}


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_to_files_and_pil_images(orientation: int) -> None:
    stored = noise()
    exif = PIL.Image.Exif()
    exif[274] = orientation
    data = encoded(PIL.Image.fromarray(stored), "PNG", exif=exif)
    expected = UPRIGHT[orientation](stored)
    np.testing.assert_array_equal(read_picture(data), expected)
    np.testing.assert_array_equal(read_picture(PIL.Image.open(io.BytesIO(data))), expected)


def test_odd_exif_tags_do_not_keep_a_picture_from_being_turned() -> None:
    turned = struct.pack(">HHIHH", 274, 3, 1, 6, 0)
    resolution = struct.pack(">HHI4s", 282, 2, 3, b"72")  # as text
    exif = b"MM\x00*" + struct.pack(">IH", 8, 2) + turned + resolution + bytes(4)
    stored = noise()
    data = encoded(PIL.Image.fromarray(stored), "PNG", exif=exif)
    np.testing.assert_array_equal(read_picture(data), np.rot90(stored, -1))


def test_sixteen_bit_pictures_give_their_high_bytes() -> None:
    wide = np.random.default_rng(1).integers(0, 65536, (9, 11, 3), dtype=np.uint16)
    color = cv2.imencode(".png", wide[..., ::-1])[1].tobytes()
    grey = cv2.imencode(".png", wide[..., 0])[1].tobytes()
    np.testing.assert_array_equal(read_picture(color), wide >> 8)
    np.testing.assert_array_equal(read_picture(wide), wide >> 8)
    np.testing.assert_array_equal(read_picture(grey)[..., 2], wide[..., 0] >> 8)
    np.testing.assert_array_equal(read_picture(wide[..., 0]), read_picture(grey))
    tiff = cv2.imencode(".tiff", wide[..., 0])[1].tobytes()
    np.testing.assert_array_equal(read_picture(tiff), read_picture(grey))


def test_grey_and_black_and_white_pictures_get_three_equal_channels() -> None:
    grey = noise(channels=1)
    expected = np.stack([grey] * 3, -1)
    for source in (grey, grey[..., None], encoded(PIL.Image.fromarray(grey), "PNG")):
        np.testing.assert_array_equal(read_picture(source), expected)
    bits = encoded(PIL.Image.fromarray(grey > 127), "PNG")
    np.testing.assert_array_equal(read_picture(bits), (expected > 127) * np.uint8(255))


@pytest.mark.parametrize("transparency", [None, 2, bytes([0, 128, 255, 40])])
def test_palette_pictures_give_the_palettes_colours_whatever_their_transparency(
    transparency: int | bytes | None,
) -> None:
    colors = np.array([[255, 0, 0], [0, 255, 0], [9, 8, 7], [200, 100, 50]], np.uint8)
    indices = np.random.default_rng(2).integers(0, 4, (12, 15), dtype=np.uint8)
    picture = PIL.Image.fromarray(indices, "L")
    picture = PIL.Image.frombytes("P", picture.size, picture.tobytes())
    picture.putpalette(colors.tobytes())
    options = {} if transparency is None else {"transparency": transparency}
    np.testing.assert_array_equal(read_picture(encoded(picture, "PNG", **options)), colors[indices])


def test_alpha_is_dropped_and_the_stored_colours_stay() -> None:
    rgba = noise(channels=4)
    for source in (rgba, encoded(PIL.Image.fromarray(rgba), "PNG"), PIL.Image.fromarray(rgba)):
        np.testing.assert_array_equal(read_picture(source), rgba[..., :3])
    pair = noise(channels=1)
    grey_alpha = PIL.Image.merge("LA", [PIL.Image.fromarray(pair), PIL.Image.fromarray(255 - pair)])
    np.testing.assert_array_equal(read_picture(encoded(grey_alpha, "PNG"))[..., 1], pair)


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr"])
def test_print_and_video_colours_become_rgb(mode: str) -> None:
    data = encoded(PIL.Image.fromarray(smooth()).convert(mode), "JPEG", quality=98, subsampling=0)
    assert np.abs(read_picture(data).astype(int) - smooth()).mean() < 2.5


def test_floating_point_pictures_are_refused_with_the_reason() -> None:
    with pytest.raises(SourceError, match="floating-point"):
        read_picture(PIL.Image.fromarray(np.ones((4, 4), np.float32)))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF"])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7])
def test_a_truncated_file_is_named(tmp_path: Path, kind: str, share: float) -> None:
    data = encoded(PIL.Image.fromarray(noise(90, 100)), kind)
    path = tmp_path / f"cut.{kind.lower()}"
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(SourceError, match=r"cut\.\w+ is (damaged|not a picture)"):
        read_picture(path)


def test_a_damaged_checksum_is_found(tmp_path: Path) -> None:
    data = bytearray(encoded(PIL.Image.fromarray(noise()), "PNG"))
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "bad.png").write_bytes(data)
    with pytest.raises(SourceError, match=r"bad\.png is damaged"):
        read_picture(tmp_path / "bad.png")


def test_an_impossibly_large_picture_is_refused_without_decoding_it() -> None:
    header = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    png = bytearray(encoded(PIL.Image.fromarray(noise()), "PNG"))
    png[16:29] = header
    png[29:33] = struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(SourceError, match="too many pixels"):
        read_picture(bytes(png))


@pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100])
def test_other_files_are_no_pictures(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(SourceError, match=r"x\.jpg is not a picture"):
        read_picture(tmp_path / "x.jpg")


def test_missing_files_and_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no file .*gone\.png"):
        read_picture(tmp_path / "gone.png")
    with pytest.raises(SourceError, match="is a folder"):
        read_picture(tmp_path)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((4, 4, 3), np.float32),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4,), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_arrays_that_are_no_pictures_are_refused(array: NDArray[Any]) -> None:
    with pytest.raises(SourceError, match="array of"):
        read_picture(array)


def test_a_contiguous_rgb_array_is_not_copied() -> None:
    image = noise()
    assert read_picture(image) is image or np.shares_memory(read_picture(image), image)
    assert read_picture(image[:, ::2]).flags.c_contiguous


def test_labels_come_back_as_they_were_written(tmp_path: Path) -> None:
    labels = np.kron(noise(6, 8, 1), np.ones((9, 7), np.uint8)).astype(np.uint8)
    path = tmp_path / "labels" / "0.png"
    write_png_labels(path, labels)
    np.testing.assert_array_equal(read_labels(path), labels)
    np.testing.assert_array_equal(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), labels)
    assert [p.name for p in path.parent.iterdir()] == ["0.png"]


def test_labels_are_read_from_palette_bit_and_sixteen_bit_pictures(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 12, (10, 14), dtype=np.uint8)
    palette = PIL.Image.frombytes("P", (14, 10), labels.tobytes())
    palette.putpalette(noise(1, 12).tobytes())
    palette.save(tmp_path / "p.png")
    cv2.imwrite(str(tmp_path / "w.png"), labels.astype(np.uint16))
    PIL.Image.fromarray(labels > 5).save(tmp_path / "b.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "p.png"), labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "w.png"), labels)
    np.testing.assert_array_equal(read_labels(tmp_path / "b.png"), labels > 5)


def test_pictures_that_are_no_labels_are_refused(tmp_path: Path) -> None:
    PIL.Image.fromarray(noise()).save(tmp_path / "color.png")
    cv2.imwrite(str(tmp_path / "depth.png"), np.full((4, 4), 1000, np.uint16))
    (tmp_path / "cut.png").write_bytes((tmp_path / "color.png").read_bytes()[:200])
    with pytest.raises(SourceError, match=r"color\.png is a colour picture"):
        read_labels(tmp_path / "color.png")
    with pytest.raises(SourceError, match=r"depth\.png has values from 1000 to 1000"):
        read_labels(tmp_path / "depth.png")
    with pytest.raises(SourceError, match=r"cut\.png is damaged"):
        read_labels(tmp_path / "cut.png")


def test_only_index_arrays_are_written_as_labels(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="H×W uint8"):
        write_png_labels(tmp_path / "x.png", noise())
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError, match="a file, not a folder"):
        write_png_labels(tmp_path / "file" / "x.png", noise(channels=1))


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 3)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_encoded_png_holds_every_value(shape: tuple[int, ...], dtype: type) -> None:
    values = np.random.default_rng(1).integers(0, np.iinfo(dtype).max, shape, dtype)
    stored = cv2.imdecode(np.frombuffer(encode_png(values), np.uint8), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(stored[..., ::-1] if len(shape) == 3 else stored, values)
