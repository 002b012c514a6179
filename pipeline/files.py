"""Writing outputs whole or not at all, and byte-stable."""

from __future__ import annotations

import json
import os
import secrets
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


@contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Yield an empty file beside ``path`` that takes its place on success.

    If the block raises, that file is removed and an earlier ``path`` stays untouched. Its name is
    drawn at random, so that no other run and no file of the user's is in the way.
    """
    target = Path(path)
    staging = target.with_name(f".{secrets.token_hex(8)}.partial")
    os.close(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
    try:
        yield staging
        staging.replace(target)
    finally:
        staging.unlink(missing_ok=True)


def write_csv(frame: pd.DataFrame, path: str | Path) -> None:
    """Write ``frame`` without its index, with ``\\n`` line ends on every platform."""
    with replace_file(path) as staging:
        frame.to_csv(staging, index=False, lineterminator="\n")


def write_json(content: Mapping[str, Any], path: str | Path) -> None:
    """Write ``content`` indented, in its own key order.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: such a file is not JSON and breaks ``dvc metrics diff``.
    """
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False)
    with replace_file(path) as staging:
        staging.write_text(text + "\n", encoding="utf-8")
