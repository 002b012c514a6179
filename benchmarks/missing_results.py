"""Finished runs of `benchmarks.missing`: kept in a cache folder, written as CSV and Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.missing_tables import markdown, over_seeds
from pipeline.errors import PipelineError
from pipeline.files import write_csv, write_json
from pipeline.report.machine import machine

DRAWS = 1000
KEY = ["fraction", "seed", "method"]


class Results:
    """Finished runs: ``OUT.csv``, ``OUT.md`` and the bootstrap draws in a cache folder.

    Parameters
    ----------
    settings : everything that the results depend on; a resumed call has to have the same.
    """

    def __init__(self, out: Path, cache: Path, settings: dict[str, Any], resume: bool):
        self.out, self.cache, self.settings = out, cache / out.name, settings
        self.rows = pd.DataFrame()
        self.draws: dict[tuple[float, int, str], np.ndarray] = {}
        out.parent.mkdir(parents=True, exist_ok=True)
        self.cache.mkdir(parents=True, exist_ok=True)
        card, csv = self.cache / "settings.json", out.with_name(out.name + ".csv")
        if resume and card.is_file() and csv.is_file():
            if json.loads(card.read_text(encoding="utf-8")) != json.loads(json.dumps(settings)):
                raise PipelineError(f"--resume: {csv} is of other data or options; leave it out")
            rows = pd.read_csv(csv, dtype={"seed": str})
            rows = rows[rows["seed"] != "all"]
            rows = rows.assign(seed=rows["seed"].astype(int))
            kept = []
            for (fraction, seed, method), part in rows.groupby(KEY, sort=False):
                key = float(fraction), int(seed), str(method)
                path = self._path(*key)
                if path.is_file():
                    self.draws[key] = np.load(path)
                    kept.append(part)
            self.rows = pd.concat(kept) if kept else self.rows
        write_json(settings, card)

    def _path(self, fraction: float, seed: int, method: str) -> Path:
        return self.cache / f"{fraction:g}_{seed}_{method}.npy"

    def value(self, fraction: float, seed: int, method: str, score: str) -> float:
        """A score of a finished run."""
        indexed = self.rows.set_index([*KEY, "score"])["value"]
        return float(indexed.loc[(fraction, seed, method, score)])

    def add(
        self, fraction: float, seed: int, method: str, values: dict[str, Any], draws: np.ndarray
    ) -> None:
        """Keep one run and write everything; ``values`` has a number or (value, low, high)."""
        rows = []
        for score, value in values.items():
            three = value if isinstance(value, tuple) else (value, np.nan, np.nan)
            row = {"fraction": fraction, "seed": seed, "method": method, "score": score}
            rows.append({**row, **dict(zip(("value", "low", "high"), three))})
        np.save(self._path(fraction, seed, method), draws)
        self.draws[fraction, seed, method] = draws
        self.rows = pd.concat([self.rows, pd.DataFrame(rows)], ignore_index=True)
        self.write()

    def write(self) -> None:
        """Write both files."""
        means = over_seeds(self.rows, self.draws)
        everything = self.rows if means.empty else pd.concat([self.rows, means])
        order = everything.assign(late=everything["seed"].astype(str) == "all")
        order = order.sort_values(["late", "fraction"], kind="stable").drop(columns="late")
        # An interrupt leaves either the earlier file or the new one, never half of one.
        partial = self.out.with_name(f".{self.out.name}.partial.csv")
        write_csv(order.round(6), partial)
        partial.replace(self.out.with_name(self.out.name + ".csv"))
        page = markdown(f"Missing labels: {self.settings['dataset']}", self._notes(), means)
        self.out.with_name(self.out.name + ".md").write_text(page, encoding="utf-8")

    def _notes(self) -> list[str]:
        s = self.settings
        out = self.rows.loc[self.rows["score"] == "labels_left_out", "value"].astype(int)
        left = " to ".join(str(n) for n in sorted({out.min(), out.max()}))
        seen = (
            "these methods have so seen the validation cells that choose their settings, and have "
            "a seventh more labels than `mask`: their choice is too sure of itself"
            if s["source"] == "train+val"
            else "no method has seen the validation cells that choose its settings"
        )
        return [
            f"Images: {s['images']}. Labels: {s['labels']}. Features: {s['features']}. Pattern of "
            f"hidden cells: {s['pattern']}. Seeds: {self.rows['seed'].nunique()}. Scores are means "
            "over the labels that have both classes among the test images; number of labels left "
            f"out: {left}. Brackets: 95 % of {DRAWS} paired bootstrap draws of test images, of the "
            "mean over seeds.",
            "Probabilities are the sigmoid of the logits as they are: losses that distort them, as "
            "ASL and SPLC, have the worse Brier score for it.",
            f"Holes are filled from the known labels of {s['source']} images: {seen}. Measured on "
            f"{machine()}.",
        ]
