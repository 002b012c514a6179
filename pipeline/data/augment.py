"""Augmented views of an image: a small random warp and change of light, fixed by its content."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from pipeline.data import images

ROTATION = 10.0  # degrees, either way
ZOOM = 0.1  # fraction of 1, either way, as are those below
SHIFT = 0.05  # of the width and of the height
BRIGHTNESS = 0.15
CONTRAST = 0.15


@dataclass(frozen=True)
class ViewParameters:
    """What is done to one view; the defaults leave it unchanged.

    There is no vertical flip: pictures have an up and a down.

    Attributes
    ----------
    flip : mirror left and right.
    rotation : degrees, counter-clockwise.
    zoom : factor; above 1 enlarges.
    shift_x, shift_y : to the right and down, fractions of the width and the height.
    brightness : factor on all samples.
    contrast : factor on the distance of a sample from the mean of the picture.
    """

    flip: bool = False
    rotation: float = 0.0
    zoom: float = 1.0
    shift_x: float = 0.0
    shift_y: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0


def draw_parameters(seed: int, key: str, view: int) -> ViewParameters:
    """The parameters of one view, a function of the three arguments alone.

    The uniform numbers are the bits of a SHA-512 digest and not the stream of a generator, so no
    order of calls, number of views, process or library version can change them. View 0 is the
    unchanged one.
    """
    if view == 0:
        return ViewParameters()
    text = f"{seed}\0{key}\0{view}".encode("utf-8", "surrogatepass")
    words = np.frombuffer(hashlib.sha512(text).digest(), dtype="<u8")
    uniform = [int(word >> np.uint64(11)) * 2.0**-53 for word in words]
    sides = [2.0 * number - 1.0 for number in uniform]
    return ViewParameters(
        flip=uniform[0] < 0.5,
        rotation=ROTATION * sides[1],
        zoom=1.0 + ZOOM * sides[2],
        shift_x=SHIFT * sides[3],
        shift_y=SHIFT * sides[4],
        brightness=1.0 + BRIGHTNESS * sides[5],
        contrast=1.0 + CONTRAST * sides[6],
    )


def views(
    image: Image.Image, size: tuple[int, int], numbers: Sequence[int], seed: int, key: str
) -> npt.NDArray[np.uint8]:
    """The plain picture and augmented views of it.

    Parameters
    ----------
    image : RGB, any size.
    size : (height, width) of the views in pixels.
    numbers : of the views wanted; 0 is `images.resize` of the image, exactly.
    seed, key : with its number they fix a view's parameters; the key names the image's content.

    Returns
    -------
    uint8 [len(numbers), height, width, 3].
    """
    plain = images.resize(image, size)
    drawn = (draw_parameters(seed, key, view) if view else None for view in numbers)
    return np.stack([plain if one is None else render(plain, one) for one in drawn])


def render(picture: npt.NDArray[np.uint8], parameters: ViewParameters) -> npt.NDArray[np.uint8]:
    """Apply drawn parameters to a picture.

    One bilinear affine warp about the centre; what it brings in from beyond the border is the
    picture mirrored there, since black corners would be a feature that no real picture has.

    Parameters
    ----------
    picture : uint8 [height, width, 3].
    parameters : within the ranges of `draw_parameters`, or the mirrored border may not reach.

    Returns
    -------
    uint8 [height, width, 3].
    """
    height, width = picture.shape[:2]
    across, down = _margin(width, height), _margin(height, width)
    padded = np.pad(picture, ((down, down), (across, across), (0, 0)), mode="symmetric")
    warped = Image.fromarray(padded).transform(
        (width, height),
        Image.Transform.AFFINE,
        _inverse_affine(parameters, height, width, across, down),
        Image.Resampling.BILINEAR,
    )
    return _light(np.asarray(warped), float(picture.mean()), parameters)


def _margin(along: int, other: int) -> int:
    """Pixels beyond the border that the widest parameters can reach, with one for interpolation."""
    half = (along * (0.5 + SHIFT) + other * (0.5 + SHIFT) * math.sin(math.radians(ROTATION))) / (
        1.0 - ZOOM
    )
    return math.ceil(half - along / 2) + 1


def _inverse_affine(
    parameters: ViewParameters, height: int, width: int, across: int, down: int
) -> tuple[float, float, float, float, float, float]:
    """Pillow's (a, b, c, d, e, f): the place in the padded picture for a place in the view."""
    angle = math.radians(parameters.rotation)
    cosine, sine = math.cos(angle) / parameters.zoom, math.sin(angle) / parameters.zoom
    mirror = -1.0 if parameters.flip else 1.0
    centre_x = width * (0.5 + parameters.shift_x)
    centre_y = height * (0.5 + parameters.shift_y)
    a, b, d, e = mirror * cosine, -mirror * sine, sine, cosine
    c = width / 2 + across - a * centre_x - b * centre_y
    f = height / 2 + down - d * centre_x - e * centre_y
    return a, b, c, d, e, f


def _light(
    picture: npt.NDArray[np.uint8], mean: float, parameters: ViewParameters
) -> npt.NDArray[np.uint8]:
    levels = np.arange(256, dtype=np.float64)
    changed = (mean + (levels - mean) * parameters.contrast) * parameters.brightness
    table = np.clip(np.rint(changed), 0, 255).astype(np.uint8)
    return np.take(table, picture)
