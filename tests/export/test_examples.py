"""The page's examples, run as a new user would: in an empty place, with the export alone."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.export import __main__ as command
from pipeline.export import parity
from pipeline.predict import Predictor, predict_image
from pipeline.predict.pictures import predictions
from tests.export.small import write_model

pytestmark = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnxruntime", "tf2onnx")),
    reason="the extra export is not installed",
)
ALONE = """
import runpy, sys
class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("tensorflow", "keras", "pipeline"):
            raise ImportError(name)
sys.meta_path.insert(0, Refused())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """An empty place with a copied export, the examples and pictures of several kinds."""
    folder = tmp_path_factory.mktemp("place")
    made = tmp_path_factory.mktemp("made")
    model = write_model(made / "model")
    command.main(["--to", "onnx", str(made / "out"), "--model", str(model)])
    shutil.copytree(made / "out", folder / "exported")
    shutil.copytree(model, folder / "model")
    for name in ("classify.py", "serve.py"):
        shutil.copy(root / "docs/export" / name, folder)
    large, small = (Image.fromarray(parity.pictures(s, 1)[0]) for s in ((300, 400), (20, 30)))
    large.save(folder / "large.jpg", quality=95)
    small.save(folder / "small.png")
    small.convert("L").save(folder / "grey.webp")
    turned = Image.Exif()
    turned[0x0112] = 6
    small.save(folder / "turned.jpg", exif=turned)
    return folder


def test_the_example_says_what_predict_says_without_tensorflow(place: Path) -> None:
    names = ["large.jpg", "small.png", "grey.webp", "turned.jpg"]
    done = subprocess.run(
        [sys.executable, "-I", "-c", ALONE, "classify.py", "exported", *names],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    said = {(file, name): (value, float(p)) for file, name, value, p in lines}
    model = Predictor(place / "model")
    rows = list(predictions(model, [place / name for name in names]))
    assert len(said) == len(names) * len(model.attributes)
    for name, row in zip(names, rows, strict=True):
        for one in model.attributes:
            value, p = said[name, one.name]
            assert p == pytest.approx(row[f"{one.name}_probability"], abs=1e-4)
            assert value == str(row[one.name])


@pytest.fixture(scope="module")
def client(place: Path) -> Iterator[Any]:
    testing = pytest.importorskip("starlette.testclient", reason="starlette is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EXPORT", str(place / "exported"))
        spec = importlib.util.spec_from_file_location("serve", place / "serve.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    with testing.TestClient(module.app) as client:
        client.module = module
        yield client


def test_the_server_answers_a_picture(client: Any, place: Path) -> None:
    model = Predictor(place / "model")
    for name in ("large.jpg", "grey.webp"):
        answer = client.post("/", content=(place / name).read_bytes())
        assert answer.status_code == 200
        expected, present = predict_image(model, place / name)
        found = answer.json()
        assert found["probabilities"] == pytest.approx(expected, abs=1e-4)
        assert [k for k, v in found["decisions"].items() if v] == present


def test_the_server_refuses_what_it_should(
    client: Any, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gif = BytesIO()
    Image.new("RGB", (4, 4)).save(gif, "GIF")
    cut = (place / "large.jpg").read_bytes()[:400]
    for content in (b"", b"text", gif.getvalue(), cut):
        answer = client.post("/", content=content)
        assert answer.status_code == 415
        assert list(answer.json()) == ["error"]
    assert client.get("/").status_code == 405
    assert client.post("/else", content=b"").status_code == 404
    bomb = BytesIO()
    Image.fromarray(np.zeros((7200, 7200), np.uint8)).save(bomb, "PNG")
    answer = client.post("/", content=bomb.getvalue())
    assert (answer.status_code, "pixels" in answer.json()["error"]) == (415, True)
    monkeypatch.setattr(client.module, "BYTES", 100)
    assert client.post("/", content=bytes(101)).status_code == 413
    assert client.post("/", content=iter([bytes(60)] * 2)).status_code == 413
