"""Images: the bytes of a file, of any common format, to 8-bit RGB pixels.

Whatever is wrong with a file ends in an `ImageError` with one of the `REASONS`. All functions may
be called from many threads at once.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from pipeline.files import readable

REASONS = (
    *("missing", "outside_folder", "unreadable", "empty_file", "not_an_image", "truncated"),
    "too_large",
)
"""Why an image can't be used."""
MAX_PIXELS = 100_000_000
"""Width times height above which an image is refused."""
MAX_BYTES = 1_000_000_000
"""Memory that all threads together take for files and pixels while they decode; an image that takes
more by itself is refused. A palette or 32-bit samples make few bytes of file many of pixels."""
MAX_FILE = 500_000_000
"""Bytes above which a file is refused unread."""
SMALL_FILE = 8_000_000
"""Bytes up to which a file does not count towards `MAX_BYTES`."""
LARGE = 2**22
"""Pixels above which an image is made smaller while it is decoded, if no more is asked for."""
MOST_SMALLER = 16
"""Times, in width and in height, that `decode` makes an image smaller at most."""
TILE = 512
"""Pixels in width and in height that are converted at a time; a multiple of `MOST_SMALLER`."""

# Pillow knows some forty formats. These have a signature, so random bytes don't pass for one, and
# none of them starts another program, as EPS does.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "HEIF")
# With a signature this long, an unreadable header means a damaged image, not some other file.
_LONG_SIGNATURE = frozenset(_FORMATS) - {"BMP", "PPM"}

_START = 16  # bytes that tell a format
_HEIC = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_END = b"\xff\xd9"  # of a JPEG
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)  # after a scan's own bytes
_PADDINGS = (b"\0", b"\x55", b"\xaa\x33", b"\x7e\x91\x2b", b"\xe4\x1c\x5f")
_DEEP = ("RGB;16B", "RGB;16L", "RGB;16N", "RGBA;16B", "RGBA;16L", "RGBA;16N")
_BITS_PER_SAMPLE = 258  # of a TIFF
_BYTES_PER_PIXEL = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2, "I;16N": 2}  # else 4
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # by EXIF's orientation

# Once, at import: plugins must not be registered while other threads look for one, and between its
# own limit and ours Pillow would warn about images that are accepted here.
Image.init()
with suppress(ImportError):
    import pillow_heif

    pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = MAX_PIXELS
# Of damaged metadata, which says nothing about the pixels: two lines of code for each picture.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
# Pillow takes memory in blocks. The C library keeps freed ones of up to 32 MB for its threads, each
# its own; larger ones go back to the system at once.
Image.core.set_block_size(2**26)  # type: ignore[attr-defined]


class ImageError(Exception):
    """An image that can't be used.

    Attributes
    ----------
    reason : one of `REASONS`.
    detail : one line of text, what was found.
    """

    def __init__(self, reason: str, detail: str) -> None:
        if reason not in REASONS:
            raise ValueError(f"reason {reason!r}: expected one of {REASONS}")
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = " ".join(detail.split())

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


def read(path: Path, at_least: int | None = None) -> tuple[Image.Image, str]:
    """A picture as of `decode`, and the SHA-256 of its file's bytes in hexadecimal.

    A file that is no image is not read whole to say so.

    Raises
    ------
    ImageError
        As `decode`; ``unreadable`` for what is no regular file.
    OSError
        If the file can't be read.
    """
    # Not to wait for the other end of a pipe.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as stream:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError("unreadable", "not a regular file")
        start = stream.read(_START)
        if start:
            _formats_of(start)
        size = status.st_size
        if size > MAX_FILE:
            raise ImageError(
                "too_large", f"{readable(size)} in the file; at most {readable(MAX_FILE)} allowed"
            )
        # One large file at a time: what holds one part of the memory and waits for another must
        # not wait for its like.
        large = size > SMALL_FILE
        with _large_file if large else nullcontext(), _memory.hold(size if large else 0):
            data = start + stream.read(size)  # and no more room: that of `MAX_FILE` takes time
            return decode(data, at_least), hashlib.sha256(data).hexdigest()


def decode(data: bytes, at_least: int | None = None) -> Image.Image:
    """Decode an image file to 8-bit RGB, at its full size or, if asked, at a smaller one.

    A JPEG decodes at 1/2, 1/4 or 1/8 of its size for a fraction of the work, and what has more than
    `LARGE` pixels is made smaller after, each pixel the mean of a block. ``at_least`` pixels remain
    in height and in width, or all; a picture that is then resized to at most half of that differs
    by less than its noise.

    The EXIF orientation is applied, transparency is composited on white, CMYK, greyscale, palette
    and 1-bit images are converted, and of an animation the first frame is taken. 16-bit samples
    are divided by 257, or, where only 8, 10 or 12 of their bits are in use, scaled by these, which
    ``info["bits"]`` of the result then says. Of 32-bit samples the white is 1, 255 or 65535, the
    first that none is above, or else the largest. Colour profiles are not applied.

    Raises
    ------
    ImageError
        ``empty_file``, ``not_an_image``, ``truncated`` (cut off or damaged) or ``too_large`` (more
        than `MAX_PIXELS`, or than `MAX_BYTES` to decode; known from the header, before any pixel
        is decoded).
    """
    if not data:
        raise ImageError("empty_file", "the file has no bytes")
    image = _open(data)
    name = image.format or "image"
    width, height = image.size
    if width < 1 or height < 1:
        raise ImageError("not_an_image", f"{name} of {width} x {height} pixels")
    if width * height > MAX_PIXELS:
        raise ImageError(
            "too_large", f"{name} of {width} x {height} pixels; at most {MAX_PIXELS} are allowed"
        )
    if at_least is not None:
        with _pillow_at_work(f"{name} header", "truncated"):
            image.draft(None, (at_least, at_least))  # nothing, but for a JPEG
    factors = _factors(image.size, at_least)
    needed = _bytes_to_decode(image, (width, height), factors)
    if _raw_mode(image) in _DEEP:
        needed *= 3  # should it have to be decoded twice
    if needed + (len(data) if len(data) > SMALL_FILE else 0) > MAX_BYTES:
        raise ImageError(
            "too_large",
            f"{name} of {width} x {height} pixels, which takes {readable(needed)} to decode; at "
            f"most {readable(MAX_BYTES)} are allowed",
        )
    with _memory.hold(needed):
        raw = _raw_mode(image)
        try:
            with _pillow_at_work(f"{name} pixels", "truncated"):
                image.load()
        except ImageError:
            whole = _whole_but_for_its_end(data, at_least) if name == "JPEG" else None
            if whole is None:
                raise
            image = whole
        bits = 16
        if raw in _DEEP and int(np.max(np.asarray(image)[..., :3])) < 16:
            image, bits = _from_lower_bytes(image, data, raw)
        orientation = 1
        # Damaged metadata says nothing about the pixels, which are sound.
        with suppress(ImageError), _pillow_at_work("EXIF", "truncated"):
            orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        if image.mode.startswith("I;16"):
            bits = _bits_in_use(image)
        picture = _to_rgb(image, factors, bits)
        if bits < 16:
            picture.info["bits"] = bits
        del image
        turn = _TURNS.get(orientation)
        return picture if turn is None else picture.transpose(turn)


def has_signature(start: bytes) -> bool:
    """Whether a file's first 16 bytes are those of an image; formats that are known by less don't
    count."""
    accepts = (Image.OPEN[name][1] for name in _LONG_SIGNATURE if name in Image.OPEN)
    return any(accept is not None and accept(start) for accept in accepts)


def resize(image: Image.Image, size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Squeeze a whole RGB image to a size, antialiased bilinear.

    Parameters
    ----------
    size : (height, width) in pixels.

    Returns
    -------
    uint8 [height, width, 3].
    """
    height, width = size
    return np.array(image.resize((width, height), Image.Resampling.BILINEAR), dtype=np.uint8)


def enough_for(size: tuple[int, int]) -> int:
    """Pixels in height and width from which a picture can be resized to ``size`` without loss."""
    return 2 * max(size)


def _open(data: bytes) -> Image.Image:
    """Read the header: an image with a size and no pixels yet.

    Not `PIL.Image.open`, because that warns about a large image before its size can be looked at,
    and silencing a warning is not thread-safe.
    """
    for name, factory in _formats_of(data[:_START]):
        reason = "truncated" if name in _LONG_SIGNATURE else "not_an_image"
        with _pillow_at_work(f"{name} header", reason):
            return factory(io.BytesIO(data), "")
    raise AssertionError("there is one, or an error")


def _formats_of(start: bytes) -> list[tuple[str, Any]]:
    """Names and readers of the formats that a file's first bytes may be of, one at least."""
    found = []
    for name in _FORMATS:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(start)
        if isinstance(accepted, str):  # Pillow was built without the decoder
            raise ImageError("not_an_image", accepted)
        if accepted:
            found.append((name, factory))
    if not found and start.startswith(b"version https:"):
        raise ImageError("not_an_image", "a pointer of Git LFS, no picture; fetch it: git lfs pull")
    if not found and start[4:8] == b"ftyp" and start[8:12] in _HEIC:
        raise ImageError(
            "not_an_image",
            "HEIC, which needs a package: pip install -c constraints.txt -e '.[heic]'; or convert "
            "it to JPEG",
        )
    if not found:
        raise ImageError("not_an_image", "the file's first bytes are those of no known format")
    return found


@contextmanager
def _pillow_at_work(what: str, reason: str) -> Iterator[None]:
    """Around calls of Pillow on the file and nothing else: what they raise is an `ImageError`.

    For a damaged file Pillow lets through whatever its decoders run into (SyntaxError, OSError,
    struct.error, EOFError, IndexError, zlib.error...), hence the broad clause.
    """
    try:
        yield
    except MemoryError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise ImageError("too_large", f"{what}: {error}") from error
    except Exception as error:
        raise ImageError(reason, f"{what}: {str(error)[:200] or type(error).__name__}") from error


class _Memory:
    """Bytes that threads share: whoever needs more than is free waits until others are done."""

    def __init__(self, size: int):
        self._free, self._changed = size, threading.Condition()

    @contextmanager
    def hold(self, size: int) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._free >= size)
            self._free -= size
        try:
            yield
        finally:
            with self._changed:
                self._free += size
                self._changed.notify_all()


_memory, _large_file = _Memory(MAX_BYTES), threading.Lock()


def _factors(size: tuple[int, int], at_least: int | None) -> tuple[int, int]:
    """By how much a picture is made smaller in width and in height, each a power of 2."""
    if at_least is None or size[0] * size[1] <= LARGE:
        return 1, 1
    fitting = (min(max(side // at_least, 1), MOST_SMALLER) for side in size)
    across, down = (1 << (factor.bit_length() - 1) for factor in fitting)
    return across, down


def _bytes_to_decode(image: Image.Image, whole: tuple[int, int], factors: tuple[int, int]) -> int:
    """Memory at most for an image whose header has been read, as measured for each format.

    Parameters
    ----------
    whole : (width, height) before a JPEG was asked to be smaller.
    """
    pixels = image.width * image.height
    bands = len(image.getbands())
    loaded = pixels * _BYTES_PER_PIXEL.get(image.mode, 4)
    own = 0  # of the format's library, until the image is loaded
    if image.format in ("JPEG", "MPO") and image.info.get("progressive"):
        own = 2 * bands * whole[0] * whole[1]
    elif image.format in ("WEBP", "AVIF", "HEIF"):
        own = 12 * pixels
    elif image.format == "JPEG2000":
        own = 8 * bands * pixels
    elif image.format == "TIFF" and image.info.get("compression") != "raw":
        own = 4 * pixels  # where one strip holds all
    result = 4 * pixels // (factors[0] * factors[1])
    return loaded + max(own, result)


def _raw_mode(image: Image.Image) -> str:
    """How the samples lie in the file, in Pillow's words; empty where it does not say."""
    tiles = getattr(image, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _whole_but_for_its_end(data: bytes, at_least: int | None) -> Image.Image | None:
    """A JPEG that lacks its last two bytes, and maybe what has no meaning before them; None where
    pixels are missing, too: these then depend on what is put in their place."""
    if data.endswith(_END) or not _all_scans(data):
        return None
    found = []
    for padding in _PADDINGS:
        with suppress(ImageError), _pillow_at_work("JPEG pixels", "truncated"):
            image = _open(data.rstrip(_END[:1]) + 128 * padding + _END)
            if at_least is not None:
                image.draft(None, (at_least, at_least))
            image.load()
            found.append(image)
    if len(found) < len(_PADDINGS) or len({image.tobytes() for image in found}) > 1:
        return None
    return found[0]


def _all_scans(data: bytes) -> bool:
    """Whether a JPEG has the last scan of each component's coefficients, to the last bit: a
    progressive one may end between two scans (ITU-T T.81, B.2.3 and G.1.1)."""
    at, components, done = 2, 0, set()
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4])
        header = data[at + 4 : at + 2 + length]
        at += 2 + length
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC) and len(header) > 5:
            components = header[5]
        if marker != 0xDA or len(header) < 4:
            continue
        first, last, approximation = header[-3:]
        if approximation & 15 == 0:
            own = header[1 : 1 + 2 * header[0] : 2]
            done |= {(one, band) for one in own for band in {first > 0, last > 0}}
        following = _MARKER.search(data, at)
        at = following.start() if following else len(data)
    return components > 0 and len(done) == 2 * components


def _bits_in_use(image: Image.Image) -> int:
    """8, 10, 12 or 16: what the brightest of 16-bit samples takes, or a TIFF says itself.

    A picture of full range has a sample above 4095, a sixteenth of white, or is as good as black.
    """
    tags = getattr(image, "tag_v2", {})
    said = tags.get(_BITS_PER_SAMPLE, ())
    for bits in (10, 12):
        if bits in said:
            return bits
    return _bits_of(max(int(np.asarray(image.crop(box)).max()) for box in _tiles(image.size)))


def _bits_of(largest: int) -> int:
    if not largest:
        return 16
    return next(bits for bits in (8, 10, 12, 16) if largest < 1 << bits)


def _from_lower_bytes(image: Image.Image, data: bytes, raw: str) -> tuple[Image.Image, int]:
    """A colour picture of 16-bit samples, of which Pillow keeps the upper bytes, with both."""
    other = _open(data)
    swapped = raw[:-1] + ("L" if raw.endswith("B") else "B")
    with _pillow_at_work(f"{image.format} pixels", "truncated"):
        tiles = []
        for tile in other.tile:  # type: ignore[attr-defined]
            arguments = (swapped, *tile[3][1:]) if isinstance(tile[3], tuple) else swapped
            tiles.append(tile._replace(args=arguments))
        other.tile = tiles  # type: ignore[attr-defined]
        other.load()
    upper, lower = (np.asarray(one, dtype=np.uint32)[..., :3] for one in (image, other))
    values = upper * 256 + lower
    bits = _bits_of(int(values.max()))
    colours = _scaled(values, bits)
    if image.mode == "RGBA":
        colours = np.dstack([colours, np.asarray(image)[..., 3]])
    found = Image.fromarray(colours)
    found.info = {key: one for key, one in image.info.items() if key != "transparency"}
    found.format = image.format
    return found, bits


def _scaled(values: np.ndarray, bits: int) -> npt.NDArray[np.uint8]:
    """uint8 of whole samples of which so many ``bits`` are in use."""
    white = (1 << bits) - 1
    return ((values.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8)


def _to_rgb(image: Image.Image, factors: tuple[int, int], bits: int = 16) -> Image.Image:
    """Convert and make smaller, a tile at a time: there is never a second copy of a large image."""
    white = _white(image) if image.mode in ("I", "F") else None
    if image.mode == "RGB" and factors == (1, 1) and not image.has_transparency_data:
        return image
    width, height = image.size
    across, down = factors
    with _pillow_at_work(f"{image.mode} pixels", "truncated"):
        out = Image.new("RGB", (-(-width // across), -(-height // down)))
        for box in _tiles(image.size):
            tile = _tile_to_rgb(image.crop(box), white, bits)
            if factors != (1, 1):
                tile = tile.reduce(factors)
            out.paste(tile, (box[0] // across, box[1] // down))
    return out


def _tiles(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    """(left, upper, right, lower) of squares of `TILE` pixels, those at the end smaller."""
    width, height = size
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield left, top, min(left + TILE, width), min(top + TILE, height)


def _tile_to_rgb(image: Image.Image, white: tuple[float, float] | None, bits: int) -> Image.Image:
    if white is not None:
        return Image.fromarray(_rescaled(np.asarray(image), *white)).convert("RGB")
    if image.mode.startswith("I;16"):
        values = np.asarray(image)
        scaled = _scaled(values, bits)
        # A 16-bit PNG may name one grey as transparent; as elsewhere, white shows through.
        transparent = image.info.get("transparency", -1)
        grey = np.where(values == transparent, np.uint8(255), scaled)
        return Image.fromarray(grey).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        under = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(under, rgba).convert("RGB")
    return image.convert("RGB")


def _white(image: Image.Image) -> tuple[float, float]:
    """The samples that become 0 and 255 in greyscale of 32 bits per sample.

    They have no agreed white: they are taken as 0-1 (floating point only), 0-255 or 0-65535, the
    first of these that holds all of them, and else stretched from the smallest to the largest. A
    PGM file of 16 bits says itself what is white.
    """
    if image.format == "PPM":
        return 0.0, 65535.0
    low, high = np.inf, -np.inf
    for box in _tiles(image.size):
        values = np.asarray(image.crop(box))
        finite = values[np.isfinite(values)]
        if finite.size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    for white in whites:
        if low >= 0 and high <= white:
            return 0.0, white
    return float(low), float(high)


def _rescaled(values: np.ndarray, low: float, high: float) -> npt.NDArray[np.uint8]:
    """uint8 [h, w] of samples from ``low`` to ``high``; not-a-number and infinity are black."""
    kept = np.where(np.isfinite(values), values, low).astype(np.float64) - low
    return np.rint(kept * 255 / ((high - low) or 1.0)).astype(np.uint8)
