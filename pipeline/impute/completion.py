"""What stands beside a classifier to complete rows: made, written and read."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from pipeline.data.categories import Attribute, spans
from pipeline.errors import fail
from pipeline.impute import label_completion
from pipeline.impute.cross_fitting import logit
from pipeline.impute.decisions import Decisions
from pipeline.impute.fill import LABELS, PICTURE
from pipeline.impute.label_completion import CLASSES, LabelCompletion
from pipeline.impute.latent_classes import LatentClasses
from pipeline.impute.stacking import Stack
from pipeline.metrics.thresholds import Rule, choose_all
from pipeline.npy import DAMAGE

NAME = "completion.npz"
"""Of the file in a model's folder."""
log = logging.getLogger("train")  # the stage that it is a part of


@dataclass(frozen=True)
class Completion:
    """The model, None where other labels were found to say nothing, and the decisions by the
    picture alone and by picture and labels."""

    model: LabelCompletion | None
    by_picture: Decisions
    by_labels: Decisions | None

    def write(self, folder: Path) -> None:
        """Write `NAME` into ``folder``; the same arrays give the same bytes."""
        arrays: dict[str, Any] = _prefixed(PICTURE, vars(self.by_picture))
        if self.model is not None and self.by_labels is not None:
            arrays |= _prefixed(LABELS, vars(self.by_labels)) | _prefixed(
                "stack", vars(self.model.stack)
            )
            arrays |= {name: getattr(self.model, name) for name in ("prior", "linear", "learnable")}
            for number, one in enumerate(self.model.classes):
                arrays |= _prefixed(f"classes {number}", vars(one))
        np.savez(folder / NAME, **arrays)


def fit(
    *,
    held_out: np.ndarray,
    image_scores: np.ndarray,
    labels: np.ndarray,
    fold: np.ndarray,
    layout: Sequence[Attribute],
    learnable: np.ndarray,
    thresholds: Sequence[float],
    rule: Rule | Mapping[str, Rule],
    seed: int,
) -> Completion:
    """What completes rows beside a classifier, fitted to its held-out probabilities and, in cells
    that have none (heads fitted epoch by epoch have them of validation images alone), to the
    imputation's.

    Parameters
    ----------
    held_out : [N, A], the classifier's of cells whose label it has not seen, NaN elsewhere.
    image_scores : [N, A] logits of the imputation, by pictures alone.
    labels, fold : [N, A] of 1, 0, NaN, and [N], -1 outside training.
    layout : the attributes of the A columns.
    learnable : bool [A]; the others keep the picture's logits.
    thresholds : [A] of the classifier; rule : by which those of completed rows are chosen.
    """
    by_picture = Decisions.judged_by(thresholds, held_out, labels)
    if len(layout) < 2:
        return Completion(None, by_picture, None)
    categories = [one for one in layout if one.values]
    rows = label_completion.some_images(len(labels), seed)
    image = np.where(np.isnan(held_out), expit(image_scores), held_out)[rows]
    labels = labels[rows]
    model, logits = label_completion.fit(
        *(logit(image), labels, fold[rows], (seed,)), categories=categories, learnable=learnable
    )
    if not label_completion.helps(logits, logit(image), labels):
        log.info("other labels of a picture say nothing beyond it: predict will not read them")
        return Completion(None, by_picture, None)
    unseen = label_completion.together(expit(logits), image, spans(categories))
    judged = np.where(np.isnan(unseen), np.nan, labels)
    by_labels = choose_all(rule, unseen, judged, layout)
    return Completion(model, by_picture, Decisions.judged_by(by_labels, unseen, judged))


def read(folder: Path) -> Completion:
    """The one in a model's ``folder``.

    Raises
    ------
    PipelineError
        If there is none, or it can't be read.
    """
    path = folder / NAME
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        by_picture = Decisions(**_of_prefix(PICTURE, arrays))
        if "prior" not in arrays:
            return Completion(None, by_picture, None)
        classes = [_of_prefix(f"classes {i}", arrays) for i in range(len(CLASSES))]
        model = LabelCompletion(
            arrays["prior"],
            tuple(LatentClasses(**one) for one in classes if one),
            arrays["linear"],
            Stack(**_of_prefix("stack", arrays)),
            arrays["learnable"],
        )
        return Completion(model, by_picture, Decisions(**_of_prefix(LABELS, arrays)))
    except FileNotFoundError:
        fail(path, "no such file; train the classifier again with `dvc repro`")
    except DAMAGE as error:
        fail(path, f"can't be read ({type(error).__name__}); train again with `dvc repro`")


def _prefixed(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix} {name}": array for name, array in arrays.items()}


def _of_prefix(prefix: str, arrays: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.removeprefix(f"{prefix} "): array
        for name, array in arrays.items()
        if name.startswith(f"{prefix} ")
    }
