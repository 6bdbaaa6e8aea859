"""Pictures and label pictures in files, in memory and as arrays.

Every picture is decoded by Pillow, whichever way it comes, so that the same picture gives the
same bytes as a path, as encoded bytes, as an RGB array and as a PIL image.
"""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import PIL.ExifTags
import PIL.Image
from numpy.typing import NDArray

from litescene.core import Image, SourceError
from litescene.media.atomic import write_atomic

Picture = Path | str | bytes | NDArray[Any] | PIL.Image.Image
"""What `read_picture` takes."""

PICTURE_SUFFIXES = frozenset(
    {".bmp", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Endings of files that count as pictures in folders."""

_TURNS = {
    2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
    3: PIL.Image.Transpose.ROTATE_180,
    4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
    5: PIL.Image.Transpose.TRANSPOSE,
    6: PIL.Image.Transpose.ROTATE_270,
    7: PIL.Image.Transpose.TRANSVERSE,
    8: PIL.Image.Transpose.ROTATE_90,
}
"""By EXIF orientation."""
_DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    struct.error,
    PIL.Image.DecompressionBombError,
)
"""What Pillow's decoders raise for damaged files; they agree on no common class."""

_PNG_OF_RUNS = [
    *(cv2.IMWRITE_PNG_COMPRESSION, 1),
    *(cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE),
    *(cv2.IMWRITE_PNG_FILTER, cv2.IMWRITE_PNG_FILTER_UP),
]
"""Labels repeat along rows and columns. Measured on CamVid at 480×360: 0.36 ms and 4.2 kB, where
OpenCV's own choice takes 1.1 ms and 6.4 kB."""

_WIDE_GREY = ("I", "I;16", "I;16B", "I;16L", "I;16N")
_VALUES = ("1", "L", *_WIDE_GREY)
"""Modes of Pillow in which a pixel is one number."""


def is_picture(path: Path) -> bool:
    """Whether this counts as a picture of its folder: a file that is not hidden."""
    visible = not path.name.startswith(".")
    return visible and path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()


def pictures_under(folder: Path) -> list[Path]:
    """The pictures of a folder and of the folders inside of it, in order of their paths."""
    return sorted(p for p in folder.rglob("*") if is_picture(p))


def read_picture(source: Picture) -> Image:
    """Read a picture as H×W×3 uint8 RGB, turned upright as its EXIF orientation says.

    `source` is a path, the bytes of an encoded picture, a PIL image, or an array: H×W, H×W×1,
    H×W×3 (RGB) or H×W×4 (RGBA), uint8 or uint16. Such pictures are converted:

    - 16 bits a channel: the high byte (`value >> 8`), as Pillow does for colour;
    - grey: the same value three times; black and white: 0 and 255;
    - palette: the palette's colours; CMYK and YCbCr: Pillow's conversion;
    - alpha: dropped, the colours stay as they are stored (nothing is mixed in).

    A contiguous RGB array is given back as it is, not copied; everything else is a new array.

    Raises `SourceError`, naming the file, if it is missing, truncated, damaged or no picture.

    >>> read_picture(np.zeros((4, 6), np.uint8)).shape
    (4, 6, 3)
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, PIL.Image.Image):
        return _decode(source, "the picture")
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decode_bytes(bytes(source), "the picture")
    path = Path(source)
    return _decode_bytes(_read_bytes(path), str(path))


def read_labels(path: Path | str) -> NDArray[np.uint8]:
    """Read a one-channel index picture as H×W uint8: the values themselves, no colours.

    Palette pictures give their indices, 16-bit ones their values if all fit in 8 bits.
    Raises `SourceError`, naming the file, for colour pictures and larger values.
    """
    path = Path(path)
    try:
        with PIL.Image.open(io.BytesIO(_read_bytes(path))) as picture:
            mode, values = picture.mode, np.array(picture)
    except _DECODER_ERRORS as error:
        raise _damaged(str(path), error) from error
    if mode not in (*_VALUES, "P"):
        raise SourceError(
            f"{path} is a colour picture ({mode}), not labels; "
            "labels are one channel whose values are class indices"
        )
    if values.dtype != np.bool_ and values.size and not 0 <= values.min() <= values.max() <= 255:
        raise SourceError(
            f"{path} has values from {values.min()} to {values.max()}; labels are 0 to 255"
        )
    return np.ascontiguousarray(values, np.uint8)


def pixels_of(path: Path | str) -> Literal["values", "palette", "colours"]:
    """What the pixels of a picture are: one number each, places in its palette, or colours.

    Raises `SourceError`, naming the file, if it is missing, damaged or no picture.
    """
    path = Path(path)
    try:
        with PIL.Image.open(io.BytesIO(_read_bytes(path))) as picture:
            mode = picture.mode
    except _DECODER_ERRORS as error:
        raise _damaged(str(path), error) from error
    if mode == "P":
        return "palette"
    return "values" if mode in _VALUES else "colours"


def write_png_labels(path: Path | str, labels: NDArray[np.uint8]) -> None:
    """Write H×W uint8 class indices as a one-channel PNG, whole or not at all.

    Made for every frame: lightly compressed, and not synced to the disk one by one.
    Raises `OutputError` if the file cannot be written.
    """
    if labels.ndim != 2 or labels.dtype != np.uint8:
        raise ValueError(f"labels are H×W uint8, not {labels.shape} {labels.dtype}")
    write_atomic(path, _png(labels, _PNG_OF_RUNS), sync=False)


def encode_png(picture: NDArray[Any]) -> bytes:
    """The bytes of a lightly compressed PNG of H×W (grey) or H×W×3 (RGB), uint8 or uint16."""
    stored = picture[..., ::-1] if picture.ndim == 3 else picture
    return _png(np.ascontiguousarray(stored), [cv2.IMWRITE_PNG_COMPRESSION, 1])


def _png(stored: NDArray[Any], parameters: list[int]) -> bytes:
    encoded, data = cv2.imencode(".png", stored, parameters)
    if not encoded:
        raise ValueError(f"a picture of {stored.shape} {stored.dtype} cannot be stored as PNG")
    return data.tobytes()


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {path}") from error
    except IsADirectoryError as error:
        raise SourceError(f"{path} is a folder, not a picture") from error
    except OSError as error:
        raise SourceError(f"cannot read {path}: {error.strerror or error}") from error


def _decode_bytes(data: bytes, name: str) -> Image:
    try:
        picture = PIL.Image.open(io.BytesIO(data))
    except _DECODER_ERRORS as error:
        raise _damaged(name, error) from error
    with picture:
        return _decode(picture, name)


def _decode(picture: PIL.Image.Image, name: str) -> Image:
    try:
        picture.load()
        return _to_rgb(_upright(picture), name)
    except _DECODER_ERRORS as error:
        raise _damaged(name, error) from error


def _upright(picture: PIL.Image.Image) -> PIL.Image.Image:
    """Turned as its EXIF orientation says; other tags, which may be odd, are not looked at."""
    try:
        turn = _TURNS.get(picture.getexif().get(PIL.ExifTags.Base.Orientation, 1))
    except (*_DECODER_ERRORS, TypeError, AttributeError):
        turn = None
    return picture if turn is None else picture.transpose(turn)


def _to_rgb(picture: PIL.Image.Image, name: str) -> Image:
    if picture.mode in _WIDE_GREY:
        return _from_array(np.clip(np.array(picture), 0, 65535).astype(np.uint16))
    if picture.mode == "F":
        raise SourceError(
            f"{name} holds floating-point numbers whose range is unknown; "
            "store it with 8 or 16 bits a channel"
        )
    if picture.mode == "P":
        # Straight to RGB, Pillow warns about palettes with transparency.
        picture = picture.convert("RGBA")
    return np.array(picture.convert("RGB"))


def _from_array(array: NDArray[Any]) -> Image:
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    channels = array.shape[2] if array.ndim == 3 else 1
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or channels not in (1, 3, 4):
        raise SourceError(
            f"an array of {'×'.join(map(str, array.shape))} {array.dtype} is no picture; "
            "expected H×W, H×W×3 (RGB) or H×W×4, uint8 or uint16"
        )
    if 0 in array.shape:
        raise SourceError(f"an array of {'×'.join(map(str, array.shape))} is an empty picture")
    if channels == 1:
        array = np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(array[..., :3])


def _damaged(name: str, error: Exception) -> SourceError:
    if isinstance(error, PIL.UnidentifiedImageError):
        return SourceError(f"{name} is not a picture in a known format")
    if isinstance(error, PIL.Image.DecompressionBombError):
        return SourceError(f"{name} has too many pixels to be a frame: {error}")
    return SourceError(f"{name} is damaged: {error}")
