"""What goes with an export: names, thresholds, preprocessing, hashes, versions, as plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline import runtime
from pipeline.data.verdicts import LEARNABLE
from pipeline.files import sha256
from pipeline.training.inference import Predictor

MODEL_TYPE = "fill-image-attributes"
"""By which a folder is known as an export."""
PACKAGES = ("keras", "tensorflow", "numpy")
BILINEAR = 2
"""Pillow's number of the filter."""


def backbone_json(folder: Path) -> dict[str, Any]:
    """What stage ``backbone`` wrote of the weights that a classifier in ``folder`` began with;
    empty for one of an earlier version."""
    path = folder / "backbone" / "backbone.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return found


def is_export(folder: Path) -> bool:
    """Whether ``folder`` is what an export left."""
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return bool(found["model_type"] == MODEL_TYPE)
    except (OSError, ValueError, LookupError, TypeError):
        return False


def config(predictor: Predictor, any_size: Mapping[str, bool]) -> dict[str, Any]:
    """``config.json``: with the keys that Hugging Face's tools read, and all that a decision needs.

    Parameters
    ----------
    any_size : for each format that was exported to, whether it takes pictures of any size.
    """
    card = predictor.card
    verdicts = card.learnable or (LEARNABLE,) * len(card.attributes)
    backbone = backbone_json(predictor.folder)
    return {
        "model_type": MODEL_TYPE,
        "problem_type": "multi_label_classification",
        "num_labels": len(card.attributes),
        "id2label": {str(i): name for i, name in enumerate(card.attributes)},
        "label2id": {name: i for i, name in enumerate(card.attributes)},
        "image_size": list(card.image_size),
        "num_channels": 3,
        "thresholds": dict(zip(card.attributes, card.thresholds, strict=True)),
        "categorical": {one.name: list(one.values) for one in card.categories},
        "learnable": dict(zip(card.attributes, verdicts, strict=True)),
        "calibrated": True,
        "input": {
            "dtype": "uint8",
            "layout": "NHWC",
            "channels": "RGB",
            "any_size": dict(any_size),
        },
        "output": {"dtype": "float32", "values": "calibrated probabilities"},
        "backbone": {
            **card.backbone,
            "weights": "fine-tuned" if card.branches else backbone.get("weights", ""),
            "preprocessing": backbone.get("preprocessing", ""),
        },
        "head": card.head.kind,
        "trained_in": card.precision,
        "sha256": hashes(predictor.folder),
        "trained_with": card.versions,
        "versions": runtime.versions(PACKAGES),
    }


def preprocessor(predictor: Predictor) -> dict[str, Any]:
    """``preprocessor_config.json``: what has to be done before the network, which is all but
    nothing."""
    height, width = predictor.card.image_size
    return {
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": height, "width": width},
        "resample": BILINEAR,
        "do_center_crop": False,
        "do_rescale": False,
        "do_normalize": False,
        "data_format": "channels_last",
    }


def hashes(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of weights in a classifier's folder, without its variants."""
    files = (folder / "model.json", *sorted(folder.rglob("*.weights.h5")))
    return {
        str(file.relative_to(folder)): sha256(file)
        for file in files
        if "variants" not in file.relative_to(folder).parts
    }
