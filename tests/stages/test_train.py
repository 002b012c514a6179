"""What the train stage makes of labels: those of test images have no part in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from pipeline import params
from pipeline.data import splits
from pipeline.data.imputed_arrays import ImputedArrays
from pipeline.data.labels import LabelTable
from pipeline.impute import neighbours
from pipeline.stages import train

COUNT = 160


@pytest.fixture
def inputs(
    make_store: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: Path
) -> train.Inputs:
    """Two columns that maps of noise tell a little of; a tenth of the cells unknown."""
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(1, COUNT, 2, 2, 6)).astype(np.float32)
    score = maps[0].mean(axis=(1, 2))[:, :2] + rng.normal(0, 0.3, (COUNT, 2))
    labels = np.where(rng.random(score.shape) < 0.1, np.nan, score > 0)
    split = ["train"] * 100 + ["val"] * 20 + ["test"] * 40
    store = make_store(maps)
    store.meta["precision"] = "float32"
    clean = LabelTable.binary(store.images, ["a", "b"], labels, split)
    known = ~np.isnan(clean.values)
    arrays = ImputedArrays(
        *(np.where(known, 0, 0.3).astype(np.float32),) * 2,
        probability=np.full(known.shape, 0.5, np.float32),
        weight=known.astype(np.float32),
        verdicts=np.array(["yes", "yes"]),
    )
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path)
    fold = np.where(np.arange(COUNT) < 100, np.arange(COUNT) % 5, -1)
    monkeypatch.setattr(splits, "read_folds", lambda: fold)
    content = params.load(root / "params.yaml")
    p = content.model_copy(
        update={"impute": content.impute.model_copy(update={"threshold": "balanced"})}
    )
    filled = clean.filled(np.nan_to_num(clean.values))
    return train.Inputs(p, clean, filled, arrays, store, store.rows(store.images))


def test_labels_of_test_images_choose_nothing(inputs: train.Inputs) -> None:
    test = inputs.of("test")
    turned = inputs.clean.values.copy()
    turned[test] = 1 - turned[test]
    names, split = inputs.clean.attributes, inputs.clean.split
    clean = LabelTable.binary(inputs.clean.images, names, turned, split)
    before, after = train.stack(inputs), train.stack(replace(inputs, clean=clean))
    for name, one in before.items():
        assert np.isnan(one.held_out[test]).all()
        np.testing.assert_array_equal(after[name].held_out, one.held_out)
        for folder, of in ((Path("one"), inputs), (Path("two"), replace(inputs, clean=clean))):
            train.save(of, name, one, folder)
        assert (Path("one/model.json")).read_bytes() == Path("two/model.json").read_bytes()


def test_the_head_of_a_large_table_compares_by_as_few_components(
    inputs: train.Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(neighbours, "MANY", 100)
    monkeypatch.setattr(neighbours, "FEW", 3)
    validation = inputs.of("val")
    maps = inputs.store.maps(inputs.rows[validation]).astype(np.float32)
    for one in train.stack(inputs).values():
        assert one.config.components == 3
        found = expit(one.head(maps, training=False).numpy())
        np.testing.assert_allclose(found, one.held_out[validation], atol=1e-5)


def test_the_plain_regression_of_a_large_table_is_fitted_on_some_of_it(
    inputs: train.Inputs, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train.logistic(inputs).held_out[inputs.of("val")]
    monkeypatch.setattr(train, "MOST_REGRESSED", 100)
    assert (train.logistic(inputs).held_out[inputs.of("val")] == whole).all()
    monkeypatch.setattr(train, "MOST_REGRESSED", 60)
    part = train.logistic(inputs).held_out[inputs.of("val")]
    assert (part != whole).all()
    assert np.abs(part - whole).mean() < 0.1
