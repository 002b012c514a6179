import numpy as np
import pytest

from benchmarks import masks

N, A = 600, 4


@pytest.fixture
def labels():
    rng = np.random.default_rng(1)
    values = (rng.random((N, A)) < [0.5, 0.3, 0.1, 0.6]).astype(np.float32)
    values[rng.random((N, A)) < 0.05] = np.nan
    return values


@pytest.fixture
def brightness():
    return np.random.default_rng(2).random(N).astype(np.float32)


@pytest.mark.parametrize("pattern", masks.PATTERNS)
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.9])
def test_only_known_cells_are_hidden_and_their_share_is_the_fraction(
    labels, brightness, pattern, fraction
):
    shares = []
    for seed in range(10):
        hidden = masks.hide(labels, pattern, fraction, np.random.default_rng(seed), brightness)
        assert not hidden[np.isnan(labels)].any()
        shares.append(hidden.sum() / (~np.isnan(labels)).sum())
    assert np.mean(shares) == pytest.approx(fraction, abs=0.02)


@pytest.mark.parametrize("pattern", masks.PATTERNS)
def test_the_same_seed_hides_the_same_cells(labels, brightness, pattern):
    first, second = (
        masks.hide(labels, pattern, 0.4, np.random.default_rng(3), brightness) for _ in range(2)
    )
    np.testing.assert_array_equal(first, second)


def test_random_is_exactly_a_comparison_of_uniform_draws(labels, brightness):
    hidden = masks.hide(labels, "random", 0.97, np.random.default_rng(5), brightness)
    drawn = np.random.default_rng(5).random(labels.shape) < 0.97
    np.testing.assert_array_equal(hidden, drawn & ~np.isnan(labels))


@pytest.mark.parametrize("pattern", [p for p in masks.PATTERNS if p != "random"])
def test_five_of_each_class_stay_known(labels, brightness, pattern):
    hidden = masks.hide(labels, pattern, 0.995, np.random.default_rng(0), brightness)
    for a in range(A):
        for value in (0, 1):
            assert ((labels[:, a] == value) & ~hidden[:, a]).sum() >= masks.KEEP


def test_fewer_than_five_positives_all_stay_known(brightness):
    labels = np.zeros((N, 1), dtype=np.float32)
    labels[:3] = 1
    hidden = masks.hide(labels, "itself", 0.9, np.random.default_rng(0), brightness)
    assert not hidden[:3].any()


def odds(hidden, where):
    share = hidden[where].mean()
    return share / (1 - share)


def test_itself_hides_positives_at_three_times_the_odds(labels, brightness):
    hidden = np.concatenate(
        [masks.hide(labels, "itself", 0.5, np.random.default_rng(s), brightness) for s in range(9)]
    )
    stacked = np.concatenate([labels] * 9)
    assert odds(hidden, stacked == 1) / odds(hidden, stacked == 0) == pytest.approx(3, rel=0.15)


def test_label_depends_on_the_next_attribute_of_the_image(labels, brightness):
    hidden = masks.hide(labels, "label", 0.5, np.random.default_rng(0), brightness)
    known = ~np.isnan(labels[:, 0])
    on = known & (labels[:, 1] == 1)
    off = known & (labels[:, 1] == 0)
    assert hidden[on, 0].mean() > hidden[off, 0].mean() + 0.15


def test_brightness_hides_bright_pictures_more(labels, brightness):
    hidden = masks.hide(labels, "brightness", 0.5, np.random.default_rng(0), brightness)
    bright = brightness > np.median(brightness)
    assert hidden[bright].mean() > hidden[~bright].mean() + 0.15


def test_block_hides_whole_rows(labels, brightness):
    hidden = masks.hide(labels, "block", 0.5, np.random.default_rng(0), brightness)
    rows = hidden.any(axis=1)
    np.testing.assert_array_equal(hidden[rows], ~np.isnan(labels[rows]))


def test_one_attribute_has_no_other_label_to_depend_on(brightness):
    labels = np.tile([[0.0], [1.0]], (N // 2, 1)).astype(np.float32)
    hidden = masks.hide(labels, "label", 0.5, np.random.default_rng(0), brightness)
    assert hidden.mean() == pytest.approx(0.5, abs=0.06)


def test_bad_arguments_are_refused(labels, brightness):
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="pattern 'odd'"):
        masks.hide(labels, "odd", 0.5, rng, brightness)
    with pytest.raises(ValueError, match="fraction 1"):
        masks.hide(labels, "random", 1.0, rng, brightness)


def test_so_many_labels_are_turned_and_no_unknown_one() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random((4000, 3)) < 0.3).astype(float)
    labels[:, 2] = np.nan
    for kind, ratio in (("even", 1), ("ones", 3)):
        found = masks.turned(labels, kind, 0.1, rng)
        assert not found[:, 2].any()
        assert found[:, :2].mean() == pytest.approx(0.1, abs=0.01)
        shares = [found[labels == value].mean() for value in (1, 0)]
        assert shares[0] / shares[1] == pytest.approx(ratio, rel=0.2)
