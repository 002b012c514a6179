"""Pictures of budgets and shares: complete, byte-stable, whatever there is to show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from pipeline.plots import guarantees


def curves(attributes: int) -> pd.DataFrame:
    scopes = [("table", ""), *(("attribute", f"attribute_{i}") for i in range(attributes))]
    parts = [
        pd.DataFrame(
            {
                "scope": scope,
                "attribute": name,
                "looked_at": [0, 10, 20, 40],
                "of": 40,
                "wrong_left": [0.2, 0.08, 0.02, 0],
                "wrong_left_high": [0.3, 0.15, 0.04, 0],
                "chosen": [0, 0, 1, 0],
            }
        )
        for scope, name in scopes
    ]
    return pd.concat(parts, ignore_index=True)


def shares(attributes: int) -> pd.DataFrame:
    i = np.arange(attributes)
    return pd.DataFrame(
        {
            "by": "",
            "attribute": [f"attribute_{k}" for k in i],
            "value": np.where(i % 2, "red", "1"),
            "share": 0.3,
            "share_low": np.where(i == 0, np.nan, 0.25),
            "share_high": np.where(i == 0, np.nan, 0.36),
            "known_share": 0.31,
            "known_share_low": 0.22,
            "known_share_high": 0.4,
            "counted_share": 0.29,
        }
    )


@pytest.mark.parametrize("attributes", [0, 1, 23])
def test_pictures_are_whole_and_stable(tmp_path: Path, attributes: int) -> None:
    for name in ("a", "b"):
        guarantees.budget(curves(attributes), 0.05, tmp_path / f"budget_{name}.png")
        guarantees.prevalence(shares(attributes), tmp_path / f"prevalence_{name}.png")
    for kind in ("budget", "prevalence"):
        first, second = (tmp_path / f"{kind}_{name}.png" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
        with Image.open(first) as image:
            assert min(image.size) > 100
    nothing = curves(0).head(0)
    guarantees.budget(nothing, 0.05, tmp_path / "nothing.png")
    assert (tmp_path / "nothing.png").stat().st_size > 0
