"""params.yaml as typed, validated values: an unknown, mistyped or out-of-range key is an error."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from pipeline import param_checks as checks
from pipeline.errors import PipelineError
from pipeline.training.losses import CATEGORICAL_LOSSES, LOSSES
from pipeline.training.schedules import PLATEAU, SCHEDULES, WAIT


def _param(check: checks.Check) -> Any:
    return dataclasses.field(metadata={"check": check})


@dataclass(frozen=True)
class Data:
    labels: str = _param(checks.text)
    images: str = _param(checks.text)


@dataclass(frozen=True)
class Demo:
    rows: int = _param(checks.whole(50, 1_000_000))


@dataclass(frozen=True)
class Split:
    test: float = _param(checks.number(0, 0.9, open_low=True))
    val: float = _param(checks.number(0, 0.9, open_low=True))
    fold: int | None = _param(checks.fold)


@dataclass(frozen=True)
class Backbone:
    name: str = _param(checks.text)
    weights: str = _param(checks.text)
    precision: str = _param(checks.choice("auto", "float32", "bfloat16", "int8"))


@dataclass(frozen=True)
class Categorical:
    columns: tuple[str, ...] = _param(checks.columns)
    min_count: int = _param(checks.whole(1, 1_000_000))


@dataclass(frozen=True)
class FineTune:
    epochs: int = _param(checks.whole(0, 10_000))
    start: str = _param(checks.choice("head", "fresh"))
    network: str = _param(checks.choice("single", "shared", "independent"))
    learning_rate: float = _param(checks.number(0, 1, open_low=True))
    patience: int = _param(checks.whole(1, 10_000))


@dataclass(frozen=True)
class Features:
    views: int = _param(checks.whole(1, 64))
    grid: int | None = _param(checks.grid)


@dataclass(frozen=True)
class Compute:
    engine: str = _param(checks.choice("local", "ray"))
    address: str | None = _param(checks.address)


@dataclass(frozen=True)
class Impute:
    folds: int = _param(checks.whole(2, 20))
    rounds: int = _param(checks.whole(0, 10))
    confidence: float = _param(checks.number(0.5, 1, open_low=True, open_high=True))
    threshold: str | float = _param(checks.threshold)
    prior: dict[str, float] | None = _param(checks.prior)
    policy: str = _param(checks.choice("fill", "abstain"))
    min_confidence: float = _param(checks.number(0.5, 1))
    soft_targets: bool = _param(checks.flag)


@dataclass(frozen=True, kw_only=True)
class Params:
    """All knobs, as described line by line in params.yaml."""

    seed: int = _param(checks.whole(0, 2**31 - 1))
    data: Data
    attributes: tuple[str, ...] | None = _param(checks.attributes)
    categorical: Categorical
    image_size: tuple[int, int] = _param(checks.image_size)
    epochs: int = _param(checks.whole(1, 10_000))
    batch_size: int = _param(checks.whole(1, 4096))
    learning_rate: float = _param(checks.number(0, 1, open_low=True))
    patience: int = _param(checks.whole(1, 10_000))
    backbone: Backbone
    features: Features
    compute: Compute
    head: str = _param(checks.choice("conv", "dense", "linear"))
    dense_units: int = _param(checks.whole(1, 65_536))
    dropout: float = _param(checks.number(0, 1, open_high=True))
    loss: str = _param(checks.choice(*LOSSES))
    schedule: str = _param(checks.choice(*SCHEDULES))
    clip_norm: float | None = _param(checks.clip_norm)
    fine_tune: FineTune
    title: str = _param(checks.text)
    imbalance: str = _param(checks.choice("oversample", "class_weight", "focal", "none"))
    missing: str = _param(checks.choice("impute", "mask", "negative"))
    impute: Impute
    split: Split
    demo: Demo

    @property
    def frozen_head(self) -> str:
        """The kind of head that is fitted on the frozen backbone. A fresh network leaves that
        backbone behind: a linear head then says as well what can be learned, and costs little."""
        return "linear" if self.fine_tune.start == "fresh" else self.head


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate ``path``.

    Raises
    ------
    PipelineError
        If the file is missing or no YAML mapping, or if a key is unknown, missing, of the wrong
        type or out of range; the message names the key, the value and what is allowed.
    """
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PipelineError(f"{path}: no such file; run in the project's root folder") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise PipelineError(f"{path}: not valid YAML: {reason}") from None
    params: Params = _section(Params, content, prefix="", path=path)
    if params.split.test + params.split.val >= 0.95:
        raise PipelineError(
            f"{path}: split.test {params.split.test:g} and split.val {params.split.val:g} leave "
            "fewer than 5 % of the images for training; their sum must be below 0.95"
        )
    _check_together(params, path)
    return params


def _check_together(p: Params, path: str | Path) -> None:
    """Raise a `PipelineError` for values that are good one by one and not together."""
    if p.categorical.columns and p.loss not in CATEGORICAL_LOSSES:
        raise PipelineError(
            f"{path}: loss: got {p.loss!r} with categorical columns "
            f"({', '.join(p.categorical.columns)}), which have no positive class to weight; "
            f"expected one of {', '.join(CATEGORICAL_LOSSES)}"
        )
    parts = round(1 / p.split.test)
    if p.split.fold is not None and (p.split.fold >= parts or parts < 2):
        allowed = f"a whole number from 0 to {parts - 1}" if parts > 1 else "split.test up to 0.5"
        raise PipelineError(
            f"{path}: split.fold: got {p.split.fold} with split.test {p.split.test:g}, which makes "
            f"{parts} fold{'s' * (parts > 1)}; expected null or {allowed}"
        )
    patience = {"patience": p.patience}
    if p.fine_tune.epochs:
        patience["fine_tune.patience"] = p.fine_tune.patience
    for key, epochs in patience.items():
        if p.schedule == PLATEAU and epochs <= WAIT:
            raise PipelineError(
                f"{path}: {key}: got {epochs} with schedule {PLATEAU}, which lowers the rate after "
                f"{WAIT} epochs without a better score, when the fit has ended; expected more than "
                f"{WAIT}, or another schedule"
            )
    if p.fine_tune.network != "single" and not p.fine_tune.epochs:
        raise PipelineError(
            f"{path}: fine_tune.network: got {p.fine_tune.network!r} with fine_tune.epochs 0, "
            "which leaves the backbone frozen; expected single, or epochs above 0"
        )
    if p.fine_tune.start == "fresh" and not p.fine_tune.epochs:
        raise PipelineError(
            f"{path}: fine_tune.start: got 'fresh' with fine_tune.epochs 0, which trains no "
            "network; expected head, or epochs above 0"
        )
    if p.fine_tune.network != "single" and p.fine_tune.start != "fresh":
        raise PipelineError(
            f"{path}: fine_tune.start: got {p.fine_tune.start!r} with fine_tune.network "
            f"{p.fine_tune.network}, whose heads are not the one that was fitted on the frozen "
            "backbone; expected fresh"
        )
    # A linear head reads the mean of the map, which no grid changes.
    if p.fine_tune.epochs and p.features.grid is not None and p.head != "linear":
        raise PipelineError(
            f"{path}: features.grid: got {p.features.grid} with fine_tune.epochs "
            f"{p.fine_tune.epochs} and head {p.head}; expected null, as the network is trained on "
            "its whole map, or head linear"
        )
    if p.fine_tune.epochs and p.backbone.precision == "int8":
        raise PipelineError(
            f"{path}: backbone.precision: got 'int8' with fine_tune.epochs {p.fine_tune.epochs}; "
            "whole numbers can't be trained; expected one of auto, float32, bfloat16"
        )


def _section(cls: Any, content: Any, prefix: str, path: str | Path) -> Any:
    if not isinstance(content, dict):
        where = prefix.rstrip(".") or "the whole file"
        raise PipelineError(f"{path}: {where}: got {content!r}, expected a mapping of keys")
    types = get_type_hints(cls)
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in content:
        if key not in fields:
            close = difflib.get_close_matches(str(key), fields, n=1)
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known: {', '.join(fields)}"
            raise PipelineError(f"{path}: unknown key {prefix}{key}; {hint}")
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name not in content:
            raise PipelineError(f"{path}: missing key {prefix}{name}")
        check = field.metadata.get("check")
        if check is None:
            values[name] = _section(types[name], content[name], f"{prefix}{name}.", path)
            continue
        try:
            values[name] = check(content[name])
        except ValueError as error:
            raise PipelineError(
                f"{path}: {prefix}{name}: got {content[name]!r}, expected {error}"
            ) from None
    return cls(**values)
