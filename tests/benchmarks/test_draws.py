"""What the benchmarks over tables share: a command leaves what it doesn't measure as it is."""

from pathlib import Path

import pandas as pd

from benchmarks.draws import beside_others

KEYS = ("data", "rate")


def test_rows_of_other_tables_and_settings_stay(tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    before = pd.DataFrame(
        {"data": ["b", "b", "a"], "rate": [0.1, 0.2, 0.1], "precision": [0.5, 0.6, 0.7]}
    )
    before.to_csv(out, index=False)
    found = pd.DataFrame({"data": ["b", "c"], "rate": [0.2, 0.1], "precision": [0.9, 0.8]})

    merged = beside_others(found, KEYS, out)

    assert merged.to_dict("list") == {
        "data": ["a", "b", "b", "c"],
        "rate": [0.1, 0.1, 0.2, 0.1],
        "precision": [0.7, 0.5, 0.9, 0.8],
    }


def test_without_a_file_what_was_found_is_all(tmp_path: Path) -> None:
    found = pd.DataFrame({"data": ["b", "a"], "rate": [0.2, 0.1], "precision": [0.9, 0.8]})

    assert beside_others(found, KEYS, tmp_path / "out.csv")["precision"].tolist() == [0.8, 0.9]
