"""What an imputation is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline.impute.learnable import Verdict
from pipeline.impute.missingness import Missingness
from pipeline.impute.selftrain import SelfTraining

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """Knobs of the procedure; names as in params.yaml.

    rounds : self-training rounds at most.
    confidence : of a pseudo-label, see `pipeline.impute.selftrain`.
    threshold : rule or number, see `pipeline.impute.thresholds.choose`.
    prior : attribute -> share of positives among its unknown cells, where the user knows it.
    min_confidence : expected correctness below which cells will be left empty; the audit is then of
        the others. None = every cell is filled.
    """

    folds: int = 5
    rounds: int = 3
    confidence: float = 0.95
    threshold: str | float = "prevalence"
    prior: Mapping[str, float] = field(default_factory=dict)
    min_confidence: float | None = None


@dataclass(frozen=True)
class Imputation:
    """A filled table and what is to be thought of it; [N, A] each unless said otherwise.

    probability : of 1, calibrated; in known cells the estimate made without their label.
    values : 0 or 1, known cells as given.
    correctness : expected probability that the filled value is right; 1 in known cells.
    weight : how far a filled cell is to be believed in training, 0 to 1; 1 in known cells.
    evidence : see `pipeline.impute.fill`; empty in known cells.
    threshold : [A].
    learnable : bool [A].
    verdicts : the tests behind it, one per attribute.
    audit : one row per attribute, see `pipeline.impute.audit`.
    held_out : probability of known training cells by calibrators that have not seen them, with as
        many other labels hidden as around unknown cells; NaN elsewhere.
    decided : value that known training cells would have been given; NaN elsewhere.
    scores : logits before calibration; image_scores : those of the pictures alone.
    missingness : one per attribute.
    warnings : in words, for the end of a run.
    candidates : the stack's candidates, and what weight all attributes together give them.
    calibration : the method chosen, and the held-out log-loss of each.
    courses : per attribute how self-training went.
    rounds : int [A], scorings behind its cells: 1, and the self-training rounds where they count.
    categorical : one row per categorical attribute, see `pipeline.impute.categorical`.
    """

    probability: Floats
    values: npt.NDArray[np.int8]
    correctness: Floats
    weight: Floats
    evidence: npt.NDArray[np.str_]
    threshold: Floats
    learnable: npt.NDArray[np.bool_]
    verdicts: list[Verdict]
    audit: pd.DataFrame
    held_out: Floats
    decided: Floats
    scores: Floats
    image_scores: Floats
    missingness: list[Missingness]
    warnings: list[str]
    candidates: dict[str, float]
    calibration: tuple[str, dict[str, float]]
    courses: list[SelfTraining]
    rounds: npt.NDArray[np.int64]
    categorical: pd.DataFrame
