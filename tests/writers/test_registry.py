"""Every registered writer behind the one command line: out, and back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pandas as pd
import pytest

from pipeline.data import answers, filled_table
from pipeline.data.answers import Reading
from pipeline.errors import PipelineError
from pipeline.writers import cells
from pipeline.writers.__main__ import main
from pipeline.writers.cells import IMPUTED, KNOWN, UNKNOWN, Outgoing
from pipeline.writers.registry import WRITERS

CORRECTIONS = Path("data/corrections.csv")


def outgoing() -> Outgoing:
    return cells.outgoing(filled_table.read(), Path("data/images"))


def cell_of(attribute: str, state: str) -> tuple[str, str]:
    frame = outgoing().cells
    found = frame[(frame["attribute"] == attribute) & (frame["state"] == state)].iloc[0]
    return found["image"], found["value"]


def said() -> dict[tuple[str, str], str]:
    return answers.read(CORRECTIONS, Reading({"colour"}))


def edit(path: Path, change: Callable[[str], str]) -> None:
    text = path.read_text(encoding="utf-8")
    changed = change(text)
    assert changed != text
    path.write_text(changed, encoding="utf-8")


def test_the_help_lists_every_writer(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["--help"])
    assert end.value.code == 0
    listed = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    for name, writer in WRITERS.items():
        assert f"{name} {writer.layout}" in listed


def test_cells_of_every_state_go_out(project: Path) -> None:
    frame = outgoing().cells
    assert set(frame["state"]) == {KNOWN, IMPUTED, UNKNOWN}
    assert ((frame["value"] == "") == (frame["state"] == UNKNOWN)).all()
    assert (frame["probability"].notna() == (frame["state"] == IMPUTED)).all()
    assert len(frame) == 40 * 4


@pytest.mark.parametrize("name", WRITERS)
def test_a_table_that_nobody_touched_comes_back_without_a_change(
    project: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    main([name, "out"])
    assert f"{40} images, cells {(outgoing().cells['state'] == KNOWN).sum()} known" in (
        capsys.readouterr().out
    )
    before = CORRECTIONS.read_bytes()
    paths = {"label-studio": ["tasks.json", "1_colour.tasks.json"], "cvat": ["annotations.xml"]}
    for path in paths.get(name, {"fiftyone": ["labels.json"]}.get(name, ["."])):
        main([name, "out", "--back", f"out/{path}"])
        assert ": 0 cells that people judged, 0 of them new" in capsys.readouterr().out
    assert CORRECTIONS.read_bytes() == before


@pytest.mark.parametrize("name", WRITERS)
def test_the_same_table_gives_the_same_bytes(project: Path, name: str) -> None:
    main([name, "one"])
    main([name, "two"])
    for path in Path("one").rglob("*"):
        if path.is_file():
            assert path.read_bytes() == (Path("two") / path.relative_to("one")).read_bytes()


@pytest.mark.parametrize("name", ["cvat", "fiftyone", "huggingface"])
def test_layouts_that_carry_every_value_give_every_cell_back(project: Path, name: str) -> None:
    main([name, "out"])
    path = {"cvat": "annotations.xml", "fiftyone": "labels.json"}.get(name, ".")
    table = outgoing()
    back = {
        (one.image, one.attribute): cells.spelled(one.value, table.values[one.attribute])
        for one in WRITERS[name].read(Path("out") / path, table)
    }
    assert back == {(one["image"], one["attribute"]): one["value"] for one in table.rows}


def test_label_studio_s_newest_annotation_that_was_not_cancelled_counts(project: Path) -> None:
    main(["label-studio", "out"])
    tasks = json.loads(Path("out/tasks.json").read_text())

    def annotation(value: str, when: str, cancelled: bool = False) -> dict[str, object]:
        return {
            "was_cancelled": cancelled,
            "updated_at": when,
            "result": [{"type": "choices", "value": {"choices": [value]}}],
        }

    early, late, later = (f"2026-11-0{day}T10:00:00.000000Z" for day in (1, 2, 3))
    guess = tasks[1]["predictions"][0]["result"][0]["value"]["choices"][0]
    tasks[0]["annotations"] = [annotation("1", late), annotation("0", early)]
    tasks[1]["annotations"] = [annotation(guess, early), annotation("1", later, cancelled=True)]
    tasks[2]["annotations"] = [annotation("1", early, cancelled=True)]
    tasks[3]["annotations"] = [annotation("unknown", early)]
    tasks[4]["annotations"] = [{**annotation("1", early), "result": []}]
    Path("back.json").write_text(json.dumps(tasks))
    main(["label-studio", "out", "--back", "back.json"])
    names = [(task["data"]["image_name"], task["data"]["attribute"]) for task in tasks]
    # A confirmed guess counts too: somebody has looked.
    assert said() == {names[0]: "1", names[1]: guess, names[3]: "?"}
    lines = pd.read_csv(CORRECTIONS, dtype=str, keep_default_na=False)
    assert set(lines["queue"]) == {"label-studio"}
    assert lines.set_index(["image", "attribute"]).loc[names[1], "guess"] == guess


def test_what_was_changed_in_cvat(project: Path) -> None:
    main(["cvat", "out"])
    (filled, value), (empty, _) = cell_of("has_hat", IMPUTED), cell_of("colour", UNKNOWN)
    path = Path("out/annotations.xml")
    tree = ET.parse(path)
    wrong = "0" if value == "1" else "1"
    for image, name, new in ((filled, "has_hat", wrong), (empty, "colour", "green")):
        found = tree.find(f"image[@name='{image}']/tag/attribute[@name='{name}']")
        assert found is not None
        found.text = new
    tree.write(path)
    main(["cvat", "out", "--back", "out/annotations.xml"])
    assert said() == {(filled, "has_hat"): wrong, (empty, "colour"): "green"}


@pytest.mark.parametrize("document", ["<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "no xml", "<a>"])
def test_what_is_no_cvat_file(project: Path, document: str) -> None:
    main(["cvat", "out"])
    Path("back.xml").write_text(document)
    with pytest.raises(PipelineError, match=r"^--back back\.xml: .*nothing was written$"):
        main(["cvat", "out", "--back", "back.xml"])


def test_what_was_changed_in_fiftyone(project: Path) -> None:
    main(["fiftyone", "out"])
    content = json.loads(Path("out/labels.json").read_text())
    (filled, value), (known, label) = cell_of("has_bag", IMPUTED), cell_of("colour", KNOWN)
    for own in content["labels"].values():
        for one in own:
            cell = one["attributes"]["image"], one["attributes"]["attribute"]
            if cell == (filled, "has_bag"):
                one["attributes"]["state"] = "verified"
            if cell == (known, "colour"):
                one["label"] = "colour=unknown"
    assert label
    Path("back.json").write_text(json.dumps(content))
    main(["fiftyone", "out", "--back", "back.json"])
    assert said() == {(filled, "has_bag"): value, (known, "colour"): "?"}


def test_what_people_verified_in_open_images(project: Path) -> None:
    main(["open-images", "out"])
    (filled, value), (other, _) = cell_of("has_hat", IMPUTED), cell_of("colour", IMPUTED)
    own = pd.read_csv("out/annotations/train-annotations-machine-imagelabels.csv")
    assert (own["Source"] == "machine").all()
    assert own["Confidence"].between(0, 1).all()
    Path("back.csv").write_text(
        "ImageID,Source,LabelName,Confidence\n"
        f"{filled},verification,has_hat,{value}\n{other},verification,colour=red,0\n"
        f"{other},crowdsource-verification,colour=blue,1\n{other},machine,colour=red,0.99\n"
    )
    main(["open-images", "out", "--back", "back.csv"])
    assert said() == {(filled, "has_hat"): value, (other, "colour"): "blue"}


def test_what_was_changed_in_a_hugging_face_folder(project: Path) -> None:
    main(["huggingface", "out"])
    (filled, value), (known, _) = cell_of("has_hat", IMPUTED), cell_of("has_bag", KNOWN)
    for path in Path("out").rglob("metadata.jsonl"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            if row["file_name"] == f"images/{filled}":
                row["has_hat_source"] = "verified"
            if row["file_name"] == f"images/{known}":
                row["has_bag"] = None
        path.write_text("\n".join(map(json.dumps, rows)))
    main(["huggingface", "out", "--back", "out"])
    assert said() == {(filled, "has_hat"): value, (known, "has_bag"): "?"}


def test_a_later_run_does_not_make_judgements_of_what_went_out_before(project: Path) -> None:
    main(["cvat", "out"])
    image, value = cell_of("has_hat", IMPUTED)
    other = "0" if value == "1" else "1"
    for name in ("provenance", "labels"):
        path = Path(f"data/imputed/{name}.csv")
        frame = pd.read_csv(path, dtype=str, keep_default_na=False)
        mine = frame["image"] == image
        if name == "labels":
            frame.loc[mine, "has_hat"] = other
        else:
            frame.loc[mine & (frame["attribute"] == "has_hat"), "value"] = other
        frame.to_csv(path, index=False)
    main(["cvat", "out", "--back", "out/annotations.xml"])
    assert said() == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cvaat", "out"], "no writer 'cvaat'; did you mean 'cvat'"),
        (["cvat", "no/out"], "no/out: no such folder as no; make it"),
        (["cvat", "data"], "data: there is something already; choose another folder"),
        (["cvat", "params.yaml"], r"params\.yaml: there is something already"),
        (["cvat", "out", "--back", "no.xml"], r"--back no\.xml: no such file"),
        (["cvat", "data", "--back", "params.yaml"], r"data/cells\.csv: can't be read"),
    ],
)
def test_arguments_that_are_refused(project: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(PipelineError, match=f"^{message}"):
        main(arguments)


@pytest.mark.parametrize("name", ["label-studio", "fiftyone", "huggingface", "open-images"])
@pytest.mark.parametrize("content", ["", "{", "[1]", "[]x", '{"labels": {"a": [1]}}'])
def test_what_came_back_from_elsewhere_is_refused(project: Path, name: str, content: str) -> None:
    main([name, "out"])
    Path("back").write_text(content)
    with pytest.raises(PipelineError, match=r"^--back back: .*nothing was written$"):
        main([name, "out", "--back", "back"])
    assert said() == {}


def test_two_answers_on_a_cell_and_cells_that_did_not_go_out(project: Path) -> None:
    table = outgoing()
    image, _ = cell_of("has_hat", IMPUTED)
    both = [cells.Returned(image, "has_hat", one, judged=True) for one in "10"]
    with pytest.raises(PipelineError, match="came back as '1' and as '0'"):
        cells.answers(table.cells, both, table.values, "cvat")
    with pytest.raises(PipelineError, match=r"image 'x\.png'.*no cell that went out"):
        cells.answers(table.cells, [cells.Returned("x.png", "has_hat", "1")], table.values, "cvat")


def test_a_missing_picture_leaves_nothing_behind(project: Path) -> None:
    Path("data/images/image_003.png").unlink()
    for name in ("cvat", "huggingface"):
        with pytest.raises(PipelineError, match=r"image_003\.png.*run `dvc repro`"):
            main([name, "out"])
        assert not Path("out").exists()
    assert not [one for one in project.iterdir() if one.name.endswith(".partial")]


def test_a_category_that_would_read_as_unknown_is_refused(project: Path) -> None:
    table = replace(outgoing(), values={"colour": ["unknown", "red"]})
    for name in ("cvat", "fiftyone"):
        Path(name).mkdir()
        with pytest.raises(PipelineError, match="unknown"):
            WRITERS[name].write(table, Path(name))
    shutil.rmtree("cvat")
