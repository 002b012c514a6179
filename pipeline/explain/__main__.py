"""python -m pipeline.explain IMAGE ...: why the classifier says what it says of a picture.

An extra (``pip install '.[explain]'``). LIME on superpixels (`pipeline.explain.lime`), and Grad-CAM
(`pipeline.explain.gradcam`) beside it where a head sees a map, see `Predictor.heads_on_map`.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from pipeline import progress, runtime
from pipeline.data import images
from pipeline.data.categories import SEPARATOR
from pipeline.data.loading import read
from pipeline.errors import PipelineError, listed, require_extra, run
from pipeline.explain import figure, gradcam, lime
from pipeline.files import replace_file, write_csv

EXIT_SOME_FAILED = 1
FOLDER = Path("reports/explanations")
PACKAGES = {"skimage": "scikit-image"}
"""What the extra brings, by the name that is imported."""
MOST_PANELS = 6
SAMPLES = (50, 100_000)
SEGMENTS = (4, 1_000)
LONGEST_SIDE = 400
"""Of the picture as it is drawn, in pixels."""


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 1 when a picture could not be read, else 0."""
    options = _parser().parse_args(arguments)
    _check(options)
    check_installed()
    runtime.prepare(seed=0)
    from pipeline.predict import Predictor

    predictor = Predictor(options.model)
    chosen = choose(options.attributes, predictor.card.attributes)
    options.out.mkdir(parents=True, exist_ok=True)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")
    failed = 0
    for file in progress.track(options.images, "explain", "picture"):
        try:
            picture, sha256 = read(file, predictor.card.image_size)
        except images.ImageError as error:
            failed += 1
            print(f"{_text(file)}: {error}", file=sys.stderr)
            continue
        _explain(predictor, file, sha256, picture, chosen, options)
    if failed:
        print(f"{failed} of {len(options.images)} pictures could not be read", file=sys.stderr)
    return EXIT_SOME_FAILED if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.explain",
        description="Why the trained classifier says what it says of single pictures: "
        "the parts that speak for and against each attribute, as a PNG and a CSV per picture.",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", type=Path)
    parser.add_argument(
        "--attributes",
        metavar="A,B",
        help=f"which to draw; by default the {MOST_PANELS} with the most extreme probabilities",
    )
    parser.add_argument("--out", type=Path, default=FOLDER, metavar="FOLDER", help=f"{FOLDER}")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="a trained classifier, as models/multilabel is; by default the project's own",
    )
    parser.add_argument("--samples", type=int, default=500, help="perturbed pictures; 500")
    parser.add_argument("--segments", type=int, default=60, help="superpixels, about; 60")
    return parser


def _check(options: argparse.Namespace) -> None:
    for name, (least, most) in (("samples", SAMPLES), ("segments", SEGMENTS)):
        value = getattr(options, name)
        if not least <= value <= most:
            raise PipelineError(f"--{name} {value}: expected {least} to {most}")
    if options.out.exists() and not options.out.is_dir():
        raise PipelineError(f"--out {options.out}: a file; expected a folder, made if need be")
    stems = Counter(file.stem for file in options.images)
    stem, count = stems.most_common(1)[0]
    if count > 1:
        raise PipelineError(
            f"{_text(Path(stem))}: the name of {count} of the pictures; all would be written to "
            f"{options.out / _text(Path(stem))}.png; explain them one by one, each with its --out"
        )


def check_installed() -> None:
    """Raise a `PipelineError` that says what to install where the extra is not."""
    require_extra("explain", PACKAGES, "pipeline.explain: not installed:")


def choose(asked: str | None, attributes: Sequence[str]) -> list[int] | None:
    """The places of the attributes asked for, in the order of ``attributes``; None for all.

    A categorical attribute's name stands for all its values.

    Raises
    ------
    PipelineError
        For a name that the classifier doesn't know.
    """
    if asked is None:
        return None
    names = [name.strip() for name in asked.split(",")]
    wholes = {attribute.split(SEPARATOR)[0] for attribute in attributes}
    for name in names:
        if name not in attributes and name not in wholes:
            raise PipelineError(
                f"--attributes {asked}: the classifier knows no {name!r}; expected some of "
                f"{listed(attributes)}"
            )
    return [
        i
        for i, attribute in enumerate(attributes)
        if attribute in names or attribute.split(SEPARATOR)[0] in names
    ]


def most_extreme(probabilities: npt.NDArray[np.float64]) -> list[int]:
    """The places of the `MOST_PANELS` probabilities farthest from a half, in their own order."""
    order = np.argsort(-np.abs(probabilities - 0.5), kind="stable")
    return sorted(order[:MOST_PANELS].tolist())


def decisions(probabilities: npt.NDArray[np.float64], card: Any) -> list[str]:
    """What the classifier decides on each column, in words, of probabilities float64 [A]."""
    said = [
        f"{int(p >= t)} (1 from {t:.3f} on)"
        for p, t in zip(probabilities, card.thresholds, strict=True)
    ]
    for one in card.categories:
        best = one.start + int(np.argmax(probabilities[one.start : one.stop]))
        for i in range(one.start, one.stop):
            said[i] = "chosen" if i == best else f"not chosen, {card.attributes[best]} is"
    return said


def table(explanation: lime.Explanation, names: Sequence[str], chosen: Sequence[int]) -> Any:
    """A row per attribute and superpixel, as it is written.

    Columns: attribute, segment, weight (what showing it adds to the probability), area_share, x and
    y (the middle of the superpixel, as shares of the picture's width and height), r2 (of the
    attribute; empty where undefined).
    """
    parts = np.arange(explanation.weights.shape[1])
    height, width = explanation.segments.shape
    rows, columns = np.indices(explanation.segments.shape)
    flat = explanation.segments.ravel()
    sizes = np.bincount(flat)
    x = (np.bincount(flat, columns.ravel()) / sizes + 0.5) / width
    y = (np.bincount(flat, rows.ravel()) / sizes + 0.5) / height
    frames = [
        pd.DataFrame(
            {
                "attribute": names[i],
                "segment": parts,
                "weight": explanation.weights[i].round(6) + 0.0,
                "area_share": explanation.areas.round(6),
                "x": x.round(4),
                "y": y.round(4),
                "r2": explanation.r2[i].round(4),
            }
        )
        for i in chosen
    ]
    return pd.concat(frames, ignore_index=True)


def _explain(
    predictor: Any,
    file: Path,
    sha256: str,
    picture: Any,
    chosen: list[int] | None,
    options: argparse.Namespace,
) -> None:
    card = predictor.card
    pixels = images.resize(picture, card.image_size)
    seed = int(sha256[:16], 16)
    segments = lime.superpixels(pixels, options.segments)
    found = lime.explain(pixels, segments, predictor.probabilities, options.samples, seed)
    drawn = most_extreme(found.probabilities) if chosen is None else chosen
    listed = list(range(len(card.attributes))) if chosen is None else chosen
    said = decisions(found.probabilities, card)
    heads = predictor.heads_on_map(pixels)
    panels = [
        figure.Panel(
            card.attributes[i],
            float(found.probabilities[i]),
            said[i],
            float(found.r2[i]),
            found.weights[i],
            gradcam.heat(heads, i),
        )
        for i in drawn
    ]
    scale = min(LONGEST_SIDE / max(picture.size), 1)
    width, height = (max(round(side * scale), 1) for side in picture.size)
    shown = images.resize(picture, (height, width))
    png, csv = (options.out / f"{file.stem}.{ending}" for ending in ("png", "csv"))
    with replace_file(png) as staging:
        figure.draw(shown, segments, panels, f"Why: {_text(Path(file.name))}", staging)
    write_csv(table(found, card.attributes, listed), csv)
    progress.say(
        f"{_text(file)}: {len(found.areas)} superpixels, {options.samples} perturbed pictures"
    )
    for i in listed:
        p, doubt = found.probabilities[i], figure.verdict(found.r2[i])
        r2 = "undefined" if math.isnan(found.r2[i]) else f"{found.r2[i]:.2f}"
        line = f"  {card.attributes[i]}: probability {p:.3f}, so {said[i]}; R² {r2}"
        progress.say(f"{line} ({doubt})" if doubt else line)
    progress.say(f"  written: {_text(png)}, {_text(csv)}")


def _text(path: Path) -> str:
    """A file's name need not be text: its other bytes are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


if __name__ == "__main__":
    run(main)
