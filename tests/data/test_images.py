"""Every format to RGB, and every damage to a reason."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import time
import tracemalloc
import warnings
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageFile

from pipeline.data import images
from pipeline.data.images import ImageError

COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [10, 20, 30]]], dtype=np.uint8)
LOSSLESS = {"PNG": {}, "BMP": {}, "TIFF": {}, "PPM": {}, "WEBP": {"lossless": True}, "GIF": {}}
NOISE = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)


def encode(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(data: bytes) -> np.ndarray:
    image = images.decode(data)
    assert image.mode == "RGB"
    return np.asarray(image)


def refusal(data: bytes) -> ImageError:
    with pytest.raises(ImageError) as caught:
        images.decode(data)
    assert caught.value.detail and "\n" not in caught.value.detail
    return caught.value


def png(width: int, height: int, depth: int, colour: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG by hand, with chunks that Pillow does not write."""
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)),
            extra,
            chunk(b"IDAT", zlib.compress(rows)),
            chunk(b"IEND", b""),
        ]
    )


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


# --- Formats and modes: exact pixels


@pytest.mark.parametrize("kind", LOSSLESS)
def test_lossless_formats_keep_every_pixel(kind: str) -> None:
    data = encode(Image.fromarray(COLOURS), kind, **LOSSLESS[kind])
    np.testing.assert_array_equal(pixels(data), COLOURS)


@pytest.mark.parametrize("kind", ["JPEG", "AVIF", "JPEG2000"])
def test_lossy_formats_keep_a_plain_colour(kind: str) -> None:
    if kind == "AVIF" and "AVIF" not in Image.SAVE:
        pytest.skip("this Pillow was built without AVIF")
    data = encode(Image.new("RGB", (32, 32), (200, 100, 50)), kind)
    assert np.abs(pixels(data).astype(int) - [200, 100, 50]).max() <= 4


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("1", 0, (0, 0, 0)),
        ("LA", (50, 255), (50, 50, 50)),
        ("LA", (0, 0), (255, 255, 255)),
        ("LA", (0, 51), (204, 204, 204)),
        ("RGBA", (10, 20, 30, 255), (10, 20, 30)),
        ("RGBA", (10, 20, 30, 0), (255, 255, 255)),
        ("RGBA", (0, 255, 0, 51), (204, 255, 204)),
    ],
)
def test_grey_one_bit_and_alpha(
    mode: str, value: int | tuple[int, ...], expected: tuple[int, ...]
) -> None:
    assert (pixels(encode(Image.new(mode, (3, 2), value))) == expected).all()


def test_palette_without_and_with_transparency() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putdata([0, 1])
    assert pixels(encode(image)).tolist() == [[[255, 0, 0], [0, 0, 255]]]
    one = encode(image, transparency=1)
    assert pixels(one).tolist() == [[[255, 0, 0], [255, 255, 255]]]
    partial = encode(image, transparency=bytes([255, 51]))
    assert pixels(partial).tolist() == [[[255, 0, 0], [204, 204, 255]]]
    gif = encode(image, "GIF", transparency=0)
    assert pixels(gif).tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_the_transparent_colour_of_an_rgb_png_becomes_white() -> None:
    data = encode(Image.fromarray(COLOURS), transparency=(255, 0, 0))
    expected = COLOURS.copy()
    expected[0, 0] = 255
    np.testing.assert_array_equal(pixels(data), expected)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG"])
def test_cmyk(kind: str) -> None:
    """Pillow writes CMYK JPEG the way Adobe does, inverted, and marks it so."""
    plain = {"quality": 100} if kind == "JPEG" else {}
    data = encode(Image.new("CMYK", (16, 16), (0, 255, 255, 0)), kind, **plain)
    assert Image.open(io.BytesIO(data)).mode == "CMYK"
    assert np.abs(pixels(data).astype(int) - [255, 0, 0]).max() <= 2


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    values = np.array([[0, 128, 129, 257, 300], [32768, 51400, 65406, 65407, 65535]], np.uint16)
    grey = pixels(encode(Image.fromarray(values), kind))
    assert grey[..., 0].tolist() == [[0, 0, 1, 1, 1], [128, 200, 254, 255, 255]]
    assert (grey == grey[..., :1]).all()


def test_big_endian_sixteen_bit_tiff() -> None:
    image = Image.frombytes("I;16B", (2, 1), struct.pack(">2H", 257 * 7, 65535))
    assert pixels(encode(image, "TIFF"))[0, :, 0].tolist() == [7, 255]


def test_sixteen_bit_png_with_a_transparent_grey() -> None:
    rows = b"\0" + struct.pack(">2H", 257 * 7, 257 * 90)
    data = png(2, 1, 16, 0, rows, chunk(b"tRNS", struct.pack(">H", 257 * 90)))
    assert pixels(data)[0, :, 0].tolist() == [7, 255]


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    ("largest", "bits"), [(255, 8), (256, 10), (1000, 10), (1024, 12), (4095, 12)]
)
def test_sixteen_bits_of_which_few_are_in_use(kind: str, largest: int, bits: int) -> None:
    values = np.array([[0, largest // 2, largest]], np.uint16)
    image = images.decode(encode(Image.fromarray(values), kind))
    assert image.info["bits"] == bits
    expected = np.rint(values[0] * 255.0 / (2**bits - 1))
    np.testing.assert_allclose(np.asarray(image)[0, :, 0], expected, atol=0.51)


def test_sixteen_bits_in_full_use_are_left_alone() -> None:
    for values in ([0, 4096], [0, 65535], [0, 0]):
        image = images.decode(encode(Image.fromarray(np.array([values], np.uint16))))
        assert "bits" not in image.info
        assert np.asarray(image)[0, :, 0].tolist() == [0, round(values[1] / 257)]


@pytest.mark.parametrize("alpha", [False, True])
def test_colours_of_sixteen_bits_of_which_few_are_in_use(alpha: bool) -> None:
    """Pillow keeps the upper byte of such samples, which is next to nothing here."""
    colours = [[4095, 2048, 0], [16, 300, 4000]]
    cells = [[*one, 65535] if alpha else one for one in colours]
    rows = b"\0" + b"".join(struct.pack(f">{len(one)}H", *one) for one in cells)
    data = png(2, 1, 16, 6 if alpha else 2, rows)
    image = images.decode(data)
    assert image.info["bits"] == 12
    expected = np.rint(np.array(colours) * 255 / 4095)
    np.testing.assert_array_equal(np.asarray(image)[0], expected)


def test_a_tiff_says_its_bits_itself() -> None:
    image = Image.fromarray(np.array([[0, 200]], np.uint16))
    data = bytearray(encode(image, "TIFF"))
    at = data.index(struct.pack("<HHI", 258, 3, 1)) + 8
    data[at : at + 2] = struct.pack("<H", 16)
    assert images.decode(bytes(data)).info["bits"] == 8


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", [0, 2])
def test_a_jpeg_that_lacks_nothing_but_its_end(progressive: bool, subsampling: int) -> None:
    picture = Image.fromarray(NOISE)
    data = encode(picture, "JPEG", progressive=progressive, subsampling=subsampling)
    whole = pixels(data)
    for cut in (1, 2):
        np.testing.assert_array_equal(pixels(data[:-cut]), whole)
    for lost in (6, 20, len(data) // 2):
        assert refusal(data[:-lost]).reason == "truncated"


def test_pointers_and_formats_that_need_a_package_say_the_way_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pointer = refusal(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n")
    assert pointer.reason == "not_an_image"
    assert "git lfs pull" in pointer.detail
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    heic = refusal(b"\0\0\0\x18ftypheic\0\0\0\0" + bytes(40))
    assert heic.reason == "not_an_image"
    assert "HEIC, which needs a package: pip install" in heic.detail


def test_heic_where_its_package_is_installed() -> None:
    pytest.importorskip("pillow_heif")
    data = encode(Image.new("RGB", (64, 48), (200, 100, 50)), "HEIF")
    found = pixels(data)
    assert found.shape == (48, 64, 3)
    assert np.abs(found.astype(int) - [200, 100, 50]).max() <= 4
    assert refusal(data[: len(data) // 2]).reason == "truncated"


def test_sixteen_bit_pgm_is_divided_whatever_its_darkest() -> None:
    data = b"P5 2 1 65535\n" + struct.pack(">2H", 0, 255)
    assert pixels(data)[0, :, 0].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.array([0, 7, 255], np.int32), [0, 7, 255]),
        (np.array([0, 257 * 7, 65535], np.int32), [0, 7, 255]),
        (np.array([-100, 0, 100], np.int32), [0, 128, 255]),
        (np.array([0, 50_000, 100_000], np.int32), [0, 128, 255]),
        (np.array([-5, -5, -5], np.int32), [0, 0, 0]),
        (np.array([0, 0.2, 1], np.float32), [0, 51, 255]),
        (np.array([0, 7, 255], np.float32), [0, 7, 255]),
        (np.array([0, 257 * 7, 65535], np.float32), [0, 7, 255]),
        (np.array([-1, 0, 1], np.float32), [0, 128, 255]),
        (np.array([np.nan, 0.2, 1], np.float32), [0, 51, 255]),
        (np.array([np.nan, -np.inf, np.inf], np.float32), [0, 0, 0]),
    ],
)
def test_thirty_two_bit_samples(values: np.ndarray, expected: list[int]) -> None:
    assert pixels(encode(Image.fromarray(values[None]), "TIFF"))[0, :, 0].tolist() == expected


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_once(kind: str, orientation: int) -> None:
    """The picture as stored, so turned that a viewer shows it upright again."""
    upright = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright, 1),
        7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(np.ascontiguousarray(stored))
    np.testing.assert_array_equal(pixels(encode(image, kind, exif=exif, **LOSSLESS[kind])), upright)


def test_orientation_of_a_jpeg_and_damaged_exif() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture = Image.new("RGB", (30, 20), (9, 9, 9))
    assert images.decode(encode(picture, "JPEG", exif=exif)).size == (20, 30)
    assert images.decode(encode(picture, "JPEG", exif=b"Exif\0\0garbage")).size == (30, 20)


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_the_first_frame_of_an_animation(kind: str) -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue", "green")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:], **LOSSLESS[kind])
    assert getattr(Image.open(io.BytesIO(data)), "n_frames", 1) == 3
    assert (pixels(data) == (255, 0, 0)).all()


# --- Damage


def test_bytes_that_are_no_image() -> None:
    assert refusal(b"").reason == "empty_file"
    for data in (b"image,smile\n1.jpg,1\n", b"<html>", b"\0" * 100, b"BM", b"P6", b"%!PS-Adobe"):
        assert refusal(data).reason == "not_an_image"


@pytest.mark.parametrize("kind", ["JPEG", "JPEG2000", *LOSSLESS])
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_truncated_file(kind: str, part: float) -> None:
    data = encode(Image.fromarray(NOISE), kind)
    images.decode(data)
    assert refusal(data[: int(part * len(data))]).reason == "truncated"


def test_a_damaged_png() -> None:
    data = bytearray(encode(Image.fromarray(NOISE)))
    data[200:300] = bytes(100)
    assert refusal(bytes(data)).reason == "truncated"


def bomb(kind: str, side: int) -> bytes:
    """A small file whose header claims side x side pixels."""
    if kind == "PNG":
        return png(side, side, 8, 2, b"\0")
    if kind == "PPM":
        return b"P6 %d %d 255\n" % (side, side)
    data = bytearray(encode(Image.new("RGB", (8, 8)), kind, **LOSSLESS.get(kind, {})))
    if kind == "GIF":
        data[6:10] = struct.pack("<HH", side, side)
    elif kind == "BMP":
        data[18:26] = struct.pack("<ii", side, side)
    elif kind == "JPEG":
        at = data.index(b"\xff\xc0") + 5
        data[at : at + 4] = struct.pack(">HH", side, side)
    else:
        for tag in (256, 257):  # ImageWidth and ImageLength, as SHORT or LONG
            for kind_of_value, layout in ((3, "<H2x"), (4, "<I")):
                at = data.find(struct.pack("<HHI", tag, kind_of_value, 1))
                if at >= 0:
                    data[at + 8 : at + 12] = struct.pack(layout, side)
    return bytes(data)


@pytest.mark.parametrize("side", [10_001, 14_000, 50_000])
@pytest.mark.parametrize("kind", ["PNG", "PPM", "GIF", "BMP", "JPEG", "TIFF"])
def test_a_decompression_bomb_is_refused_from_its_header(
    kind: str, side: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(_: ImageFile.ImageFile) -> None:
        raise AssertionError("pixels were decoded")

    monkeypatch.setattr(ImageFile.ImageFile, "load", load)
    data = bomb(kind, side)
    assert len(data) < 2_000
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        error = refusal(data)
    assert time.perf_counter() - started < 1
    assert error.reason == "too_large"
    assert f"{side} x {side}" in error.detail


def test_the_largest_image_is_decoded_without_a_warning() -> None:
    """Above Pillow's own warning limit of 89 million pixels, and below ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert images.decode(encode(Image.new("1", (9_600, 9_600)))).size == (9_600, 9_600)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA", "LA", "I;16", "I", "F", "CMYK"])
def test_what_is_converted_in_tiles_is_as_what_is_converted_whole(mode: str) -> None:
    side = images.TILE + 70
    rng = np.random.default_rng(0)
    if mode in ("I;16", "I", "F"):
        kind = {"I;16": np.uint16, "I": np.int32, "F": np.float32}[mode]
        whole = Image.fromarray(rng.integers(0, 65536, (side, side)).astype(kind))
    else:
        noise = rng.integers(0, 256, (side, side, 4), dtype=np.uint8)
        whole = Image.fromarray(noise, "RGBA").convert("RGB" if mode in ("P", "CMYK") else "RGBA")
        whole = whole.convert(mode)
    found = pixels(encode(whole, "TIFF"))
    # The corner of the picture is a picture of one tile, but for what white is.
    corner = whole.crop((side - 90, side - 80, side, side))
    if mode in ("I", "F"):
        corner.putpixel((0, 0), 65535)
    np.testing.assert_array_equal(found[-79:, -89:], pixels(encode(corner, "TIFF"))[1:, 1:])
    assert found.shape == (side, side, 3)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
@pytest.mark.parametrize("mode", ["L", "RGBA", "P"])
def test_any_large_picture_is_made_smaller_and_resizes_to_the_same(kind: str, mode: str) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    large = small.resize((2600, 1700), Image.Resampling.BICUBIC).convert(mode)
    data = encode(large, kind)
    whole, reduced = images.decode(data), images.decode(data, 128)
    assert whole.size == (2600, 1700)
    assert reduced.size == (163, 213)
    one, two = (images.resize(picture, (64, 48)).astype(int) for picture in (whole, reduced))
    # The last block is of fewer pixels: towards it the picture is shifted by half a block at most.
    assert np.abs(one - two)[:20, :20].mean() < 2
    assert np.abs(one - two).mean() < 8


def test_a_very_long_picture_is_made_smaller_along_its_length_alone() -> None:
    data = encode(Image.new("RGB", (50_000, 100), (9, 90, 190)))
    assert images.decode(data, 100).size == (50_000 // 16, 100)


@pytest.mark.parametrize("kind", ["WEBP", "JPEG2000"])
def test_an_image_that_takes_too_much_memory_to_decode_is_refused_from_its_header(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(Image.new("RGB", (20, 10)), kind)
    assert images.decode(data).size == (20, 10)
    monkeypatch.setattr(images, "MAX_BYTES", 20 * 10 * 16 - 1)
    with pytest.raises(ImageError, match=r"too_large: .* 20 x 10 pixels, which takes \d"):
        images.decode(data)


def test_a_large_file_that_is_no_image_is_not_read(tmp_path: Path) -> None:
    for start, reason in ((b"", "not_an_image"), (b"\x89PNG\r\n\x1a\n", "too_large")):
        file = tmp_path / "sparse.png"
        with file.open("wb") as stream:
            stream.write(start)
            stream.truncate(3_000_000_000)
        tracemalloc.start()
        with pytest.raises(ImageError, match=reason):
            images.read(file)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()


def test_what_a_file_holds_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"password=hunter2")
    with pytest.raises(ImageError) as error:
        images.read(tmp_path / "a.jpg")
    assert "pass" not in str(error.value)


BOMBS = """
import io, resource, sys
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from PIL import Image
from pipeline.data import image_files, images
side = 9_999
def make(mode, kind, **options):
    out = io.BytesIO()
    Image.new(mode, (side, side)).save(out, kind, **options)
    return out.getvalue()
bombs = [
    make("P", "PNG", transparency=bytes([0, 128])), make("RGBA", "PNG"), make("I;16", "PNG"),
    make("F", "TIFF", compression="tiff_adobe_deflate"), make("L", "GIF"),
    make("RGB", "JPEG", progressive=True),
]
open("/proc/self/clear_refs", "w").write("5")
def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))
before = memory("VmRSS")
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(lambda data: images.decode(data, 448).size, bombs))
print(memory("VmHWM") - before, max(max(size) for size in found))
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.access("/proc/self/clear_refs", os.W_OK), reason="needs Linux's /proc")
def test_threads_that_decode_bombs_take_a_gigabyte_together() -> None:
    done = subprocess.run([sys.executable, "-c", BOMBS], capture_output=True, text=True, check=True)
    taken, largest = map(int, done.stdout.split())
    assert taken < 1.1 * images.MAX_BYTES
    assert largest < 1_500


def test_running_out_of_memory_is_not_blamed_on_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(Image.fromarray(COLOURS))
    for error in (MemoryError, KeyboardInterrupt):

        def load(_: Any, error: type[BaseException] = error) -> None:
            raise error

        monkeypatch.setattr(ImageFile.ImageFile, "load", load)
        with pytest.raises(error):
            images.decode(data)


SIGNATURES = [b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"MM\0*"]
SIGNATURES += [
    b"RIFF\x20\0\0\0WEBPVP8 ",
    b"P5 2 2 255\n",
    b"P3 2 1 9\n",
    b"\0\0\0\x0cjP  \r\n\x87\n",
]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(start=st.sampled_from(SIGNATURES), rest=st.binary(max_size=120))
@example(start=b"P5 2 2 255\n", rest=b"abcd")
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_arbitrary_bytes_decode_or_raise_image_error(start: bytes, rest: bytes) -> None:
    try:
        image = images.decode(start + rest)
    except ImageError as error:
        assert error.reason in images.REASONS
    else:
        assert image.mode == "RGB"


SMALL = Image.fromarray(NOISE[:6, :8])
WHOLE = [encode(SMALL, kind) for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP")]


@settings(max_examples=300, deadline=None)
@given(
    data=st.sampled_from(WHOLE),
    place=st.floats(0, 1, exclude_max=True),
    patch=st.binary(min_size=1, max_size=4),
)
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_a_damaged_file_decodes_or_raises_image_error(
    data: bytes, place: float, patch: bytes
) -> None:
    at = int(place * len(data))
    try:
        image = images.decode(data[:at] + patch + data[at + len(patch) :])
    except ImageError as error:
        assert error.reason in ("not_an_image", "truncated", "too_large")
    else:
        assert image.mode == "RGB"


def test_decoding_in_threads_gives_the_same_pixels() -> None:
    expected = [pixels(data) for data in WHOLE] * 20
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(pixels, WHOLE * 20))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


def test_resize_takes_height_and_width_and_smooths() -> None:
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 255).astype(np.uint8)
    small = images.resize(Image.fromarray(board).convert("RGB"), (8, 4))
    assert small.shape == (8, 4, 3)
    assert small.dtype == np.uint8
    assert small.flags.writeable
    assert np.abs(small.astype(int) - 127).max() <= 3


def test_an_image_error_has_one_of_the_reasons() -> None:
    assert str(ImageError("missing", "two\nlines")) == "missing: two lines"
    with pytest.raises(ValueError, match="blurred"):
        ImageError("blurred", "")


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_large_jpeg_decodes_smaller_and_resizes_to_the_same(mode: str, orientation: int) -> None:
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8))
    large = small.resize((1200, 900), Image.Resampling.BICUBIC).convert(mode)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    data = encode(large, "JPEG", exif=exif, quality=95)
    whole, reduced = images.decode(data), images.decode(data, images.enough_for((64, 48)))
    assert reduced.mode == "RGB"
    assert whole.size == ((1200, 900) if orientation == 1 else (900, 1200))
    assert min(reduced.size) >= 128
    assert reduced.size[0] < whole.size[0] / 3
    one, two = (images.resize(picture, (64, 48)).astype(int) for picture in (whole, reduced))
    assert np.abs(one - two).max() <= 6
    assert np.abs(one - two).mean() < 1


def test_what_is_small_or_no_jpeg_decodes_whole() -> None:
    picture = Image.new("RGB", (300, 200), (9, 90, 190))
    for data in (encode(picture, "PNG"), encode(picture.resize((100, 70)), "JPEG")):
        assert images.decode(data, 64).size == images.decode(data).size


def test_a_truncated_jpeg_is_refused_at_any_size() -> None:
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 256, (800, 800, 3), dtype=np.uint8))
    data = encode(noise, "JPEG")
    with pytest.raises(images.ImageError, match="truncated"):
        images.decode(data[: len(data) // 2], 100)
