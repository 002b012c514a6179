"""The model card, ``README.md``: YAML that model hubs read, and the same for people.

https://huggingface.co/docs/hub/model-cards; its sections after Mitchell et al. 2019, Model Cards
for Model Reporting (FAT*, arXiv:1810.03993).
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from ruamel.yaml import YAML

from pipeline.data.categories import Attribute
from pipeline.data.verdicts import IN_WORDS, LEARNABLE, together
from pipeline.errors import fail
from pipeline.export.metadata import backbone_json
from pipeline.export.parity import Parity
from pipeline.features import backbones
from pipeline.training.inference import Predictor

LIBRARIES = {
    "onnx": "onnx",
    "saved_model": "tensorflow",
    "litert": "litert",
    "openvino": "openvino",
}
LICENCES = ("Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "MIT")
"""Those that hubs know by their names in lower case."""


@dataclass(frozen=True)
class Reports:
    """What stage ``evaluate`` wrote.

    attributes, test : ``attributes.csv`` and ``test.csv``, by attribute; categories :
    ``categories.csv``, by attribute, empty without categorical attributes.
    metrics : ``metrics.json``.
    """

    attributes: pd.DataFrame
    test: pd.DataFrame
    categories: pd.DataFrame
    metrics: Mapping[str, Any]


def read_reports(folder: Path) -> Reports:
    """The reports in ``folder``.

    Raises
    ------
    PipelineError
        If a file is missing or is none of a run's.
    """

    def table(name: str) -> pd.DataFrame:
        frame = pd.read_csv(folder / name, keep_default_na=False, na_values=[""])
        return frame.set_index("attribute")

    try:
        text = (folder / "metrics.json").read_text(encoding="utf-8")
        return Reports(
            table("attributes.csv"), table("test.csv"), table("categories.csv"), json.loads(text)
        )
    except OSError as error:
        fail(error.filename or folder, f"can't be read ({error.strerror}); run `dvc repro`")
    except (ValueError, KeyError) as error:
        fail(folder, f"holds no reports of a run ({error}); run `dvc repro`")


def write(
    predictor: Predictor, title: str, found: Mapping[str, Parity], reports: Reports | None
) -> str:
    """The text of the card.

    Parameters
    ----------
    title : the model's name.
    found : for each format exported to, what the check of it has found.
    reports : of the run that trained the classifier, where they are at hand.
    """
    head = yaml_head(predictor, title, list(found), reports)
    parts = [
        f"---\n{head}---\n",
        f"# {title}\n",
        _about(predictor),
        "## Attributes\n",
        _attributes(predictor, reports),
        _data(reports),
        "## Use\n",
        _use(predictor, found),
        "## Limits\n",
        _limits(predictor, reports),
        "## Checks\n",
        _checks(found),
        "## Licence\n",
        _licence(predictor),
    ]
    return "\n".join(part for part in parts if part)


def yaml_head(predictor: Predictor, title: str, formats: list[str], reports: Reports | None) -> str:
    """The YAML between the first two lines ``---``."""
    licence = licence_of(predictor)
    head: dict[str, Any] = {
        "library_name": LIBRARIES.get(formats[0], formats[0]),
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "multi-label-classification", "image-attributes"],
    }
    head |= (
        {"license": licence.lower()}
        if licence in LICENCES
        else {"license": "other", "license_name": "see-below"}
    )
    if reports is not None:
        head["model-index"] = [{"name": title, "results": [_result(reports)]}]
    out = io.StringIO()
    YAML().dump(head, out)
    return out.getvalue()


def _result(reports: Reports) -> dict[str, Any]:
    metrics = [
        {"type": name, "name": words, "value": float(reports.metrics["test"][name])}
        for name, words in (("map", "mean average precision"), ("auc_macro", "mean ROC AUC"))
        if name in reports.metrics.get("test", {})
    ]
    metrics += [
        {"type": "roc_auc", "name": f"ROC AUC, {name}", "value": float(auc)}
        for name, auc in reports.test["auc"].dropna().items()
    ]
    return {
        "task": {"type": "image-classification", "name": "multi-label classification"},
        "dataset": {"type": "image-attributes", "name": "test images of the run, known labels"},
        "metrics": metrics,
    }


def _about(predictor: Predictor) -> str:
    card = predictor.card
    network = f"{card.backbone['name']}, " + (
        "trained as a whole" if card.branches else f"frozen, under a head `{card.head.kind}`"
    )
    weights = backbone_json(predictor.folder)
    began = "" if weights.get("pretrained", 1) else " Its weights were drawn at random."
    made = ", ".join(f"{name} {number}" for name, number in card.versions.items())
    return (
        f"Says of a picture which of {len(predictor.attributes)} attributes it has, each with a "
        f"calibrated probability. The network is {network}, for pictures of {card.image_size[0]} x "
        f"{card.image_size[1]} pixels (height x width).{began}"
        + (f" Trained with {made}.\n" if made else "\n")
    )


def _attributes(predictor: Predictor, reports: Reports | None) -> str:
    card = predictor.card
    verdicts = card.learnable or (LEARNABLE,) * len(card.attributes)
    lines = [
        "| attribute | values | 1 from probability | learnable | on test images (95 %) |",
        "|---|---|---|---|---|",
    ]
    for one in predictor.attributes:
        threshold = "" if one.values else f"{card.thresholds[one.start]:.4f}"
        verdict = IN_WORDS[together(verdicts[one.start : one.stop])]
        score = _score(reports, one) if reports else ""
        values = ", ".join(one.values) if one.values else "0, 1"
        lines.append(f"| `{one.name}` | {values} | {threshold} | {verdict} | {score} |")
    text = "\n".join(lines) + "\n"
    if any(one.values for one in predictor.attributes):
        text += "\nOf an attribute with several values the most probable one is taken.\n"
    return text


def _score(reports: Reports, one: Attribute) -> str:
    """The score of an attribute on test images, with its interval; empty where it has none."""
    frame, score = (reports.categories, "accuracy") if one.values else (reports.test, "auc")
    own = frame.loc[frame.index == one.name, [score, f"{score}_low", f"{score}_high"]].dropna()
    words = "accuracy" if one.values else "ROC AUC"
    return "".join(f"{words} {a:.3f} ({b:.3f} to {c:.3f})" for a, b, c in own.to_numpy(dtype=float))


def _data(reports: Reports | None) -> str:
    if reports is None:
        return "## Data\n\nNo reports of the run were given: `--reports FOLDER` adds its figures.\n"
    table = reports.metrics["table"]
    lines = [
        f"## Data\n\n{table['images']} images; {table['filled_cells']} unknown cells were filled "
        "before the classifier was trained. Training images:\n",
        "| attribute | 1 | 0 | unknown | share unknown |",
        "|---|---|---|---|---|",
    ]
    counts = reports.attributes[["positive", "negative", "unknown"]].dropna().astype(int)
    for name, row in counts.to_dict(orient="index").items():
        share = row["unknown"] / max(sum(row.values()), 1)
        cells = [*row.values(), f"{share:.0%}"]
        lines.append(f"| `{name}` | {' | '.join(map(str, cells))} |")
    return "\n".join(lines) + "\n"


def _use(predictor: Predictor, found: Mapping[str, Parity]) -> str:
    height, width = predictor.card.image_size
    sizes = [name for name, one in found.items() if one.resized is not None]
    fixed = [name for name in found if name not in sizes]
    text = (
        "In go pictures as uint8 `[batch, height, width, 3]`, RGB, upright; out come probabilities "
        "as float32 `[batch, labels]` in the order of `id2label` in `config.json`. Scaling is "
        "inside.\n"
    )
    if sizes:
        text += (
            f"\n{', '.join(sizes)}: pictures of any size, squeezed to {height} x {width} inside.\n"
        )
    if fixed:
        ready = f"pictures of {height} x {width}, squeezed before by an antialiased bilinear filter"
        text += f"\n{', '.join(fixed)}: {ready}.\n"
    return text


def _limits(predictor: Predictor, reports: Reports | None) -> str:
    card = predictor.card
    verdicts = card.learnable or (LEARNABLE,) * len(card.attributes)
    guessed = [
        one.name
        for one in predictor.attributes
        if together(verdicts[one.start : one.stop]) != LEARNABLE
    ]
    lines = [
        "* Probabilities are calibrated for pictures such as it was trained on; of others they may "
        "be far off.",
        "* It has learned what the labels say, their errors and gaps included.",
    ]
    if guessed:
        names = ", ".join(f"`{name}`" for name in guessed)
        lines.append(f"* Pictures were not found to tell {names}: what it says there is a guess.")
    refuted = [] if reports is None else _named(reports.attributes, "missing_at_random", "no")
    if refuted:
        names = ", ".join(f"`{name}`" for name in refuted)
        lines.append(
            f"* Labels of {names} were not missing at random: scores on known labels may not hold "
            "for the others."
        )
    return "\n".join(lines) + "\n"


def _named(frame: pd.DataFrame, column: str, value: str) -> list[str]:
    return [str(n) for n in frame.index[frame[column] == value]] if column in frame else []


def _checks(found: Mapping[str, Parity]) -> str:
    lines = [
        "Against the classifier itself in float32, on made pictures, 1, 3 and 64 at a time:\n",
        "| format | largest difference of probabilities | of pictures of other sizes | "
        "other decisions |",
        "|---|---|---|---|",
    ]
    for name, one in found.items():
        resized = "" if one.resized is None else f"{one.resized:.1e}"
        other = f"{one.other_decisions} of {one.decisions}"
        lines.append(f"| {name} | {one.difference:.1e} | {resized} | {other} |")
    return "\n".join(lines) + "\n"


def licence_of(predictor: Predictor) -> str:
    """Of the weights that the backbone began with; empty where that is for their owner to say."""
    weights = backbone_json(predictor.folder).get("weights", "")
    if weights != "imagenet":
        return ""
    return backbones.find(predictor.card.backbone["name"]).licence


def _licence(predictor: Predictor) -> str:
    name = predictor.card.backbone["name"]
    licence = licence_of(predictor)
    weights = backbone_json(predictor.folder).get("weights", "")
    if licence:
        return f"The published weights of {name} that it is made of: {licence}.\n"
    if weights == "random":
        return f"The weights of {name} began at random: the model is its maker's alone.\n"
    return f"The weights of {name} came from a file, `{weights}`, whose licence its owner knows.\n"
