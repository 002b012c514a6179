import numpy as np
import pandas as pd
import pytest
from PIL import Image

from benchmarks import datasets, tables
from pipeline.data.labels import LabelTable
from pipeline.errors import PipelineError
from pipeline.features.store import FeatureStore

STYLES = """id,gender,colour,season
{rows}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Six grey pictures; the backbone is a mean over 8 x 8 pixels, since a real one takes long."""

    def model(name, weights, image_size, precision):
        import keras

        pixels = keras.Input((*image_size, 3))
        return keras.Model(pixels, keras.layers.AveragePooling2D(8)(pixels))

    monkeypatch.setattr(datasets, "build", model)
    images = tmp_path / "images"
    images.mkdir()
    for number in range(6):
        Image.new("RGB", (40, 40), (40 * number,) * 3).save(images / f"{number}.jpg")
    return tmp_path


def load(folder, labels, **more):
    return datasets.load(
        folder / labels,
        folder / "images",
        weights="random",
        image_size=(32, 32),
        precision="float32",
        cache=folder / "cache",
        **more,
    )


def test_categories_become_columns_of_frequent_values():
    frame = pd.DataFrame(
        {
            "gender": ["Men", "Women"] * 5,
            "colour": ["red", "red", "red", "blue", "blue", "blue", "green", "", "NA", "pink"],
        }
    )
    names, labels = tables.indicators(frame, at_least=3)
    assert names == ["gender=Men", "colour=blue", "colour=red"]
    np.testing.assert_array_equal(labels[:, 0], [1, 0] * 5)
    np.testing.assert_array_equal(labels[:, 2], [1, 1, 1, 0, 0, 0, 0, np.nan, np.nan, 0])
    assert labels.dtype == np.float32


def test_a_column_is_an_attribute_of_its_frequent_values():
    frame = pd.DataFrame(
        {
            "gender": ["Men", "Women"] * 5,
            "colour": ["red", "red", "red", "blue", "blue", "blue", "green", "", "NA", "pink"],
            "season": ["Fall"] * 9 + ["Spring"],
        }
    )
    found, labels = tables.of_several(frame, at_least=3)
    assert [(one.name, one.values, one.span) for one in found] == [
        ("gender", ("Men", "Women"), (0, 2)),
        ("colour", ("blue", "red"), (2, 4)),
    ]
    np.testing.assert_array_equal(labels[6:, 2:], [[0, 0], [np.nan] * 2, [np.nan] * 2, [0, 0]])


def test_a_value_of_nearly_all_rows_is_no_column():
    frame = pd.DataFrame({"kind": ["shoe"] * 8 + ["hat"] * 2})
    assert tables.indicators(frame, at_least=3)[0] == []


def test_binary_and_categorical_tables_are_told_apart(tmp_path):
    binary = tmp_path / "binary.csv"
    binary.write_text("image,a,b\nx.jpg,1,NA\ny.jpg,0,1\n")
    assert isinstance(tables.read(binary), LabelTable)
    styles = tmp_path / "styles.csv"
    styles.write_text("id,gender,year\n1,Men,2011\n2,,2012\n1,Men,2011\n")
    frame = tables.read(styles)
    assert isinstance(frame, pd.DataFrame)
    assert frame.index.tolist() == ["1", "2"]
    styles.write_text("id,gender\n1,Men,2011\n")
    with pytest.raises(PipelineError, match="row 2: got 3 cells, expected 2"):
        tables.read(styles)


def test_rows_features_and_brightness_belong_together(folder, caplog):
    (folder / "labels.csv").write_text(
        "image,a\n5.jpg,1\n0.jpg,0\n3.jpg,NA\nabsent.jpg,1\nbroken.jpg,1\n"
    )
    (folder / "images" / "broken.jpg").write_bytes(b"no image")
    data = load(folder, "labels.csv")
    assert "2 of 5 images are missing or broken" in caplog.text
    assert data.images == ["0.jpg", "3.jpg", "5.jpg"]
    np.testing.assert_array_equal(data.labels, np.array([[0], [np.nan], [1]], np.float32))
    np.testing.assert_allclose(data.brightness, [0, 120 / 255, 200 / 255], atol=0.01)
    store = FeatureStore(data.store)
    assert store.images == data.images
    np.testing.assert_array_equal(data.features, store.pooled(np.arange(3)))
    np.testing.assert_allclose(data.features[:, 0], [0, 120, 200], atol=2)
    assert data.features.dtype == np.float32


def test_the_second_time_nothing_is_embedded(folder, monkeypatch):
    rows = "\n".join(f"{n},{'Men' if n % 2 else 'Women'},red,x" for n in range(6))
    (folder / "styles.csv").write_text(STYLES.format(rows=rows))
    first = load(folder, "styles.csv", at_least=2)
    assert first.attributes == ["gender=Men"]
    assert first.name == folder.name
    monkeypatch.setattr(datasets, "_embed", lambda *a: pytest.fail("embedded again"))
    second = load(folder, "styles.csv", at_least=2)
    np.testing.assert_array_equal(first.features, second.features)
    with pytest.raises(PipelineError, match="0 columns with at least 4"):
        load(folder, "styles.csv", at_least=4)


def test_weights_that_are_not_there_are_named(folder):
    (folder / "labels.csv").write_text("image,a\n1.jpg,1\n2.jpg,0\n")
    with pytest.raises(PipelineError, match=r"--weights: got .none\.h5."):
        datasets.load(folder / "labels.csv", folder / "images", weights="none.h5")
