"""python -m benchmarks.grid: what is lost when the stored map is averaged to fewer positions.

Runs the default pipeline on the demo in empty folders at several values of features.grid. Writes
benchmarks/grid.csv: bytes of features per image and view, the mean AUC of filled cells against the
truth over learnable attributes, and the final classifier's test mAP.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pandas as pd
import yaml

from benchmarks.workshop import measure, params, record

RESULT = Path("benchmarks/grid.csv")
GRIDS = (None, 2, 1)


def main() -> None:
    stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
    rows = []
    for grid in GRIDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            params(folder, {"features.grid": grid})
            (folder / "data").mkdir()
            shutil.copy("data/corrections.csv", folder / "data/corrections.csv")
            for stage in stages:
                measure(folder, stage)
            store = folder / "data/features"
            size = sum(file.stat().st_size for file in store.glob("*.npy"))
            views = len(list(store.glob("map_*.npy")))
            images = len(pd.read_csv(store / "index.csv"))
            heads = pd.read_csv(folder / "reports/attributes.csv", index_col="attribute")
            truth = pd.read_csv(folder / "reports/imputation_truth.csv", index_col="attribute")
            final = pd.read_csv(folder / "reports/missing.csv", index_col="model")
            kept = json.loads((folder / "models/multilabel/model.json").read_text())["missing"]
        learnable = truth[heads["learnable"].reindex(truth.index) == "yes"]
        row = {"grid": "whole map" if grid is None else grid}
        row |= {"bytes_per_image_and_view": round(size / images / views)}
        row |= {"filled_cells_auc": round(learnable["auc"].mean(), 4)}
        row |= {"filled_cells_accuracy": round(learnable["accuracy"].mean(), 4)}
        rows.append({**row, "final_test_map": round(final.loc[kept, "map"], 4)})
        print(rows[-1], flush=True)
    record(rows, RESULT)


if __name__ == "__main__":
    main()
