"""Images: files by name, and their bytes, of any common format, to 8-bit RGB pixels.

Whatever is wrong with a file ends in an `ImageError` with one of the `REASONS`. All functions may
be called from many threads at once.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

SUFFIXES = frozenset(
    {".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jpeg", ".jpg", ".jxl"}
    | {".mpo", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
)
"""Lower-case endings by which `list_images` knows an image, among them formats that can't be
decoded, so that nobody misses them; `decode` looks at bytes only."""

REASONS = (
    *("missing", "outside_folder", "unreadable", "empty_file", "not_an_image", "truncated"),
    "too_large",
)
"""Why an image can't be used."""
MAX_PIXELS = 100_000_000
"""Width times height above which an image is refused (300 MB as RGB)."""

# Pillow knows some forty formats. These have a signature, so random bytes don't pass for one, and
# none of them starts another program, as EPS does.
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM")
# With a signature this long, an unreadable header means a damaged image, not some other file.
_LONG_SIGNATURE = frozenset(_FORMATS) - {"BMP", "PPM"}

# Once, at import: plugins must not be registered while other threads look for one, and between its
# own limit and ours Pillow would warn about images that are accepted here.
Image.init()
Image.MAX_IMAGE_PIXELS = MAX_PIXELS


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


def resolve(folder: Path, name: str) -> Path:
    """The file that an image name stands for.

    Parameters
    ----------
    folder : the image folder; may itself be a symbolic link.
    name : path relative to ``folder``.

    Raises
    ------
    ImageError
        ``outside_folder`` for an absolute name and for one that leaves the folder through ``..``
        or a link to a folder; ``missing`` where there is no regular file. A file in the folder may
        itself be a link to anywhere, as from a store or DVC's cache.
    """
    if "\0" in name:
        raise ImageError("missing", f"{name!r}: a file name cannot hold a NUL character")
    if Path(name).is_absolute():
        raise ImageError("outside_folder", f"{name!r} is an absolute path")
    path = folder / name
    # Not Path.resolve, which raises on a loop of links.
    root, real = Path(os.path.realpath(folder)), Path(os.path.realpath(path))
    parent = Path(os.path.realpath(path.parent))
    linked = Path(name).name not in ("", "..") and parent.is_relative_to(root)
    if not (linked or real.is_relative_to(root)):
        lexical = Path(os.path.normpath(root / name))
        through = "a symbolic link" if lexical.is_relative_to(root) else "'..'"
        raise ImageError("outside_folder", f"{name!r} leaves the image folder through {through}")
    try:
        problem = None if real.is_file() else _why_missing(path)
    except OSError as error:  # a name that is too long, a folder that may not be searched
        problem = error.strerror
    if problem is not None:
        raise ImageError("missing", f"{name!r}: {problem}")
    return path


def _why_missing(path: Path) -> str:
    if path.exists():
        return "is a folder" if path.is_dir() else "is not a regular file"
    for suffix in sorted(SUFFIXES):
        if Path(f"{path}{suffix}").is_file():
            return f"no such file, but there is one that ends in {suffix}"
    return "no such file"


def read_file(folder: Path, name: str) -> bytes:
    """The bytes of an image file.

    Raises
    ------
    ImageError
        As `resolve`; ``missing`` also where the file may not be read.
    """
    path = resolve(folder, name)
    try:
        return path.read_bytes()
    except (FileNotFoundError, PermissionError) as error:
        raise ImageError("missing", f"{name!r}: {error.strerror}") from error


def list_images(folder: Path) -> list[Path]:
    """The images below a folder, sorted: files that end in one of `SUFFIXES`, in any case, and
    those without an ending whose first bytes are an image's."""
    return [path for path in list_files(folder) if is_image(path)]


def is_image(path: Path) -> bool:
    """Whether a file's ending, or without one its first bytes, are those of an image."""
    if path.suffix:
        return path.suffix.lower() in SUFFIXES
    try:
        with path.open("rb") as stream:
            start = stream.read(16)
    except OSError:
        return False
    accepts = (Image.OPEN[name][1] for name in _LONG_SIGNATURE if name in Image.OPEN)
    return any(accept is not None and accept(start) for accept in accepts)


def list_files(folder: Path) -> list[Path]:
    """The files below a folder, sorted.

    Hidden files and folders are passed over (``._x.jpg`` and ``.ipynb_checkpoints`` hold no
    images of the user's), and links to folders are not followed.
    """
    found: list[Path] = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths = (Path(parent, name) for name in names if not name.startswith("."))
        found += [path for path in paths if path.is_file()]
    return sorted(found)


def decode(data: bytes, at_least: int | None = None) -> Image.Image:
    """Decode an image file to 8-bit RGB, at its full size or, if asked, at a smaller one.

    A JPEG decodes at 1/2, 1/4 or 1/8 of its size for a fraction of the work, each pixel the mean of
    a block. ``at_least`` pixels remain in height and in width; a picture that is then resized to at
    most half of that differs by less than its noise.

    The EXIF orientation is applied, transparency is composited on white, 16-bit samples are
    divided by 257, CMYK, greyscale, palette and 1-bit images are converted, and of an animation
    the first frame is taken. For 32-bit samples see `_rescaled`. Colour profiles are not applied.

    Raises
    ------
    ImageError
        ``empty_file``, ``not_an_image``, ``truncated`` (cut off or damaged) or ``too_large`` (more
        than `MAX_PIXELS`, known from the header, before any pixel is decoded).
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
    with _pillow_at_work(f"{name} pixels", "truncated"):
        if at_least is not None:
            image.draft(None, (at_least, at_least))  # nothing, but for a JPEG
        image.load()
    # Damaged metadata says nothing about the pixels, which are sound.
    with suppress(ImageError), _pillow_at_work("EXIF", "truncated"):
        ImageOps.exif_transpose(image, in_place=True)
    return _to_rgb(image)


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
    for name in _FORMATS:
        if name not in Image.OPEN:
            continue
        factory, accept = Image.OPEN[name]
        accepted = accept is None or accept(data[:16])
        if isinstance(accepted, str):  # Pillow was built without the decoder
            raise ImageError("not_an_image", accepted)
        if accepted:
            reason = "truncated" if name in _LONG_SIGNATURE else "not_an_image"
            with _pillow_at_work(f"{name} header", reason):
                return factory(io.BytesIO(data), "")
    raise ImageError("not_an_image", f"unknown format; the file begins with {data[:8]!r}")


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


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return Image.fromarray(_rescaled(image)).convert("RGB")
    with _pillow_at_work(f"{image.mode} pixels", "truncated"):
        if image.has_transparency_data:
            rgba = image.convert("RGBA")
            white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
            return Image.alpha_composite(white, rgba).convert("RGB")
        return image.convert("RGB")


def _rescaled(image: Image.Image) -> npt.NDArray[np.uint8]:
    """Greyscale of more than 8 bits per sample as uint8 [height, width].

    16-bit samples are divided by 257, so that 65535 becomes 255. 32-bit samples have no agreed
    white: they are taken as 0-1 (floating point only), 0-255 or 0-65535, the first of these that
    holds all of them, and else stretched from the smallest to the largest. Not-a-number
    and infinity are black.
    """
    values = np.asarray(image)
    if image.mode != "F" and (image.mode != "I" or image.format == "PPM"):
        scaled = (values.astype(np.uint32) + 128) // 257
        # A 16-bit PNG may name one grey as transparent; as elsewhere, white shows through.
        transparent = image.info.get("transparency", -1)
        return np.where(values == transparent, 255, scaled).astype(np.uint8)
    finite = np.isfinite(values)
    kept = np.where(finite, values, 0).astype(np.float64)
    low, high = kept.min(where=finite, initial=np.inf), kept.max(where=finite, initial=-np.inf)
    whites = (1.0, 255.0, 65535.0) if image.mode == "F" else (255.0, 65535.0)
    white = next((white for white in whites if low >= 0 and high <= white), None)
    if white is None:
        kept, white = np.where(finite, kept - low, 0), high - low or 1.0
    return np.rint(kept * 255 / white).astype(np.uint8)
