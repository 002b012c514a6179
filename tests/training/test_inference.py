"""A tiny project through the last stages, and what its classifiers say of pictures."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from pipeline.data import categories, imputed_arrays
from pipeline.data.clean_table import read_clean
from pipeline.errors import PipelineError
from pipeline.features.store import FeatureStore
from pipeline.predict import Predictor, predict_image
from pipeline.predict import __main__ as command
from pipeline.predict.rows import of_attribute
from pipeline.stages import fine_tune, train
from pipeline.training import heads, network, saved_model
from tests.training import small_project
from tests.training.small_project import COLUMNS, ROOT, SOFTMAX, N, inside, write_params

BRANCHES = {
    "single": (((0, 5),),),
    "shared": (((0, 2), (2, 3), (3, 5)),),
    "independent": (((0, 2),), ((2, 3),), ((3, 5),)),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose classifier is trained, and fine-tuned into a folder for each network."""
    folder = tmp_path_factory.mktemp("project")
    with inside(folder):
        small_project.make()
        train.main()
        for name in BRANCHES:
            start = "head" if name == "single" else "fresh"
            write_params({"epochs": 2, "network": name, "start": start})
            fine_tune.main()
            saved_model.FINE_TUNED.rename(name)
    return folder


@pytest.fixture(scope="module")
def stacked(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same project with the head that regressions make, and fine-tuned from it."""
    folder = tmp_path_factory.mktemp("stacked") / "project"
    shutil.copytree(project, folder)
    with inside(folder):
        write_params({"epochs": 1}, head="stack")
        verdicts = np.array(["yes", "yes", "yes", "no", "no"])
        arrays = dataclasses.replace(imputed_arrays.read(), verdicts=verdicts)
        imputed_arrays.write(arrays, imputed_arrays.FOLDER)
        train.main()
        fine_tune.main()
        saved_model.FINE_TUNED.rename("tuned")
    return folder


def test_the_stack_says_of_pictures_what_it_said_of_features(
    stacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stacked)
    head, card = saved_model.load()
    assert card.head.kind == "stack"
    assert set(card.versions) == {"Python", *saved_model.PACKAGES}
    names = sorted(path.name for path in Path("images").iterdir())
    table = read_clean("data/clean/labels.csv")
    store = FeatureStore("data/features")
    found = Predictor().probabilities(pictures())
    stored = saved_model.probabilities(head, card, store, store.rows(table.images))
    order = [names.index(image) for image in table.images]
    # The store keeps half precision.
    np.testing.assert_allclose(found[order], stored, atol=2e-3)
    for start, stop in SOFTMAX:
        np.testing.assert_allclose(found[:, start:stop].sum(axis=1), 1, atol=1e-5)
    spread = found.std(axis=0)
    assert (spread[:3] > 0).all()
    np.testing.assert_allclose(spread[3:], 0, atol=1e-7, err_msg="not learnable: its prevalence")


def test_the_stack_is_fine_tuned_from_where_it_was(
    stacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stacked)
    monkeypatch.setattr(saved_model, "FINE_TUNED", Path("tuned"))
    card = saved_model.read_card(Path("tuned"))
    assert card.branches == BRANCHES["single"] and card.head.kind == "stack"
    found = Predictor().probabilities(pictures())
    assert np.isfinite(found).all()
    assert found[:, 3:].std(axis=0) == pytest.approx(0, abs=1e-7)


def test_a_plain_logistic_regression_lies_beside_the_classifier(
    stacked: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(stacked)
    place = saved_model.FOLDER / saved_model.VARIANTS
    head, card = saved_model.load(place / saved_model.LOGISTIC)
    assert card.head.kind == "linear"
    store = FeatureStore("data/features")
    table = read_clean("data/clean/labels.csv")
    training = np.array(table.split) == "train"
    rows = store.rows(table.images)
    found = saved_model.probabilities(head, card, store, rows)[:, 2]
    x = StandardScaler().fit(store.pooled(rows[training])).transform(store.pooled(rows))
    known = training & ~np.isnan(table.values[:, 2])
    peer = LogisticRegression(C=train.INVERSE_PENALTY, tol=1e-8)
    peer.fit(x[known], table.values[known, 2])
    np.testing.assert_allclose(found, peer.predict_proba(x)[:, 1], atol=5e-3)


@pytest.fixture
def use(project: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Go into the project and take the fine-tuned network of that name; the frozen one if none."""
    monkeypatch.chdir(project)

    def chosen(name: str) -> Path:
        monkeypatch.setattr(saved_model, "FINE_TUNED", Path(name))
        return Path(name)

    return chosen


def pictures() -> np.ndarray:
    files = sorted(Path("images").iterdir())
    return np.stack([np.asarray(Image.open(file)) for file in files])


@pytest.mark.parametrize("name", BRANCHES)
def test_the_stage_writes_a_network(use: Callable[[str], Path], name: str) -> None:
    folder = use(name)
    card = saved_model.read_card(folder)
    frozen = saved_model.read_card(saved_model.FOLDER)
    assert card.branches == BRANCHES[name]
    assert card.attributes == COLUMNS
    assert categories.spans(card.categories) == SOFTMAX
    assert len(card.thresholds) == len(COLUMNS)
    changed = ("branches", "thresholds", "parameters", "trainable")
    kept = {field: getattr(frozen, field) for field in changed}
    assert dataclasses.replace(card, **kept) == frozen
    assert json.loads((folder / "fine_tune.json").read_text()) == {"epochs": 2}
    heads = [[f"head_{h}.weights.h5" for h in range(len(spans))] for spans in BRANCHES[name]]
    files = {str(file.relative_to(folder)) for file in folder.rglob("*.h5")}
    assert files == {
        f"branch_{b}/{file}"
        for b, own in enumerate(heads)
        for file in ["backbone.weights.h5", *own]
    }


@pytest.mark.parametrize("name", BRANCHES)
def test_the_history_is_written_under_each_attributes_own_name(
    use: Callable[[str], Path], name: str
) -> None:
    curves = pd.read_csv(use(name) / "history.csv")
    scores = [f"val_{score}_{one}" for one in ("colour", "shade") for score in ("accuracy", "f1")]
    plain = ["epoch", "loss", "val_loss", "val_auc", "val_binary_accuracy", "kept"]
    assert sorted(curves.columns) == sorted([*plain, *scores])
    assert curves["epoch"].tolist() == [1, 2]
    # A network that starts from the trained head may keep that; a fresh one keeps an epoch.
    kept = curves["kept"].sum()
    assert kept in (0, 1) if name == "single" else kept == pytest.approx(1, abs=1e-4)
    # One step of an attribute is right on a share of its known validation cells.
    table = read_clean("data/clean/labels.csv")
    validation = table.values[np.array(table.split) == "val"]
    for one, (start, _) in zip(("colour", "shade"), SOFTMAX, strict=True):
        count = int((~np.isnan(validation[:, start])).sum())
        hits = curves[f"val_accuracy_{one}"] * count
        assert hits.to_numpy() == pytest.approx(np.round(hits), abs=1e-3)
    steps = pd.read_csv(use(name) / "iterations.csv")
    training = table.split.count("train") if table.split else 0
    count = 2 * -(-training // 16) * sum(len(spans) for spans in BRANCHES[name])
    assert steps["iteration_number"].tolist() == list(range(1, count + 1))
    assert steps["training_loss"].notna().all()


def test_a_shared_backbone_is_that_of_the_first_attribute(project: Path) -> None:
    first = (project / "shared/branch_0/backbone.weights.h5").read_bytes()
    assert first == (project / "independent/branch_0/backbone.weights.h5").read_bytes()
    other = (project / "independent/branch_1/backbone.weights.h5").read_bytes()
    assert first not in (other, (project / "models/backbone/backbone.weights.h5").read_bytes())


def test_all_that_was_fitted_is_counted(project: Path) -> None:
    counts = {name: saved_model.read_card(project / name) for name in BRANCHES}
    # Convolutions and their biases; the heads' moments, 2 of 8 channels, are not fitted.
    body = 4 * 28 + 8 * 37
    hidden = 8 * 8 * 8 * 8 + 8
    last = 9 * len(COLUMNS)
    assert counts["single"].trainable == body + hidden + last
    assert counts["independent"].trainable == 3 * (body + hidden) + last
    assert counts["shared"].trainable == body + 3 * hidden + last
    for name, several in (("single", 1), ("shared", 3), ("independent", 3)):
        assert counts[name].parameters == counts[name].trainable + 16 * several


@pytest.mark.identical_bytes
def test_a_second_run_writes_the_same_bytes(use: Callable[[str], Path]) -> None:
    before = use("shared")
    use("again")
    write_params({"epochs": 2, "network": "shared", "start": "fresh"})
    fine_tune.main()
    files = [p.relative_to(before) for p in before.rglob("*") if p.is_file()]
    assert len(files) == 12
    assert [f for f in files if (before / f).read_bytes() != (Path("again") / f).read_bytes()] == []


@pytest.mark.parametrize("name", ["none", *BRANCHES])
def test_probabilities(use: Callable[[str], Path], name: str) -> None:
    folder = use(name)
    model = Predictor()
    assert bool(model.card.branches) == (name != "none")
    shown = pictures()
    many = np.concatenate([shown, shown])
    assert len(many) > model.batch
    probability = model.probabilities(many)
    assert (probability.shape, probability.dtype) == ((2 * N, 5), np.dtype("float64"))
    assert (probability[:N] == probability[N:]).all()
    for i in range(1, 4):
        assert (model.probabilities(shown[i : 2 * i + 1]) == probability[i : 2 * i + 1]).all()
    # Alone, it is a step of its own, see `extract.shapes`.
    assert model.probabilities(shown[:1]) == pytest.approx(probability[:1], abs=1e-6)
    assert ((probability > 0) & (probability < 1)).all()
    for start, stop in SOFTMAX:
        assert probability[:, start:stop].sum(axis=1) == pytest.approx(1, abs=1e-6)
    if name == "none":
        head, card = saved_model.load()
        store = FeatureStore("data/features")
        rows = store.rows([f"{i:02d}.png" for i in range(N)])
        cached = saved_model.probabilities(head, card, store, rows)
        assert probability[:N] == pytest.approx(cached, abs=2e-3)  # the store's half precision
    else:
        card = model.card
        whole = network.load(folder, "cnn-4-8", card.head, card.branches, (32, 32), "float32")
        assert (saved_model.of_logits(whole(shown), card.categories) == probability[:N]).all()


def test_only_a_frozen_map_has_a_head_on_it(use: Callable[[str], Path]) -> None:
    use("none")
    model = Predictor()
    ((head, maps, span),) = model.heads_on_map(pictures()[0])
    assert span == (0, 5)
    assert maps.shape == (1, 8, 8, 8)
    logits = head(maps, training=False).numpy()
    own = saved_model.of_logits(logits, model.card.categories)
    assert own == pytest.approx(model.probabilities(pictures()[:1]), abs=1e-6)
    use("single")
    assert Predictor().heads_on_map(pictures()[0]) == []


def test_a_fine_tuned_network_needs_no_other_file(
    use: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = (use("shared"), Predictor().probabilities(pictures()[:3]))[1]
    shown = pictures()[:3]
    shutil.copytree("shared", tmp_path / "models/fine_tuned")
    monkeypatch.chdir(tmp_path)
    use("models/fine_tuned")
    assert (Predictor().probabilities(shown) == expected).all()


@pytest.mark.parametrize("name", ["none", "shared"])
def test_a_model_s_folder_stands_on_its_own(
    use: Callable[[str], Path],
    name: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    use(name)
    shown = pictures()[:3]
    expected = Predictor().probabilities(shown)
    assert command.main(["images/00.png"]) == 0
    row = capsys.readouterr().out.splitlines()[1].partition(",")[2]
    shutil.copytree(saved_model.current(), tmp_path / "mine")
    Image.fromarray(shown[0]).save(tmp_path / "one.png")
    monkeypatch.chdir(tmp_path)
    assert (Predictor("mine").probabilities(shown) == expected).all()
    assert command.main(["one.png", "--model", "mine"]) == 0
    assert capsys.readouterr().out.splitlines()[1] == f"one.png,{row}"
    with pytest.raises(PipelineError, match=r"^gone/model\.json: no such file; .*--model FOLDER"):
        command.main(["one.png", "--model", "gone"])
    with pytest.raises(PipelineError, match=r"^models/multilabel/model\.json: no such file"):
        command.main(["one.png"])


def test_the_backbone_is_in_the_model_s_folder_by_a_link(use: Callable[[str], Path]) -> None:
    use("none")
    for own in Path("models/multilabel/backbone").iterdir():
        assert own.samefile(Path("models/backbone") / own.name)
    assert [p.name for p in Path("shared/backbone").iterdir()] == ["backbone.json"]


def test_a_frozen_backbone_must_be_there_and_the_one_trained_on(
    use: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    use("none")
    shutil.copytree("models/multilabel", tmp_path / "models/multilabel")
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "models/multilabel/backbone/backbone.weights.h5"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(PipelineError, match=r"is not that of the backbone .* cnn-4-8 "):
        Predictor()
    file.unlink()
    with pytest.raises(PipelineError, match=r"weights\.h5: no such file; .* copy all of it"):
        Predictor()
    shutil.rmtree(tmp_path / "models/multilabel")
    with pytest.raises(PipelineError, match="train the classifier first"):
        Predictor()


@pytest.mark.parametrize("name", ["none", "shared"])
def test_predict_writes_values_of_categorical_attributes(
    use: Callable[[str], Path], name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    use(name)
    Path("broken.png").write_bytes(b"no picture")
    assert command.main(["images", "broken.png"]) == 1
    table = pd.read_csv(io.StringIO(capsys.readouterr().out), keep_default_na=False, dtype=str)
    names = ["colour", "bright", "shade"]
    cells = [cell for one in names for cell in of_attribute(one)]
    assert list(table.columns) == ["image", "error", "unlike_training", *cells]
    assert (table["error"] != "").tolist() == [False] * N + [True]
    assert (table.iloc[N][cells] == "").all()
    good = table.iloc[:N]
    model = Predictor()
    probability = model.probabilities(pictures())
    for one, (start, stop) in zip(("colour", "shade"), SOFTMAX, strict=True):
        own = probability[:, start:stop]
        values = [column.split("=")[1] for column in COLUMNS[start:stop]]
        assert good[one].tolist() == [values[k] for k in own.argmax(axis=1)]
        shown = good[f"{one}_probability"].astype(float).to_numpy()
        assert shown == pytest.approx(own.max(axis=1), abs=1e-6)
        assert (shown >= 0.5).all()
    decided = (probability[:, 2] >= model.card.thresholds[2]).astype(int).astype(str)
    assert good["bright"].tolist() == decided.tolist()
    right = np.where(decided == "1", probability[:, 2], 1 - probability[:, 2])
    # Never more than the few held-out labels bear out.
    expected = good["bright_expected_correctness"].astype(float).to_numpy()
    assert (expected <= right + 1e-6).all()
    assert (expected > 0).all()
    assert set(good["bright_learnable"]) == {"yes"}
    training = np.array(read_clean("data/clean/labels.csv").split) == "train"
    unlike = (good["unlike_training"] == "yes").to_numpy()
    assert not unlike[training].any(), "each has itself for a neighbour"
    noise = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3), dtype=np.uint8)
    assert model.predict(noise).unlike_training is not None


@pytest.mark.parametrize("name", ["none", "independent"])
def test_predict_image(use: Callable[[str], Path], name: str) -> None:
    use(name)
    model = Predictor()
    expected = model.probabilities(pictures()[:8])
    for i, row in enumerate(expected):
        file = Path(f"images/{i:02d}.png")
        probability, present = predict_image(model, file)
        assert tuple(probability) == COLUMNS
        # Alone, it is a step of its own, see `extract.shapes`.
        assert list(probability.values()) == pytest.approx(row.tolist(), abs=1e-6)
        assert all(type(value) is float for value in probability.values())
        row = np.array(list(probability.values()))
        colour, shade = COLUMNS[row[:2].argmax()], COLUMNS[3 + row[3:].argmax()]
        for threshold in (None, 0.0, float(row[2]), np.nextafter(row[2], 1), 1.0):
            limit = model.card.thresholds[2] if threshold is None else threshold
            middle = ["bright"] if row[2] >= limit else []
            again, present = predict_image(model, str(file), threshold)
            assert again == probability
            assert present == [colour, *middle, shade]


def test_predict_image_names_a_picture_that_cannot_be_read(use: Callable[[str], Path]) -> None:
    use("none")
    model = Predictor()
    Path("bad.png").write_bytes(b"no picture")
    for name in ("bad.png", "gone.png", "images"):
        with pytest.raises(PipelineError) as caught:
            predict_image(model, name)
        assert str(caught.value).startswith(f"{name}: ")
        assert "\n" not in str(caught.value)


SWITCHED_OFF = """
import sys
from pipeline.stages import fine_tune
fine_tune.main()
assert "tensorflow" not in sys.modules and "keras" not in sys.modules
"""


def test_without_epochs_a_note_is_left_and_nothing_read(tmp_path: Path) -> None:
    with inside(tmp_path):
        write_params({"epochs": 0})
    earlier = tmp_path / "models/fine_tuned"
    earlier.mkdir(parents=True)
    (earlier / "model.json").write_text("{}")
    done = subprocess.run(
        [sys.executable, "-c", SWITCHED_OFF],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [file.name for file in earlier.iterdir()] == ["fine_tune.json"]
    assert json.loads((earlier / "fine_tune.json").read_text()) == {"epochs": 0}
    assert [file.name for file in (tmp_path / "models").iterdir()] == ["fine_tuned"]


@pytest.mark.parametrize("name", ["none", "shared"])
def test_a_damaged_file_of_a_model_is_refused_before_it_is_used(
    use: Callable[[str], Path], name: str, tmp_path: Path
) -> None:
    use(name)
    shutil.copytree(saved_model.current(), tmp_path / "mine")
    sealed = json.loads((tmp_path / "mine" / saved_model.SUMS).read_text())
    assert {"model.json", "completion.npz"} < sealed.keys()
    for file in (tmp_path / "mine" / one for one in sealed):
        before = file.read_bytes()
        file.unlink()  # it may be a link into the project
        file.write_bytes(before[:-9] + bytes([before[-9] ^ 1]) + before[-8:])
        with pytest.raises(PipelineError, match=r".*`dvc checkout`$"):
            Predictor(tmp_path / "mine")
        file.write_bytes(before)
    Predictor(tmp_path / "mine")


def test_a_network_that_gives_no_numbers_is_refused(
    use: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use("none")
    predictor = Predictor()
    head = heads.build(predictor.card.head)
    head.set_weights([np.full_like(value, np.nan) for value in head.get_weights()])
    monkeypatch.setattr(heads, "load", lambda *_: head)
    with pytest.raises(PipelineError, match=r"not finite; .*`dvc checkout`$"):
        Predictor().probabilities(pictures()[:1])


def test_a_program_that_uses_the_classifier_is_told_nothing_by_tensorflow(
    use: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    use("none")
    for name in [name for name in os.environ if name.startswith("TF_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    code = (
        "from pipeline.predict import Predictor, predict_image\n"
        "print(len(predict_image(Predictor(), 'images/00.png')[0]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("5", "")
