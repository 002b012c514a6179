"""params.yaml as typed, validated values: an unknown, mistyped or out-of-range key is an error."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
)
from ruamel.yaml import YAML

from pipeline.errors import PipelineError, fail, listed, one_line

# Names, not imports: a stage must not run again because a loss that it has no use for was edited.
Loss = Literal["cross_entropy", "weighted", "focal"]
"""Names of `pipeline.training.losses.LOSSES`."""
CategoricalLoss = Literal["cross_entropy", "focal"]
"""Names of `pipeline.training.losses.CATEGORICAL_LOSSES`."""
Schedule = Literal["constant", "cosine", "exponential", "plateau"]
"""Names of `pipeline.training.schedules.SCHEDULES`."""
MOST_NODES = 100_000
"""Values in a file that are read."""
PLATEAU_WAIT = 3
"""Epochs that the schedule plateau waits, `pipeline.training.schedules.WAIT`."""
Rule = Literal["prevalence", "balanced", "f1", "accuracy"]
"""Rules of `pipeline.metrics.thresholds`."""

_CONTROLS = r"\x00-\x08\x0B\x0C\x0E-\x1F\x7F"
Text = Annotated[str, Field(pattern=rf"\A[^{_CONTROLS}]*[^{_CONTROLS}\s][^{_CONTROLS}]*\z")]
Share = Annotated[float, Field(gt=0, lt=1)]
Side = Annotated[int, Field(ge=32, le=2048)]
# What a threshold is to keep, see `pipeline.metrics.risk_control`.
Promise = Annotated[
    dict[Annotated[str, Field(pattern=r"^(recall|precision)$")], Share],
    Field(min_length=1, max_length=1),
]
Threshold = Rule | Share | Promise


def _each_once(names: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(names)) < len(names):
        raise ValueError("a name twice")
    return names


# A list in the file is a tuple here.
Names = Annotated[tuple[Text, ...], Strict(False), Field(min_length=1), AfterValidator(_each_once)]


def _none(value: Any) -> Any:
    return () if value is None else value or "an empty list"


def _text() -> Any:
    return Field(description="a text that is not empty and has no control characters")


def _whole(low: int, high: int, null: str = "") -> Any:
    return Field(ge=low, le=high, description=f"{null}a whole number from {low} to {high}")


def _number(low: float, high: float, *, above: bool = False, below: bool = False) -> Any:
    """A field for a number from ``low`` to ``high``, or ``above`` and ``below`` these."""
    return Field(
        gt=low if above else None,
        ge=None if above else low,
        lt=high if below else None,
        le=None if below else high,
        allow_inf_nan=False,
        description=f"a number {'above' if above else 'from'} {low:g} "
        f"{'and below' if below else 'to'} {high:g}",
    )


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _codec(name: str | None) -> str | None:
    if name is not None:
        try:
            "a".encode(name)
        except (LookupError, ValueError):  # rot13 and the like are no encodings of texts
            raise ValueError("unknown encoding") from None
    return name


def _column() -> Any:
    return Field(description="null or the name of a column")


Columns = Annotated[
    tuple[Text, ...],
    Strict(False),
    BeforeValidator(_none),
    Field(description="null (none) or a list of column names"),
]


class Data(_Section):
    labels: Text = _text()
    images: Text = _text()
    max_missing: float = _number(0, 1)
    image_column: Text | None = _column()
    blank: Literal["unknown", "negative"]
    minus_one: Literal["error", "negative", "unknown"]
    encoding: Annotated[Text | None, AfterValidator(_codec)] = Field(
        description="null (UTF-8) or an encoding of texts that Python knows, as latin-1"
    )


class Demo(_Section):
    rows: int = _whole(50, 1_000_000)


class Split(_Section):
    test: float = _number(0, 0.9, above=True)
    val: float = _number(0, 0.9, above=True)
    fold: int | None = _whole(0, 1_000, "null or ")
    column: Text | None = _column()
    group_column: Text | None = _column()


class Backbone(_Section):
    name: Text = _text()
    weights: Text = _text()
    precision: Literal["auto", "float32", "bfloat16", "int8"]
    runtime: Literal["auto", "keras", "openvino"]


class Categorical(_Section):
    columns: Columns
    min_count: int = _whole(1, 1_000_000)


class FineTune(_Section):
    epochs: int = _whole(0, 10_000)
    start: Literal["head", "fresh"]
    network: Literal["single", "shared", "independent"]
    learning_rate: float = _number(0, 1, above=True)
    patience: int = _whole(1, 10_000)


class Features(_Section):
    views: int = _whole(1, 64)
    grid: int | None = _whole(1, 64, "null or ")


class Compute(_Section):
    engine: Literal["local", "ray"]
    address: Text | None = Field(description="null or a text that is not empty")


class Reports(_Section):
    escape_formulas: bool = Field(description="true or false")


class Impute(_Section):
    folds: int = _whole(2, 20)
    rounds: int = _whole(0, 10)
    confidence: float = _number(0.5, 1, above=True, below=True)
    threshold: Threshold | Annotated[dict[Text, Threshold], Field(min_length=1)] = Field(
        description=f"one of {', '.join(get_args(Rule))}, a number above 0 and below 1, such a "
        "number to be kept as {recall: 0.95} or {precision: 0.9}, or a mapping of attributes and "
        "default to these"
    )
    prior: dict[str, Share] | None = Field(
        description="null or a mapping of attributes to shares of positives above 0 and below 1"
    )
    policy: Literal["fill", "abstain", "guarantee"]
    min_confidence: float = _number(0.5, 1)
    max_wrong: float = _number(0, 0.5, above=True)
    soft_targets: bool = Field(description="true or false")


class Review(_Section):
    target: float = _number(0, 0.5, above=True)
    audit_share: float = _number(0, 0.9)


class Prevalence(_Section):
    by: Text | None = Field(description="null or the name of an attribute")


class Params(_Section):
    """All knobs, as described line by line in params.yaml."""

    seed: int = _whole(0, 2**31 - 1)
    data: Data
    attributes: Names | None = Field(
        description="null (every column but the image column) or a list of column names"
    )
    exclude: Columns
    categorical: Categorical
    image_size: Annotated[
        tuple[Side, Side],
        Strict(False),
        Field(description="[height, width] in pixels, each from 32 to 2048"),
    ]
    epochs: int = _whole(1, 10_000)
    batch_size: int = _whole(1, 4096)
    learning_rate: float = _number(0, 1, above=True)
    patience: int = _whole(1, 10_000)
    backbone: Backbone
    features: Features
    compute: Compute
    head: Literal["stack", "conv", "dense", "linear"]
    dense_units: int = _whole(1, 65_536)
    dropout: float = _number(0, 1, below=True)
    loss: Loss
    schedule: Schedule
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = Field(
        description="null or a number above 0 to 1e+06"
    )
    fine_tune: FineTune
    title: Text = _text()
    reports: Reports
    imbalance: Literal["oversample", "class_weight", "focal", "none"]
    missing: Literal["impute", "mask", "negative"]
    impute: Impute
    review: Review
    prevalence: Prevalence
    split: Split
    demo: Demo

    @property
    def frozen_head(self) -> str:
        """The kind of the classifier's head on the frozen backbone. A fresh network does not use
        that backbone: a linear head then says as well what can be learned, and costs little."""
        return "linear" if self.fine_tune.start == "fresh" else self.head

    @property
    def epoch_head(self) -> str:
        """The kind of head of a fresh network, which is fitted epoch by epoch."""
        return "conv" if self.head == "stack" else self.head

    @property
    def attribute_head(self) -> str:
        """The kind of the attribute heads: beside the regressions that ``stack`` names, others than
        linear ones cost minutes and bring nothing (benchmarks/attribute_heads.py)."""
        return "linear" if self.frozen_head == "stack" else self.frozen_head


def load(path: str | Path = "params.yaml") -> Params:
    """Read and validate ``path``, YAML 1.2 as DVC writes it.

    Raises
    ------
    PipelineError
        If the file is missing or no YAML mapping, or if a key is unknown, missing, of the wrong
        type or out of range; the message names the key, the value and what is allowed.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        problem = _unclear(YAML(typ="safe", pure=True).compose(text))
        content = None if problem else YAML(typ="safe", pure=True).load(text)
    except FileNotFoundError:
        fail(path, "no such file; run in the project's root folder")
    except OSError as error:
        fail(path, f"can't be read ({error.strerror})")
    except Exception as error:  # whatever a parser makes of bytes that are no YAML
        fail(path, f"not valid YAML: {one_line(error)[:300] or type(error).__name__}")
    if problem:
        fail(path, problem)
    if not isinstance(content, dict):
        fail(path, f"the whole file: got {_short(content)}, expected a mapping of keys")
    try:
        p = Params.model_validate(content)
    except ValidationError as error:
        fail(path, _first(error, content))
    _check_together(p, path)
    return p


def _unclear(root: Any) -> str | None:
    """What in a tree of YAML nodes another reader would take for something else, that is no plain
    data, or that aliases make larger than anybody writes."""
    nodes, count = [root] if root is not None else [], 0
    while nodes:
        node = nodes.pop()
        count += 1
        kind, where = str(node.tag).rpartition(":")[2], f"line {node.start_mark.line + 1}"
        if count > MOST_NODES:
            return f"more than {MOST_NODES} values, aliases counted as often as they are used"
        if kind not in ("map", "seq", "str", "int", "float", "bool", "null", "timestamp"):
            return f"{where}: tag {kind}; expected plain numbers, texts, lists and mappings"
        if kind == "int" and re.fullmatch(r"[-+]?0[0-9_]+", node.value):
            return (
                f"{where}: got {node.value}, which is {int(node.value)} in YAML 1.2 and octal "
                "before; write it without the leading 0"
            )
        if kind == "map":
            nodes += chain.from_iterable(reversed(node.value))
        elif kind == "seq":
            nodes += reversed(node.value)
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _first(error: ValidationError, content: Mapping[str, Any]) -> str:
    """One line on the first error: unknown keys before missing ones before bad values."""
    order = ("extra_forbidden", "missing")
    found = min(
        error.errors(),
        key=lambda one: order.index(one["type"]) if one["type"] in order else len(order),
    )
    section: Any = Params
    value: Any = content
    names: list[str] = []
    expected = ""
    for key in map(str, found["loc"]):
        known = section.model_fields
        names.append(key)
        dotted = ".".join(names)
        if key not in known:
            close = difflib.get_close_matches(key, known, n=1)
            prefix = ".".join([*names[:-1], ""])
            hint = f"did you mean {prefix}{close[0]}?" if close else f"known: {', '.join(known)}"
            return f"unknown key {dotted}; {hint}"
        if key not in value:
            return f"missing key {dotted}"
        value, field = value[key], known[key]
        if not (isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)):
            expected = field.description or f"one of {', '.join(get_args(field.annotation))}"
            break
        section, expected = field.annotation, "a mapping of keys"
    return f"{dotted}: got {_short(value)}, expected {expected}"


def _check_together(p: Params, path: str | Path) -> None:
    """Raise a `PipelineError` for values that are good one by one and not together."""
    if p.split.test + p.split.val >= 0.95:
        raise PipelineError(
            f"{path}: split.test {p.split.test:g} and split.val {p.split.val:g} leave "
            "fewer than 5 % of the images for training; their sum must be below 0.95"
        )
    threshold = p.impute.threshold
    if isinstance(threshold, dict) and sorted(threshold) == ["precision", "recall"]:
        raise PipelineError(
            f"{path}: impute.threshold: got {threshold}, but one threshold can't be chosen for two "
            "scores; expected recall or precision"
        )
    if p.split.column is not None and p.split.fold is not None:
        raise PipelineError(
            f"{path}: split.fold: got {p.split.fold} with split.column {p.split.column!r}, which "
            "says the test images; expected null, or split.column null"
        )
    if p.categorical.columns and p.loss not in get_args(CategoricalLoss):
        raise PipelineError(
            f"{path}: loss: got {p.loss!r} with categorical columns "
            f"({listed(p.categorical.columns)}), which have no positive class to weight; "
            f"expected one of {', '.join(get_args(CategoricalLoss))}"
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
        if p.schedule == "plateau" and epochs <= PLATEAU_WAIT:
            raise PipelineError(
                f"{path}: {key}: got {epochs} with schedule plateau, which lowers the rate after "
                f"{PLATEAU_WAIT} epochs without a better score, when the fit has ended; expected "
                f"more than {PLATEAU_WAIT}, or another schedule"
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
    if p.backbone.runtime == "openvino" and p.backbone.precision == "int8":
        raise PipelineError(
            f"{path}: backbone.runtime: got 'openvino' with backbone.precision int8; expected "
            "auto, float32 or bfloat16 there, or backbone.runtime auto"
        )
