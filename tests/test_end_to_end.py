"""One run of the whole pipeline by DVC on a small table with everything wrong that may be wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from pipeline.data import imputed_arrays
from pipeline.data.clean_table import read_clean
from pipeline.demo import generate
from pipeline.training import targets

ROOT = Path(__file__).resolve().parent.parent
ATTRIBUTES = ["hat", "None", "always"]
"""The second is what pandas takes for a missing value where it is not told otherwise."""
KIND = "kind"
"""A categorical attribute, told by the pictures."""
NUMBER = 90
Run = Callable[..., subprocess.CompletedProcess[str]]


TRACKED = (
    *("pipeline", "dvc.yaml", "params.yaml", ".dvcignore", ".gitignore"),
    "data/corrections.csv",
)


def _data(folder: Path) -> None:
    """Pictures and a table: holes, a missing and a truncated file, two identical, one class."""
    table = generate.generate(NUMBER, seed=3)
    (folder / "images").mkdir(parents=True)
    rng = np.random.default_rng(0)
    hat, sleeves = (generate.ATTRIBUTES.index(name) for name in ("has_hat", "has_sleeves"))
    rows = []
    for i, name in enumerate(table.images):
        truth = table.truth[i].copy()
        truth[hat] = i % 3 == 0
        file = folder / "images" / name
        file.write_bytes(generate.jpeg(generate.picture(truth.tolist(), 3, i)))
        cells = [str(truth[hat]), str(truth[sleeves]), "1"]
        cells.append("capped" if truth[hat] else "sleeved" if truth[sleeves] else "plain")
        rows.append([name, *("" if rng.random() < 0.2 else cell for cell in cells)])
    (folder / "images" / "image_7.jpg").unlink()
    truncated = folder / "images" / "image_8.jpg"
    truncated.write_bytes(truncated.read_bytes()[:900])
    shutil.copy(folder / "images" / "image_20.jpg", folder / "images" / "image_21.jpg")
    rows[1][-1] = "a value of its own"
    frame = pd.DataFrame(rows, columns=["image", *ATTRIBUTES, KIND])
    frame.to_csv(folder / "labels.csv", index=False)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tracked files with small params and its own data, after `dvc repro`."""
    folder = tmp_path_factory.mktemp("project")
    tracked = subprocess.run(
        ["git", "ls-files", *TRACKED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    for name in tracked:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    _data(folder / "mine")
    content = yaml.safe_load((folder / "params.yaml").read_text())
    content["data"] = {"labels": "mine/labels.csv", "images": "mine/images"}
    content["backbone"] = {"name": "mobilenet_v2", "weights": "random", "precision": "float32"}
    content["categorical"] = {"columns": [KIND], "min_count": 3}
    content |= {"image_size": [64, 64], "epochs": 3, "batch_size": 8}
    content["features"]["views"] = 2
    content["impute"] |= {"folds": 2, "rounds": 1, "confidence": 0.6}
    content["demo"]["rows"] = 50
    (folder / "params.yaml").write_text(yaml.safe_dump(content))
    for command in (["git", "init", "-q"], ["dvc", "init", "-q"]):
        subprocess.run(command, cwd=folder, check=True, env=_environment())
    done = _run(folder, "dvc", "repro")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return folder


def _environment() -> dict[str, str]:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "TF_CPP_MIN_LOG_LEVEL": "3", "DVC_NO_ANALYTICS": "1"}


def _run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=_environment(), capture_output=True, text=True, check=False
    )


@pytest.fixture
def edit_params(project: Path) -> Iterator[Callable[[str, str], None]]:
    path = project / "params.yaml"
    before = path.read_text()

    def edit(old: str, new: str) -> None:
        assert old in before
        path.write_text(before.replace(old, new))

    yield edit
    path.write_text(before)


def _read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_table_comes_out_whole_and_known_cells_unchanged(project: Path) -> None:
    given = _read(project / "mine/labels.csv").set_index("image")
    filled = _read(project / "data/imputed/labels.csv").set_index("image")
    assert list(filled.columns) == ["split", *ATTRIBUTES, KIND]
    assert len(filled) == NUMBER - 2
    assert filled[ATTRIBUTES].isin(["0", "1"]).all(axis=None)
    given = given.loc[filled.index]
    known = given != ""
    assert (filled.drop(columns="split").to_numpy()[known] == given.to_numpy()[known]).all()
    assert set(filled.loc[~known[KIND], KIND]) <= {"capped", "sleeved", "plain"}
    assert filled.loc["image_1.jpg", KIND] == "a value of its own"


def test_every_hole_has_its_provenance(project: Path) -> None:
    clean = _read(project / "data/clean/labels.csv").set_index("image")
    filled = _read(project / "data/imputed/labels.csv").set_index("image")
    cells = _read(project / "data/imputed/provenance.csv")
    assert list(cells.columns) == [
        "image",
        "attribute",
        "value",
        "probability",
        "round",
        "evidence",
        "expected_correctness",
    ]
    names = [*ATTRIBUTES, KIND]
    holes = {(i, a) for i in clean.index for a in names if clean.loc[i, a] == ""}
    assert set(zip(cells["image"], cells["attribute"], strict=True)) == holes
    assert len(cells) == len(holes)
    for row in cells.itertuples():
        assert filled.loc[row.image, row.attribute] == row.value
        assert 0 < float(row.probability) < 1
    assert set(cells[cells["attribute"] == "always"]["evidence"]) == {"one-class"}
    assert set(cells[cells["attribute"] == "always"]["value"]) == {"1"}


def test_dropped_and_identical_images(project: Path) -> None:
    dropped = _read(project / "data/clean/dropped.csv")
    assert dict(zip(dropped["image"], dropped["reason"], strict=True)) == {
        "image_7.jpg": "missing",
        "image_8.jpg": "truncated",
    }
    split = _read(project / "data/clean/labels.csv").set_index("image")["split"]
    assert split["image_20.jpg"] == split["image_21.jpg"]
    folds = _read(project / "models/attributes/folds.csv").set_index("image")["fold"]
    assert folds["image_20.jpg"] == folds["image_21.jpg"]
    assert ((folds == "-1") == (split != "train")).all()


def test_scores_have_not_seen_their_image(project: Path) -> None:
    """Head k has no score for what it was fitted on: known training cells outside its fold."""
    clean = _read(project / "data/clean/labels.csv")
    fold = _read(project / "models/attributes/folds.csv")["fold"].astype(int).to_numpy()
    logits = np.load(project / "models/attributes/logits.npy")
    for a, attribute in enumerate(ATTRIBUTES):
        known = (clean[attribute] != "").to_numpy()
        for k in range(2):
            fitted = known & (fold >= 0) & (fold != k)
            assert (np.isnan(logits[a, k]) == fitted).all()


def test_metrics_are_few_finite_and_on_known_test_cells(project: Path) -> None:
    content = json.loads((project / "reports/metrics.json").read_text())
    clean = _read(project / "data/clean/labels.csv")
    test = clean[clean["split"] == "test"]
    binary, categorical = (test[ATTRIBUTES] != "").sum(axis=None), (test[KIND] != "").sum()
    assert content["test"]["n_cells"] == binary + 3 * categorical, "a column for each value"
    assert 0 <= content["categories"]["accuracy"] <= 1
    assert content["backbone"]["pretrained"] == 0
    assert "demo_truth" not in content
    assert sum(len(group) for group in content.values()) <= 36
    table = _read(project / "reports/attributes.csv").set_index("attribute")
    assert table.loc["always", "learnable"] == "no"
    assert table.loc["always", "auc"] == ""
    train = clean[clean["split"] == "train"]["always"]
    assert int(table.loc["always", "positive"]) == (train == "1").sum()
    assert set(table["pretrained"]) == {"no"}


def test_pictures_are_there(project: Path) -> None:
    for name in (
        "roc_pr",
        "roc_pr_heads",
        "calibration",
        "confusion",
        "learning_curves",
        "training_loss",
        "gallery",
    ):
        assert (project / f"reports/{name}.png").read_bytes()[:4] == b"\x89PNG"


def test_a_second_repro_does_nothing(project: Path) -> None:
    done = _run(project, "dvc", "repro")
    assert done.returncode == 0
    assert "Running stage" not in done.stdout


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("head: conv", "head: cnov", "head: got 'cnov'"),
        ("mine/labels.csv", "mine/gone.csv", "mine/gone.csv: no such file"),
        ("name: mobilenet_v2", "name: vgg91", "backbone.name: got 'vgg91'"),
    ],
)
def test_bad_params_leave_the_good_outputs(
    project: Path, edit_params: Callable[[str, str], None], old: str, new: str, message: str
) -> None:
    before = _tree(project)
    edit_params(old, new)
    done = _run(project, "dvc", "repro")
    assert done.returncode != 0
    assert message in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    assert _tree(project) == before


def test_a_bad_cell_leaves_the_good_outputs(project: Path) -> None:
    path = project / "mine/labels.csv"
    good = path.read_text()
    path.write_text(good + "image_x.jpg,2,1,1,plain\n")
    before = _tree(project)
    done = _run(project, "dvc", "repro")
    path.write_text(good)
    assert done.returncode != 0
    told = done.stderr + done.stdout
    assert all(word in told for word in ("labels.csv", "'2'", "hat", str(NUMBER + 2)))
    assert "Traceback" not in told
    assert _tree(project) == before


def test_weights_that_do_not_fit_leave_the_good_outputs(
    project: Path, edit_params: Callable[[str, str], None]
) -> None:
    (project / "bad.weights.h5").write_bytes(b"no weights")
    before = _tree(project)
    edit_params("weights: random", "weights: bad.weights.h5")
    done = _run(project, "dvc", "repro")
    assert done.returncode != 0
    assert "bad.weights.h5: does not fit the backbone mobilenet_v2" in done.stderr + done.stdout
    assert _tree(project) == before


FULL_DISK = """
import errno
from pipeline import features
from pipeline.errors import run
from pipeline.stages import embed

def append(self, view, maps, pooled):
    raise OSError(errno.ENOSPC, "No space left on device", "data/.features.partial/map_0.npy")

features.FeatureWriter.append = append
run(embed.main)
"""

NO_ROOM = """
import shutil
from pipeline.errors import run
from pipeline.stages import embed

shutil.disk_usage = lambda path: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000)
run(embed.main)
"""


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (FULL_DISK, "no space left on the disk while writing data/.features.partial/map_0.npy"),
        (NO_ROOM, "GB of features would be written, 0.00 GB are free"),
    ],
)
def test_a_full_disk_during_embed_leaves_the_earlier_store(
    project: Path, script: str, message: str
) -> None:
    before = _tree(project)
    done = _run(project, sys.executable, "-c", script)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert _tree(project) == before
    assert not (project / "data/.features.partial").exists()


def test_an_interrupt_during_embed_leaves_the_earlier_store(
    project: Path, edit_params: Callable[[str, str], None]
) -> None:
    before = _tree(project)
    edit_params("views: 2", "views: 64")
    parts = list((project / ".cache/features").glob("*/[!.]*/keys.npy"))
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline.stages.embed"],
        cwd=project,
        env=_environment(),
        stderr=subprocess.PIPE,
        text=True,
        # A suite that runs in the background has SIGINT ignored, and children inherit that.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while (
        list((project / ".cache/features").glob("*/[!.]*/keys.npy")) == parts
        and time.monotonic() < deadline
    ):
        assert process.poll() is None, "embed ended before it could be interrupted"
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "interrupted" in told
    assert "Traceback" not in told
    assert _tree(project) == before
    assert not (project / "data/.features.partial").exists()


GIVEN = ("checked.txt", "corrections.csv")


def _tree(project: Path) -> dict[str, int]:
    """Every output file with the time of its last change, without the mark that params are good."""
    files = [p for part in ("data", "models", "reports") for p in (project / part).rglob("*")]
    return {str(p): p.stat().st_mtime_ns for p in files if p.is_file() and p.name not in GIVEN}


def test_another_policy_for_unknown_cells_fits_the_final_head_alone(
    project: Path, edit_params: Callable[[str, str], None]
) -> None:
    for policy in ("mask", "negative"):
        edit_params("missing: impute", f"missing: {policy}")
        done = _run(project, "dvc", "repro")
        assert done.returncode == 0, done.stderr[-2000:]
        ran = [line.split("'")[1] for line in done.stdout.splitlines() if "Running stage" in line]
        # Where imputing brought nothing, masking was kept already and its model is the same.
        assert ran in (["check", "train", "fine_tune", "evaluate"], ["check", "train"])
        assert (
            json.loads((project / "models/multilabel/model.json").read_text())["missing"] == policy
        )


def test_three_treatments_of_unknown_cells_are_compared(project: Path) -> None:
    table = _read(project / "reports/missing.csv").set_index("model")
    assert list(table.index) == ["impute", "mask", "negative"]
    clean = read_clean(project / "data/clean/labels.csv")
    told = _read(project / "reports/attributes.csv")["learnable"] == "yes"
    known = clean.values[np.array(clean.split) == "test"]
    cells = (~np.isnan(targets.judged(known, told.to_numpy()))).sum()
    assert set(table["cells"]) == {str(cells)}
    assert float(table.loc["mask", "map_gain"]) == 0
    for row in table.itertuples():
        assert float(row.map_low) <= float(row.map) <= float(row.map_high)
    kept = json.loads((project / "models/multilabel/model.json").read_text())["missing"]
    variant = project / f"models/multilabel/variants/{kept}/head.weights.h5"
    head = project / "models/multilabel/head.weights.h5"
    assert head.read_bytes() == variant.read_bytes()


def test_the_audit_says_what_to_expect(project: Path) -> None:
    table = _read(project / "reports/attributes.csv").set_index("attribute")
    for attribute in ATTRIBUTES[:2]:
        row = table.loc[attribute]
        for figure in ("accuracy", "brier", "mcc"):
            low, high = float(row[f"expected_{figure}_low"]), float(row[f"expected_{figure}_high"])
            assert low <= high
        assert 0 <= float(row["permutation_p"]) <= 1
    review = _read(project / "reports/review.csv")
    cells = _read(project / "data/imputed/provenance.csv")
    assert len(review) == min(len(cells), 200)
    assert set(zip(review["image"], review["attribute"], strict=True)) <= set(
        zip(cells["image"], cells["attribute"], strict=True)
    )


def test_abstaining_leaves_what_cannot_be_trusted_empty(
    project: Path, edit_params: Callable[[str, str], None]
) -> None:
    edit_params("policy: fill", "policy: abstain")
    done = _run(project, "dvc", "repro")
    assert done.returncode == 0, done.stderr[-2000:]
    cells = _read(project / "data/imputed/provenance.csv")
    sure = cells["expected_correctness"].astype(float) >= 0.9
    assert ((cells["value"] != "") == sure).all()
    filled = _read(project / "data/imputed/labels.csv").set_index("image")
    for row in cells.itertuples():
        assert filled.loc[row.image, row.attribute] == row.value
    weight = imputed_arrays.read(project / "data/imputed").weight
    empty = (filled[ATTRIBUTES] == "").to_numpy()
    assert empty.any()
    assert (weight[:, : len(ATTRIBUTES)][empty] == 0).all()
    assert (weight[(filled[KIND] == "").to_numpy(), len(ATTRIBUTES) :] == 0).all()


def test_corrections_override_and_re_embed_nothing(project: Path) -> None:
    assert _run(project, "dvc", "repro").returncode == 0
    path = project / "data/corrections.csv"
    header = path.read_text()
    split = _read(project / "data/clean/labels.csv").set_index("image")["split"]
    review = _read(project / "reports/review.csv")
    row = review[review["attribute"] != KIND].iloc[0]
    turned = "0" if row["value"] == "1" else "1"
    lines = [f"{row['image']},{row['attribute']},{turned}", f"image_3.jpg,{KIND},capped"]
    path.write_text(header + "\n".join(lines) + "\n")
    done = _run(project, "dvc", "repro")
    assert done.returncode == 0, done.stderr[-2000:]
    ran = [line.split("'")[1] for line in done.stdout.splitlines() if "Running stage" in line]
    assert ran == ["clean", "classify", "impute", "train", "fine_tune", "evaluate"]
    filled = _read(project / "data/imputed/labels.csv").set_index("image")
    assert filled.loc["image_3.jpg", KIND] == "capped"
    assert filled.loc[row["image"], row["attribute"]] == turned
    cells = _read(project / "data/imputed/provenance.csv")
    assert not ((cells["image"] == row["image"]) & (cells["attribute"] == row["attribute"])).any()
    assert (_read(project / "data/clean/labels.csv").set_index("image")["split"] == split).all()

    before = _tree(project)
    path.write_text(f"{header}{row['image']},no_such_attribute,1\n")
    done = _run(project, "dvc", "repro")
    path.write_text(header)
    told = done.stderr + done.stdout
    assert done.returncode != 0
    assert "corrections.csv: row 2: no attribute 'no_such_attribute'" in told
    assert "Traceback" not in told
    assert _tree(project) == before
    assert _run(project, "dvc", "repro").returncode == 0


def test_predict_goes_on_after_a_broken_file(project: Path) -> None:
    folder = project / "new"
    (folder / "deeper").mkdir(parents=True)
    shutil.copy(project / "mine/images/image_1.jpg", folder / "a.jpg")
    shutil.copy(project / "mine/images/image_2.jpg", folder / "deeper/b.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 not a picture")
    for suffix in (".csv", ".json"):
        out = project / f"predictions{suffix}"
        done = _run(
            project, sys.executable, "-m", "pipeline.predict", "new", "gone.jpg", "--out", out.name
        )
        assert done.returncode == 1, done.stderr
        assert "2 of 4 pictures could not be read" in done.stderr
        rows = _read(out) if suffix == ".csv" else pd.DataFrame(json.loads(out.read_text()))
        assert rows["image"].tolist() == [
            "new/a.jpg",
            "new/broken.jpg",
            "new/deeper/b.jpg",
            "gone.jpg",
        ]
        assert (rows["error"] != "").tolist() == [False, True, False, True]
        good = rows[rows["error"] == ""]
        for attribute in ATTRIBUTES:
            p = good[f"{attribute}_probability"].astype(float)
            assert p.between(0, 1).all()
            assert good[attribute].astype(float).isin([0, 1]).all()


def test_predict_agrees_with_the_classifier_on_cached_features(project: Path) -> None:
    from pipeline.features.store import FeatureStore
    from pipeline.training import saved_model

    done = _run(project, sys.executable, "-m", "pipeline.predict", "mine/images/image_1.jpg")
    assert done.returncode == 0, done.stderr
    printed = dict(zip(*(line.split(",") for line in done.stdout.split()), strict=True))
    head, card = saved_model.load(project / "models/multilabel")
    store = FeatureStore(project / "data/features")
    rows = store.rows(["image_1.jpg"])
    (expected,) = saved_model.probabilities(head, card, store, rows)
    for attribute, p in zip(ATTRIBUTES, expected, strict=False):
        assert float(printed[f"{attribute}_probability"]) == pytest.approx(p, abs=2e-3)
    (kind,) = card.categories
    best = int(np.argmax(expected[kind.start :]))
    assert printed[KIND] == kind.values[best]
    p = expected[kind.start :].max()
    assert float(printed[f"{KIND}_probability"]) == pytest.approx(p, abs=2e-3)


def test_predict_refuses_what_it_cannot_do(project: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for arguments, message in (
        ([str(tmp_path / "empty")], "no image in it"),
        (["mine/images", "--out", "gone/p.csv"], "no such folder as gone"),
        (["mine/images", "--out", "p.txt"], "expected a name that ends in .csv or .json"),
    ):
        done = _run(project, sys.executable, "-m", "pipeline.predict", *arguments)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_predict_writes_a_name_that_is_no_text(project: Path) -> None:
    folder = project / "odd"
    folder.mkdir()
    shutil.copy(project / "mine/images/image_1.jpg", os.fsencode(folder) + b"/\xff.jpg")
    done = _run(project, sys.executable, "-m", "pipeline.predict", "odd", "--out", "odd.csv")
    assert done.returncode == 0, done.stderr
    assert _read(project / "odd.csv")["image"].tolist() == ["odd/\\udcff.jpg"]


def test_predict_refuses_another_backbone(project: Path) -> None:
    path = project / "models/backbone/backbone.json"
    good = path.read_text()
    path.write_text(good.replace('"sha256": "', '"sha256": "ff'))
    done = _run(project, sys.executable, "-m", "pipeline.predict", "mine/images/image_1.jpg")
    path.write_text(good)
    assert done.returncode == 2
    assert "not the one that the classifier was trained on" in done.stderr


def test_fresh_networks_learn_from_the_filled_table(
    project: Path, edit_params: Callable[[str, str], None]
) -> None:
    content = yaml.safe_load((project / "params.yaml").read_text())["fine_tune"]
    fresh = content | {"epochs": 2, "start": "fresh", "network": "shared", "learning_rate": 0.001}
    old, new = (yaml.safe_dump({"fine_tune": one}) for one in (content, fresh))
    edit_params(old, new)
    done = _run(project, "dvc", "repro")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "a backbone with its head for hat" in done.stderr + done.stdout
    # What is left behind has a linear head, the networks have the one that was asked for.
    for folder, head in (("attributes/heads", "linear"), ("fine_tuned/model", "conv")):
        card = json.loads((project / f"models/{folder}.json").read_text())
        assert card["head"]["kind"] == head
    for course in ("history.csv", "iterations.csv"):
        shown = (project / "reports" / course).read_bytes()
        assert shown == (project / "models/fine_tuned" / course).read_bytes()
    filled = _read(project / "data/imputed/labels.csv")
    assert filled[ATTRIBUTES].isin(["0", "1"]).all(axis=None)
    table = _read(project / "reports/missing.csv")
    assert table["model"].tolist() == ["impute", "mask", "negative", "fine_tuned"]
    out = _run(project, sys.executable, "-m", "pipeline.predict", "mine/images/image_1.jpg")
    assert out.returncode == 0, out.stderr
