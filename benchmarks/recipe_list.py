"""Published systems as settings of this pipeline: each is one `dvc exp run` line."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass, field
from typing import Any

FASHION = (
    *("gender", "masterCategory", "subCategory", "articleType"),
    *("baseColour", "season", "usage"),
)
PLAIN = {
    "backbone.name": "cnn-32-64-128",
    "backbone.weights": "random",
    "head": "dense",
    "dense_units": 256,
    "missing": "mask",
    "fine_tune.start": "fresh",
    "fine_tune.epochs": 30,
    "fine_tune.learning_rate": 0.001,
}


@dataclass(frozen=True)
class Recipe:
    """A system: what it is, and the params in which it differs from params.yaml."""

    name: str
    about: str
    changes: dict[str, Any] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The command that runs it."""
        return " ".join(["dvc exp run", *(f"-S {setting(k, v)}" for k, v in self.changes.items())])


def setting(key: str, value: Any) -> str:
    """``key=value`` quoted for the shell."""
    text = value if isinstance(value, str) else json.dumps(value).replace('"', "")
    return shlex.quote(f"{key}={text.replace(', ', ',')}")


RECIPES = (
    Recipe(
        "default", "This project: frozen backbone, chained imputation, regressions in one layer"
    ),
    Recipe(
        "masked-resnet50",
        "ResNet50 trained whole; unknown cells masked, positives weighted, gradients clipped",
        {
            "backbone.name": "resnet50",
            "image_size": [224, 224],
            "head": "linear",
            "dropout": 0.3,
            "loss": "weighted",
            "clip_norm": 1.0,
            "batch_size": 16,
            "missing": "mask",
            "features.views": 1,
            "impute.threshold": 0.5,
            "fine_tune.start": "fresh",
            "fine_tune.epochs": 8,
            "fine_tune.learning_rate": 0.00001,
            "fine_tune.patience": 8,
            "title": "Aimonk_multilabel_problem",
        },
    ),
    Recipe(
        "masked-resnet50-wishes",
        "The same with its author's wishes: augmentation, two stages, focal loss, a schedule, "
        "early stopping, a threshold for each attribute",
        {
            "backbone.name": "resnet50",
            "image_size": [224, 224],
            "head": "linear",
            "loss": "focal",
            "schedule": "cosine",
            "clip_norm": 1.0,
            "batch_size": 16,
            "missing": "mask",
            "impute.threshold": "f1",
            "fine_tune.epochs": 8,
            "fine_tune.learning_rate": 0.00001,
            "fine_tune.patience": 3,
        },
    ),
    Recipe(
        "self-training-vgg19",
        "Frozen VGG19, conv heads on over-sampled labels, self-training among what fills holes, "
        "40 epochs",
        {
            "backbone.name": "vgg19",
            "image_size": [450, 350],
            "head": "conv",
            "epochs": 40,
            "learning_rate": 0.00001,
            "impute.soft_targets": False,
        },
    ),
    Recipe(
        "unbalanced-vgg19",
        "The same on unbalanced data: tuned thresholds in place of over-sampling; and a schedule",
        {
            "backbone.name": "vgg19",
            "image_size": [450, 350],
            "head": "conv",
            "epochs": 40,
            "learning_rate": 0.00001,
            "impute.soft_targets": False,
            "imbalance": "none",
            "schedule": "cosine",
            "impute.threshold": "balanced",
        },
    ),
    Recipe(
        "baseline-cnn",
        "A plain network from scratch, 26 million parameters at this size",
        {**PLAIN, "image_size": [224, 224]},
    ),
    Recipe(
        "tuned-cnn",
        "The same with what 7 trials of `python -m pipeline.tune` found on the photos below, at 96 "
        "pixels; for other data search again",
        {
            **PLAIN,
            "backbone.name": "cnn-64-64-16-128",
            "dense_units": 512,
            "dropout": 0.1,
            "fine_tune.learning_rate": 0.00023,
            "image_size": [96, 96],
        },
    ),
    Recipe(
        "mobilenet-transfer",
        "Frozen MobileNetV2, one hidden layer of 256 on its pooled features: 330 thousand to fit",
        {
            "backbone.name": "mobilenet_v2",
            "image_size": [224, 224],
            "features.grid": 1,
            "head": "dense",
            "dense_units": 256,
            "missing": "mask",
        },
    ),
    Recipe(
        "independent-cnns",
        "A plain network for each attribute",
        {**PLAIN, "dense_units": 512, "fine_tune.network": "independent", "image_size": [96, 96]},
    ),
    Recipe(
        "shared-cnn",
        "One plain network, trained with the first attribute and then frozen under a head for each",
        {**PLAIN, "dense_units": 512, "fine_tune.network": "shared", "image_size": [96, 96]},
    ),
    Recipe(
        "single-cnn",
        "One plain network with an output for each attribute",
        {**PLAIN, "dense_units": 512, "fine_tune.network": "single", "image_size": [96, 96]},
    ),
    Recipe(
        "fashion-efficientnet",
        "EfficientNetB0 with a softmax head per categorical attribute: heads, then everything",
        {
            "categorical.columns": list(FASHION),
            "backbone.name": "efficientnet_b0",
            "image_size": [224, 224],
            "head": "linear",
            "epochs": 25,
            "learning_rate": 0.005,
            "patience": 10,
            "missing": "mask",
            "fine_tune.epochs": 50,
            "fine_tune.learning_rate": 0.00005,
            "fine_tune.patience": 20,
        },
    ),
)
BY_NAME = {recipe.name: recipe for recipe in RECIPES}
