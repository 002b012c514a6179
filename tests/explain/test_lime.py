"""LIME against classifiers whose reasons are known."""

from __future__ import annotations

import numpy as np
import pytest

from pipeline.explain import lime

SIZE = (48, 40)
QUADRANT = np.s_[:24, :20]


def noise(size: tuple[int, int] = SIZE) -> np.ndarray:
    """Blocks of 4 x 4 of random colours: hiding any of them changes the picture."""
    blocks = np.random.default_rng(1).integers(
        0, 256, (size[0] // 4, size[1] // 4, 3), dtype=np.uint8
    )
    return blocks.repeat(4, axis=0).repeat(4, axis=1)


def grid(rows: int = 6, columns: int = 5, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Rectangular segments, so that these tests need no scikit-image."""
    y = np.arange(size[0]) * rows // size[0]
    x = np.arange(size[1]) * columns // size[1]
    return (y[:, None] * columns + x).astype(np.int64)


def bright_quadrant() -> np.ndarray:
    """Black, but for a quadrant of white and black blocks that the blur does away with."""
    picture = np.zeros((*SIZE, 3), dtype=np.uint8)
    picture[QUADRANT] = 255
    return picture


def looks_at_quadrant(pictures: np.ndarray) -> np.ndarray:
    """For the first column brightness of the quadrant speaks, against the second it does."""
    bright = pictures[:, :24, :20].mean(axis=(1, 2, 3)) / 255
    return np.stack([bright, 1 - bright], axis=1)


def test_the_parts_that_count_are_found_with_their_sign() -> None:
    segments = grid(6, 4)
    found = lime.explain(bright_quadrant(), segments, looks_at_quadrant, 300, seed=0)
    inside = np.unique(segments[QUADRANT])
    outside = np.setdiff1d(np.arange(24), inside)
    assert found.probabilities.tolist() == [1.0, 0.0]
    assert (found.r2 > 0.95).all()
    assert set(np.argsort(-found.weights[0])[:5]) <= set(inside.tolist())
    assert np.abs(found.weights[:, outside]).max() < 0.01
    # This classifier is linear in what is shown, so that the truth is known.
    change = 255.0 - lime.hidden(bright_quadrant())[QUADRANT].mean(axis=2)
    numbers = segments[QUADRANT]
    truth = [change[numbers == s].sum() / 255 / change.size for s in inside]
    np.testing.assert_allclose(found.weights[0, inside], truth, atol=0.01)
    assert found.weights[0].sum() == pytest.approx(sum(truth), rel=0.05)
    np.testing.assert_allclose(found.weights[0], -found.weights[1], atol=1e-12)
    assert found.areas.sum() == pytest.approx(1)


def test_a_classifier_that_never_moves_has_no_weights_and_no_r2() -> None:
    def constant(pictures: np.ndarray) -> np.ndarray:
        return np.full((len(pictures), 1), 0.3)

    found = lime.explain(noise(), grid(), constant, 100, seed=0)
    assert np.isnan(found.r2).all() and (found.weights == 0).all()
    assert found.probabilities.tolist() == [0.3]


def test_a_coin_explains_nothing_even_with_many_parts() -> None:
    rng = np.random.default_rng(5)

    def coin(pictures: np.ndarray) -> np.ndarray:
        return rng.random((len(pictures), 3))

    found = lime.explain(noise(), grid(12, 5), coin, 500, seed=0)
    assert (found.r2 < 0.05).all()


def test_masks_are_seeded_and_show_any_number_of_parts() -> None:
    shown = lime.masks(1000, 10, np.random.default_rng(0))
    assert shown[0].all()
    assert (shown == lime.masks(1000, 10, np.random.default_rng(0))).all()
    count = np.bincount(shown[1:].sum(axis=1), minlength=11)
    assert count.min() > 60 and count.max() < 125
    assert np.abs(shown.mean(axis=0) - 0.5).max() < 0.05
    assert lime.masks(4, 5, np.random.default_rng(7)).astype(int).tolist() == [
        [1, 1, 1, 1, 1],
        [0, 0, 1, 1, 1],
        [1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1],
    ]


def test_nearness_is_one_at_the_picture_and_falls() -> None:
    shown = np.array([[1, 1, 1, 1], [1, 1, 1, 0], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)
    expected = np.exp(-(((1 - np.sqrt([1, 0.75, 0.25, 0])) / 0.25) ** 2))
    np.testing.assert_allclose(lime.nearness(shown), expected)
    assert lime.nearness(shown)[0] == 1


def test_weights_of_a_linear_truth_come_back() -> None:
    shown = lime.masks(2000, 4, np.random.default_rng(0))
    truth = np.array([[0.4, -0.2, 0.0, 0.1], [0.0, 0.0, 0.5, 0.0]])
    weights, r2 = lime.fit(shown, 0.3 + shown @ truth.T, lime.nearness(shown))
    np.testing.assert_allclose(weights, truth, atol=0.01)
    assert (r2 > 0.99).all()


def test_the_same_seed_gives_the_same_explanation_whatever_the_chunks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls = []

    def classifier(pictures: np.ndarray) -> np.ndarray:
        calls.append(len(pictures))
        return looks_at_quadrant(pictures)

    first = lime.explain(noise(), grid(), classifier, 300, seed=3)
    assert calls == [256, 44], "all attributes share the passes"
    monkeypatch.setattr(lime, "CHUNK", 7)
    again = lime.explain(noise(), grid(), classifier, 300, seed=3)
    other = lime.explain(noise(), grid(), classifier, 300, seed=4)
    assert max(calls[2:]) == 7
    assert first.weights.tobytes() == again.weights.tobytes()
    assert first.r2.tobytes() == again.r2.tobytes()
    assert (first.weights != other.weights).any()


def test_exact_seeded_values() -> None:
    found = lime.explain(bright_quadrant(), grid(2, 2), looks_at_quadrant, 60, seed=0)
    np.testing.assert_allclose(
        found.weights[0], [0.1554447, 0.004755, 0.0002675, -0.0065028], atol=1e-6
    )
    np.testing.assert_allclose(found.r2, 0.8980714, atol=1e-6)


def test_a_flat_part_looks_different_when_hidden() -> None:
    picture = bright_quadrant()
    off = lime.hidden(picture)
    assert off.dtype == np.uint8 and off.shape == picture.shape
    assert off[4, 4].max() < 255 and off[30, 25].min() > 0


def test_too_few_samples_are_refused() -> None:
    with pytest.raises(ValueError, match="samples: got 4, expected 5 or more"):
        lime.explain(noise(), grid(), looks_at_quadrant, 4, seed=0)


def test_superpixels_are_numbered_without_gaps_and_follow_edges() -> None:
    pytest.importorskip("skimage", reason="the extra explain is not installed")
    picture = bright_quadrant()
    segments = lime.superpixels(picture, 20)
    assert segments.shape == SIZE and segments.dtype == np.int64
    assert np.unique(segments).tolist() == list(range(segments.max() + 1))
    assert 10 <= segments.max() + 1 <= 30
    bright = np.array([picture[segments == s].mean() for s in range(segments.max() + 1)])
    assert ((bright < 40) | (bright > 215)).mean() > 0.9
    assert (segments == lime.superpixels(picture, 20)).all()
