"""python -m benchmarks.rates: each backbone in float32 and in bfloat16, frozen and trained.

Pictures per second through the frozen network, and through steps that train all of it, on arrays in
memory; in turns, in one process, medians. What `backbones.Application.bfloat16` says of a network
is what this shows. Writes benchmarks/rates.csv.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import datasets
from benchmarks.workshop import record
from pipeline import runtime
from pipeline.errors import run
from pipeline.features import backbones, extract
from pipeline.training.heads import HeadConfig
from pipeline.training.network import make_branch

PRECISIONS = ("float32", "bfloat16")
BATCH = 16
"""Pictures of a training step."""


def trained(backbone: Any, size: tuple[int, int]) -> Callable[[np.ndarray], None]:
    """A step that trains the backbone and a linear head with one output."""
    import keras
    import tensorflow as tf

    branch = make_branch(
        backbone, HeadConfig("linear", backbone.output_shape[-1:], 1, 0.0), [(0, 1)]
    )
    backbone.network.trainable = True
    variables = [*backbone.trainable_variables, *branch.heads[0].trainable_variables]
    optimizer = keras.optimizers.Adam(1e-5)
    optimizer.build(variables)

    @tf.function(input_signature=[tf.TensorSpec((BATCH, *size, 3), tf.uint8)], autograph=False)
    def step(images: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(branch.logits(images, training=True)[0]))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    return lambda images: step(images).numpy()


def measure(steps: dict[str, Callable[[np.ndarray], Any]], images: np.ndarray, a: Any) -> list:
    """Pictures per second of each step."""
    found: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(-1, a.turns):  # the first one warms up
        for name, step in steps.items():
            started = time.perf_counter()
            for _ in range(a.batches):
                step(images)
            if turn >= 0:
                found[name].append(a.batches * len(images) / (time.perf_counter() - started))
    return [round(float(np.median(found[name])), 1) for name in PRECISIONS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--backbones", nargs="+", default=[*backbones.BACKBONES, "cnn-32-64-128"])
    parser.add_argument("--image-size", type=int, nargs=2, default=(224, 224))
    parser.add_argument("--batches", type=int, default=1, help="of each turn")
    parser.add_argument("--turns", type=int, default=3)
    a = parser.parse_args()
    runtime.prepare(0)
    size = tuple(a.image_size)
    rng = np.random.default_rng(0)
    rows = []
    for name in a.backbones:
        networks = {p: datasets.build(name, "random", size, p) for p in PRECISIONS}
        encoders = {p: extract.Encoder(network, size) for p, network in networks.items()}
        batch = encoders["float32"].batch
        pictures = rng.integers(0, 256, (max(batch, BATCH), *size, 3), dtype=np.uint8)
        frozen = measure(encoders, pictures[:batch], a)
        steps = {p: trained(network, size) for p, network in networks.items()}
        whole = measure(steps, pictures[:BATCH], a)
        row = {"backbone": name, "size": f"{size[0]} x {size[1]}"}
        for label, pair in (("frozen", frozen), ("trained", whole)):
            row |= {f"{label}_{p}": value for p, value in zip(PRECISIONS, pair)}
        rows.append({**row, "auto": "bfloat16" if backbones.find(name).bfloat16 else "float32"})
        print(rows[-1], flush=True)
        record(rows, Path("benchmarks/rates.csv"))


if __name__ == "__main__":
    run(main)
