"""The other attributes of any picture, from a classifier's logits and the labels that are known.

What `pipeline.impute.label_models` does for the table that it is fitted to, as fitted arrays: a new
row with any of its labels is completed without training. Candidates are the picture alone, latent
classes and a logistic regression on all pictures' scores and other labels, combined by non-negative
weights. Neighbours and models on features, which need the training images, are left out.

It is fitted to training rows of which a random part of the labels is hidden, from one to all but
one, so that any part serves; weights and calibration are learned on labels that no candidate saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from pipeline.data.categories import Attribute, Spans
from pipeline.impute import latent_classes, related
from pipeline.impute.cross_fitting import MOST_FITTED, fold_count, log_odds, logit, some
from pipeline.impute.label_models import TEMPER
from pipeline.impute.latent_classes import LatentClasses
from pipeline.impute.parallel import each
from pipeline.impute.stacking import BOUND, Stack, fit_stack, worth_it

CLASSES = (12, 24, 48)
"""Several: where one falls into a poor optimum, others stand in for it."""
DRAWS = 2
"""How often labels are hidden from each row anew."""
MOST_IMAGES = 100_000
"""That a model is fitted to: its numbers are few, and what it works through takes gigabytes."""
INVERSE_PENALTY = 0.3
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LabelCompletion:
    """Fitted to A columns; M candidates.

    prior : [A] log-odds of the prevalence.
    classes : latent classes, each with its own number of them.
    linear : [A, 3 A + 1], of the regression: for each target coefficients of the image logits, of
        the labels and of what these say beyond the image logits, and an intercept. In a wide table
        those of attributes that are not related to the target are 0.
    stack : of the M candidates' logits.
    learnable : bool [A]; the others keep the picture's logits.
    """

    prior: Floats
    classes: tuple[LatentClasses, ...]
    linear: Floats
    stack: Stack
    learnable: npt.NDArray[np.bool_]

    def __call__(self, image_logits: np.ndarray, labels: np.ndarray) -> Floats:
        """Calibrated logits float64 [n, A]: those of the picture in a row without labels, and in
        known cells what the rest of the row lets expect.

        Parameters
        ----------
        image_logits : [n, A], of the classifier.
        labels : [n, A] of 1, 0 and NaN for unknown.
        """
        image = np.clip(np.asarray(image_logits, dtype=np.float64), -BOUND, BOUND)
        found = self.stack(_candidates(self.prior, self.classes, self.linear, image, labels))
        return np.where(_others_known(labels) & self.learnable, found, image_logits)


def some_images(count: int, seed: int) -> npt.NDArray[np.intp]:
    """Rows to `fit` to, of so many: all, or a draw of `MOST_IMAGES`."""
    if count <= MOST_IMAGES:
        return np.arange(count)
    return np.sort(np.random.default_rng([seed, count]).choice(count, MOST_IMAGES, replace=False))


def fit(
    image_logits: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    seed: tuple[int, ...],
    categories: Sequence[Attribute] = (),
    learnable: np.ndarray | None = None,
) -> tuple[LabelCompletion, Floats]:
    """Fit to the known labels of training rows.

    Parameters
    ----------
    image_logits : [N, A] calibrated, of models that have not seen the label of their cell. They may
        have seen labels of other folds, and with them those of the fold that is left out here: for
        the few weights learned on held-out cells that is little enough.
    labels, fold : [N, A] of 1, 0, NaN, and [N] from 0 on, -1 outside training.
    categories : the categorical attributes, whose columns are known and unknown together.
    learnable : bool [A], see `LabelCompletion`; None = all.

    Returns
    -------
    The model, and logits [N, A] of known training cells by models fitted without their fold, with
    as many other labels as a random part of a row's; NaN elsewhere.
    """
    image = np.clip(np.asarray(image_logits, dtype=np.float64), -BOUND, BOUND)
    told = np.ones(labels.shape[1], dtype=bool) if learnable is None else learnable
    known = ~np.isnan(labels) & (fold >= 0)[:, None]
    contexts = [_hidden(labels, (*seed, draw)) for draw in range(DRAWS)]
    folds = fold_count(fold)
    spans = _spans(labels.shape[1], categories)
    tasks = [
        (image, labels, contexts, (fold >= 0) & (fold != k), spans, seed) for k in range(folds + 1)
    ]
    models = each(_models, tasks, 5000.0 * labels.size, "what other labels tell", "refit")
    found = np.zeros((len(CLASSES) + 2, DRAWS, *labels.shape))
    for k in range(folds):
        rows = np.flatnonzero(fold == k)
        for draw, context in enumerate(contexts):
            for columns, own in _unread(context[rows], spans):
                scores = _candidates(*models[k], image[rows], own)
                found[:, draw, rows[:, None], columns] = scores[:, :, columns]
    informed = np.stack([_others_known(context, spans) & known for context in contexts])
    flat = found.reshape(len(found), -1, labels.shape[1])
    stack = fit_stack(flat, np.tile(labels, (DRAWS, 1)), informed.reshape(-1, labels.shape[1]))
    held_out = np.full(labels.shape, np.nan)
    for k in range(folds):
        inside = fold == k
        without = informed & ~inside[:, None]
        part = fit_stack(flat, np.tile(labels, (DRAWS, 1)), without.reshape(-1, labels.shape[1]))
        combined = np.where(informed[0] & told, part(found[:, 0]), image)
        held_out[inside] = np.where(known, combined, np.nan)[inside]
    return LabelCompletion(*models[folds], stack, told), held_out


def completed(
    model: LabelCompletion | None,
    probability: np.ndarray,
    labels: np.ndarray,
    softmax: Spans = (),
) -> Floats:
    """Probabilities float64 [n, A] of rows whose ``labels`` are known in part.

    Known cells are as given, rows without labels as the classifier has them, as are all unknown
    cells without a ``model``; those of a categorical attribute sum to what the classifier's do.

    Parameters
    ----------
    probability, labels : [n, A] of the classifier, and of 1, 0 and NaN for unknown.
    """
    known = ~np.isnan(labels)
    out = np.array(probability, dtype=np.float64)
    if model is not None:
        found = together(expit(model(logit(probability), labels)), out, softmax)
        out = np.where(known.any(axis=1, keepdims=True), found, out)
    return np.where(known, labels, out)


def together(found: np.ndarray, probability: np.ndarray, softmax: Spans) -> Floats:
    """``found`` [n, A] with the columns of each categorical attribute summing to what those of
    ``probability`` [n, A] do."""
    out = np.array(found, dtype=np.float64)
    for start, stop in softmax:
        own = slice(start, stop)
        total = np.maximum(out[:, own].sum(axis=1, keepdims=True), 1e-12)
        out[:, own] *= probability[:, own].sum(axis=1, keepdims=True) / total
    return out


def helps(held_out: np.ndarray, image_logits: np.ndarray, labels: np.ndarray) -> bool:
    """Whether other labels tell more than the picture, see `pipeline.impute.stacking.worth_it`.

    Parameters
    ----------
    held_out : [N, A] of `fit`; image_logits, labels : as there.
    """
    known = np.where(np.isnan(held_out), np.nan, labels)
    return worth_it(held_out, image_logits, known, np.zeros(len(labels), dtype=int))


def _spans(count: int, categories: Sequence[Attribute]) -> list[tuple[int, int]]:
    """(start, stop) of every attribute's columns."""
    starts = {one.start: one.stop for one in categories}
    found, start = [], 0
    while start < count:
        found.append((start, starts.get(start, start + 1)))
        start = found[-1][1]
    return found


def _hidden(labels: np.ndarray, seed: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """``labels`` of which each row keeps a random share."""
    rng = np.random.default_rng(seed)
    kept = rng.random(labels.shape) < rng.random((len(labels), 1))
    return np.where(kept, labels, np.nan).astype(np.float32)


def _unread(
    labels: np.ndarray, spans: Sequence[tuple[int, int]]
) -> Iterator[tuple[npt.NDArray[np.intp], np.ndarray]]:
    """Groups of columns, and the ``labels`` [n, A] that may be read for them: those of the other
    attributes. No model reads a column's own label, so that all binary ones are one group."""
    alone = np.array([start for start, stop in spans if stop == start + 1], dtype=np.intp)
    if len(alone):
        yield alone, labels
    for start, stop in spans:
        if stop > start + 1:
            out = np.array(labels)
            out[:, start:stop] = np.nan
            yield np.arange(start, stop), out


def _others_known(
    labels: np.ndarray, spans: Sequence[tuple[int, int]] | None = None
) -> npt.NDArray[np.bool_]:
    """bool [n, A]: whether a label of the row is known beside those of the cell's attribute."""
    known = ~np.isnan(labels)
    count = known.sum(axis=1, keepdims=True)
    out = count > known
    for start, stop in spans or ():
        out[:, start:stop] = count > known[:, start:stop].sum(axis=1, keepdims=True)
    return out


def _models(
    image: np.ndarray,
    labels: np.ndarray,
    contexts: Sequence[np.ndarray],
    fitted: np.ndarray,
    spans: Sequence[tuple[int, int]],
    seed: tuple[int, ...],
) -> tuple[Floats, tuple[LatentClasses, ...], Floats]:
    """Prior, classes and linear model of the known labels of the rows ``fitted``, bool [N]."""
    y = labels[fitted]
    known = ~np.isnan(y)
    prevalence = (np.nansum(y, axis=0) + 1) / (known.sum(axis=0) + 2)
    prior = logit(prevalence)
    evidence = latent_classes.evidence_of(image[fitted], y, prior, TEMPER)
    classes = tuple(
        latent_classes.fit(evidence, prevalence, count, (*seed, count)) for count in CLASSES
    )
    width = labels.shape[1]
    read = np.tile(np.arange(width), (width, 1))
    if width > related.MOST_READ + 1:
        chosen = related.strongest(y, [one for one in spans if one[1] > one[0] + 1])
        read = np.column_stack([np.arange(width), chosen])
    linear = np.zeros((width, 3 * width + 1))
    told = (_unread(context[fitted], spans) for context in contexts)
    for drawn in zip(*told, strict=True):
        x = np.concatenate([_inputs(image[fitted], own) for _, own in drawn])
        for a in drawn[0][0].tolist():
            columns = np.r_[read[a], width + read[a], 2 * width + read[a]]
            place = int(np.argmax(read[a] == a))
            found = _regression(x[:, columns], np.tile(y[:, a], len(contexts)), place)
            linear[a, columns], linear[a, -1] = found[:-1], found[-1]
    return prior, classes, linear


def _regression(x: np.ndarray, labels: np.ndarray, target: int) -> Floats:
    """Coefficients on the `_inputs` [n, 3 A] of known ``labels`` [n], and an intercept.

    Not on the target's own label; and its picture's score is hardly penalised.
    """
    known = np.flatnonzero(~np.isnan(labels))
    width = x.shape[1] // 3
    out = np.zeros(x.shape[1] + 1)
    out[-1] = log_odds(labels[known])
    if len(np.unique(labels[known])) < 2:
        return out
    rows = some(known, labels[known], DRAWS * MOST_FITTED)
    inputs = np.hstack([x[rows], 5 * x[rows][:, [target]]])
    own_label = [width + target, 2 * width + target]
    inputs[:, own_label] = 0
    model = LogisticRegression(C=INVERSE_PENALTY / DRAWS, max_iter=300, tol=1e-3)
    model.fit(inputs, labels[rows])
    out[:-1] = model.coef_[0, :-1]
    out[own_label] = 0
    out[target] += 5 * model.coef_[0, -1]
    out[-1] += model.intercept_[0] - log_odds(labels[rows])
    return out


def _inputs(image: np.ndarray, labels: np.ndarray) -> Floats:
    """[n, 3 A] of every target: image logits; labels from -1 to 1, known or as the picture lets
    expect; and half of what known ones say beyond that."""
    expected = 2 * expit(image) - 1
    known = ~np.isnan(labels)
    others = np.where(known, 2 * np.nan_to_num(labels) - 1, expected)
    return np.hstack([image, others, (others - expected) / 2])


def _candidates(
    prior: np.ndarray,
    classes: Sequence[LatentClasses],
    linear: np.ndarray,
    image: np.ndarray,
    labels: np.ndarray,
) -> Floats:
    """Logits [M, n, A] of the picture, of each number of classes, and of the regression."""
    evidence = latent_classes.evidence_of(image, labels, prior, TEMPER)
    regression = _inputs(image, labels) @ linear[:, :-1].T + linear[:, -1]
    return np.stack(
        [image, *(one.context(evidence) - prior + image for one in classes), regression]
    )
