"""What stands beside a classifier to complete rows: made, written and read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.impute import completion
from pipeline.impute.completion import NAME, Completion, read
from pipeline.impute.decisions import Decisions
from pipeline.impute.label_completion import LabelCompletion, completed, fit
from tests.impute.test_label_completion import table

Fit = tuple[LabelCompletion, np.ndarray]
LAYOUT = [Attribute(name, (), place) for place, name in enumerate("abc")]


@pytest.fixture(scope="module")
def fitted() -> Fit:
    image, labels, fold, _ = table()
    return fit(image, labels, fold, (0,))


def decisions(seed: int = 9) -> Decisions:
    image, labels, _, _ = table(seed, n=50)
    return Decisions(np.full(3, 0.5), expit(image).astype(np.float32), labels.astype(np.float32))


@pytest.mark.parametrize("with_model", [True, False])
def test_written_and_read_it_is_the_same(fitted: Fit, tmp_path: Path, with_model: bool) -> None:
    image, labels, _, _ = table(9)
    parts = (fitted[0], decisions(), decisions(10)) if with_model else (None, decisions(), None)
    Completion(*parts).write(tmp_path)
    first = (tmp_path / NAME).read_bytes()
    again = read(tmp_path)
    probability = expit(image)
    expected = completed(parts[0], probability, labels)
    np.testing.assert_array_equal(completed(again.model, probability, labels), expected)
    for one, other in ((parts[1], again.by_picture), (parts[2], again.by_labels)):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_equal(vars(other), vars(one))
    again.write(tmp_path)
    assert (tmp_path / NAME).read_bytes() == first


def test_no_file_and_a_damaged_one(fitted: Fit, tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match=r"completion.npz: no such file; train"):
        read(tmp_path)
    Completion(fitted[0], decisions(), decisions()).write(tmp_path)
    whole = (tmp_path / NAME).read_bytes()
    np.savez(tmp_path / "other.npz", prior=np.zeros(3))
    other = (tmp_path / "other.npz").read_bytes()
    for content in (b"", b"none of ours", whole[: len(whole) // 2], other):
        (tmp_path / NAME).write_bytes(content)
        with pytest.raises(PipelineError, match=r"completion.npz: can't be read"):
            read(tmp_path)


def of_classifier(agree: float, columns: int = 3, every_fold: bool = False) -> Completion:
    """Of a classifier that holds out validation images alone, or training images, too; the last
    ten images are of the test."""
    image, labels, fold, _ = (
        part[:, :columns] if part.ndim == 2 else part for part in table(agree=agree)
    )
    seen = np.zeros(len(fold), dtype=bool) if every_fold else fold >= 0
    seen[-10:] = True
    return completion.fit(
        held_out=np.where(seen[:, None], np.nan, expit(image)),
        image_scores=image,
        labels=labels,
        fold=fold,
        layout=LAYOUT[:columns],
        learnable=np.ones(columns, dtype=bool),
        thresholds=[0.4] * columns,
        rule=0.5,
        seed=0,
    )


@pytest.mark.parametrize("every_fold", [False, True])
def test_beside_a_classifier_other_labels_are_read_where_they_help(every_fold: bool) -> None:
    found = of_classifier(agree=0.95, every_fold=every_fold)
    assert found.model is not None and found.by_labels is not None
    image, _, _, truth = table(1, agree=0.95)
    given = np.where([True, False, False], truth, np.nan)
    probability = expit(image)
    better = completed(found.model, probability, given)[:, 1]
    error = np.square(better - truth[:, 1]).mean()
    assert error < 0.7 * np.square(probability[:, 1] - truth[:, 1]).mean()
    # Decisions by the picture are judged by what the classifier held out.
    _, labels, fold, _ = table(agree=0.95)
    unseen = (every_fold | (fold < 0)) & (np.arange(len(fold)) < len(fold) - 10)
    assert (~np.isnan(found.by_picture.labels)).sum() == (~np.isnan(labels[unseen])).sum()
    assert found.by_picture.thresholds.tolist() == [0.4] * 3
    assert found.by_labels.thresholds.tolist() == [0.5] * 3
    # Completed rows are judged by training cells, which the models of their fold have not seen.
    assert (~np.isnan(found.by_labels.labels)).sum() == (~np.isnan(labels[fold >= 0])).sum()


def test_labels_that_say_nothing_are_not_read() -> None:
    assert of_classifier(agree=0.5).model is None
    alone = of_classifier(agree=0.95, columns=1)
    assert alone.model is None and alone.by_labels is None


def test_a_categorical_attribute_is_completed_as_one() -> None:
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 2, 400)
    values = np.stack([kind, 1 - kind, np.where(rng.random(400) < 0.95, kind, 1 - kind)], axis=1)
    image = 0.6 * (2 * values - 1) + rng.normal(0, 1, values.shape)
    holes = rng.random((400, 2)) < 0.3
    labels = np.where(holes[:, [0, 0, 1]], np.nan, values)
    layout = [Attribute("kind", ("x", "y"), 0), Attribute("c", (), 2)]
    found = completion.fit(
        held_out=expit(image),
        image_scores=image,
        labels=labels,
        fold=rng.integers(0, 3, 400),
        layout=layout,
        learnable=np.ones(3, dtype=bool),
        thresholds=[0.5] * 3,
        rule=0.5,
        seed=0,
    )
    assert found.model is not None and found.by_labels is not None
    # Both columns of a value are judged by sums that are the classifier's.
    total = found.by_labels.probability[:, :2].sum(axis=1)
    known = ~np.isnan(found.by_labels.labels[:, 0])
    allowed = expit(image)[:, :2].sum(axis=1).astype(np.float32)
    assert np.isin(total[known].round(4), allowed.round(4)).mean() > 0.99
