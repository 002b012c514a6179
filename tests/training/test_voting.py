"""Votes of neighbours in a head: those that the table's pictures have, for new ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.impute.components import project
from pipeline.impute.neighbours import Neighbours, prior, unit
from pipeline.training import heads, stacked

rng = np.random.default_rng(0)
MAPS = rng.normal(0, 1, (80, 2, 3, 5)).astype(np.float32)
POOLED = MAPS.mean((1, 2))
TARGETS, WEIGHTS = rng.random((2, 80, 4))
WEIGHTS[rng.random(WEIGHTS.shape) < 0.3] = 0


@pytest.mark.parametrize("size", [3, 12, 60])
def test_a_head_gives_the_votes_of_the_table_and_keeps_them_in_its_file(
    size: int, tmp_path: Path
) -> None:
    training = np.arange(80) < size
    projection = project(POOLED, training)
    assert projection is not None
    components = projection(POOLED)
    near = Neighbours.of(components, training)
    asked = np.where(training[:, None], WEIGHTS, 0.0)
    slope = rng.random((4, 2))
    axes, offset = projection.on_features(np.eye(projection.width))
    voters = stacked.Voters(
        *(axes, offset, unit(components[near.pool])),
        *(TARGETS[near.pool], WEIGHTS[near.pool], prior(asked * TARGETS, asked), slope),
    )
    config = stacked.configured(heads.HeadConfig("stack", (2, 3, 5), 2, 0.0), voters)
    kernel, offsets = rng.normal(0, 1, (2, 3, 5, 2)), rng.normal(0, 1, 2)
    head = stacked.build(config, kernel, offsets, voters)
    wanted = np.einsum("nhwc,hwca->na", MAPS, kernel) + offsets
    wanted += near.votes(TARGETS, asked) @ slope
    new = ~training
    np.testing.assert_allclose(head(MAPS[new]).numpy(), wanted[new], atol=1e-3)
    heads.save(head, tmp_path / "head.weights.h5")
    second = stacked.build(config, kernel, offsets, voters)
    heads.save(second, tmp_path / "second.weights.h5")
    files = [tmp_path / f"{name}.weights.h5" for name in ("head", "second")]
    assert files[0].read_bytes() == files[1].read_bytes()
    again = heads.load(config, tmp_path / "head.weights.h5")
    np.testing.assert_array_equal(again(MAPS).numpy(), head(MAPS).numpy())
    # What votes is not fitted by epochs.
    assert heads.counts(head)[1] == (2 * 3 * 5 + 4) * 2 + 2
