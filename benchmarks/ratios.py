"""python -m benchmarks.ratios: whether the pipeline has become slower, in three minutes.

Each part of the pipeline is set against a plain counterpart that does not change with this project,
on the same generated pictures and labels, in turns in one process: pandas reading the table, the
bare network on pictures in memory, scikit-learn's cross-validated logistic regressions. The ratio
is of processor time, which depends on the machine less than seconds do. Compares with the rows of
this machine in benchmarks/ratios.csv, or where it has none with the highest of others, and ends
with exit code 1 where a part costs more than `WORSE` times as much; ``--write`` writes the rows of
this machine anew.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from benchmarks import scale
from pipeline import runtime
from pipeline.data import splits
from pipeline.data.labels import LabelTable
from pipeline.data.loading import loader
from pipeline.data.read_table import read_table
from pipeline.errors import run
from pipeline.features import backbones, cache, extract, weights
from pipeline.features.cache import Work
from pipeline.features.matrices import Grid, MeanOfViews
from pipeline.features.store import FeatureStore
from pipeline.files import write_csv
from pipeline.impute.imputer import Imputer, Settings, Table
from pipeline.report.machine import machine
from pipeline.training import heads
from pipeline.training.attribute_heads import AttributeHeads, settings_for

RESULT = Path("benchmarks/ratios.csv")
WORSE = 1.3
IMAGES = 600
BACKBONE, SIZE = "cnn-16-32-64", (scale.SIDE, scale.SIDE)
TURNS = 3
PLAIN = 5
"""How often the plain regressions are fitted: enough to be timed."""


class Parts:
    """What is measured: each method is a part of the pipeline or, ``plain_`` first, what it is set
    against."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        scale.generate(folder, IMAGES)
        paths = sorted((folder / "images").rglob("*.jpg"))
        self.files = [str(path.relative_to(folder / "images")) for path in paths]
        self.sha256 = [hashlib.sha256(path.read_bytes()).hexdigest() for path in paths]
        rng = np.random.default_rng(0)
        wide = pd.DataFrame(rng.integers(0, 2, (20_000, 20)), columns=[f"a{i}" for i in range(20)])
        wide.insert(0, "image", [f"{i}.jpg" for i in range(len(wide))])
        wide.to_csv(folder / "wide.csv", index=False)
        model = backbones.build(BACKBONE, SIZE)
        weights.randomise(model, 0)
        self.encoder = extract.Encoder(model, SIZE)
        self.batch = rng.integers(0, 256, (self.encoder.batch, *SIZE, 3), dtype=np.uint8)
        self.passes = 0
        self.store = self._store()
        labels = read_table(folder / "labels.csv").values.astype(np.float32)
        names = [f"a{i}" for i in range(labels.shape[1])]
        rng = np.random.default_rng(1)
        fold = rng.permutation(IMAGES) % 6 - 1
        split = np.where(fold < 0, "val", "train").tolist()
        self.table, self.fold = LabelTable.binary(self.files, names, labels, split), fold
        self.rows = self.store.rows(self.files)
        config = heads.configure("conv", self.store, 1, 0.3)
        settings = settings_for(5, 32, 1e-3, 5, "oversample")
        self.heads = AttributeHeads(
            self.table, self.store, fold, config, settings, "oversample", seed=0
        )

    def _store(self) -> FeatureStore:
        keys = cache.keys(self.sha256, 1, 0)
        self.embed(keys)
        index = pd.DataFrame({"image": self.files, "sha256": self.sha256})
        (self.folder / "store").mkdir()
        cache.assemble(self.folder / "cache", keys, index, {"grid": None}, self.folder / "store")
        return FeatureStore(self.folder / "store")

    def embed(self, keys: Any = None) -> None:
        """All pictures through the network, from files into the cache."""
        self.passes += 1
        if keys is None:
            keys = cache.keys([f"{name} {self.passes}" for name in self.files], 1, 0)
        work = [
            Work(file, digest, (0,), (key,))
            for file, digest, (key,) in zip(self.files, self.sha256, keys, strict=True)
        ]
        load = loader(self.folder / "images", SIZE, 0)
        extract.compute(self.encoder, work, load, partial(cache.put, self.folder / "cache"))

    def plain_embed(self) -> None:
        """As many pictures, in memory, through the network."""
        for _ in range(0, IMAGES, self.encoder.batch):
            self.encoder(self.batch)

    def read(self) -> None:
        """A table of 20,000 rows and 20 attributes."""
        read_table(self.folder / "wide.csv")

    def plain_read(self) -> None:
        """The same by pandas, as text."""
        pd.read_csv(self.folder / "wide.csv", dtype=str, keep_default_na=False)

    def attribute_heads(self) -> None:
        """The heads of one attribute."""
        self.heads.fit(self.table.attributes[0])

    def impute(self) -> None:
        """The whole imputation, without attribute heads."""
        pooled = MeanOfViews(self.store, self.rows)
        spatial = Grid(self.store, self.rows)
        Imputer(Settings()).fill(Table(pooled, self.table.values, fold=self.fold, spatial=spatial))

    def plain_regressions(self) -> None:
        """A cross-validated logistic regression on pooled features for each attribute."""
        x = MeanOfViews(self.store, self.rows)[np.arange(IMAGES)]
        x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-6)
        for y in self.table.values.T:
            known = ~np.isnan(y)
            folds = splits.balanced_folds(
                y[known, None], np.arange(known.sum()), 5, np.random.default_rng(0)
            )
            pairs = [(np.flatnonzero(folds != k), np.flatnonzero(folds == k)) for k in range(5)]
            model = LogisticRegression(C=1e-2, max_iter=500)
            for _ in range(PLAIN):
                cross_val_predict(model, x[known], y[known], cv=pairs, method="decision_function")


PAIRS = {
    "read": "plain_read",
    "embed": "plain_embed",
    "attribute_heads": "plain_regressions",
    "impute": "plain_regressions",
}


def cost(work: Callable[[], None]) -> float:
    """Processor seconds."""
    started = time.process_time()
    work()
    return time.process_time() - started


def measure(parts: Parts) -> pd.DataFrame:
    """A row for each of `PAIRS`: part, against, ratio (median over the turns)."""
    rows = []
    for part, plain in PAIRS.items():
        own, other = getattr(parts, part), getattr(parts, plain)
        own()
        other()
        ratios = [cost(own) / cost(other) for _ in range(TURNS)]
        rows.append({"part": part, "against": plain, "ratio": round(float(np.median(ratios)), 2)})
        print(f"{part}: {rows[-1]['ratio']} times {plain}", flush=True)
    return pd.DataFrame(rows)


def to_compare_with() -> pd.Series:
    """The ratio of each part to compare with."""
    there = pd.read_csv(RESULT)
    own = there[there["machine"] == machine()]
    if own.empty:
        print(f"{RESULT} has no rows of this machine: compared with the highest of others")
        own = there
    return own.groupby("part")["ratio"].max()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ratios")
    parser.add_argument("--write", action="store_true", help="this machine's rows anew")
    a = parser.parse_args()
    runtime.prepare(0, to_train=True)
    with tempfile.TemporaryDirectory() as name:
        found = measure(Parts(Path(name)))
    if a.write:
        found["machine"] = machine()
        if RESULT.exists():
            there = pd.read_csv(RESULT)
            found = pd.concat([there[there["machine"] != machine()], found])
        write_csv(found, RESULT)
        return
    earlier = to_compare_with()
    slower = {
        row.part: (row.ratio, earlier[row.part])
        for row in found.itertuples()
        if row.ratio > WORSE * earlier[row.part]
    }
    for part, (now, before) in slower.items():
        print(f"SLOWER: {part} costs {now / before:.2f} times what {RESULT} says")
    if slower:
        raise SystemExit(1)
    print(f"no part costs more than {WORSE} times what {RESULT} says")


if __name__ == "__main__":
    run(main)
