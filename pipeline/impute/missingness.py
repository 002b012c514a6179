"""Whether labels are missing at random: if not, every estimate is conditional on that.

A picture or another label that tells whether a cell is unknown can be tested for. Whether the
hidden value itself decides cannot; but where positives are hidden more often than negatives, the
pictures of unknown cells look more positive, which the first test sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import fisher_exact, hypergeom, mannwhitneyu
from sklearn.linear_model import LogisticRegression

from pipeline.data.categories import Attribute
from pipeline.impute.components import Matrix, in_blocks
from pipeline.impute.cross_fitting import cross_fit
from pipeline.impute.learnable import assess

LEVEL = 0.02
"""Chance of a warning from other labels for a table whose labels are missing at random."""
MOST_COMPONENTS = 50
OWN_LEVEL = 0.05
"""Error rate of the claim that hidden values decide themselves, where something does already."""
COVERED = 0.99
"""Share of images in which a label that decides has to be known itself to be allowed for."""
LEAST_EFFECTIVE = 0.5
"""Known cells that weighting leaves, as a share."""
MOST_ODDS = 4.0
"""Logarithm of the largest weight."""


@dataclass(frozen=True)
class Missingness:
    """What the tests of one attribute found; p-values as they are, conclusions corrected.

    picture_auc, picture_p : how well the picture tells unknown from known cells, out of fold.
    label, label_p : the other attribute whose value is most associated with being unknown.
    depends_on_picture, depends_on_label : conclusions, corrected for all tests of the table.
    """

    picture_auc: float
    picture_p: float
    label: str
    label_p: float
    depends_on_picture: bool
    depends_on_label: bool


def examine(
    components: Matrix,
    labels: np.ndarray,
    fold: np.ndarray,
    attributes: list[str],
    seed: tuple[int, ...] = (0,),
) -> list[Missingness]:
    """Test every attribute of a table on its training images.

    Parameters
    ----------
    components : [N, d] of the features; the first are used.
    labels : [N, A] of 1, 0, NaN; fold : [N], -1 outside training.
    """
    training = fold >= 0
    unknown = np.isnan(labels)
    count = labels.shape[1]
    indicator = np.where(training[:, None], unknown.astype(np.float64), np.nan)
    x = _first(components)
    scores = np.stack([_out_of_fold(x, column, fold) for column in indicator.T], axis=1)
    tests = assess(scores, indicator, fold, (*seed, 1))
    tables = _tables(unknown[training], labels[training])
    found = []
    for a, test in enumerate(tests):
        strongest, p_value = _strongest(tables[a], a)
        found.append(
            Missingness(
                picture_auc=test.auc,
                picture_p=test.p_value,
                label=attributes[strongest] if count > 1 else "",
                label_p=p_value,
                depends_on_picture=test.learnable,
                depends_on_label=p_value <= LEVEL / max(count * (count - 1), 1),
            )
        )
    return found


def exchangeable(
    tests: Sequence[Missingness],
    components: Matrix,
    scores: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    columns: Sequence[str],
    attributes: Sequence[Attribute],
) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """What to make of attributes whose labels are not missing at random: those of which known cells
    tell nothing of unknown ones, attribute -> why, and of the others weights [N], how many times
    likelier a cell is unknown than known, from the picture and the other labels.

    Weights make known cells a sample of the unknown ones where what decides is known of every
    image. It is not where a label decides that is often unknown itself, nor where the hidden value
    may decide, whose mark is that unknown cells score higher, or lower, than known ones.

    Parameters
    ----------
    components : [N, d] of the features; the first are used.
    scores : [N, A] of every image by models that were not fitted on its fold, whether the cell is
        known or not.
    labels : [N, A] of 1, 0, NaN; fold : [N], -1 outside training; columns : [A] names.
    """
    withdrawn, weights = {}, {}
    training, x = fold >= 0, None
    for one in attributes:
        found = [tests[a] for a in range(one.start, one.stop)]
        if not any(test.depends_on_picture or test.depends_on_label for test in found):
            continue
        deciding = [test.label for test in found if test.depends_on_label]
        known = [float((~np.isnan(labels[training, columns.index(b)])).mean()) for b in deciding]
        if min(known, default=1.0) < COVERED:
            name = deciding[int(np.argmin(known))]
            withdrawn[one.name] = (
                f"not missing at random: unknown depending on {name!r}, which is unknown itself in "
                f"{1 - min(known):.0%} of the images"
            )
            continue
        if _own(scores, labels, training, one):
            withdrawn[one.name] = (
                "not missing at random: unknown cells score unlike known ones, so that the hidden "
                "values may decide themselves"
            )
            continue
        if x is None:
            x = _first(components)
            x = x / max(float(x[:, 0].std()), 1e-12)
        others = np.delete(labels, np.arange(one.start, one.stop), axis=1)
        inputs = np.hstack([x, np.nan_to_num(2 * others - 1)])
        unknown = np.isnan(labels[:, one.start])
        odds = _out_of_fold(inputs, np.where(training, unknown, np.nan), fold, 0.3)
        weight = np.exp(np.clip(odds, -MOST_ODDS, MOST_ODDS))
        own = weight[training & ~unknown]
        if own.sum() ** 2 < LEAST_EFFECTIVE * len(own) * np.square(own).sum():
            withdrawn[one.name] = (
                "not missing at random: too few known cells are like the unknown ones"
            )
        else:
            weights[one.name] = weight
    return withdrawn, weights


def _first(components: Matrix) -> np.ndarray:
    """The first `MOST_COMPONENTS`; copies, as a view would keep all the others."""
    return in_blocks(lambda rows: rows[:, :MOST_COMPONENTS].copy(), components)


def _own(scores: np.ndarray, labels: np.ndarray, training: np.ndarray, one: Attribute) -> bool:
    unknown = np.isnan(labels[:, one.start])
    for a in range(one.start, one.stop):
        sides = scores[training & unknown, a], scores[training & ~unknown, a]
        if min(map(len, sides)) and mannwhitneyu(*sides).pvalue < OWN_LEVEL / (
            one.stop - one.start
        ):
            return True
    return False


def _out_of_fold(
    components: np.ndarray, unknown: np.ndarray, fold: np.ndarray, penalty: float = 1e-3
) -> np.ndarray:
    """Out-of-fold logits [N] of a cell being unknown."""

    def fit_and_score(_: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        model = LogisticRegression(C=penalty, max_iter=200).fit(components[fitted], unknown[fitted])
        return np.asarray(model.decision_function(components[scored]))

    return cross_fit(unknown, fold, fit_and_score)


def sentence(attribute: str, found: Missingness) -> str | None:
    """A warning in words, or None."""
    causes = []
    if found.depends_on_picture:
        causes.append(f"the picture tells which cells are unknown (AUC {found.picture_auc:.2f})")
    if found.depends_on_label:
        causes.append(f"cells are unknown depending on {found.label!r} (p {found.label_p:.1g})")
    if not causes:
        return None
    return (
        f"{attribute}: not missing at random: {' and '.join(causes)}; its expected accuracy holds "
        "only as far as unknown cells resemble known ones"
    )


def _tables(unknown: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """int [A, A, 2, 2]: how many images have cell a unknown, then known, and label b 0, then 1."""
    sides = np.stack([unknown, ~unknown]).astype(np.float64)
    values = np.stack([labels == 0, labels == 1]).astype(np.float64)
    return np.einsum("sna,vnb->absv", sides, values, optimize=True).astype(int)


def _strongest(tables: np.ndarray, own: int) -> tuple[int, float]:
    """Which other label [A, 2, 2] has the smallest p-value in Fisher's exact test, and that.

    A p-value is at least the probability of the table itself, which is quick for all: the exact
    test is left to those that may still have the smallest.
    """
    whole = tables.sum(axis=(1, 2))
    in_row, in_column = tables[:, 0].sum(axis=1), tables[:, :, 0].sum(axis=1)
    tested = (in_row > 0) & (in_row < whole)
    tested[own] = False
    least = np.where(tested, hypergeom.pmf(tables[:, 0, 0], whole, in_row, in_column), 1.0)
    p_values = np.ones(len(tables))
    for b in np.argsort(least, kind="stable"):
        if not tested[b] or least[b] > p_values.min() * (1 + 1e-6):
            break
        p_values[b] = fisher_exact(tables[b]).pvalue
    strongest = int(np.argmin(p_values))
    return strongest, float(p_values[strongest])
