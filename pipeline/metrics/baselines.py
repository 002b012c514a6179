"""The classifier beside what anyone has without it: two guesses, and a plain model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

NAMED = 8
"""Attributes that a line names."""
PREVALENCE, MAJORITY = "prevalence", "most frequent class"
LOGISTIC = "logistic regression"
COLUMNS = ("baseline", "score", "classifier", "of_baseline", "worse", "worse_attributes")
SCORES = {"brier": "Brier score", "accuracy": "accuracy", "map": "mAP"}
ADVICE = {
    (PREVALENCE, "brier"): "don't use its probabilities",
    (MAJORITY, "accuracy"): "don't use its decisions, or set impute.threshold: accuracy",
    (LOGISTIC, "map"): "try another `head`, as stack",
    (LOGISTIC, "brier"): "try another `head`, as stack",
}
IN_WORDS = {
    PREVALENCE: "guessing the prevalence",
    MAJORITY: "the most frequent class",
    LOGISTIC: "a plain logistic regression on the pooled features",
}


def with_guesses(table: pd.DataFrame, shares: Sequence[float] | np.ndarray) -> pd.DataFrame:
    """``table`` with two columns on what a guess without the picture scores on the same cells.

    prevalence_brier : Brier score of the prevalence; majority_accuracy : of the class that it makes
    the more frequent one. Undefined without known cells, here or there.

    Parameters
    ----------
    table : of `tables.attribute_table`; shares : [A] of 1 among the labels that were learned from.
    """
    guess = np.asarray(shares, dtype=np.float64)
    positive = table["positive"] / table["known"].where(table["known"] > 0)
    majority = np.where(guess >= 0.5, positive, 1 - positive)
    majority = np.where(np.isnan(guess), np.nan, majority)
    brier = positive * (1 - guess) ** 2 + (1 - positive) * guess**2
    return table.assign(prevalence_brier=brier.round(6), majority_accuracy=majority.round(6))


def against_guesses(table: pd.DataFrame) -> dict[str, float]:
    """Brier score and accuracy over all known cells of `with_guesses`, the guesses' beside them."""
    scored = table.dropna(subset=["brier", "prevalence_brier"])
    if not len(scored):
        return {}
    names = ("brier", "prevalence_brier", "binary_accuracy", "majority_accuracy")
    return {name: float(np.average(scored[name], weights=scored["known"])) for name in names}


def compare(
    table: pd.DataFrame, bootstrapped: pd.DataFrame, model: str, plain: str
) -> pd.DataFrame:
    """A row for each baseline and score, with `COLUMNS`; none where no cell is known.

    ``worse`` is yes where the classifier is worse over all cells together, than the logistic
    regression beyond the interval; ``worse_attributes`` has the attributes that are no better than
    their prevalence, or whose accuracy is below the most frequent class's beyond its interval.

    Parameters
    ----------
    table : of `with_guesses`.
    bootstrapped : of `bootstrap.compare` against ``plain``, with a row of ``model``.
    """
    found = against_guesses(table)
    rows: list[tuple[object, ...]] = []
    if found:
        brier, guess = found["brier"], found["prevalence_brier"]
        accuracy, majority = found["binary_accuracy"], found["majority_accuracy"]
        alike = table["brier"] >= table["prevalence_brier"]
        below = table["accuracy_high"] < table["majority_accuracy"]
        rows += [
            (PREVALENCE, "brier", brier, guess, brier >= guess, _names(table, alike)),
            (MAJORITY, "accuracy", accuracy, majority, accuracy < majority, _names(table, below)),
        ]
    of = {row["model"]: row for row in bootstrapped.to_dict("records")}
    for score in ("map", "brier"):
        own, other = of[model][score], of[plain][score]
        if not np.isnan(own):
            rows.append((LOGISTIC, score, own, other, of[model][f"{score}_gain_high"] < 0, ""))
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.assign(worse=frame["worse"].map({True: "yes", False: "no"})).round(6)


def in_words(table: pd.DataFrame) -> list[str]:
    """What a user must know before the classifier is used, a line each; none where it beats all
    baselines of `compare` everywhere."""
    lines = []
    for row in table.to_dict("records"):
        of_score, other = SCORES[row["score"]], IN_WORDS[row["baseline"]]
        if row["worse"] == "yes":
            worse = "no better than" if row["baseline"] == PREVALENCE else "worse than"
            lines.append(
                f"final classifier, test cells: {of_score} {row['classifier']:.3f}, {worse} "
                f"{row['of_baseline']:.3f} of {other}: {ADVICE[row['baseline'], row['score']]}"
            )
        if row["worse_attributes"]:
            worse = "no better than" if row["baseline"] == PREVALENCE else "less accurate than"
            lines.append(
                f"final classifier, test cells: {worse} {other}: {row['worse_attributes']}; see "
                "reports/test.csv"
            )
    return lines


def _names(table: pd.DataFrame, chosen: pd.Series) -> str:
    names = table.loc[chosen, "attribute"].tolist()
    shown = ", ".join(repr(name) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
