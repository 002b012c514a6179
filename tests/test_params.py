from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from pipeline import params
from pipeline.errors import PipelineError
from pipeline.training import fine_tuning, heads, losses, resample, schedules, targets


def test_the_projects_own_file_is_valid(root: Path) -> None:
    p = params.load(root / "params.yaml")
    assert p.seed == 42
    assert p.data.labels == "data/demo/labels.csv"
    assert p.attributes is None
    assert p.split.test == 0.2
    assert p.missing == "impute"


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("epochs", 0, "epochs: got 0, expected a whole number from 1 to 10000"),
        ("epochs", 2.5, "epochs: got 2.5, expected a whole number"),
        ("epochs", True, "epochs: got True"),
        ("epochs", "40", "epochs: got '40'"),
        ("seed", -1, "seed: got -1"),
        ("learning_rate", 0, "learning_rate: got 0, expected a number above 0 to 1"),
        ("learning_rate", "fast", "learning_rate: got 'fast', expected a number"),
        ("learning_rate", float("nan"), "learning_rate: got nan"),
        ("dropout", 1, "dropout: got 1, expected a number from 0 and below 1"),
        ("head", "cnov", "head: got 'cnov', expected one of stack, conv, dense, linear"),
        ("missing", None, "missing: got None, expected one of impute, mask, negative"),
        ("imbalance", "smote", "imbalance: got 'smote'"),
        ("image_size", [224], "image_size: got [224], expected [height, width]"),
        ("image_size", [224, 16], "image_size: got [224, 16]"),
        ("image_size", 224, "image_size: got 224"),
        ("attributes", [], "attributes: got [], expected null"),
        ("attributes", "a", "attributes: got 'a'"),
        ("data.labels", "", "data.labels: got '', expected a text"),
        ("data.image_column", 3, "data.image_column: got 3, expected null or the name of a column"),
        ("data.blank", "no", "data.blank: got 'no', expected one of unknown, negative"),
        ("data.minus_one", 0, "data.minus_one: got 0, expected one of error, negative, unknown"),
        ("data.encoding", "utf-9", "data.encoding: got 'utf-9', expected null (UTF-8) or an enc"),
        ("data.encoding", "base64", "data.encoding: got 'base64', expected null (UTF-8) or an enc"),
        ("exclude", "a", "exclude: got 'a', expected null (none) or a list of column names"),
        ("split.column", "", "split.column: got '', expected null or the name of a column"),
        ("backbone.precision", "half", "backbone.precision: got 'half'"),
        ("backbone.runtime", "onnx", "backbone.runtime: got 'onnx', expected one of auto, keras"),
        ("features.views", 0, "features.views: got 0"),
        ("impute.folds", 1, "impute.folds: got 1, expected a whole number from 2 to 20"),
        ("impute.confidence", 0.5, "impute.confidence: got 0.5, expected a number above 0.5"),
        ("impute.threshold", "best", "impute.threshold: got 'best', expected one of prevalence"),
        ("impute.threshold", 1.0, "impute.threshold: got 1.0"),
        ("impute.threshold", {"recall": 1}, "impute.threshold: got {'recall': 1}, expected one of"),
        ("impute.threshold", {"recall": True}, "impute.threshold: got {'recall': True}"),
        ("impute.threshold", {}, "impute.threshold: got {}, expected one of"),
        ("impute.threshold", {"a": {"speed": 0.5}}, "impute.threshold: got {'a': {'speed': 0.5}}"),
        ("impute.threshold", {"a": {}}, "impute.threshold: got {'a': {}}"),
        ("impute.threshold", {"a": "best"}, "impute.threshold: got {'a': 'best'}"),
        ("impute.threshold", ["f1"], "impute.threshold: got ['f1']"),
        (
            "impute.threshold",
            {"precision": 0.9, "recall": 0.9},
            "impute.threshold: got {'precision': 0.9, 'recall': 0.9}, but one threshold can't",
        ),
        ("split.test", 0, "split.test: got 0"),
        ("impute", 3, "impute: got 3, expected a mapping"),
        ("dense_units", 0, "dense_units: got 0, expected a whole number from 1 to 65536"),
        ("loss", "hinge", "loss: got 'hinge', expected one of cross_entropy, "),
        ("schedule", "step", "schedule: got 'step', expected one of constant, cosine"),
        ("clip_norm", 0, "clip_norm: got 0, expected null or a number above 0 to 1e+06"),
        ("clip_norm", "none", "clip_norm: got 'none', expected null or a number"),
        ("title", " ", "title: got ' ', expected a text that is not empty"),
        ("title", 3, "title: got 3, expected a text"),
        ("fine_tune", 3, "fine_tune: got 3, expected a mapping"),
        ("fine_tune.epochs", -1, "fine_tune.epochs: got -1, expected a whole number from 0"),
        ("fine_tune.start", "new", "fine_tune.start: got 'new', expected one of head, fresh"),
        ("fine_tune.network", "both", "fine_tune.network: got 'both', expected one of single, sh"),
        ("fine_tune.learning_rate", 0, "fine_tune.learning_rate: got 0, expected a number above 0"),
        ("fine_tune.patience", 0, "fine_tune.patience: got 0, expected a whole number from 1"),
        (
            "categorical.columns",
            "a",
            "categorical.columns: got 'a', expected null (none) or a list",
        ),
        ("categorical.columns", [], "categorical.columns: got [], expected null (none) or a list"),
        ("categorical.columns", [1], "categorical.columns: got [1], expected null (none) or a"),
        ("categorical.min_count", 0, "categorical.min_count: got 0, expected a whole number from"),
    ],
)
def test_bad_values_are_named(
    write_params: Callable[[dict[str, Any]], Path], key: str, value: Any, expected: str
) -> None:
    path = write_params({key: value})
    with pytest.raises(PipelineError) as caught:
        params.load(path)
    assert expected in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_key_names_the_nearest(write_params: Callable[[dict[str, Any]], Path]) -> None:
    with pytest.raises(PipelineError, match=r"unknown key epoch; did you mean epochs\?"):
        params.load(write_params({"epoch": 3}))


def test_unknown_nested_key(write_params: Callable[[dict[str, Any]], Path]) -> None:
    with pytest.raises(
        PipelineError, match=r"unknown key impute.round; did you mean impute.rounds"
    ):
        params.load(write_params({"impute.round": 3}))


def test_missing_key(
    write_params: Callable[[dict[str, Any]], Path], params_content: dict[str, Any]
) -> None:
    del params_content["patience"]
    with pytest.raises(PipelineError, match="missing key patience"):
        params.load(write_params({}))


def test_splits_must_leave_training_images(
    write_params: Callable[[dict[str, Any]], Path],
) -> None:
    with pytest.raises(PipelineError, match=r"split.test 0.6 and split.val 0.4"):
        params.load(write_params({"split.test": 0.6, "split.val": 0.4}))


TUNED = {"fine_tune.epochs": 3}
COLOUR = {"categorical.columns": ["colour", "shape"]}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (
            {**COLOUR, "loss": "weighted"},
            ["loss: got 'weighted'", "('colour', 'shape')", "expected one of cross_entropy, focal"],
        ),
        (
            {"fine_tune.network": "shared"},
            ["fine_tune.network: got 'shared' with fine_tune.epochs 0", "expected single, or ep"],
        ),
        (
            {"fine_tune.network": "independent", "fine_tune.start": "fresh"},
            ["fine_tune.network: got 'independent' with fine_tune.epochs 0", "expected single"],
        ),
        (
            {**TUNED, "fine_tune.network": "shared"},
            ["fine_tune.start: got 'head' with fine_tune.network shared", "expected fresh"],
        ),
        (
            {**TUNED, "fine_tune.network": "independent"},
            ["fine_tune.start: got 'head' with fine_tune.network independent", "expected fresh"],
        ),
        (
            {**TUNED, "features.grid": 4},
            ["features.grid: got 4 with fine_tune.epochs 3 and head stack", "expected null"],
        ),
        (
            {"split.fold": 0, "split.test": 0.8},
            ["split.fold: got 0 with", "makes 1 fold;", "null or split.test up to"],
        ),
        (
            {"split.fold": 0, "split.column": "part"},
            ["split.fold: got 0 with split.column 'part'", "expected null, or split.column null"],
        ),
        ({"split.fold": 5}, ["split.fold: got 5 with split.test 0.2", "number from 0 to 4"]),
        (
            {"fine_tune.start": "fresh"},
            ["fine_tune.start: got 'fresh' with fine_tune.epochs 0", "expected head, or epochs"],
        ),
        (
            {"schedule": "plateau", "patience": 3},
            ["patience: got 3 with schedule plateau", "expected more than 3"],
        ),
        (
            {**TUNED, "schedule": "plateau", "fine_tune.patience": 2},
            ["fine_tune.patience: got 2 with schedule plateau", "expected more than 3"],
        ),
        (
            {**TUNED, "backbone.precision": "int8"},
            [
                "backbone.precision: got 'int8' with fine_tune.epochs 3",
                "expected one of auto, float32, bfloat16",
            ],
        ),
        (
            {"backbone.runtime": "openvino", "backbone.precision": "int8"},
            ["backbone.runtime: got 'openvino' with backbone.precision int8", "bfloat16"],
        ),
    ],
)
def test_values_that_do_not_go_together_are_named(
    write_params: Callable[[dict[str, Any]], Path], values: dict[str, Any], told: list[str]
) -> None:
    path = write_params(values)
    with pytest.raises(PipelineError) as caught:
        params.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: {told[0]}")
    assert all(part in message for part in told)
    assert "\n" not in message


@pytest.mark.parametrize(
    "values",
    [
        {**COLOUR, "loss": "focal"},
        {**COLOUR, "loss": "cross_entropy"},
        {"loss": "weighted"},
        TUNED,
        {**TUNED, "fine_tune.start": "fresh"},
        {**TUNED, "fine_tune.start": "fresh", "fine_tune.network": "shared"},
        {**TUNED, "fine_tune.start": "fresh", "fine_tune.network": "independent"},
        {"features.grid": 4, "backbone.precision": "int8"},
        {"backbone.runtime": "openvino", "backbone.precision": "bfloat16"},
        {**TUNED, "features.grid": 1, "head": "linear"},
        {"schedule": "plateau", "fine_tune.patience": 2},
        {"split.fold": 4},
        {**TUNED, "head": "dense", "schedule": "plateau", "clip_norm": 1},
    ],
)
def test_values_that_go_together_are_accepted(
    write_params: Callable[[dict[str, Any]], Path], values: dict[str, Any]
) -> None:
    p = params.load(write_params(values))
    assert p.fine_tune.epochs == values.get("fine_tune.epochs", 0)
    assert p.categorical.columns == tuple(values.get("categorical.columns", ()))


@pytest.mark.parametrize(
    "value",
    [
        "f1",
        0.3,
        {"recall": 0.95},
        {"precision": 0.9},
        {"a": {"precision": 0.9}, "b": 0.4, "default": "f1"},
        {"recall": {"recall": 0.9}},
    ],
)
def test_thresholds_are_taken_as_given(
    write_params: Callable[[dict[str, Any]], Path], value: Any
) -> None:
    assert params.load(write_params({"impute.threshold": value})).impute.threshold == value


def test_a_fresh_network_leaves_the_frozen_one_a_linear_head(
    write_params: Callable[[dict[str, Any]], Path],
) -> None:
    dense = {**TUNED, "head": "dense"}
    p = params.load(write_params(dense))
    assert p.frozen_head == p.attribute_head == p.epoch_head == "dense"
    p = params.load(write_params({**dense, "fine_tune.start": "fresh"}))
    assert (p.frozen_head, p.attribute_head, p.epoch_head) == ("linear", "linear", "dense")
    p = params.load(write_params({"head": "stack", "fine_tune.start": "head"}))
    assert (p.frozen_head, p.attribute_head, p.epoch_head) == ("stack", "linear", "conv")


def test_no_such_file_and_no_yaml(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="no such file"):
        params.load(tmp_path / "absent.yaml")
    (tmp_path / "folder.yaml").mkdir()
    with pytest.raises((PipelineError, IsADirectoryError), match=r"folder\.yaml"):
        params.load(tmp_path / "folder.yaml")
    broken = tmp_path / "params.yaml"
    broken.write_text("seed: [1", encoding="utf-8")
    with pytest.raises(PipelineError, match="not valid YAML"):
        params.load(broken)


@pytest.mark.parametrize(
    "text",
    [
        *("seed: 1\nseed: 2", "seed: 2024-02-30", "seed: 0b_", "seed: !!int ''", "[" * 500, "\x00"),
        *("3", "seed: !!set {1}", "seed: 052", "a: &a [*a]", "x" * 10_000),
        "a: &a [1, 1]\n"
        + "".join(f"{n}: &{n} [{f'*{p}, ' * 9}]\n" for p, n in zip("abcde", "bcdef", strict=True)),
    ],
    ids=[
        *("duplicate", "date", "binary", "no number", "brackets", "NUL", "number", "set", "octal"),
        *("itself", "long", "laughs"),
    ],
)
def test_hostile_yaml_is_one_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PipelineError) as caught:
        params.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    assert len(message) < 500 + len(str(path))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('title: "a\\0b"', "title: got 'a\\x00b', expected a text that is not empty and has no"),
        ("title: !!binary aGk=", "tag binary"),
        ("seed: 1:10", "seed: got '1:10', expected a whole number"),
        ("seed: -052", "got -052, which is -52 in YAML 1.2 and octal before"),
        ("attributes: [hat, hat]", "attributes: got ['hat', 'hat'], expected null"),
        ("attributes: {hat: 1}", "attributes: got {'hat': 1}, expected null"),
        ("attributes: !!set {hat}", "tag set; expected plain"),
    ],
)
def test_what_yaml_reads_in_more_than_one_way_is_refused(
    tmp_path: Path, root: Path, line: str, message: str
) -> None:
    text = (root / "params.yaml").read_text(encoding="utf-8")
    path = tmp_path / "params.yaml"
    path.write_text(re.sub(rf"(?m)^{line.split(':')[0]}:.*$", lambda _: line, text), "utf-8")
    with pytest.raises(PipelineError, match=re.escape(message)):
        params.load(path)


def test_exponent_as_dvc_writes_it(tmp_path: Path, root: Path) -> None:
    """`dvc exp run -S learning_rate=1e-5` leaves 1e-05 in the file, a text to PyYAML."""
    text = (root / "params.yaml").read_text(encoding="utf-8")
    path = tmp_path / "params.yaml"
    path.write_text(text.replace("learning_rate: 0.001 ", "learning_rate: 1e-05 "), "utf-8")
    assert params.load(path).learning_rate == 1e-5
    fine = text.replace("learning_rate: 0.00001 ", "learning_rate: 1e-06 ")
    path.write_text(fine.replace("clip_norm: null", "clip_norm: 1e0"), "utf-8")
    p = params.load(path)
    assert (p.fine_tune.learning_rate, p.clip_norm) == (1e-6, 1.0)


def test_the_names_allowed_are_those_that_there_are() -> None:
    assert get_args(params.Loss) == tuple(losses.LOSSES)
    assert set(get_args(params.CategoricalLoss)) == {
        name for name, loss in losses.LOSSES.items() if loss.categorical
    }
    assert get_args(params.Schedule) == tuple(schedules.SCHEDULES)
    assert params.PLATEAU_WAIT == schedules.WAIT
    for section, name, known in (
        (params.Params, "head", heads.HEADS),
        (params.Params, "imbalance", resample.IMBALANCE),
        (params.Params, "missing", targets.VARIANTS),
        (params.FineTune, "network", fine_tuning.NETWORKS),
    ):
        assert set(get_args(section.model_fields[name].annotation)) == set(known), name


def test_every_key_has_a_comment(root: Path) -> None:
    """A knob without a word of explanation is no knob for a user."""
    lines = (root / "params.yaml").read_text(encoding="utf-8").splitlines()
    keys = [line for line in lines if ":" in line.split("#")[0] and line.split(":")[1].strip()]
    assert len(keys) == _count_leaves(params.Params)
    assert [line for line in keys if "#" not in line] == []


def _count_leaves(cls: Any) -> int:
    sections = [
        field.annotation
        for field in cls.model_fields.values()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    ]
    return len(cls.model_fields) - len(sections) + sum(map(_count_leaves, sections))
