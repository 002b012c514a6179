"""Scores of one attribute from the picture and the image's other labels.

Each method scores a cell of the target from the image scores of all attributes and from the *other*
labels of the row, known or not; in a wide table of those that are most related to it. The own label
is never among the inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression, Ridge

from pipeline.data.categories import Attribute
from pipeline.impute import categorical, latent_classes, masking, related
from pipeline.impute.components import Matrix, in_blocks
from pipeline.impute.cross_fitting import cross_fit, fold_count, log_odds, logit, without_fold
from pipeline.impute.neighbours import compared, smallest, unit
from pipeline.impute.parallel import each

Logits = npt.NDArray[np.float64]
TEMPER = 0.6
"""See `pipeline.impute.latent_classes.evidence_of`."""
WORK = 3000.0
"""Numbers to work through for each cell, see `pipeline.impute.parallel.each`."""


@dataclass(frozen=True)
class Inputs:
    """What the models of one table read.

    components : [N, d] of the features.
    image_logits : [K + 1, N, A] scores from the pictures in every refit, see
        `pipeline.impute.cross_fitting`.
    labels : [N, A] of 1, 0 and NaN, as they are.
    fold : [N], -1 outside training.
    seed : of the table.
    related : of `pipeline.impute.related.most_related` in a wide table; None where all other
        attributes are read.
    """

    components: Matrix
    image_logits: np.ndarray
    labels: np.ndarray
    fold: np.ndarray
    seed: tuple[int, ...]
    related: npt.NDArray[np.intp] | None = None

    def others(self, refit: int, target: int) -> npt.NDArray[np.intp]:
        """The other columns that are read for ``target``."""
        if self.related is None:
            return np.delete(np.arange(self.labels.shape[1]), target)
        return self.related[target, refit]


LabelModel = Callable[[Inputs, np.ndarray, int], Logits]
"""(inputs, labels to be read [N, A], target column) -> logits [N] of the target."""


def chained_logistic(inputs: Inputs, context: np.ndarray, target: int) -> Logits:
    """Logistic regression on image scores and the other labels.

    Parameters
    ----------
    context : [N, A] labels to be read, see `pipeline.impute.masking`.
    """

    def read(refit: int) -> np.ndarray:
        columns = np.sort(np.r_[target, inputs.others(refit, target)])
        image = inputs.image_logits[refit][:, columns]
        return np.hstack([image, _others(inputs, refit, context, target)])

    return _logistic(inputs, target, read, inverse_penalty=1.0)


def shrunk_logistic(inputs: Inputs, context: np.ndarray, target: int) -> Logits:
    """The same, for few labels: the own image score hardly penalised, the others' left out.

    An observed label enters twice, as its value and as what it says beyond its image score.
    """

    def read(refit: int) -> np.ndarray:
        image, columns = inputs.image_logits[refit], inputs.others(refit, target)
        others = _others(inputs, refit, context, target)
        expected = 2 * expit(image[:, columns]) - 1
        beyond = np.where(np.isnan(context[:, columns]), 0.0, others - expected)
        return np.hstack([5 * image[:, [target]], others, beyond / 2])

    return _logistic(inputs, target, read, inverse_penalty=0.1)


def chained_ridge(inputs: Inputs, context: np.ndarray, target: int) -> Logits:
    """Ridge regression on features and other labels, as one step of multivariate imputation by
    chained equations (van Buuren and Groothuis-Oudshoorn 2011, J. Stat. Softw. 45:3)."""
    y = inputs.labels[:, target]
    lengths = in_blocks(lambda rows: np.square(rows).sum(axis=1), inputs.components)
    spread = np.sqrt(lengths.mean() / 10)

    def fit_and_score(refit: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        others = spread * _others(inputs, refit, context, target)

        def x(rows: np.ndarray) -> np.ndarray:
            return np.hstack([inputs.components[rows], others[rows]])

        model = Ridge(alpha=100.0).fit(x(fitted), y[fitted])
        value = in_blocks(lambda rows: model.predict(x(rows)), scored)
        return logit(np.clip(value, 0.001, 0.999))

    return cross_fit(y, inputs.fold, fit_and_score)


def neighbours(inputs: Inputs, context: np.ndarray, target: int, k: int = 15) -> Logits:
    """Share of positives among images that look alike and carry the same other labels.

    Troyanskaya et al. 2001 (Bioinformatics 17:520), on features and labels.
    """

    width = compared(int((inputs.fold >= 0).sum()))

    def fit_and_score(refit: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        others = _others(inputs, refit, context, target) / 2

        def x(rows: np.ndarray) -> np.ndarray:
            like = unit(inputs.components[rows][:, :width])
            return np.hstack([like, others[rows]]).astype(np.float32)

        known, y = x(fitted), inputs.labels[fitted, target]
        size, out = np.square(known).sum(axis=1), np.empty(len(scored))
        for start in range(0, len(scored), 2048):
            far = x(scored[start : start + 2048]) @ known.T
            far *= -2  # in place: a large table's distances are slow to copy
            far += size
            votes = y[smallest(far, k)]
            share = (votes.sum(axis=1) + 2 * expit(log_odds(y))) / (votes.shape[1] + 2)
            out[start : start + 2048] = logit(share)
        return out

    return cross_fit(inputs.labels[:, target], inputs.fold, fit_and_score)


class ClassModels:
    """`pipeline.impute.latent_classes.LatentClasses` of a table, fitted in every refit.

    Parameters
    ----------
    classes, temper : see `pipeline.impute.latent_classes`.
    """

    def __init__(self, inputs: Inputs, classes: int, temper: float = TEMPER):
        self._temper = temper
        folds = fold_count(inputs.fold)
        self._prior = np.empty((folds + 1, inputs.labels.shape[1]))
        tasks = []
        for refit in range(folds + 1):
            rows = without_fold(inputs.fold, refit) >= 0
            known = ~np.isnan(inputs.labels) & rows[:, None]
            positive = np.where(known, np.nan_to_num(inputs.labels), 0).sum(axis=0)
            prevalence = (positive + 1) / (known.sum(axis=0) + 2)
            self._prior[refit] = logit(prevalence)
            evidence = self._evidence(inputs, refit, inputs.labels)[rows]
            tasks.append((evidence, prevalence, classes, (*inputs.seed, classes, refit)))
        work = 50.0 * inputs.labels.size * classes
        self._models = each(latent_classes.fit, tasks, work, f"{classes} latent classes", "refit")
        self._folds = folds
        self._context_of_all: Logits | None = None
        if inputs.related is None:
            evidence = self._evidence(inputs, folds, inputs.labels)
            self._context_of_all = self._models[folds].context(evidence)

    def _evidence(
        self,
        inputs: Inputs,
        refit: int,
        labels: np.ndarray,
        rows: np.ndarray | slice = slice(None),
        columns: np.ndarray | slice = slice(None),
    ) -> np.ndarray:
        image = inputs.image_logits[refit][rows][:, columns]
        prior = self._prior[refit, columns]
        return latent_classes.evidence_of(image, labels[rows][:, columns], prior, self._temper)

    def _expected(
        self, inputs: Inputs, refit: int, labels: np.ndarray, rows: np.ndarray, target: int
    ) -> Logits:
        """Log-odds [n] of the target in ``rows``, beyond its prevalence."""
        columns = np.r_[target, inputs.others(refit, target)]
        evidence = self._evidence(inputs, refit, labels, rows, columns)
        found = self._models[refit].of(columns).context(evidence, slice(0, 1))[:, 0]
        return found - self._prior[refit, target]

    def __call__(self, inputs: Inputs, context: np.ndarray, target: int) -> Logits:
        """Logits [N]: what the classes expect, plus what the picture says of the target."""
        folds, known = self._folds, ~np.isnan(inputs.labels[:, target])
        if self._context_of_all is None:
            every = np.arange(len(inputs.labels))
            out = self._expected(inputs, folds, inputs.labels, every, target)
        else:
            out = self._context_of_all[:, target] - self._prior[folds, target]
        outside = np.flatnonzero(known & (inputs.fold < 0))
        if len(outside):
            # Their context may be less than their labels: a value's siblings tell it outright.
            out[outside] = self._expected(inputs, folds, context, outside, target)
        out += inputs.image_logits[folds, :, target]
        for refit in range(folds):
            rows = np.flatnonzero(known & (inputs.fold == refit))
            if len(rows):
                found = self._expected(inputs, refit, context, rows, target)
                out[rows] = found + inputs.image_logits[refit, rows, target]
        return out


def at_once(model: LabelModel) -> Callable[[Inputs], LabelModel]:
    """For `LABEL_MODELS`: a model that has nothing to fit to the whole table beforehand."""
    return lambda _: model


LABEL_MODELS: dict[str, Callable[[Inputs], LabelModel]] = {
    "chain": at_once(chained_logistic),
    "shrunk chain": at_once(shrunk_logistic),
    "ridge": at_once(chained_ridge),
    "neighbours": at_once(neighbours),
    "12 classes": partial(ClassModels, classes=12),
    "48 classes": partial(ClassModels, classes=48),
}
"""Candidate -> how to make its model of a table."""


def score(inputs: Inputs, categories: Sequence[Attribute] = ()) -> dict[str, Logits]:
    """Logits [N, A] of every candidate of `LABEL_MODELS`."""
    if inputs.labels.shape[1] > related.MOST_READ + 1:
        spans = [(one.start, one.stop) for one in categories]
        chosen = related.most_related(inputs.labels, inputs.fold, spans)
        inputs = replace(inputs, related=chosen)
    models = {name: make(inputs) for name, make in LABEL_MODELS.items()}
    columns = range(inputs.labels.shape[1])
    tasks = [(inputs, models, a, categories) for a in columns]
    found = each(_of_target, tasks, WORK * inputs.labels.size, "attribute by attribute")
    return {name: np.stack([scores[name] for scores in found], axis=1) for name in models}


def _of_target(
    inputs: Inputs, models: dict[str, LabelModel], target: int, categories: Sequence[Attribute]
) -> dict[str, Logits]:
    """Logits [N] of one attribute by every model."""
    training, known = inputs.fold >= 0, ~np.isnan(inputs.labels[:, target])
    context = masking.like_unknown(
        categorical.without_siblings(inputs.labels, target, categories),
        target,
        np.flatnonzero(training & known),
        np.flatnonzero(training & ~known),
        inputs.seed,
    )
    return {name: model(inputs, context, target) for name, model in models.items()}


def _others(
    inputs: Inputs, refit: int, context: np.ndarray, target: int
) -> npt.NDArray[np.float64]:
    """The other labels [N, w] that are read, from -1 to 1: known, or as the picture lets expect.

    What the latent classes expect, in its place, brought nothing: the stack has them anyhow.
    """
    columns = inputs.others(refit, target)
    own, expected = context[:, columns], expit(inputs.image_logits[refit][:, columns])
    return 2 * np.where(np.isnan(own), expected, own) - 1


def _logistic(
    inputs: Inputs, target: int, read: Callable[[int], np.ndarray], inverse_penalty: float
) -> Logits:
    y = inputs.labels[:, target]

    def fit_and_score(refit: int, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        x = read(refit)
        model = LogisticRegression(C=inverse_penalty, max_iter=300, tol=1e-3)
        model.fit(x[fitted], y[fitted])
        return np.asarray(model.decision_function(x[scored]))

    return cross_fit(y, inputs.fold, fit_and_score)
