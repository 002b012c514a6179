from __future__ import annotations

import random
from dataclasses import astuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pipeline.data import augment, images
from pipeline.data.augment import ViewParameters

SIZE = (64, 48)
NOISE = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (90, 70, 3), dtype=np.uint8))

seeds = st.integers(0, 2**32)
keys = st.text(max_size=20)
later_views = st.integers(1, 50)


def spot(row: int, column: int) -> np.ndarray:
    """A bright 5 x 5 spot on black, for seeing where a warp takes it."""
    picture = np.zeros((101, 101, 3), dtype=np.uint8)
    picture[row - 2 : row + 3, column - 2 : column + 3] = 255
    return picture


def place(picture: np.ndarray) -> tuple[float, float]:
    """(row, column) of the centre of brightness."""
    grey = picture[..., 0].astype(float)
    rows, columns = np.indices(grey.shape)
    return float((rows * grey).sum() / grey.sum()), float((columns * grey).sum() / grey.sum())


def test_pinned_parameters() -> None:
    """These are in every cached feature: a change here silently makes other views of old data."""
    assert astuple(augment.draw_parameters(42, "000001.jpg", 1)) == pytest.approx(
        (False, 0.044796668, 1.093698681, -0.041580393, -0.019063543, 0.854730334, 0.993677748)
    )
    assert astuple(augment.draw_parameters(42, "b/ü.png", 3)) == pytest.approx(
        (True, 0.577710097, 0.933540338, -0.033102992, -0.007293078, 1.093511657, 0.874206111)
    )


@settings(deadline=None)
@given(seed=seeds, key=keys, view=later_views)
def test_parameters_are_in_range(seed: int, key: str, view: int) -> None:
    drawn = augment.draw_parameters(seed, key, view)
    assert isinstance(drawn.flip, bool)
    assert abs(drawn.rotation) <= 10
    assert 0.9 <= drawn.zoom <= 1.1
    assert max(abs(drawn.shift_x), abs(drawn.shift_y)) <= 0.05
    assert 0.85 <= drawn.brightness <= 1.15
    assert 0.85 <= drawn.contrast <= 1.15
    assert drawn == augment.draw_parameters(seed, key, view)


def test_parameters_fill_their_ranges_evenly() -> None:
    drawn = np.array([astuple(augment.draw_parameters(0, f"{i}.jpg", 1)) for i in range(4000)])
    half = np.array([0.5, 10, 0.1, 0.05, 0.05, 0.15, 0.15])
    middle = np.array([0.5, 0, 1, 0, 0, 1, 1])
    scaled = (drawn - middle) / half
    assert np.abs(scaled.mean(axis=0)).max() < 0.06
    np.testing.assert_allclose(scaled[:, 1:].std(axis=0), 3**-0.5, rtol=0.04)
    assert np.abs(np.corrcoef(scaled.T) - np.eye(7)).max() < 0.06


def test_seed_key_and_view_each_matter_and_do_not_run_together() -> None:
    base = augment.draw_parameters(1, "1", 1)
    others = [(2, "1", 1), (1, "2", 1), (1, "1", 2), (11, "", 1), (1, "", 11), (1, "11", 1)]
    assert len({base, *(augment.draw_parameters(*other) for other in others)}) == 7


def test_a_name_that_is_not_unicode_has_parameters() -> None:
    assert augment.draw_parameters(0, "\udcff.jpg", 1) != augment.draw_parameters(0, ".jpg", 1)


def test_shape_dtype_and_the_plain_view() -> None:
    found = augment.views(PICTURE, SIZE, range(3), 7, "a.jpg")
    assert found.shape == (3, 64, 48, 3)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found[0], images.resize(PICTURE, SIZE))
    assert augment.draw_parameters(7, "a.jpg", 0) == ViewParameters()
    assert not np.array_equal(found[1], found[0])
    assert not np.array_equal(found[1], found[2])


def test_a_view_depends_on_neither_count_nor_order() -> None:
    names = [f"{i}.jpg" for i in range(6)]
    first = {name: augment.views(PICTURE, SIZE, range(3), 7, name) for name in names}
    random.Random(0).shuffle(names)
    for name in names:
        again = augment.views(PICTURE, SIZE, range(5), 7, name)
        np.testing.assert_array_equal(again[:3], first[name])
    assert len({views[2].tobytes() for views in first.values()}) == 6


def test_the_global_generators_are_neither_read_nor_moved() -> None:
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    one = augment.views(PICTURE, SIZE, range(3), 7, "a.jpg")
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    np.testing.assert_array_equal(augment.views(PICTURE, SIZE, range(3), 7, "a.jpg"), one)


def test_single_views_are_those_of_all() -> None:
    every = augment.views(PICTURE, SIZE, range(4), 7, "a.jpg")
    np.testing.assert_array_equal(augment.views(PICTURE, SIZE, (3, 1), 7, "a.jpg"), every[[3, 1]])


# --- What the parameters do


def test_default_parameters_change_nothing_and_a_flip_mirrors() -> None:
    np.testing.assert_array_equal(augment.render(NOISE, ViewParameters()), NOISE)
    np.testing.assert_array_equal(augment.render(NOISE, ViewParameters(flip=True)), NOISE[:, ::-1])


def test_a_shift_moves_right_and_down_over_a_mirrored_border() -> None:
    moved = augment.render(NOISE[:40, :40], ViewParameters(shift_x=0.05, shift_y=0.025))
    np.testing.assert_array_equal(moved[1:, 2:], NOISE[:39, :38])
    np.testing.assert_array_equal(moved[0, 2:], NOISE[0, :38])
    np.testing.assert_array_equal(moved[1:, :2], NOISE[:39, 1::-1])


@pytest.mark.parametrize("flip", [False, True])
def test_rotation_is_counter_clockwise_and_zoom_enlarges(flip: bool) -> None:
    right = spot(50, 10 if flip else 90)
    row, column = place(augment.render(right, ViewParameters(flip=flip, rotation=10)))
    assert row == pytest.approx(50 - 40 * np.sin(np.radians(10)), abs=0.1)
    assert column == pytest.approx(50 + 40 * np.cos(np.radians(10)), abs=0.1)
    row, column = place(augment.render(right, ViewParameters(flip=flip, zoom=1.1)))
    assert (row, column) == pytest.approx((50, 94), abs=0.1)


def test_brightness_and_contrast() -> None:
    picture = np.array([[[50] * 3, [150] * 3]], dtype=np.uint8)
    lighter = augment.render(picture, ViewParameters(brightness=1.1))
    assert lighter[0, :, 0].tolist() == [55, 165]
    flatter = augment.render(picture, ViewParameters(contrast=0.9))
    assert flatter[0, :, 0].tolist() == [55, 145]
    bright = np.full((2, 2, 3), 250, dtype=np.uint8)
    assert (augment.render(bright, ViewParameters(brightness=1.15)) == 255).all()


def test_never_upside_down() -> None:
    """With a bright upper half, the upper half of every view is the brighter one."""
    picture = np.full((64, 48, 3), 60, dtype=np.uint8)
    picture[:32] = 200
    image = Image.fromarray(picture)
    for i in range(150):
        found = augment.views(image, SIZE, range(4), 3, f"{i}.jpg").astype(float)
        upper, lower = found[:, :32].mean(axis=(1, 2, 3)), found[:, 32:].mean(axis=(1, 2, 3))
        assert (upper > lower + 50).all()


EXTREMES = [
    ViewParameters(flip, rotation, zoom, shift_x, shift_y)
    for flip in (False, True)
    for rotation in (-10, 10)
    for zoom in (0.9, 1.1)
    for shift_x in (-0.05, 0.05)
    for shift_y in (-0.05, 0.05)
]


@pytest.mark.parametrize("shape", [(64, 48), (48, 64), (7, 300), (300, 7), (1, 1), (2, 2)])
def test_the_border_is_never_black(shape: tuple[int, int]) -> None:
    """Whatever a warp brings in is of the picture: a plain one stays plain to the corners."""
    picture = np.full((*shape, 3), 180, dtype=np.uint8)
    for parameters in EXTREMES:
        assert (augment.render(picture, parameters) == 180).all()


@settings(deadline=None, max_examples=50)
@given(height=st.integers(1, 40), width=st.integers(1, 40), seed=seeds, key=keys, view=later_views)
def test_any_size_and_the_picture_given_is_not_changed(
    height: int, width: int, seed: int, key: str, view: int
) -> None:
    picture = np.random.default_rng(seed).integers(1, 256, (height, width, 3), dtype=np.uint8)
    picture.flags.writeable = False
    drawn = augment.draw_parameters(seed, key, view)
    found = augment.render(picture, drawn)
    assert found.shape == picture.shape
    assert found.dtype == np.uint8
