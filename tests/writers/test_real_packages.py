"""The other tools' own packages read what goes out, and hand it back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.data import filled_table
from pipeline.writers import cells, label_studio
from pipeline.writers.__main__ import main
from pipeline.writers.cells import IMPUTED, KNOWN, UNKNOWN, Outgoing
from pipeline.writers.registry import WRITERS

WHY = "not installed; pip install -e '.[tools]'"


def outgoing() -> Outgoing:
    return cells.outgoing(filled_table.read(), Path("data/images"))


def values(table: Outgoing) -> dict[tuple[str, str], str]:
    return {(one["image"], one["attribute"]): one["value"] for one in table.rows}


def returned(name: str, path: str) -> dict[tuple[str, str], str]:
    table = outgoing()
    return {
        (one.image, one.attribute): cells.spelled(one.value, table.values[one.attribute])
        for one in WRITERS[name].read(Path(path), table)
    }


def test_label_studio(project: Path) -> None:
    interface = pytest.importorskip("label_studio_sdk.label_interface", reason=WHY)
    main(["label-studio", "out"])
    table = outgoing()
    wanted = {one for one in values(table) if one not in known(table)}
    found = set()
    for prefix in ("", "1_colour."):
        config = interface.LabelInterface(Path(f"out/{prefix}config.xml").read_text())
        config.validate()
        for task in json.loads(Path(f"out/{prefix}tasks.json").read_text()):
            # Apart: with predictions its own call of validate_prediction lacks an argument.
            assert config.validate_task({"data": task["data"]})
            for prediction in task.get("predictions", []):
                assert config.validate_prediction(prediction, return_errors=True) == []
            found.add((task["data"]["image_name"], task["data"]["attribute"]))
    assert found == wanted
    control = interface.LabelInterface(label_studio.config(["1", "0"])).get_control("value")
    assert set(control.labels) == {"1", "0", "unknown"}


def known(table: Outgoing) -> set[tuple[str, str]]:
    return {(one["image"], one["attribute"]) for one in table.rows if one["state"] == KNOWN}


def test_cvat_through_datumaro(project: Path) -> None:
    datumaro = pytest.importorskip("datumaro", reason=WHY)
    main(["cvat", "out"])
    Path("out/images").symlink_to("../data/images")  # as in CVAT's own archives
    table = outgoing()
    read = datumaro.Dataset.import_from("out", "cvat")
    found = {}
    for item in read:
        (tag,) = item.annotations
        for name, own in table.values.items():
            text = tag.attributes[name]
            text = f"{text:.0f}" if isinstance(text, float) else text
            found[f"{item.id}.png", name] = "" if text == "unknown" else text
            assert text in [*own, "unknown"]
    assert found == values(table)
    read.export("again", "cvat", save_media=True)
    (path,) = Path("again").rglob("*.xml")
    assert returned("cvat", str(path)) == values(table)


def test_open_images_through_datumaro(project: Path) -> None:
    datumaro = pytest.importorskip("datumaro", reason=WHY)
    main(["open-images", "out"])
    table = outgoing()
    read = datumaro.Dataset.import_from("out", "open_images")
    labels = read.categories()[datumaro.AnnotationType.label]
    assert {item.id for item in read} == set(table.split)
    found = {
        (item.id, labels[one.label].name, one.attributes["score"])
        for item in read
        for one in item.annotations
    }
    assert found == {
        (one["image"], f"colour={one['value']}", 1.0)
        if one["attribute"] == "colour"
        else (one["image"], one["attribute"], float(one["value"]))
        for one in table.rows
        if one["state"] == KNOWN
    }


def test_fiftyone(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    importers = pytest.importorskip("fiftyone.utils.data.importers", reason=WHY)
    import fiftyone.utils.data.exporters as exporters

    main(["fiftyone", "out"])
    table = outgoing()
    states = {(one["image"], one["attribute"]): one["state"] for one in table.rows}
    # The importer and the exporter as they are; a data set would start a database server.
    read = importers.FiftyOneImageClassificationDatasetImporter("out")
    write = exporters.FiftyOneImageClassificationDatasetExporter(
        "again",
        export_media=False,
        abs_paths=True,
        include_confidence=None,
        include_attributes=None,
    )
    with read, write:
        for path, _, labels in read:
            assert Path(path).is_file()
            for one in labels.classifications:
                assert (one.confidence is not None) == (one.state == IMPUTED)
                assert states[one.image, one.attribute] == one.state
                assert one.label.endswith("=unknown") == (one.state == UNKNOWN)
            write.export_sample(path, labels)
    assert returned("fiftyone", "again/labels.json") == values(table)


def test_hugging_face(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason=WHY)
    main(["huggingface", "out"])
    table = outgoing()
    Path("out/images/image_001.png").rename("out/images/test-1.png")  # a split's name in a name
    path = Path("out/metadata.jsonl")
    path.write_text(path.read_text().replace("image_001", "test-1"))
    read = datasets.load_dataset("out", cache_dir=str(project / "cache"))
    assert set(read) == {"full"}
    plain = read["full"].cast_column("image", datasets.Image(decode=False))
    rows: list[dict[str, Any]] = [{**row} for row in plain]
    found: dict[tuple[str, str], str] = {}
    for row in rows:
        name = Path(row.pop("image")["path"]).name.replace("test-1", "image_001")
        row["file_name"] = f"images/{name}"
        assert row["split"] == table.split[name]
        for one in table.values:
            text = "" if row[one] is None else str(row[one])
            found[name, one] = text
            assert (row[f"{one}_source"] is None) == (text == "")
            assert (row[f"{one}_probability"] is None) == (row[f"{one}_source"] != IMPUTED)
    Path("again.jsonl").write_text("\n".join(map(json.dumps, rows)))
    assert found == values(table)
    assert returned("huggingface", "again.jsonl") == values(table)
