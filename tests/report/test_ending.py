"""The end of a run: by hand, in lines that any terminal has room for."""

from __future__ import annotations

from dataclasses import replace

from pipeline.data.verdicts import LEARNABLE, NOT_LEARNABLE, TOO_FEW
from pipeline.report import ending
from pipeline.report.attributes import Summary
from pipeline.report.cells import Trust
from pipeline.report.figures import Interval, counted

SOME = counted(0.5)
BASE = Summary(
    name="has_hat",
    anchor="attribute-1",
    categorical=False,
    counts=(("1", 40), ("0", 60)),
    unknown=100,
    trust=Trust(safe=80, likely=15, doubtful=5, wrong=2.5, empty=0),
    verdict=LEARNABLE,
    reason="",
    sought=(),
    accuracy=Interval(SOME, SOME, SOME),
    majority=SOME,
    true=Interval(SOME, SOME, SOME),
    known_auc=Interval(SOME, SOME, SOME),
    missing_at_random=True,
)
COIN = replace(
    *(BASE,), name="coin", verdict=NOT_LEARNABLE, trust=Trust(0, 0, 7, 3.5, empty=0), unknown=7
)
SHOES = replace(
    *(BASE,),
    **{"name": "shoes", "verdict": TOO_FEW, "unknown": 1, "trust": Trust(0, 0, 0, 0.0, empty=1)},
    sought=("a.jpg", "b.jpg", "c.jpg", "d.jpg"),
)


def said(*attributes: Summary) -> list[str]:
    return ending.lines(attributes, "data/imputed/labels.csv", "reports/report.html", 5)


def test_by_hand() -> None:
    assert said(BASE, COIN, SHOES) == [
        "107 of 108 unknown cells filled",
        "  80 safe: each at least 99 % likely to be right",
        "  15 likely: 90 to 99 %",
        "   5 doubtful: below 90 %",
        "  coin: 7 cells guessed: not learnable",
        "  shoes: 1 cell left empty: too few labels to tell",
        "    look first at a.jpg, b.jpg, c.jpg",
        "table:  data/imputed/labels.csv",
        "report: reports/report.html",
        "next:   python -m pipeline.review",
        "        then dvc repro: answers are learned from",
    ]


def test_a_classifier_worse_than_a_guess_is_said_in_lines_that_fit() -> None:
    sentence = "final classifier, test cells: Brier score 0.199, no better than 0.193 of guessing"
    found = ending.lines([BASE], "labels.csv", "report.html", 0, [sentence, sentence])
    at = found.index("table:  labels.csv")
    assert found[at - 4 : at] == 2 * [
        "warning: final classifier, test cells: Brier score 0.199, no better than 0.193",
        "  of guessing",
    ]
    assert found[-1].startswith("next:   python -m pipeline.predict")


def test_doubtful_cells_of_a_learnable_attribute_that_stay_empty_are_said() -> None:
    one = replace(BASE, trust=Trust(80, 15, 0, 1.0, empty=5))
    assert "  has_hat: 5 of 100 cells left empty: too doubtful" in said(one)
    why = replace(one, withheld="not missing at random")
    assert "  has_hat: 5 of 100 cells left empty: not missing at random" in said(why)
    assert not any("has_hat" in line for line in said(BASE))


def test_with_nothing_to_look_at_the_classifier_is_next() -> None:
    last = ending.lines([BASE], "labels.csv", "report.html", 0)[-1]
    assert last.startswith("next:   python -m pipeline.predict")
    complete = replace(BASE, unknown=0, trust=Trust(0, 0, 0, 0.0, empty=0))
    assert said(complete)[0] == "0 of 0 unknown cells filled"


def test_many_attributes_and_long_names_stay_short() -> None:
    many = [replace(COIN, name=f"attribute number {i}") for i in range(40)]
    lines = said(*many)
    assert len(lines) < 20
    assert f"  {40 - ending.MOST} more such attributes: see the report" in lines
    assert max(map(len, lines)) < 80
