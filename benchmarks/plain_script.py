"""python -m benchmarks.plain_script LABELS IMAGES WEIGHTS OUT: holes filled as many would.

Pictures decoded one after the other into Keras' `predict`, pooled features, a logistic regression
of scikit-learn per label, fitted on its known cells. It stands for what people write in an
afternoon, and is what ``benchmarks.whole_run`` sets the pipeline against. Writes a column of the
probability of 1 for every label.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import keras
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

BATCH = 32


def batches(files: list[Path], size: tuple[int, int]) -> Iterator[tuple[np.ndarray]]:
    """Pictures as VGG19 takes them, float32 [n, height, width, 3], alone in a tuple for Keras."""
    height, width = size
    for start in range(0, len(files), BATCH):
        some = [
            np.asarray(Image.open(file).convert("RGB").resize((width, height)), dtype=np.float32)
            for file in files[start : start + BATCH]
        ]
        yield (keras.applications.vgg19.preprocess_input(np.stack(some)),)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.plain_script")
    for name in ("labels", "images", "weights", "out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("--image-size", type=int, nargs=2, default=(128, 96))
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32")
    a = parser.parse_args()
    if a.precision == "bfloat16":
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    size = tuple(a.image_size)
    table = pd.read_csv(a.labels, index_col=0)
    table = table[[(a.images / name).is_file() for name in table.index]]
    network = keras.applications.VGG19(
        include_top=False, weights=None, input_shape=(*size, 3), pooling="avg"
    )
    network.load_weights(a.weights)
    files = [a.images / name for name in table.index]
    features = np.float32(network.predict(batches(files, size), verbose=0))
    filled = table.astype(float)
    for label in table:
        known = table[label].notna()
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        model.fit(features[known], table.loc[known, label])
        if not known.all():
            filled.loc[~known, label] = model.predict_proba(features[~known])[:, 1]
    filled.to_csv(a.out)


if __name__ == "__main__":
    main()
