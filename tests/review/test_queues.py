from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from pipeline.data.answers import CANT_TELL, Answer
from pipeline.data.corrections import KEPT
from pipeline.errors import PipelineError
from pipeline.review import queues, session
from pipeline.review.queues import QUEUES, Choice
from pipeline.review.session import Session


@pytest.fixture
def reviewed(tmp_path: Path, template: tuple[Path, pd.DataFrame]) -> Session:
    shutil.copytree(template[0], tmp_path, dirs_exist_ok=True)
    return session.load(
        tmp_path / "data/images",
        folder=tmp_path / "data",
        path=tmp_path / "data/corrections.csv",
    )


def cells(reviewed: Session, name: str, choice: Choice = queues.ALL) -> pd.DataFrame:
    return queues.cells(reviewed.lists, name, choice)


def names(frame: pd.DataFrame) -> list[tuple[str, str]]:
    return list(zip(frame["image"], frame["attribute"], strict=True))


@pytest.mark.parametrize("name", QUEUES)
def test_every_queue_is_of_cells_once_each_and_with_a_reason(reviewed: Session, name: str) -> None:
    found = cells(reviewed, name)
    assert len(set(names(found))) == len(found) > 0
    filled = set(names(reviewed.lists.table.provenance))
    assert filled.isdisjoint(names(found)) if name == "suspects" else filled >= set(names(found))
    assert (found["reason"] != "").all()
    narrowed = cells(reviewed, name, Choice(attribute="rare"))
    assert names(narrowed) == [cell for cell in names(found) if cell[1] == "rare"]


def test_listed_ones_are_in_the_order_of_the_list(reviewed: Session) -> None:
    listed = reviewed.lists.review
    for name in ("too few labels", "doubtful", "audit"):
        assert names(cells(reviewed, name)) == names(listed[listed["queue"] == name])


def test_what_is_doubtful_and_no_guess_follows_the_list(reviewed: Session) -> None:
    lists = reviewed.lists
    listed = names(cells(reviewed, "doubtful"))
    provenance = lists.table.provenance
    taken = pd.MultiIndex.from_frame(lists.review[["image", "attribute"]])
    free = ~pd.MultiIndex.from_frame(provenance[["image", "attribute"]]).isin(taken)
    right = provenance["expected_correctness"]
    more = provenance[free & (right < 0.9)].sort_values("expected_correctness").head(2)
    sure = provenance[free & (right >= 0.9)].index[:1]
    evidence = provenance["evidence"].where(~provenance.index.isin([*more.index, *sure]), "picture")
    table = replace(lists.table, provenance=provenance.assign(evidence=evidence))
    found = queues.cells(replace(lists, table=table), "doubtful")
    assert names(found) == listed + names(more)
    assert found["listed_probability"].eq(1).all()
    assert found["reason"].iloc[-1] == "below 90 %"


def test_suspects_are_known_labels(reviewed: Session) -> None:
    found = reviewed.cells("suspects")["cells"]
    assert len(found) == 6
    for one in found:
        assert (one["known"], one["expected"]) == (True, 0.4)
        known = reviewed.lists.table.known.loc[one["row"], one["attribute"]]
        assert one["value"] == known


def test_by_image_all_cells_of_an_image_come_together(reviewed: Session) -> None:
    images = [image for image, _ in names(cells(reviewed, "image"))]
    blocks = [image for i, image in enumerate(images) if i == 0 or images[i - 1] != image]
    assert len(blocks) == len(set(blocks))


def test_answers_leave_the_queue_and_raise_what_is_expected(reviewed: Session) -> None:
    before = reviewed.cells("doubtful")
    first, second = before["cells"][:2]
    filled = reviewed.lists.table.provenance["expected_correctness"]
    assert before["expected"] == pytest.approx(filled.mean())
    given = [
        Answer(first["image"], first["attribute"], "1"),
        Answer(second["image"], second["attribute"], CANT_TELL),
    ]
    reviewed.put(given)
    after = reviewed.cells("doubtful")
    assert (after["left"], after["done"]) == (before["left"] - 2, 2)
    assert after["cells"] == before["cells"][2:]
    # Only what was told counts as right.
    gain = (1 - first["expected"]) / len(filled)
    assert after["expected"] == pytest.approx(before["expected"] + gain)


def test_a_queue_that_does_not_exist(reviewed: Session) -> None:
    with pytest.raises(PipelineError, match="no queue 'doubtfull'; did you mean 'doubtful'"):
        reviewed.cells("doubtfull")


def test_an_answer_keeps_what_was_filled_in_and_how_the_cell_was_chosen(reviewed: Session) -> None:
    drawn, doubtful = (reviewed.cells(name)["cells"][0] for name in ("audit", "doubtful"))
    suspect = reviewed.cells("suspects")["cells"][0]
    for one, queue in ((drawn, "audit"), (doubtful, "attribute"), (suspect, "suspects")):
        reviewed.put([Answer(one["image"], one["attribute"], "?", further={"queue": queue})])
    lines = pd.read_csv(reviewed.path, dtype=str, keep_default_na=False)
    assert set(lines) == {"image", "attribute", "value", *KEPT}
    first, second, third = lines.to_dict("records")
    assert (first["guess"], first["queue"]) == (drawn["value"], "audit")
    assert float(first["expected_correctness"]) == drawn["expected"]
    assert float(first["listed_probability"]) == pytest.approx(drawn["listed"], abs=1e-6)
    # Come upon by another way, it was not drawn.
    assert (second["queue"], second["listed_probability"]) == ("attribute", "")
    assert (third["guess"], third["queue"]) == ("", "suspects")


def test_a_queue_is_kept_beside_an_answer_where_the_cell_is_in_it(reviewed: Session) -> None:
    drawn, other = (names(cells(reviewed, name))[0] for name in ("audit", "too few labels"))
    known = names(cells(reviewed, "suspects"))[0]
    for cell in (drawn, other, known):
        for queue in ("audit", "doubtful"):
            value = reviewed.lists.table.values[cell[1]][0]
            before = reviewed.answered().get(cell)
            reviewed.put([Answer(*cell, None, before, {"queue": queue})])
            reviewed.put([Answer(*cell, value, None, {"queue": queue})])
            (said,) = (one for one in reviewed.reading.lines(reviewed.path) if one.image == cell[0])
            kept = cell == drawn or (queue, cell) == ("doubtful", other)
            assert said.queue == (queue if kept else "")
            reviewed.put([Answer(*cell, None, value)])
