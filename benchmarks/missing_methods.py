"""What each method trains the final head with: its labels, weights and loss, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.linear_head import Grid, Head, fit
from benchmarks.own_labels import Own, own_probabilities
from benchmarks.partial_losses import (
    Asymmetric,
    CrossEntropy,
    LargeLossRejection,
    Loss,
    SelfPacedCorrection,
)
from benchmarks.role import JointTable

Imputer = Callable[..., Any]
"""``impute(features, labels, *, seed)`` -> an object with ``probability`` and ``weight`` [N, A]."""

SOURCES = ("train", "train+val")
Candidate = tuple[np.ndarray, Loss]


def product_imputer(features: np.ndarray, labels: np.ndarray, *, seed: int) -> Any:
    """The pipeline's own imputation; imported late, for it may bring TensorFlow with it."""
    from pipeline.impute.imputer import Imputer, Settings, Table

    return Imputer(Settings(seed=seed)).fill(Table(features, labels))


@dataclass
class Setting:
    """One division of a data set and one draw of hidden cells.

    Attributes
    ----------
    features : float32 [N, C], pooled, as the backbone gives them; standardised : the same rows,
        standardised by the training images.
    truth, observed : float [N, A], NaN for unknown; ``observed`` has the hidden cells, too, as
        NaN. Nothing but `oracle` looks at the truth of training images.
    train, val, test : row numbers.
    source : a name of `SOURCES`: the images whose known labels a method may fill holes from.
        The filled table is used for training images only in either case.
    """

    features: np.ndarray
    standardised: np.ndarray
    truth: np.ndarray
    observed: np.ndarray
    train: np.ndarray
    val: np.ndarray
    test: np.ndarray
    seed: int
    imputer: Imputer = product_imputer
    source: str = SOURCES[0]
    grid: Grid = field(default_factory=Grid)
    _kept: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def known(self) -> np.ndarray:
        """float [n, A]: the training images' observed labels."""
        return self.observed[self.train]

    def filled_from(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows that holes are filled from, training images first, and their labels.

        Test images are not among them: neither their labels nor their features are used.
        """
        if self.source == "train":
            return self.train, self.known
        rows = np.r_[self.train, self.val]
        return rows, self.observed[rows]

    def imputation(self) -> tuple[np.ndarray, np.ndarray]:
        """Probabilities and weights of the training images' cells, [n, A]; known cells as known."""
        if "imputation" not in self._kept:
            rows, labels = self.filled_from()
            found = self.imputer(self.features[rows], labels, seed=self.seed)
            n = len(self.train)
            # Known cells are set again: what a head learns from them is not up to the imputer.
            known = ~np.isnan(self.known)
            probability = np.where(known, self.known, np.asarray(found.probability)[:n])
            weight = np.where(known, 1.0, np.asarray(found.weight)[:n])
            self._kept["imputation"] = probability, weight
        kept: tuple[np.ndarray, np.ndarray] = self._kept["imputation"]
        return kept

    def own(self) -> Own:
        """`own_probabilities` of the training images."""
        if "own" not in self._kept:
            rows, labels = self.filled_from()
            wanted = np.arange(len(self.train))
            found = own_probabilities(self.standardised[rows], labels, wanted, self.seed)
            self._kept["own"] = found
        kept: Own = self._kept["own"]
        return kept

    def head(self, method: str) -> Head:
        """The head of ``method``; of several candidates the best on validation cells."""
        name = f"head {method}"
        if name not in self._kept:
            self._kept[name] = CHOOSERS[method](self)
        kept: Head = self._kept[name]
        return kept


def _mask(s: Setting) -> Iterator[Candidate]:
    yield s.known, CrossEntropy()


def _negative(s: Setting) -> Iterator[Candidate]:
    yield np.nan_to_num(s.known), CrossEntropy()


def _oracle(s: Setting) -> Iterator[Candidate]:
    yield s.truth[s.train], CrossEntropy()


def _impute(s: Setting) -> Iterator[Candidate]:
    probability, weight = s.imputation()
    yield probability, CrossEntropy(weight)


def _hard_own(s: Setting) -> Iterator[Candidate]:
    """Self-training in one round (Scudder 1965, IEEE Trans. Inf. Theory 11:363)."""
    yield np.where(np.isnan(s.known), s.own().decided, s.known), CrossEntropy()


def _soft_own(s: Setting) -> Iterator[Candidate]:
    yield np.where(np.isnan(s.known), s.own().calibrated, s.known), CrossEntropy()


def _role(s: Setting) -> Iterator[Candidate]:
    # The paper's code multiplies the table's learning rate by ten.
    yield s.known, JointTable(rate=10 * s.grid.rate)


def _ll_r(s: Setting) -> Iterator[Candidate]:
    # The paper's share, and larger ones: it is made for 1 positive in 30 to 80 labels.
    for delta in (0.002, 0.01):
        yield s.known, LargeLossRejection(delta)


def _splc(s: Setting) -> Iterator[Candidate]:
    yield s.known, SelfPacedCorrection()


def _asl(s: Setting) -> Iterator[Candidate]:
    # The paper's figures are of 0, the authors' code has 1 where nothing is given.
    for gamma_pos in (0.0, 1.0):
        yield s.known, Asymmetric(gamma_pos)


def _asl_masked(s: Setting) -> Iterator[Candidate]:
    for gamma_pos in (0.0, 1.0):
        yield s.known, Asymmetric(gamma_pos, masked=True)


def _best_of(candidates: Callable[[Setting], Iterator[Candidate]]) -> Callable[[Setting], Head]:
    """The best head over all candidates and the grid by validation, the first of equals."""

    def choose(s: Setting) -> Head:
        validation = s.standardised[s.val], s.observed[s.val]
        heads = (
            fit(s.standardised[s.train], labels, loss, *validation, s.grid, s.seed)
            for labels, loss in candidates(s)
        )
        return max(heads, key=lambda head: head.rank)

    return choose


def _checked(s: Setting) -> Head:
    """`impute` where its log-loss on validation cells is lower than that of `mask`, else `mask`.

    As the pipeline chooses (`pipeline.training.targets.keep`): with few cells AP is noisier.
    """
    masked, imputed = s.head("mask"), s.head("impute")
    return imputed if imputed.rank[1] > masked.rank[1] else masked


CHOOSERS: dict[str, Callable[[Setting], Head]] = {
    "mask": _best_of(_mask),
    "oracle": _best_of(_oracle),
    "negative": _best_of(_negative),
    "impute": _best_of(_impute),
    "impute_checked": _checked,
    "hard_own": _best_of(_hard_own),
    "soft_own": _best_of(_soft_own),
    "role": _best_of(_role),
    "ll_r": _best_of(_ll_r),
    "splc": _best_of(_splc),
    "asl": _best_of(_asl),
    "asl_masked": _best_of(_asl_masked),
}

MEANING = {
    "mask": "unknown cells are left out of the loss",
    "oracle": "all labels of the training images are known",
    "negative": "unknown is 0",
    "impute": "the pipeline's probabilities as soft targets, weighted by how far they are believed",
    "impute_checked": "`impute` or `mask`, by the log-loss of the known validation cells",
    "hard_own": "decisions of each label's own class-balanced logistic regression",
    "soft_own": "calibrated probabilities of the same regressions as soft targets",
    "role": "ROLE, Cole et al. 2021: a label table learned jointly",
    "ll_r": "LL-R, Kim et al. 2022: unknown is 0, the largest losses are rejected",
    "splc": "SPLC, Zhang et al. 2021: unknown is 0 until the head is sure of a 1",
    "asl": "ASL, Ridnik et al. 2021: unknown is 0, asymmetric focal loss",
    "asl_masked": "ASL, unknown cells left out",
}
