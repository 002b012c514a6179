from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pipeline.data.labels import LabelTable
from pipeline.impute.categorical import COLUMNS
from pipeline.metrics import tables
from pipeline.metrics.scores import roc_curve_points

NAN = float("nan")


def test_attribute_table_has_a_row_each_and_blanks_for_undefined() -> None:
    labels = np.array([[1, 1], [0, 1], [NAN, 1], [1, NAN]])
    p = np.array([[0.9, 0.8], [0.2, 0.9], [0.5, 0.7], [0.4, 0.1]])
    table = tables.attribute_table(["a", "b"], labels, p, [0.5, 0.5], {"learnable": ["yes", "no"]})
    assert table["attribute"].tolist() == ["a", "b"]
    assert table["learnable"].tolist() == ["yes", "no"]
    assert table.loc[0, ["tp", "fp", "tn", "fn", "unknown"]].tolist() == [1, 0, 1, 1, 1]
    assert np.isnan(table.loc[1, "auc"])


def test_ranking_scores_take_the_place_of_probabilities_for_auc_alone() -> None:
    labels = np.array([[1.0], [0], [1], [0]])
    p = np.array([[0.9], [0.2], [0.3], [0.4]])
    plain = tables.attribute_table(["a"], labels, p, [0.5])
    ranked = tables.attribute_table(["a"], labels, p, [0.5], ranking=labels * 7)
    assert plain.loc[0, "auc"] == 0.75
    assert ranked.loc[0, ["auc", "average_precision"]].tolist() == [1.0, 1.0]
    assert ranked.loc[0, "auc_low"] < 1.0 == ranked.loc[0, "auc_high"]
    assert ranked.loc[0, "brier"] == plain.loc[0, "brier"]


def test_held_out_arrays_put_cells_in_their_place() -> None:
    cells = pd.DataFrame(
        {
            "image": ["b", "a", "b"],
            "attribute": ["y", "x", "x"],
            "label": [1, 0, 1],
            "probability": [0.7, 0.2, 0.6],
            "value": [1, 1, 0],
        }
    )
    labels, p, decided = tables.held_out_arrays(["x", "y"], cells, ["a", "b", "c"])
    assert np.array_equal(labels, [[0, NAN], [1, 1], [NAN, NAN]], equal_nan=True)
    assert p.tolist() == [[0.2, 0.5], [0.6, 0.7], [0.5, 0.5]]
    assert decided.tolist() == [[1, 0], [0, 1], [0, 0]]


def test_decisions_made_elsewhere_are_counted_instead_of_the_threshold() -> None:
    labels = np.array([[1.0], [0], [1], [NAN]])
    p = np.array([[0.9], [0.2], [0.3], [0.4]])
    decided = np.array([[0.0], [1], [1], [1]])
    cut = tables.attribute_table(["a"], labels, p, [0.5])
    given = tables.attribute_table(["a"], labels, p, [0.5], decided=decided)
    assert cut.loc[0, ["tp", "fp", "tn", "fn"]].tolist() == [1, 0, 1, 1]
    assert given.loc[0, ["tp", "fp", "tn", "fn"]].tolist() == [1, 1, 0, 1]
    for score in ("auc", "brier", "threshold"):
        assert cut.loc[0, score] == given.loc[0, score]


def test_imputation_columns_say_what_to_expect_of_filled_cells() -> None:
    def entry(picture: bool, label: bool, filled: int) -> dict[str, object]:
        return {
            "learnable": "yes",
            "permutation_p": 0.01,
            "filled": filled,
            "missingness": {"depends_on_picture": picture, "depends_on_label": label},
        }

    expected = pd.DataFrame(
        {
            "attribute": ["x", "y", "z"],
            "audited": [9, 9, 9],
            "filled": [5, 6, 7],
            "accuracy": [0.9, 0.8, NAN],
            "mcc_low": [0.1, 0.2, 0.3],
        }
    )
    entries = [entry(False, False, 4), entry(True, False, 6), entry(False, True, 7)]
    columns = tables.imputation_columns(entries, expected)
    assert list(columns) == [
        *("learnable", "permutation_p", "filled", "expected_accuracy", "expected_mcc_low"),
        "missing_at_random",
    ]
    assert columns["filled"] == [4, 6, 7]
    assert columns["missing_at_random"] == ["not refuted", "no", "no"]
    assert columns["expected_accuracy"][:2] == [0.9, 0.8]
    assert columns["expected_mcc_low"] == [0.1, 0.2, 0.3]


def test_truth_table_by_hand() -> None:
    truth = pd.DataFrame({"image": list("abcd"), "x": [1, 0, 1, 0], "y": [1, 1, 1, 1]})
    filled = pd.DataFrame(
        {
            "image": ["a", "b", "c", "d"],
            "attribute": ["y", "x", "x", "x"],
            "value": [0, 0, 1, 1],
            "probability": [0.4, 0.1, 0.9, 0.6],
            "score": [0.0, 5.0, 4.0, 3.0],
        }
    )
    table = tables.truth_table(truth, filled)
    assert list(table.columns) == list(tables.TRUTH_COLUMNS)
    assert table["attribute"].tolist() == ["x", "y"]
    assert table["cells"].tolist() == [3, 1]
    assert table["accuracy"].tolist() == pytest.approx([2 / 3, 0], abs=1e-6)
    assert table.loc[0, "auc"] == 1.0
    assert table.loc[0, "score_auc"] == 0.5
    assert table.loc[0, "brier"] == pytest.approx((0.01 + 0.01 + 0.36) / 3, abs=1e-6)
    assert table["majority_accuracy"].tolist() == pytest.approx([2 / 3, 1], abs=1e-6)
    assert np.isnan(table.loc[1, "auc"])


def test_a_filled_cell_that_the_truth_lacks_is_noticed() -> None:
    truth = pd.DataFrame({"image": ["a", "a"], "x": [1, 0]})
    filled = pd.DataFrame({"image": ["a"], "attribute": ["x"], "value": [1]})
    with pytest.raises(pd.errors.MergeError):
        tables.truth_table(truth, filled)


def test_curves_only_where_they_exist() -> None:
    labels = np.array([[1, 1], [0, 1], [1, NAN]])
    p = np.array([[0.9, 0.8], [0.2, 0.9], [0.5, 0.7]])
    table = tables.curve_table(["a", "b"], labels, p, roc_curve_points)
    assert set(table["attribute"]) == {"a"}
    nothing = tables.curve_table(["b"], labels[:, 1:], p[:, 1:], roc_curve_points)
    assert len(nothing) == 0


def test_finite_leaves_out_what_is_undefined() -> None:
    content = {"a": {"x": NAN, "y": None}, "b": {"n": np.int64(3), "p": 0.123456}, "c": np.inf}
    assert tables.finite(content) == {"b": {"n": 3, "p": 0.1235}}


def test_some_numbers_of_a_report() -> None:
    content = {"test": {"map": 0.5, "auc": 0.75, "n": 3}, "other": {"n": 4}}
    wanted = {"test": ("auc", "undefined"), "expected": ("accuracy",), "other": ("m",)}
    assert tables.some(content, wanted) == {"test": {"auc": 0.75}}


def test_category_table_by_hand() -> None:
    cells = dict.fromkeys(("colour", "hat", "size"), np.empty(0))
    clean = LabelTable([], cells, vocabulary={"colour": ("red", "blue"), "size": ("S", "L")})
    labels = np.array(
        [
            [1, 0, 1, NAN, NAN],
            [1, 0, 1, NAN, NAN],
            [0, 1, 1, NAN, NAN],
            [0, 0, NAN, NAN, NAN],  # a value without a column
            [NAN, NAN, 0, NAN, NAN],
        ]
    )
    p = np.array([[0.6, 0.4, 0, 0, 1], [0.3, 0.7, 0, 0, 1], [0.1, 0.9, 0, 0, 1], [1, 0, 0, 0, 1]])
    p = np.concatenate([p, p[:1]])
    expected = pd.DataFrame([["colour", *range(11)], ["size", *range(11)]], columns=list(COLUMNS))
    table = tables.category_table(clean, labels, p, expected)
    assert table["attribute"].tolist() == ["colour", "size"]
    moved = ("accuracy", "accuracy_low", "accuracy_high", "f1_macro", "brier")
    for name in COLUMNS[1:]:
        found = table[f"expected_{name}" if name in moved else name]
        assert found.tolist() == expected[name].tolist()
    first, second = table.to_dict("records")
    assert (first["known"], first["accuracy"]) == (4, 0.5)
    assert first["accuracy_low"] == pytest.approx(0.150036, abs=1e-5)
    assert first["accuracy_high"] == pytest.approx(0.849964, abs=1e-5)
    # red: 1 of 2 found, 1 given wrongly; blue: found and given once more; the rare one never.
    assert first["f1_macro"] == pytest.approx((2 / 4 + 2 / 3 + 0) / 3, abs=1e-6)
    assert first["majority_test_accuracy"] == 0.5
    assert second["known"] == 0
    assert np.isnan([second[n] for n in ("accuracy", "f1_macro", "majority_test_accuracy")]).all()


def test_category_table_without_categorical_attributes() -> None:
    clean = LabelTable.binary([], ["hat"], np.empty((0, 1), dtype=np.float32))
    expected = pd.DataFrame(columns=list(COLUMNS))
    table = tables.category_table(clean, np.ones((3, 1)), np.ones((3, 1)), expected)
    assert len(table) == 0
    assert {"attribute", "expected_accuracy", "accuracy", "known"} <= set(table.columns)


def variants(low: float, high: float) -> pd.DataFrame:
    gains = {"map_gain": [0.02, 0.0], "map_gain_low": [low, 0.0], "map_gain_high": [high, 0.0]}
    return pd.DataFrame({"model": ["impute", "mask"], "map": [0.9, 0.88], **gains})


def test_of_variants() -> None:
    assert tables.of_variants(variants(0.01, 0.03), "mask") == {
        "impute_map": 0.9,
        "mask_map": 0.88,
        "imputing_kept": 0,
    }


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.01, 0.03, "imputing helps"), (-0.03, -0.01, "imputing harms"), (-0.1, 0.1, "no diff")],
)
def test_what_imputation_effect_of_imputing(low: float, high: float, verdict: str) -> None:
    assert verdict in tables.effect_of_imputing(variants(low, high), "impute")


def test_a_mean_weighted_by_filled_cells() -> None:
    table = pd.DataFrame({"accuracy": [0.5, 1.0, np.nan], "filled": [3, 1, 9]})
    assert tables.weighted(table, "accuracy") == pytest.approx(0.625)
    assert np.isnan(tables.weighted(table.assign(filled=0), "accuracy"))


def test_of_demo() -> None:
    columns = {"auc": [0.9, 0.5], "accuracy": [0.8, 0.4], "score_auc": [0.7, 0.52]}
    found = tables.of_demo(
        pd.DataFrame({"attribute": ["has_hat", "coin_toss"], **columns}), ["has_hat"], "coin_toss"
    )
    assert found == {
        "visual_auc": 0.9,
        "visual_accuracy": 0.8,
        "coin_auc": 0.52,
        "coin_accuracy": 0.4,
    }
