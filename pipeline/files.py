"""Writing outputs whole or not at all, and byte-stable."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd


@contextmanager
def replace_directory(path: str | Path) -> Iterator[Path]:
    """Yield an empty staging directory that takes the place of ``path`` on success.

    If the block raises, the staging directory is removed and an earlier ``path`` stays untouched.
    """
    target = Path(path)
    staging = target.with_name(f".{target.name}.partial")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    try:
        yield staging
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    if target.exists():
        earlier = target.with_name(f".{target.name}.earlier")
        shutil.rmtree(earlier, ignore_errors=True)
        target.rename(earlier)
        staging.rename(target)
        shutil.rmtree(earlier)
    else:
        staging.rename(target)


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write ``frame`` without its index, with ``\\n`` line ends on every platform."""
    frame.to_csv(path, index=False, lineterminator="\n")


def write_json(content: Mapping[str, Any], path: str | Path) -> None:
    """Write ``content`` indented, in its own key order.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: such a file is not JSON and breaks ``dvc metrics diff``.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")
