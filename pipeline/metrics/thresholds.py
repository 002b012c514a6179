"""From which probability on a cell becomes 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NoReturn

import numpy as np

from pipeline.data.categories import Attribute
from pipeline.errors import PipelineError
from pipeline.metrics import risk_control
from pipeline.metrics.risk_control import Target, UnkeptError

Rule = str | float | Target
"""A name or a threshold, see `choose`, or what is promised, see `pipeline.metrics.risk_control`."""
DEFAULT = "default"
"""Stands for the attributes that a mapping of attributes to rules does not name."""
SHOWN = 5
"""Attributes at most that an error names."""
FEW = 5
"""With fewer labels of either class than this, a threshold fitted to them is noise: 0.5 is used."""


def of_columns(setting: Rule | Mapping[str, Rule], layout: Iterable[Attribute]) -> list[Rule]:
    """The rule of each column [A], as ``impute.threshold`` says.

    Categorical attributes take their most probable value, so that nothing can be promised of a
    threshold: their columns have ``prevalence`` in place of a promise.

    Parameters
    ----------
    setting : a rule for all, or a mapping of attributes and `DEFAULT` to rules; ``prevalence`` for
        those that neither names.
    """
    rules: list[Rule] = []
    for one in layout:
        own = setting
        if isinstance(setting, Mapping) and not risk_control.is_target(setting):
            own = setting.get(one.name, setting.get(DEFAULT, "prevalence"))
        if one.values and isinstance(own, Mapping):
            own = "prevalence"
        rules += [own] * len(one.columns)  # type: ignore[list-item]
    return rules


def choose(
    rule: Rule,
    probability: np.ndarray,
    labels: np.ndarray,
    weights: np.ndarray | None = None,
) -> float:
    """A threshold t; a cell is positive when its probability is at least t.

    Parameters
    ----------
    rule
        ``prevalence``: as many positives as the probabilities lead one to expect, their sum (the
        class-aware rule of Xie et al. 2023, CAP, arXiv:2305.02795);
        ``balanced``, ``f1``, ``accuracy``: the maximum of that score; the threshold itself; or
        what it is to keep with confidence, see `pipeline.metrics.risk_control`.
    probability, labels : [n] held-out probabilities and the known labels, 0 and 1.
    weights : [n], how often each label counts, but for ``prevalence``; None = once.

    Raises
    ------
    UnkeptError
        If the labels are too few for a promise.
    """
    if isinstance(rule, int | float):
        return float(rule)
    positives = int((labels == 1).sum())
    if isinstance(rule, str) and min(positives, len(labels) - positives) < FEW:
        return 0.5
    order = np.argsort(-probability, kind="stable")
    ranked = probability[order].astype(np.float64)
    # Cut c predicts the first c as positive; only between different probabilities can one cut.
    cuts = np.flatnonzero(np.r_[True, ranked[1:] < ranked[:-1], True])[: len(ranked) + 1]
    if rule == "prevalence":
        best = _nearest(cuts, ranked.sum())
    else:
        mass = np.ones(len(labels)) if weights is None else weights[order]
        hit = labels[order] == 1
        hits = np.r_[0, np.cumsum(mass * hit)][cuts]
        false_alarms = np.r_[0, np.cumsum(mass * ~hit)][cuts]
        in_all, out_of_all = mass[hit].sum(), mass[~hit].sum()
        if not isinstance(rule, str):
            best = cuts[risk_control.keep(rule, hits, hits + false_alarms)]
            return _between(ranked, int(best))
        if rule == "f1":
            score = 2 * hits / (hits + false_alarms + in_all)
        elif rule == "accuracy":
            score = hits - false_alarms
        elif rule == "balanced":
            score = hits / in_all - false_alarms / out_of_all
        else:
            raise ValueError(f"unknown rule {rule!r}")
        best = cuts[np.argmax(score)]
    return _between(ranked, int(best))


def choose_all(
    setting: Rule | Mapping[str, Rule],
    probability: np.ndarray,
    labels: np.ndarray,
    layout: Sequence[Attribute],
    strict: bool = True,
) -> tuple[float, ...]:
    """The threshold of each column [n, A], by its known labels (not NaN).

    Parameters
    ----------
    setting, layout : see `of_columns`.
    strict : whether a promise that can't be kept is an error; otherwise 0.5 stands in for it.

    Raises
    ------
    PipelineError
        If the labels are too few for what is promised of some attributes.
    """
    found, unkept = [], {}
    known = ~np.isnan(labels)
    for a, rule in enumerate(of_columns(setting, layout)):
        own = known[:, a]
        try:
            found.append(choose(rule, probability[own, a], labels[own, a]))
        except UnkeptError as error:
            unkept[a] = error
            found.append(0.5)
    if strict and unkept:
        names = {one.start: one.name for one in layout}
        refuse(setting, {names[a]: error for a, error in unkept.items()})
    return tuple(found)


def refuse(setting: Rule | Mapping[str, Rule], unkept: Mapping[str, UnkeptError]) -> NoReturn:
    """Raise the `PipelineError` on the attributes whose promise can't be kept, and why not."""
    first = next(iter(unkept))
    listed = [f"{name} ({error})" for name, error in list(unkept.items())[:SHOWN]]
    more = f" and {len(unkept) - SHOWN} more" if len(unkept) > SHOWN else ""
    raise PipelineError(
        f"params.yaml: impute.threshold: got {setting!r}, which can't be promised with "
        f"{risk_control.CONFIDENCE:.0%} confidence for {', '.join(listed)}{more}; label more "
        f"images, ask for less or name another rule, as {{{first}: prevalence, {DEFAULT}: ...}}; "
        "`dvc checkout` brings earlier outputs back"
    )


def expected(probability: np.ndarray) -> float:
    """The threshold that leaves as many positives as the probabilities [n] lead one to expect."""
    ranked = -np.sort(-probability.astype(np.float64))
    cuts = np.flatnonzero(np.r_[True, ranked[1:] < ranked[:-1], True])
    return _between(ranked, _nearest(cuts, ranked.sum()))


def _nearest(cuts: np.ndarray, positives: float) -> int:
    return int(cuts[np.argmin(np.abs(cuts - positives))])


def _between(ranked: np.ndarray, cut: int) -> float:
    above = ranked[cut - 1] if cut else 1.0
    below = ranked[cut] if cut < len(ranked) else 0.0
    return float((above + below) / 2)
