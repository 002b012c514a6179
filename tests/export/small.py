"""A small trained classifier's folder, made without a run of the pipeline."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.data.categories import Attribute
from pipeline.features import backbones, weights
from pipeline.training import heads, network, saved_model

SIZE = (40, 32)
COLUMNS = ("hat", "colour=blue", "colour=red", "colour=tan", "coin")
CATEGORIES = (Attribute("colour", ("blue", "red", "tan"), 1),)
BRANCHES = (((0, 1), (1, 4)), ((4, 5),))
VOTING = (3, 20, len(COLUMNS))
"""Components, neighbours and votes of a ``stack`` head."""
SPREAD = 1.0
"""Of logits, so that probabilities are not all alike."""


def random_head(config: heads.HeadConfig, seed: int, spread: float) -> Any:
    """A head with weights of its own, for features of such a spread."""
    head = heads.build(config)
    rng = np.random.default_rng(seed)
    for variable in head.variables:
        value = rng.normal(
            0, SPREAD / np.sqrt(max(np.prod(variable.shape[:-1]), 1)), variable.shape
        )
        if "variance" in variable.path:
            value = spread**2 * (abs(value) + 1)
        elif "counts" in variable.path:  # of votes
            value = abs(value) + 0.01
        variable.assign(value)
    return head


def write_model(
    folder: Path,
    kind: str = "stack",
    backbone: str = "cnn-4-8",
    grid: int | None = None,
    fine_tuned: bool = False,
    precision: str = "float32",
) -> Path:
    """What stages ``train`` and ``fine_tune`` leave; returns ``folder``."""
    model = backbones.build(backbone, SIZE)
    weights.randomise(model, 0)
    own = folder / saved_model.OWN_BACKBONE
    own.mkdir(parents=True)
    file = weights.save(model, own)
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    about = {"weights": "random", "pretrained": 0, "preprocessing": "scaled to [-1, 1]"}
    (own / "backbone.json").write_text(json.dumps(about))
    noise = np.random.default_rng(0).uniform(0, 255, (4, *SIZE, 3)).astype("float32")
    spread = float(model(noise).numpy().std())
    height, width, channels = model.output_shape[1:]
    shape = (height, width) if grid is None else (min(height, grid), min(width, grid))
    shape = (channels,) if heads.HEADS[kind].pooled else (*shape, channels)
    voting = VOTING if kind == "stack" and not fine_tuned else (0, 0, 0)
    config = heads.HeadConfig(kind, shape, len(COLUMNS), 0.3, 4, *voting)
    card = saved_model.Card(
        attributes=COLUMNS,
        thresholds=(0.4, 0.5, 0.5, 0.5, 0.6),
        head=config,
        image_size=SIZE,
        backbone={"name": backbone, "sha256": sha256},
        precision=precision,
        missing="impute",
        grid=grid,
        categories=CATEGORIES,
        branches=BRANCHES if fine_tuned else (),
        learnable=("yes", "yes", "yes", "no", "no"),
    )
    if not fine_tuned:
        saved_model.save(random_head(config, 1, spread), card, folder)
        return folder
    branches = []
    for number, spans in enumerate(BRANCHES):
        again = backbones.build(backbone, SIZE)
        weights.randomise(again, number + 2)
        own_heads = [
            random_head(
                heads.HeadConfig(kind, shape, stop - start, 0.3, 4), 10 * number + start, spread
            )
            for start, stop in spans
        ]
        branches.append(network.make_branch(again, config, spans, own_heads))
    network.save(branches, folder)
    saved_model.write_card(card, folder)
    return folder
