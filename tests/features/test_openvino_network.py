"""The backbone by OpenVINO: Keras' features but for the last digits, the same bytes again."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import runtime
from pipeline.features import backbones, extract, openvino_network, weights
from pipeline.features.openvino_network import chosen
from tests.stages.test_embed import base, edit, index, passes, run, store

__all__ = ["base"]  # a fixture
pytest.importorskip("openvino", reason="the extra openvino is not installed")

SIZE = (64, 64)


@pytest.fixture(scope="module")
def model() -> Any:
    out = backbones.build("mobilenet_v2", SIZE)
    weights.randomise(out, 0)
    return out


@pytest.fixture(scope="module", params=openvino_network.HINTS)
def precision(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def encoder(model: Any, precision: str) -> openvino_network.Encoder:
    return openvino_network.encoder(model, precision)


def pictures(count: int) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, *SIZE, 3), dtype=np.uint8)


def test_the_features_are_those_of_keras_but_for_rounding(
    model: Any, encoder: openvino_network.Encoder, precision: str
) -> None:
    reference = extract.Encoder(model, SIZE)
    assert encoder.image_size == SIZE
    assert (encoder.batch, encoder.map_shape) == (reference.batch, reference.map_shape)
    ours, theirs = encoder(pictures(5)), reference(pictures(5))
    assert ours.dtype == np.float32
    if precision == "float32":
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=2e-4 * np.abs(theirs).max())
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.99


def test_an_image_has_the_same_bytes_wherever_in_a_batch_it_stands(
    model: Any, encoder: openvino_network.Encoder, precision: str
) -> None:
    some = pictures(6)
    together = encoder(some)
    assert (together[::-1] == encoder(some[::-1])).all()
    assert (together == np.concatenate([encoder(some[i : i + 1]) for i in range(6)])).all()
    assert (together == openvino_network.encoder(model, precision)(some)).all(), "converted again"


def test_threads_may_share_the_network(encoder: openvino_network.Encoder) -> None:
    batches = [pictures(count) for count in (9, 10, 11, 12)]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(encoder, batches))
    for maps, batch in zip(together, batches, strict=True):
        assert (maps == encoder(batch)).all()


@pytest.mark.parametrize(
    ("requested", "precision", "gains", "local", "device", "there", "expected"),
    [
        ("auto", "float32", True, True, "cpu", True, True),
        ("auto", "float32", True, True, "cpu", False, False),
        ("auto", "float32", True, True, "gpu", True, False),
        ("auto", "float32", True, False, "cpu", True, False),
        ("auto", "float32", False, True, "cpu", True, False),
        ("auto", "bfloat16", True, True, "cpu", True, True),
        ("auto", "bfloat16", False, True, "cpu", True, False),
        ("auto", "int8", True, True, "cpu", True, False),
        ("keras", "float32", True, True, "cpu", True, False),
        ("openvino", "float32", False, True, "gpu", True, True),
    ],
)
def test_auto_is_openvino_where_it_is_installed_and_faster(
    monkeypatch: pytest.MonkeyPatch,
    requested: str,
    precision: str,
    gains: bool,
    local: bool,
    device: str,
    there: bool,
    expected: bool,
) -> None:
    monkeypatch.setattr(runtime, "device", lambda: device)
    monkeypatch.setattr(openvino_network, "installed", lambda: there)
    monkeypatch.setattr(runtime, "processor_has_bfloat16", lambda: True)
    assert chosen(requested, precision, gains, local) == expected


def test_its_features_have_an_address_of_their_own(base: Path, tmp_path: Path) -> None:
    folder = tmp_path / "project"
    shutil.copytree(base, folder, ignore=shutil.ignore_patterns("features", ".cache"))
    edit(folder, "views: 30", "views: 1")
    index(folder, range(10))
    # Two of the ten images are identical.
    assert passes(run(folder)) == (9, 0)
    keras = store(folder)
    edit(folder, "runtime: keras", "runtime: openvino")
    logged = run(folder)
    assert passes(logged) == (9, 0) and "float32 by OpenVINO" in logged
    assert json.loads((folder / "data/features/meta.json").read_text())["runtime"] == "openvino"
    ours = store(folder)
    assert passes(run(folder)) == (0, 10) and store(folder) == ours
    edit(folder, "runtime: openvino", "runtime: keras")
    assert passes(run(folder)) == (0, 10) and store(folder) == keras != ours
