"""python -m benchmarks.speed: the pipeline against re-running the frozen network every epoch.

The other way is the common one: per attribute a model of VGG19 and a small head, fed by tf.data
from the image files with augmentation, trained for all epochs on the over-sampled known labels,
then one more such model for all attributes. It is timed on whole steps of `fit` and `predict` and
counted over all of them; the pipeline is run in full at one view, and at more views its embed
counts as often. Same pictures, size, epochs (without early stopping on either side), head, batch
size and machine, one after the other. Writes benchmarks/speed.csv; with ``--as laptop`` the
libraries of networks and of matrices are kept to two threads and to AVX2, and the figures go to
benchmarks/speed_laptop.csv with a machine that says so.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks import weaker
from benchmarks.workshop import measure, params
from pipeline.data.clean_table import read_clean
from pipeline.data.labels import LabelTable
from pipeline.features import backbones, weights
from pipeline.files import write_csv
from pipeline.training import heads

RESULT = Path("benchmarks/speed.csv")
ATTRIBUTES = ["has_long_trousers", "has_sleeves", "has_pattern", "has_hat"]
BATCH = 32
VIEWS = (1, 4, 8)


def images_of(table: LabelTable, epochs: int) -> tuple[int, int]:
    """Images that the other way trains on and that it only scores, all models together."""
    split = np.array(table.split)
    train, validation = table.values[split == "train"], table.values[split == "val"]
    trained = scored = 0
    for a in range(len(table.attributes)):
        known = train[~np.isnan(train[:, a]), a]
        trained += epochs * 2 * int(max((known == 1).sum(), (known == 0).sum()))
        scored += epochs * int((~np.isnan(validation[:, a])).sum())
        scored += int(np.isnan(table.values[:, a]).sum())
    return trained + epochs * len(train), scored + epochs * len(validation)


def other_way(folder: Path, table: LabelTable, size: tuple[int, int], steps: int) -> dict[str, Any]:
    """Seconds per image of training and of scoring, medians over whole steps."""
    import keras
    import tensorflow as tf

    network = backbones.build("vgg19", size)
    weights.randomise(network, 42)
    config = heads.HeadConfig("conv", tuple(network.output_shape[1:]), 1, 0.3)
    augment = keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomRotation(0.03),
            keras.layers.RandomZoom(0.1),
            keras.layers.RandomBrightness(0.15),
        ]
    )
    pictures = keras.Input((*size, 3))
    model = keras.Model(pictures, heads.build(config)(network(augment(pictures), training=False)))
    model.compile("adam", keras.losses.BinaryCrossentropy(from_logits=True))

    def load(path: Any, label: Any) -> tuple[Any, Any]:
        picture = tf.io.decode_jpeg(tf.io.read_file(path), channels=3)
        return tf.image.resize(picture, size), label

    files = [str(folder / "data/demo/images" / name) for name in table.images]
    labels = np.arange(len(files), dtype="float32") % 2
    data = tf.data.Dataset.from_tensor_slices((files, labels)).repeat().shuffle(512, seed=0)
    data = data.map(load, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH).prefetch(2)
    ends: list[float] = []

    class Clock(keras.callbacks.Callback):  # type: ignore[misc]
        def on_train_batch_end(self, batch: int, logs: object = None) -> None:
            ends.append(time.perf_counter())

        on_predict_batch_end = on_train_batch_end

    def median() -> float:
        taken = float(np.median(np.diff(ends))) / BATCH
        ends.clear()
        return taken

    model.fit(data, steps_per_epoch=steps + 1, epochs=1, verbose=0, callbacks=[Clock()])
    trained = median()
    model.predict(data, steps=steps + 1, verbose=0, callbacks=[Clock()])
    return {"train": trained, "score": median()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=975, help="of the demo table")
    parser.add_argument("--image-size", type=int, nargs=2, default=(450, 350))
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--steps", type=int, default=4, help="timed steps of the other way")
    weaker.add_option(parser)
    a = parser.parse_args()
    here = weaker.become(a.weaker, "benchmarks.speed")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        params(
            folder,
            {
                "attributes": ATTRIBUTES,
                "image_size": list(a.image_size),
                "epochs": a.epochs,
                "patience": a.epochs,
                "batch_size": BATCH,
                "backbone.weights": "random",
                "features.views": 1,
                "demo.rows": a.rows,
            },
        )
        for stage in ("check", "demo", "clean", "backbone"):
            measure(folder, stage)
        seconds = {s: measure(folder, s).seconds for s in ("embed", "classify", "impute", "train")}
        table = read_clean(folder / "data/clean/labels.csv")
        # In a process of its own, so that neither side has the other's memory or settings.
        command = [sys.executable, "-c", OTHER, str(folder), *map(str, a.image_size), str(a.steps)]
        told = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        step = dict(zip(("train", "score"), map(float, told.split()[-2:]), strict=True))
    trained, scored = images_of(table, a.epochs)
    other = trained * step["train"] + scored * step["score"]
    rows = []
    for views in VIEWS:
        embed = seconds["embed"] * views
        total = embed + sum(s for stage, s in seconds.items() if stage != "embed")
        rows.append(
            {
                "views": views,
                "other_way_hours": round(other / 3600, 2),
                "pipeline_minutes": round(total / 60, 2),
                "embed_minutes": round(embed / 60, 2),
                "times_faster": round(other / total, 1),
                "embed_extrapolated": "no" if views == 1 else "yes",
            }
        )
    frame = pd.DataFrame(rows)
    frame["images_trained"], frame["images_scored"] = trained, scored
    frame["other_ms_per_trained_image"] = round(step["train"] * 1e3, 1)
    frame["other_ms_per_scored_image"] = round(step["score"] * 1e3, 1)
    for stage, value in seconds.items():
        frame[f"{stage}_seconds_at_1_view"] = round(value, 1)
    frame["timed_steps"], frame["machine"] = a.steps, here
    write_csv(frame, weaker.result(RESULT, a.weaker))
    print(frame.T.to_string(header=False))


OTHER = """
import sys
from pathlib import Path
from benchmarks.speed import other_way
from pipeline.data.clean_table import read_clean
folder, height, width, steps = sys.argv[1:]
table = read_clean(Path(folder) / "data/clean/labels.csv")
seconds = other_way(Path(folder), table, (int(height), int(width)), int(steps))
print(seconds["train"], seconds["score"])
"""

if __name__ == "__main__":
    main()
