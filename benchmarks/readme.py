"""python -m benchmarks.readme: put the figures of reports/ and benchmarks/ into the README.

`--check` changes nothing and fails when the README says something else than the files.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

README = Path("README.md")
START, END = "<!-- figures: {} -->\n", "<!-- end of figures -->"


def table(frame: pd.DataFrame) -> str:
    """``frame`` as a Markdown table."""
    rows = [list(frame.columns), ["---"] * len(frame.columns)]
    rows += [["" if pd.isna(v) else str(v) for v in row] for row in frame.to_numpy(dtype=object)]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def interval(frame: pd.DataFrame, name: str, digits: int = 3) -> pd.Series:
    """``0.97 (0.95 to 0.99)`` from the columns name, name_low and name_high."""
    shown = []
    columns = (frame[c] for c in (name, f"{name}_low", f"{name}_high"))
    for value, low, high in zip(*columns):
        text = f"{value:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"
        shown.append("" if pd.isna(value) else text)
    return pd.Series(shown, index=frame.index)


def blocks() -> dict[str, str]:
    """The generated parts of the README by name."""
    heads = pd.read_csv("reports/attributes.csv")
    truth = pd.read_csv("reports/imputation_truth.csv")
    test = pd.read_csv("reports/test.csv")
    times = pd.read_csv("benchmarks/stage_times.csv")
    scores = pd.DataFrame(
        {
            "attribute": [f"`{name}`" for name in heads["attribute"]],
            "positive / negative / unknown": [
                f"{p} / {n} / {u}"
                for p, n, u in zip(heads["positive"], heads["negative"], heads["unknown"])
            ],
            "AUC out of fold (95 %)": interval(heads, "auc"),
            "learnable": heads["learnable"],
            "filled cells": truth["cells"],
            "of them right (95 %)": interval(truth, "accuracy", 2),
            "majority guess": truth["majority_accuracy"].round(2),
            "final classifier, test AUC (95 %)": interval(test, "auc"),
        }
    )
    cells = pd.read_csv("data/imputed/provenance.csv", dtype=str)
    minutes = times.loc[times["stage"] == "all", "seconds"].item() / 60
    stages = times[times["stage"] != "all"]
    columns = {"stage": stages["stage"], "seconds": stages["seconds"], "peak MB": stages["peak_mb"]}
    return {
        "scores": table(scores),
        "provenance": table(cells.head(6)),
        "times": f"Measured on {times['machine'][0]}: {minutes:.1f} minutes in all.\n\n"
        + table(pd.DataFrame(columns)),
    }


def filled(text: str) -> str:
    """``text`` with each generated part replaced."""
    for name, content in blocks().items():
        start = START.format(name)
        before, _, rest = text.partition(start)
        _, end, after = rest.partition(END)
        if not end:
            raise SystemExit(f"error: {README}: no part between {start.strip()!r} and {END!r}")
        text = f"{before}{start}\n{content}\n{END}{after}"
    return text


def main() -> None:
    old = README.read_text(encoding="utf-8")
    new = filled(old)
    if "--check" in sys.argv[1:]:
        if new != old:
            raise SystemExit(f"error: {README} is not what the reports say; run `make readme`")
        return
    README.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
