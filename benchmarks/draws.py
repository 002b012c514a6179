"""Draws over tables: what the benchmarks of review, suspects and decisions share."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA

from benchmarks import datasets
from pipeline.files import write_csv

COMPONENTS = 60


def parser(name: str, about: str | None, draws: int) -> argparse.ArgumentParser:
    """The arguments of every benchmark that goes over tables: ``python -m benchmarks.NAME``."""
    found = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=about)
    found.add_argument("--labels", type=Path, nargs="+", required=True, help="label tables")
    found.add_argument("--images", type=Path, nargs="+", required=True, help="their folders")
    found.add_argument("--weights", required=True, help="imagenet, random or a weights file")
    found.add_argument("--draws", type=int, default=draws)
    found.add_argument("--out", type=Path, required=True, help="CSV to write")
    found.add_argument("--cache", type=Path, default=datasets.CACHE)
    return found


def components(features: np.ndarray) -> np.ndarray:
    """`COMPONENTS` principal components of ``features`` [N, C], the first of variance 1."""
    x = PCA(COMPONENTS, random_state=0).fit_transform(features)
    return np.asarray(x / x.std(axis=0)[:1])


def tables(args: argparse.Namespace) -> Iterator[tuple[datasets.Dataset, np.ndarray]]:
    """Each table with its components [N, `COMPONENTS`]."""
    for labels, images in zip(args.labels, args.images, strict=True):
        data = datasets.load(labels, images, weights=args.weights, cache=args.cache)
        yield data, components(data.features)


def kept(path: Path, draw: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """What ``draw`` gives, from ``path`` where it was drawn before: what was interrupted goes on
    where it stopped."""
    if not path.exists():
        started = time.perf_counter()
        found = draw()
        path.parent.mkdir(parents=True, exist_ok=True)
        write_csv(found, path)
        print(f"{path.stem}: {time.perf_counter() - started:.1f} s", file=sys.stderr, flush=True)
    return pd.read_csv(path)


def means(frame: pd.DataFrame, keys: Sequence[str], errors: Sequence[str] = ()) -> pd.DataFrame:
    """Means over the draws of each key, how many these are, and the standard ``errors`` of some."""
    groups = frame.groupby(list(keys), sort=False)
    found = groups.mean(numeric_only=True)
    found.insert(0, "draws", groups.size())
    for name in errors:
        found[f"{name} error"] = groups[name].std() / np.sqrt(groups.size())
    return found.reset_index().round(4)


def beside_others(found: pd.DataFrame, keys: Sequence[str], out: Path) -> pd.DataFrame:
    """``found`` behind the rows of ``out`` that it doesn't measure anew, tables in order of name.

    So that a command with some of the tables or settings leaves the others' figures as they are.
    """
    if out.is_file():
        before = pd.read_csv(out)
        there = pd.MultiIndex.from_frame(found[list(keys)])
        others = before[~pd.MultiIndex.from_frame(before[list(keys)]).isin(there)]
        found = pd.concat([others, found])
    return found.sort_values("data", kind="stable", ignore_index=True)
