"""Whether training writes the same bytes twice where operations could run side by side."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SIDE, BATCH, STEPS = 96, 16, 8


def weights_of_two_fits(folder: Path) -> list[str]:
    """Hashes of the weights of a ResNet50, trained twice on noise; in a process of its own."""
    from pipeline import runtime

    runtime.prepare(0, to_train=True)
    import keras

    from pipeline.data.loading import Pictures
    from pipeline.features import backbones, weights
    from pipeline.training import fine_tuning, heads, network
    from pipeline.training.fitting import FitSettings, Task

    rng = np.random.default_rng(0)
    names, sha256 = [], []
    for i in range(BATCH * STEPS + 2):
        path = folder / f"{i}.png"
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3)).astype("uint8")).save(path)
        names.append(path.name)
        sha256.append(hashlib.sha256(path.read_bytes()).hexdigest())
    labels = (np.arange(len(names)) % 2)[:, None].astype("float32")
    rows = np.arange(len(names))
    task = Task(rows[:-2], labels[:-2], rows[-2:], labels[-2:], seed=(3,))
    # Clipping makes the difference: without it, fits were equal however operations ran.
    settings = FitSettings(
        epochs=2, batch_size=BATCH, learning_rate=1e-5, patience=9, clip_norm=1.0
    )
    found = []
    for _ in range(2):
        keras.config.set_dtype_policy("mixed_bfloat16")
        backbone = backbones.build("resnet50", (SIDE, SIDE))
        keras.config.set_dtype_policy("float32")
        weights.randomise(backbone, 1)
        config = heads.HeadConfig("linear", (2048,), outputs=1, dropout=0.3, units=8)
        branch = network.make_branch(backbone, config, [(0, 1)])
        heads.reset(branch.heads[0], (1, 0), (np.zeros(2048, "f4"), np.ones(2048, "f4")))
        pictures = Pictures(folder, names, sha256, (SIDE, SIDE), seed=1)
        fine_tuning.fit(branch, pictures, task, settings, True, True, views=False)
        digest = hashlib.sha256()
        for values in [*backbone.get_weights(), *branch.heads[0].get_weights()]:
            digest.update(values.tobytes())
        found.append(digest.hexdigest())
    return found


@pytest.mark.slow
@pytest.mark.identical_bytes
def test_a_resnet_trained_twice_has_the_same_weights(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from tests import test_repeatable as here; "
        "print(*here.weights_of_two_fits(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        cwd=Path(__file__).resolve().parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second = done.stdout.split()
    assert first == second
