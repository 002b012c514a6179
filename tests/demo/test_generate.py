"""The demo: what the table promises, and that a picture shows its row and nothing else."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.demo import generate
from pipeline.demo.generate import ATTRIBUTES, COIN, VISUAL_ATTRIBUTES
from pipeline.stages import demo as stage

ROWS = 975
SEEDS = [0, 1, 42, 2**31 - 1]
DRESSED = [1, 1, 0, 0, 0]
PARAMS = Path(__file__).parents[2] / "params.yaml"


def pixels(row: list[int], index: int = 0, seed: int = 42) -> np.ndarray:
    return np.asarray(generate.picture(row, seed, index)).astype(int)


def test_attributes() -> None:
    assert (*VISUAL_ATTRIBUTES, COIN) == ATTRIBUTES
    assert len(set(ATTRIBUTES)) == 5


@pytest.mark.parametrize("seed", SEEDS)
def test_table(seed: int) -> None:
    table = generate.generate(ROWS, seed)
    assert table.images == [f"image_{i}.jpg" for i in range(ROWS)]
    assert table.truth.shape == table.labels.shape == (ROWS, 5)
    assert table.truth.dtype == np.int64
    assert table.labels.dtype == np.float32
    assert set(np.unique(table.truth)) == {0, 1}
    assert len(table.missing) == 3
    assert table.missing < set(table.images)


@pytest.mark.parametrize("seed", range(20))
def test_prevalence_for_any_seed(seed: int) -> None:
    table = generate.generate(ROWS, seed)
    targets = [0.88, 0.81, 0.53, 0.08, 0.50]
    np.testing.assert_allclose(table.truth.mean(axis=0), targets, rtol=0, atol=0.02)


@pytest.mark.parametrize("seed", SEEDS)
def test_cells_hidden_at_random(seed: int) -> None:
    table = generate.generate(ROWS, seed)
    hidden = np.isnan(table.labels)
    assert 0.08 <= hidden.mean() <= 0.10
    assert (hidden.mean(axis=0) > 0.05).all()
    np.testing.assert_array_equal(table.labels[~hidden], table.truth[~hidden])
    for attribute in range(5):
        positive = table.truth[:, attribute] == 1
        share, other = hidden[positive, attribute].mean(), hidden[~positive, attribute].mean()
        spread = np.sqrt(0.09 * 0.91 * (1 / positive.sum() + 1 / (~positive).sum()))
        assert abs(share - other) < 3.5 * spread


@pytest.mark.parametrize("seed", SEEDS)
def test_one_pair_goes_together_and_the_coin_with_nothing(seed: int) -> None:
    correlation = np.corrcoef(generate.generate(ROWS, seed).truth.T)
    assert correlation[0, 1] > 0.3
    assert np.abs(correlation[4, :4]).max() < 0.12  # 3.7 standard errors
    assert np.abs(correlation[2:4, :2]).max() < 0.12


def test_seeds_differ() -> None:
    first, second = generate.generate(ROWS, 1), generate.generate(ROWS, 2)
    assert (first.truth != second.truth).mean() > 0.2
    assert first.missing != second.missing
    assert (np.isnan(first.labels) != np.isnan(second.labels)).mean() > 0.1


@pytest.mark.parametrize("rows", [50, 100, 250])
def test_a_longer_table_continues_a_shorter_one(rows: int) -> None:
    short, long = generate.generate(rows, 42), generate.generate(ROWS, 42)
    assert short.images == long.images[:rows]
    np.testing.assert_array_equal(short.truth, long.truth[:rows])
    np.testing.assert_array_equal(short.labels, long.labels[:rows])
    assert len(short.missing) == 3


def test_same_seed_same_bytes_in_any_order() -> None:
    truth = generate.generate(60, 42).truth.tolist()
    forward = [generate.jpeg(generate.picture(truth[i], 42, i)) for i in range(8)]
    backward = [generate.jpeg(generate.picture(truth[i], 42, i)) for i in reversed(range(8))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 8
    assert generate.jpeg(generate.picture(truth[0], 43, 0)) != forward[0]


def test_sizes() -> None:
    sizes = [generate.picture(DRESSED, 42, i).size for i in range(40)]
    heights = np.array([height for _, height in sizes])
    assert heights.min() >= 150
    assert heights.max() <= 190
    assert len(set(heights)) > 10
    assert all(0.70 < width / height < 0.80 for width, height in sizes)
    image = generate.draw(DRESSED, np.random.default_rng(0), (160, 120))
    assert (image.size, image.mode) == ((120, 160), "RGB")


@pytest.mark.parametrize("index", range(4))
def test_the_coin_does_not_show(index: int) -> None:
    np.testing.assert_array_equal(
        pixels([1, 1, 1, 0, 0], index=index), pixels([1, 1, 1, 0, 1], index=index)
    )


@pytest.mark.parametrize(
    ("attribute", "band"),
    [
        ("has_long_trousers", (0.55, 1.0)),
        ("has_sleeves", (0.2, 0.75)),
        ("has_pattern", (0.2, 0.75)),
        ("has_hat", (0.0, 0.3)),
    ],
)
@pytest.mark.parametrize("index", range(4))
def test_a_visual_attribute_shows_where_it_is_worn(
    attribute: str, band: tuple[float, float], index: int
) -> None:
    rows = [list(DRESSED), list(DRESSED)]
    for value in (0, 1):
        rows[value][ATTRIBUTES.index(attribute)] = value
    size = (160, 120)
    # Without a shared state of the generator, noise and background differ as well.
    pictures = [
        np.mean(
            [
                np.asarray(generate.draw(row, np.random.default_rng(100 * index + i), size))
                for i in range(40)
            ],
            axis=0,
        )
        for row in rows
    ]
    per_line = np.abs(pictures[1] - pictures[0]).mean(axis=(1, 2))
    low, high = (round(160 * share) for share in band)
    inside = per_line[low:high].sum()
    assert inside > 0.6 * per_line.sum()


def test_rejects_a_row_of_another_length() -> None:
    with pytest.raises(ValueError, match="zip"):
        generate.draw([1, 0, 1], np.random.default_rng(0), (160, 120))


def test_stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = PARAMS.read_text(encoding="utf-8")
    assert "rows: 975" in text
    (tmp_path / "params.yaml").write_text(text.replace("rows: 975", "rows: 60"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    stage.main()
    folder = tmp_path / "data" / "demo"
    labels, truth = (
        pd.read_csv(folder / name, dtype=str, keep_default_na=False)
        for name in ("labels.csv", "truth.csv")
    )
    assert labels.columns.tolist() == truth.columns.tolist() == ["image", *ATTRIBUTES]
    assert len(labels) == len(truth) == 60
    assert labels["image"].tolist() == truth["image"].tolist()
    cells, known = labels[list(ATTRIBUTES)].to_numpy(), truth[list(ATTRIBUTES)].to_numpy()
    assert set(np.unique(cells.astype(str))) == {"", "0", "1"}
    assert set(np.unique(known.astype(str))) == {"0", "1"}
    assert (cells == known)[cells != ""].all()
    files = {path.name for path in (folder / "images").iterdir()}
    assert len(files) == 57
    assert files < set(labels["image"])
    with Image.open(folder / "images" / min(files)) as image:
        assert image.format == "JPEG"
    assert not (folder / "labels.csv").read_bytes().count(b"\r")

    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (folder / "images" / "left_over.jpg").write_bytes(b"stale")
    stage.main()
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_jpeg_is_close_to_the_drawing() -> None:
    image = generate.picture(DRESSED, 42, 3)
    with Image.open(io.BytesIO(generate.jpeg(image))) as stored:
        difference = np.asarray(stored).astype(int) - np.asarray(image).astype(int)
    assert np.abs(difference).mean() < 6
