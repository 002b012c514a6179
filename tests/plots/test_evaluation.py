"""The reports' pictures: readable, complete, byte-stable."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.text import Text
from PIL import Image

from pipeline.data.categories import frequent
from pipeline.data.labels import LabelTable
from pipeline.metrics.scores import attribute_scores, auc
from pipeline.plots import evaluation, gallery, style, training

NAN = float("nan")


def names(attributes):
    """Names with what makes drawing hard: length, mathematics, underscores, another script."""
    hard = ["smiling", "long_hair_of_the_person_in_front", "a $\\broken$ name", "lächelt_0", "笑顔"]
    return (hard + [f"Wearing_Necktie_{i}" for i in range(attributes)])[:attributes]


def cells(attributes, n=600):
    """Labels with holes and their probabilities; of the last attribute only negatives."""
    rng = np.random.default_rng(attributes)
    probability = rng.beta(0.7, 1.2, (n, attributes))
    labels = (rng.random((n, attributes)) < probability).astype(np.float32)
    labels[:, -1] = 0
    labels[rng.random((n, attributes)) < rng.uniform(0, 0.6, attributes)] = NAN
    return labels, probability


def read(path):
    with Image.open(path) as image:
        image.load()
    return image


def draw_distribution(attributes, path):
    labels, _ = cells(attributes)
    table = LabelTable.binary([str(i) for i in range(len(labels))], names(attributes), labels)
    evaluation.class_distribution(table, path)


def draw_learning(attributes, path):
    epoch = np.arange(1, attributes + 1)
    frame = {"epoch": epoch, "kept": (epoch == attributes).astype(int)}
    for column in ("loss", "binary_accuracy", "auc"):
        frame[column] = 1 / epoch
        frame[f"val_{column}"] = 0.8 / epoch + 0.001 * epoch
    training.learning_curves(pd.DataFrame(frame), path)


def draw_confusion(attributes, path):
    labels, probability = cells(attributes)
    keys = ("tp", "fp", "tn", "fn", "threshold")
    rows = []
    for a, name in enumerate(names(attributes)):
        scores = attribute_scores(labels[:, a], probability[:, a], 0.5)
        rows.append({"attribute": name, **{key: scores[key] for key in keys}})
    evaluation.confusion_grid(rows, path)


def curves(attributes):
    labels, probability = cells(attributes)
    return [(name, labels[:, a], probability[:, a]) for a, name in enumerate(names(attributes))]


def draw_roc_pr(attributes, path):
    evaluation.roc_pr(curves(attributes), path)


def draw_calibration(attributes, path):
    evaluation.calibration(curves(attributes), path)


def draw_gallery(attributes, path):
    labels, probability = cells(attributes)
    items = []
    for i in range(6):
        height, width = [(240, 180), (100, 240), (60, 60)][i % 3]
        rows = []
        for a, name in enumerate(names(attributes)):
            known, p = not np.isnan(labels[i, a]), float(probability[i, a])
            truth = str(int(labels[i, a])) if known else ""
            filled = "" if known or i == 1 else str(int(p >= 0.5))
            rows.append((name, truth, filled, p if filled else None, str(int(p >= 0.4)), p))
        image = np.full((height, width, 3), 40 * i, dtype=np.uint8)
        items.append({"image": image, "name": f"folder/person_{i:06d}.jpg", "rows": rows})
    gallery.gallery(items, path)


def value_table(cells):
    """A table of categorical attributes: name -> texts, and how many of its values are rare."""
    columns = {name: np.array(texts, dtype=object) for name, (texts, _) in cells.items()}
    vocabulary = {}
    for name, (_, rare) in cells.items():
        values = frequent(columns[name], 1)
        vocabulary[name] = tuple(values[: len(values) - rare])
    images = [str(i) for i in range(len(next(iter(columns.values()))))]
    return LabelTable(images, columns, vocabulary=vocabulary)


def draw_pies(attributes, path):
    rng = np.random.default_rng(attributes)
    cells = {}
    for a, name in enumerate(names(min(attributes, 24))):
        values = ["", *names(a % 5 + 2), *(f"seldom {i}" for i in range(3))]
        share = np.r_[rng.dirichlet(np.ones(len(values) - 3)) * 0.99, [0.004, 0.003, 0.003]]
        texts = [*values, *rng.choice(values, 600 - len(values), p=share)]
        cells[name] = texts, 2
    evaluation.pies(value_table(cells), path)


DRAWERS = {
    "pies": draw_pies,
    "distribution": draw_distribution,
    "learning": draw_learning,
    "confusion": draw_confusion,
    "roc_pr": draw_roc_pr,
    "calibration": draw_calibration,
    "gallery": draw_gallery,
}


@pytest.fixture
def drawn(monkeypatch):
    """Every text of the last picture: string, colour and extent in pixels, and the picture's."""
    texts = {}
    original = Text.draw

    def record(self, renderer):
        original(self, renderer)
        if self.get_text().strip() and self.get_visible():
            box = self.get_window_extent(renderer).extents
            whole = self.get_figure(root=True).bbox.extents
            texts[id(self)] = (self.get_text(), to_hex(self.get_color()), box, whole, self)

    monkeypatch.setattr(Text, "draw", record)
    return texts


@pytest.mark.parametrize("attributes", [1, 5, 40])
@pytest.mark.parametrize("name", DRAWERS)
def test_pictures_have_sensible_sizes_and_texts_that_do_not_collide(
    name, attributes, tmp_path, drawn
):
    DRAWERS[name](attributes, tmp_path / "a.png")
    check_texts(drawn)
    width, height = read(tmp_path / "a.png").size
    assert 500 <= width <= 1700
    assert 150 <= height <= 2600


@pytest.mark.parametrize("name", DRAWERS)
def test_long_names_collide_with_nothing(name, tmp_path, drawn, monkeypatch):
    long = [f"Wearing_a_Necktie_or_a_Scarf_{i:03d}" for i in range(13)]
    monkeypatch.setitem(globals(), "names", lambda attributes: long[:attributes])
    DRAWERS[name](13, tmp_path / "a.png")
    check_texts(drawn)


def check_texts(drawn):
    strings = [entry[0] for entry in drawn.values()]
    boxes = np.array([entry[2] for entry in drawn.values()])
    whole = next(iter(drawn.values()))[3]
    outside = (boxes[:, :2] < whole[:2] - 1).any(axis=1) | (boxes[:, 2:] > whole[2:] + 1).any(
        axis=1
    )
    assert [strings[i] for i in np.flatnonzero(outside)] == []
    # Extents include the ascent and descent of the line: 2 pixels of them may meet.
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    overlap = np.triu((high - low > 2).all(axis=2), k=1)
    assert [(strings[i], strings[j]) for i, j in np.argwhere(overlap)] == []


@pytest.mark.parametrize("name", DRAWERS)
def test_same_call_gives_the_same_bytes_under_any_settings(name, tmp_path):
    DRAWERS[name](2, tmp_path / "a.png")
    with matplotlib.rc_context({"font.size": 20, "savefig.dpi": 40, "xtick.major.size": 9}):
        DRAWERS[name](2, tmp_path / "b.png")
        assert matplotlib.rcParams["font.size"] == 20
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert read(tmp_path / "a.png").info.keys() <= {"dpi"}


def test_nothing_is_written_when_drawing_fails(tmp_path):
    with pytest.raises(KeyError):
        evaluation.confusion_grid([{"attribute": "x"}], tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_class_distribution_tells_every_count(tmp_path, drawn):
    values = np.array([[1, 0], [1, NAN], [NAN, NAN], [0, NAN], [1, NAN]], dtype=np.float32)
    evaluation.class_distribution(
        LabelTable.binary(list("abcde"), ["x", "y"], values), tmp_path / "a.png"
    )
    shown = [entry[0] for entry in drawn.values()]
    headings = [shown.index(name) for name in ("positive", "negative", "unknown")]
    assert [shown[i + 1 : i + 3] for i in headings] == [["3", "0"], ["1", "1"], ["1", "4"]]


def test_confusion_grid_tells_counts_and_shares_of_the_label(tmp_path, drawn):
    row = {"attribute": "x", "tp": 30, "fn": 10, "tn": 0, "fp": 0, "threshold": 0.25}
    evaluation.confusion_grid([row], tmp_path / "a.png")
    shown = [entry[0] for entry in drawn.values()]
    assert {"30", "75%", "10", "25%", "0", "none", "x", "1 from 0.25 on"} <= set(shown)


def test_roc_pr_legend_is_sorted_and_tells_both_areas(tmp_path, drawn):
    y = np.array([1, 1, 0, 0, NAN])
    worse = ("worse", y, np.array([0.9, 0.1, 0.5, 0.2, 0.3]))
    better = ("better", y, np.array([0.9, 0.8, 0.5, 0.2, 0.3]))
    empty = ("empty", np.array([1, 1, 1, 1, NAN]), worse[2])
    evaluation.roc_pr([empty, worse, better], tmp_path / "a.png")
    shown = [entry[0] for entry in drawn.values()]
    first = shown.index("better  1.00 / 1.00")
    assert shown[first : first + 3] == [
        "better  1.00 / 1.00",
        "worse  0.50 / 0.75",
        "empty  (one class only)",
    ]


def plotted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[tuple, dict]]:
    """What lines are drawn of, as they are."""
    seen, plot = [], Axes.plot

    def spy(self, *what, **look):
        seen.append((what, look))
        return plot(self, *what, **look)

    monkeypatch.setattr(Axes, "plot", spy)
    return seen


def test_an_attribute_has_its_colour_whatever_its_rank(tmp_path, monkeypatch):
    y = np.array([1, 1, 0, 0, NAN])
    good, bad = np.array([0.9, 0.8, 0.5, 0.2, 0.3]), np.array([0.9, 0.1, 0.5, 0.2, 0.3])
    seen, looks = plotted(monkeypatch), []
    for first, second in ((good, bad), (bad, good)):
        seen.clear()
        evaluation.roc_pr([("a", y, first), ("b", y, second)], tmp_path / "a.png")
        areas = {"a": auc(y, first), "b": auc(y, second)}
        order = sorted(areas, key=lambda name: -areas[name])
        curves = [look["color"] for _, look in seen if look.get("lw") == 1.6][::2]
        looks.append(dict(zip(order, curves, strict=True)))
    assert looks[0] == looks[1] == {"a": style.SERIES[0], "b": style.SERIES[1]}


def test_no_two_attributes_of_many_look_alike() -> None:
    assert len({style.series(place) for place in range(28)}) == 28


def test_bins_of_few_cells_are_not_joined(tmp_path, monkeypatch):
    seen = plotted(monkeypatch)
    p = np.r_[np.full(evaluation.JOINED, 0.05), [0.35], np.full(evaluation.JOINED, 0.95)]
    y = np.r_[np.zeros(evaluation.JOINED), [1], np.ones(evaluation.JOINED)]
    evaluation.calibration([("a", y, p)], tmp_path / "a.png")
    ((_, share), _) = next(one for one in seen if one[1].get("lw") == 1.2)
    np.testing.assert_array_equal(share, [0, NAN, 1])


def test_calibration_says_what_is_unknown(tmp_path, drawn):
    known = ("known", np.array([1, 1, 0, NAN]), np.array([0.9, 0.8, 0.1, 0.5]))
    evaluation.calibration([known, ("hole", np.full(4, NAN), known[2])], tmp_path / "a.png")
    shown = [entry[0] for entry in drawn.values()]
    assert "ECE 0.133" in shown and "no known label" in shown


def test_learning_curves_mark_the_kept_epoch_and_do_without_columns(tmp_path, drawn):
    history = pd.DataFrame({"epoch": [1, 2, 3], "val_auc": [0.7, 0.9, 0.9], "kept": [0, 0, 1]})
    training.learning_curves(history, tmp_path / "a.png")
    assert "kept (epoch 3)" in [entry[0] for entry in drawn.values()]


def test_gallery_marks_wrong_predictions_and_imputed_cells(tmp_path, drawn):
    rows = [
        ("right", "1", "", None, "1", 0.91),
        ("wrong", "0", "", None, "1", 0.82),
        ("filled", "", "0", 0.13, "1", 0.74),
        ("hole", "", "", None, "0", 0.05),
    ]
    item = {"image": np.zeros((8, 8, 3), dtype=np.uint8), "name": "a.jpg", "rows": rows}
    gallery.gallery([item], tmp_path / "a.png")
    colors = {entry[0]: entry[1].upper() for entry in drawn.values()}
    assert colors["1 (0.91)"] == style.INK
    assert colors["✗ 1 (0.82)"] == style.ORANGE
    assert (colors["0 (0.13)"], colors["1 (0.74)"]) == (style.BLUE, style.INK)
    assert colors["0 (0.05)"] == style.INK


def test_gallery_counts_the_attributes_that_do_not_fit(tmp_path, drawn):
    rows = [(f"a{i}", "1", "", None, "1", 0.9) for i in range(47)]
    item = {"image": np.zeros((8, 8, 3), dtype=np.uint8), "name": "a.jpg", "rows": rows}
    gallery.gallery([item], tmp_path / "a.png")
    shown = [entry[0] for entry in drawn.values()]
    assert "a39" in shown and "a40" not in shown and "and 7 more attributes" in shown


@pytest.mark.parametrize(
    "draw",
    [gallery.gallery, evaluation.confusion_grid, evaluation.roc_pr, evaluation.calibration],
)
def test_no_data_gives_an_empty_picture(draw, tmp_path):
    draw([], tmp_path / "a.png")
    assert read(tmp_path / "a.png").height >= 100


def test_a_giant_table_stays_within_what_can_be_drawn(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "LONGEST_SIDE", 1000)
    draw_distribution(60, tmp_path / "a.png")
    assert max(read(tmp_path / "a.png").size) <= 1000


def test_pies_tell_large_values_and_count_the_others(tmp_path, drawn):
    rare = [f"shade {i}" for i in range(20)]
    colours = ["red"] * 50 + ["blue"] * 18 + ["teal"] * 9 + ["grey"] * 3 + rare + [""] * 9
    evaluation.pies(value_table({"colour": (colours, 20)}), tmp_path / "a.png")
    shown = {entry[0] for entry in drawn.values()}
    assert shown == {
        *("Values of categorical attributes", "colour", "24 values"),
        *("red", "blue", "teal", "20 rarer"),
    }


def test_labels_of_pies_that_would_touch_are_left_out(tmp_path, drawn):
    values = ["a"] * 80 + ["b"] * 5 + ["c"] * 5 + ["d"] * 4 + [f"e{i}" for i in range(6)]
    evaluation.pies(value_table({"x": (values, 6)}), tmp_path / "a.png")
    shown = {entry[0] for entry in drawn.values()}
    assert shown - {"Values of categorical attributes", "x", "10 values"} == {
        *("a", "b", "c", "6 rarer")
    }
    check_texts(drawn)


def test_slices_of_pies_are_shares_of_known_cells(tmp_path, monkeypatch):
    seen = []
    original = Axes.pie

    def spy(self, x, **rest):
        seen.append((list(x), rest["labels"], len(rest["colors"])))
        return original(self, x, **rest)

    monkeypatch.setattr(Axes, "pie", spy)
    few = ["S"] * 96 + ["M"] * 2 + ["L", "XL"] + [""] * 100
    even = ["a", "b"] * 100
    evaluation.pies(value_table({"size": (few, 1), "letter": (even, 0)}), tmp_path / "a.png")
    (size, labels, colors), (letter, *_) = seen
    # XL, on a hundredth of the images, would have a slice, had it a column.
    assert size == pytest.approx([0.96, 0.02, 0.01, 0.01])
    assert (labels, colors) == (["S", "", "", ""], 4)
    assert letter == pytest.approx([0.5, 0.5])
