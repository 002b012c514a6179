"""Cleaning: what is kept, what is dropped and why, duplicates, counts and the split."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pipeline.data import cleaning
from pipeline.data.cleaning import Unusable
from pipeline.data.labels import SPLITS, LabelTable
from pipeline.errors import PipelineError

NAN = float("nan")


def label_table(rows: int, attributes: int = 2) -> LabelTable:
    values = np.random.default_rng(0).integers(0, 2, (rows, attributes)).astype(np.float32)
    names = [f"{row:03d}.jpg" for row in range(rows)]
    return LabelTable.binary(names, [f"a{column}" for column in range(attributes)], values)


def hashes(table: LabelTable) -> list[str | Unusable]:
    return [f"hash of {name}" for name in table.images]


def test_drops_unusable_rows_with_their_reason() -> None:
    table = label_table(30)
    found = hashes(table)
    found[4] = Unusable("missing", "no such file")
    found[17] = Unusable("truncated", "3 bytes short")
    cleaned = cleaning.clean(table, found, 0.2, 0.1, seed=1)
    assert cleaned.dropped.to_dict("records") == [
        {"image": "004.jpg", "reason": "missing", "detail": "no such file"},
        {"image": "017.jpg", "reason": "truncated", "detail": "3 bytes short"},
    ]
    kept = [row for row in range(30) if row not in (4, 17)]
    assert cleaned.table.images == [table.images[row] for row in kept]
    np.testing.assert_array_equal(cleaned.table.values, table.values[kept])
    assert cleaned.images["image"].tolist() == cleaned.table.images
    assert cleaned.images["sha256"].tolist() == [found[row] for row in kept]
    assert [(cleaned.table.split or []).count(name) for name in SPLITS] == [20, 3, 5]


def test_the_folds_test_every_image_once_and_keep_twins_together() -> None:
    table = label_table(60)
    found = hashes(table)
    found[7] = found[8]
    test, val = SPLITS.index("test"), SPLITS.index("val")
    splits = []
    for fold in range(4):
        cleaned = cleaning.clean(table, found, 0.25, 0.15, seed=3, fold=fold)
        split = cleaned.table.split or []
        assert split[7] == split[8]
        splits.append([SPLITS.index(name) for name in split])
    of = np.array(splits)
    assert ((of == test).sum(axis=0) == 1).all()
    assert [int((one == test).sum()) for one in of] == pytest.approx([15] * 4, abs=1)
    assert [int((one == val).sum()) for one in of] == pytest.approx([9] * 4, abs=1)
    again = cleaning.clean(table, found, 0.25, 0.15, seed=3, fold=1).table.split
    assert [SPLITS.index(name) for name in again or []] == splits[1]


def test_nothing_dropped_and_no_duplicates_leave_empty_frames() -> None:
    table = label_table(12)
    cleaned = cleaning.clean(table, hashes(table), 0.2, 0.1, seed=1)
    assert (len(cleaned.dropped), list(cleaned.dropped)) == (0, ["image", "reason", "detail"])
    assert len(cleaned.duplicates) == 0
    assert list(cleaned.duplicates) == ["group", "image", "sha256", "conflicting"]


def test_split_does_not_depend_on_the_order_of_the_rows() -> None:
    table = label_table(60)
    order = np.random.default_rng(1).permutation(60)
    shuffled = LabelTable.binary(
        [table.images[row] for row in order], table.attributes, table.values[order]
    )
    one = cleaning.clean(table, hashes(table), 0.2, 0.1, seed=3).table
    other = cleaning.clean(shuffled, hashes(shuffled), 0.2, 0.1, seed=3).table
    assert (one.images, one.split) == (other.images, other.split)
    np.testing.assert_array_equal(one.values, other.values)
    assert cleaning.clean(table, hashes(table), 0.2, 0.1, seed=4).table.split != one.split


def test_duplicates_share_a_split_and_their_conflicts_are_named() -> None:
    table = label_table(40, attributes=3)
    values = table.values.copy()
    values[[3, 9, 20]] = np.array([[1, 0, NAN], [0, 0, 1], [NAN, 1, 1]])
    values[[5, 30]] = np.array([[1, NAN, 0], [1, 1, NAN]])
    table = LabelTable.binary(table.images, table.attributes, values)
    found = hashes(table)
    for first, *others in ((3, 9, 20), (5, 30)):
        for other in others:
            found[other] = found[first]
    cleaned = cleaning.clean(table, found, 0.2, 0.2, seed=0)
    split = dict(zip(cleaned.table.images, cleaned.table.split or [], strict=True))
    assert split["003.jpg"] == split["009.jpg"] == split["020.jpg"]
    assert split["005.jpg"] == split["030.jpg"]
    frame = cleaned.duplicates
    assert frame["group"].tolist() == [1, 1, 1, 2, 2]
    assert frame["image"].tolist() == ["003.jpg", "009.jpg", "020.jpg", "005.jpg", "030.jpg"]
    assert frame["sha256"].tolist() == ["hash of 003.jpg"] * 3 + ["hash of 005.jpg"] * 2
    assert frame["conflicting"].tolist() == ["a0; a1"] * 3 + [""] * 2


def test_counts_per_attribute_and_split() -> None:
    values = np.array([[1, 1, NAN], [0, 1, NAN], [NAN, 1, NAN], [1, NAN, NAN]], dtype=np.float32)
    table = LabelTable.binary(["a", "b", "c", "d"], ["x", "same", "empty"], values)
    frame = cleaning.count_labels(table, np.array([0, 0, 1, 2]))
    assert list(frame) == [
        *("attribute", "rows", "known", "positive", "negative", "unknown"),
        *("prevalence", "missing_rate"),
        *(f"{name}_{state}" for name in SPLITS for state in ("positive", "negative", "unknown")),
    ]
    first = frame.iloc[0].tolist()
    assert first == ["x", 4, 3, 2, 1, 1, 0.666667, 0.25, 1, 1, 0, 0, 0, 1, 1, 0, 0]
    assert np.isnan(frame["prevalence"][2])
    assert frame["missing_rate"].tolist() == [0.25, 0.25, 1.0]
    assert cleaning.one_class(frame) == {"same": 1}
    assert cleaning.without_labels(table) == ["empty"]
    long = cleaning.class_counts(frame)
    head = long.head(3)
    assert head["attribute"].tolist() == ["x"] * 3
    assert dict(zip(head["value"], head["count"], strict=True)) == {
        "positive": 2,
        "negative": 1,
        "unknown": 1,
    }
    assert long.groupby("attribute")["count"].sum().tolist() == [4, 4, 4]


def test_too_few_usable_images() -> None:
    table = label_table(12)
    found = hashes(table)
    found[:3] = [Unusable("missing", "no such file")] * 3
    with pytest.raises(PipelineError) as caught:
        cleaning.clean(table, found, 0.2, 0.1, seed=0, source="my.csv")
    message = str(caught.value)
    assert message.startswith("my.csv: 9 usable images of 12, expected at least 10")
    assert "000.jpg (missing: no such file)" in message


def test_no_label_known_among_the_usable_images() -> None:
    table = label_table(12)
    values = np.where(np.arange(12)[:, None] >= 1, NAN, table.values)
    table = LabelTable.binary(table.images, table.attributes, values)
    found = hashes(table)
    found[0] = Unusable("missing", "no such file")
    with pytest.raises(PipelineError, match="no label is known of the 11 usable images"):
        cleaning.clean(table, found, 0.2, 0.1, seed=0)


@pytest.mark.parametrize(
    ("test", "val", "key"), [(0.2, 0.01, r"split\.val"), (0.01, 0.2, r"split\.test")]
)
def test_a_split_without_images(test: float, val: float, key: str) -> None:
    table = label_table(12)
    with pytest.raises(PipelineError, match=rf"^params\.yaml: {key}: got 0\.01, .*raise it"):
        cleaning.clean(table, hashes(table), test, val, seed=0)


def test_groups_stay_in_one_split_and_so_do_those_that_a_twin_links() -> None:
    table = label_table(40)
    who = [f"p{row // 4}" if row < 36 else "" for row in range(40)]
    found = hashes(table)
    found[0] = found[39]
    table = dataclasses.replace(table, group=who)
    cleaned = cleaning.clean(table, found, 0.2, 0.2, seed=0)
    of = dict(zip(cleaned.table.images, cleaned.table.split or [], strict=True))
    for start in range(0, 36, 4):
        assert len({of[table.images[row]] for row in range(start, start + 4)}) == 1
    assert of[table.images[0]] == of[table.images[39]]
    group = cleaned.images["group"].to_numpy()
    assert group[0] == group[3] == group[39]
    assert len({*group}) == 9 + 3


def own_split(test: int = 8, val: int = 6) -> LabelTable:
    split = ["train"] * (40 - test - val) + ["val"] * val + ["test"] * test
    return dataclasses.replace(label_table(40), split=split)


def test_a_split_of_the_tables_own_is_kept() -> None:
    table = own_split()
    cleaned = cleaning.clean(table, hashes(table), 0.5, 0.3, seed=0)
    assert cleaned.table.split == table.split
    without = own_split(val=0)
    drawn = cleaning.clean(without, hashes(table), 0.5, 0.25, seed=0).table.split or []
    assert drawn[32:] == ["test"] * 8
    assert drawn.count("val") == 8


def test_refuses_a_split_that_is_none() -> None:
    table = own_split(test=0)
    with pytest.raises(PipelineError, match="no usable image for test by the column that split"):
        cleaning.clean(table, hashes(table), 0.2, 0.2, seed=0)
    torn = dataclasses.replace(own_split(), group=["p", *[""] * 38, "p"])
    with pytest.raises(PipelineError, match="group 'p' is in test and train, expected one split"):
        cleaning.clean(torn, hashes(torn), 0.2, 0.2, seed=0)


def test_one_class_is_told_and_nothing_but_one_class_refused() -> None:
    values = np.array([[1, 1, 0, 1], [NAN, 1, 0, 0], [1, 1, NAN, 1]], dtype=np.float32)
    table = LabelTable.binary(["a", "b", "c"], ["blank", "all", "none", "both"], values)
    frame = cleaning.count_labels(table, np.array([0, 1, 2]))
    ones, zeros = cleaning.about_one_class(frame, "t.csv")
    assert ones.startswith("'blank', 'all': only 1s are known, an empty cell is unknown")
    assert ones.endswith(
        "write 0 where it is absent, or set data.blank in params.yaml to "
        "negative if empty cells mean that"
    )
    assert zeros.endswith(
        "'none': only 0s are known, an empty cell is unknown, and nothing tells "
        "the classes apart; write 1 where it is present"
    )
    with pytest.raises(
        PipelineError, match=r"^t\.csv: every attribute has one class only: 'blank'"
    ):
        cleaning.about_one_class(frame[:3], "t.csv")
    assert cleaning.about_one_class(frame[3:], "t.csv") == []
