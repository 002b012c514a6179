"""From picture files to rows of probabilities, decisions and what is expected of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from pipeline import partial_labels
from pipeline.data import categories, images
from pipeline.data.labels import LabelTable
from pipeline.data.loading import ahead, read
from pipeline.data.verdicts import LEARNABLE
from pipeline.errors import PipelineError
from pipeline.features.extract import STEPS
from pipeline.impute.completion import NAME as COMPLETION
from pipeline.impute.completion import Completion
from pipeline.impute.completion import read as read_completion
from pipeline.impute.decisions import Decisions
from pipeline.partial_labels import Completed
from pipeline.predict.rows import UNLIKE, of_attribute
from pipeline.training.inference import Predictor

T = TypeVar("T")
Outcome = tuple[dict[str, Any], np.ndarray | None]
"""The begin of a picture's row, and its probabilities [A]; None where it can't be read."""


def predictions(
    model: Predictor, files: Sequence[Path], scaled: dict[Path, int] | None = None
) -> Iterator[dict[str, Any]]:
    """One row per file, in order: image, error, `UNLIKE`, and `of_attribute` of each attribute.

    Only one batch of pictures is in memory at a time.
    """
    file = model.folder / COMPLETION
    judge = _judge(model.folder.absolute(), file.stat().st_mtime_ns) if file.is_file() else None
    found = outcomes(model, files, scaled)
    while batch := list(islice(found, model.batch)):
        rows, probability = _readable(model, batch)
        softmax = categories.spans(model.card.categories)
        values = categories.decide(probability, np.array(model.card.thresholds), softmax)
        correctness = np.where(values, probability, 1 - probability)
        if judge is not None:
            values, correctness = judge(probability, model.attributes, verdicts(model))
        cells = dict(zip(rows, zip(probability, values, correctness, strict=True), strict=True))
        for row, (begin, _) in enumerate(batch):
            yield begin | _cells(model, *cells[row]) if row in cells else begin


@lru_cache(maxsize=1)
def _judge(folder: Path, changed: int) -> Decisions:
    """Read once for many calls with few pictures; ``changed`` tells another file from it."""
    return read_completion(folder).by_picture


def _readable(model: Predictor, found: Sequence[Outcome]) -> tuple[list[int], np.ndarray]:
    """Which outcomes have probabilities, and these, [n, A]."""
    rows = [row for row, (_, probability) in enumerate(found) if probability is not None]
    columns = len(model.card.attributes)
    return rows, np.reshape([found[row][1] for row in rows], (len(rows), columns))


def verdicts(model: Predictor) -> Sequence[str]:
    """[A], of an older classifier that has none as if all were learnable."""
    return model.card.learnable or (LEARNABLE,) * len(model.card.attributes)


def outcomes(
    model: Predictor, files: Sequence[Path], scaled: dict[Path, int] | None = None
) -> Iterator[Outcome]:
    """The begin of each file's row, in order: image, error and `UNLIKE`; and its probabilities [A],
    None where it can't be read. Files of 16 bits of which
    fewer are in use, see `images.decode`, join ``scaled`` with their number.

    Pictures are decoded ahead in threads, and the network's next step starts before the last one
    has ended, so that no core waits. What is one step alone runs in the caller's thread: in a new
    one the kernels prepare themselves again, which takes as long as a small network does.
    """
    size = model.card.image_size
    read = partial(load, size=size, scaled=scaled)
    if len(files) == 1:
        yield from _of_batch(model, [(files[0], read(files[0]))])
        return
    threads = len(os.sched_getaffinity(0))
    pictures = ahead(read, files, threads, depth=2 * model.batch)
    batches = _batched(pictures, model.batch)
    if len(files) <= model.batch:
        yield from (one for batch in batches for one in _of_batch(model, batch))
        return
    for _, found in ahead(partial(_of_batch, model), batches, STEPS, depth=STEPS - 1):
        yield from found


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """``size`` items at a time; the last may be fewer."""
    several = iter(items)
    while batch := list(islice(several, size)):
        yield batch


def load(
    file: Path, size: tuple[int, int], scaled: dict[Path, int] | None = None
) -> np.ndarray | str:
    """The picture, uint8 [h, w, 3] of ``size`` (h, w), or why it can't be read; see `outcomes`."""
    try:
        picture = read(file, size)[0]
        if scaled is not None and "bits" in picture.info:
            scaled[file] = picture.info["bits"]
        return images.resize(picture, size)
    except images.ImageError as error:
        return str(error)


def _of_batch(model: Predictor, batch: list[tuple[Path, np.ndarray | str]]) -> list[Outcome]:
    good = [picture for _, picture in batch if isinstance(picture, np.ndarray)]
    found = model.predict(np.stack(good)) if good else None
    out: list[Outcome] = []
    at = 0
    for file, picture in batch:
        if found is None or isinstance(picture, str):
            out.append(({"image": str(file), "error": picture}, None))
            continue
        row = {"image": str(file), "error": ""}
        if found.unlike_training is not None:
            row[UNLIKE] = "yes" if found.unlike_training[at] else "no"
        out.append((row, found.probability[at]))
        at += 1
    return out


def _cells(
    model: Predictor, probability: np.ndarray, values: np.ndarray, correctness: np.ndarray
) -> dict[str, Any]:
    """The columns `of_attribute` of each attribute, from [A] of the table's columns each; of a
    categorical attribute the most probable value is taken."""
    cells: dict[str, Any] = {}
    found = verdicts(model)
    for one in model.attributes:
        at = one.start + int(np.argmax(probability[one.start : one.stop]))
        of = (
            one.values[at - one.start] if one.values else int(values[at]),
            round(float(probability[at]), 6),
            round(float(correctness[at]), 6),
            found[at],
        )
        cells |= dict(zip(of_attribute(one.name), of, strict=True))
    return cells


def complete(
    model: Predictor, completion: Completion, table: LabelTable, found: Sequence[Outcome]
) -> tuple[list[int], Completed]:
    """The rows of ``table``, one for each outcome, whose picture could be read, and these rows
    completed."""
    rows, probability = _readable(model, found)
    return rows, partial_labels.complete(
        completion, probability, table.values[rows], model.attributes, verdicts(model)
    )


def completed_rows(
    model: Predictor,
    table: LabelTable,
    found: Sequence[Outcome],
    rows: Sequence[int],
    completed: Completed,
) -> Iterator[dict[str, Any]]:
    """As `predictions`; a known cell is as given, of probability 1 or 0."""
    place = {row: number for number, row in enumerate(rows)}
    for row, (begin, _) in enumerate(found):
        if row not in place:
            yield begin
            continue
        at = place[row]
        parts = completed.probability[at], completed.values[at], completed.correctness[at]
        cells = begin | _cells(model, *parts)
        for one in model.attributes:
            given = table.cells[one.name][row]
            if one.values and given:  # it may be a value that the classifier does not tell apart
                value, probability, *_ = of_attribute(one.name)
                cells |= {value: given, probability: 1.0}
        yield cells


def of_pictures(table: LabelTable, found: Sequence[Outcome]) -> pd.DataFrame:
    """Of each picture, called as in ``table``: why it can't be read, and whether it is `UNLIKE`."""
    columns = ["error", UNLIKE]
    frame = pd.DataFrame([begin for begin, _ in found], columns=columns)
    frame.insert(0, "image", table.images)
    return frame


def predict_image(
    model: Predictor, image_path: str | Path, threshold: float | None = None
) -> tuple[dict[str, float], list[str]]:
    """Probabilities of one picture, and what is present in it.

    Parameters
    ----------
    model : made once, for any number of pictures.
    threshold : for all attributes; None takes each one's own.

    Returns
    -------
    Probability of each column (``colour=red`` for a value of a categorical attribute), and the
    names of those that reach the threshold; of a categorical attribute the most probable value.

    Raises
    ------
    PipelineError
        If the picture can't be read.
    """
    picture = load(Path(image_path), model.card.image_size)
    if isinstance(picture, str):
        raise PipelineError(f"{image_path}: {picture}")
    (probability,) = model.probabilities(picture[None])
    present = []
    for one in model.attributes:
        own = probability[one.start : one.stop]
        limit = model.card.thresholds[one.start] if threshold is None else threshold
        if one.values or own[0] >= limit:
            present.append(one.columns[int(np.argmax(own))])
    return dict(zip(model.card.attributes, probability.tolist(), strict=True)), present
