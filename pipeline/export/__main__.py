"""python -m pipeline.export --to FORMAT FOLDER: the trained classifier for other tools.

An extra (``pip install '.[export]'``). Nothing is left on disk that says something else than
`pipeline.predict` does.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline import progress, runtime
from pipeline.errors import PipelineError, require_extra, run
from pipeline.export import metadata
from pipeline.export.formats import FORMATS, Format
from pipeline.files import replace_directory, write_json

ALL = "all"
REPORTS = Path("reports")


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    options = _parser().parse_args(arguments)
    chosen = {name: one for name, one in FORMATS.items() if options.to in (ALL, name)}
    _check(options.out, chosen)
    runtime.prepare(seed=0)
    from pipeline.export import card
    from pipeline.training.inference import Predictor

    reports = None
    if options.reports is not None:
        reports = card.read_reports(options.reports)
    elif options.model is None and (REPORTS / "metrics.json").is_file():
        reports = card.read_reports(REPORTS)
    predictor = Predictor(options.model, precision="float32")
    with replace_directory(options.out) as folder:
        export(predictor, chosen, folder, options.name, reports)
    for path in sorted(options.out.iterdir()):
        files = [path] if path.is_file() else [one for one in path.rglob("*") if one.is_file()]
        megabytes = sum(file.stat().st_size for file in files) / 1e6
        print(f"{path}: {megabytes:.1f} MB" if megabytes >= 0.1 else path)


def export(
    predictor: Any,
    chosen: Mapping[str, Format],
    folder: Path,
    title: str,
    reports: Any = None,
) -> None:
    """Write the classifier in each format into ``folder``, checked, with config and model card.

    Parameters
    ----------
    predictor : `Predictor` in float32.
    chosen : some of `FORMATS`.
    reports : `card.Reports` of the run that trained it, or None.

    Raises
    ------
    PipelineError
        If an export gives other probabilities than the classifier.
    """
    from pipeline.export import card, graph, parity

    config = metadata.config(predictor, {name: one.any_size for name, one in chosen.items()})
    modules: dict[bool, Any] = {}
    found = {}
    for name, one in progress.track(chosen.items(), "export", "format"):
        if one.any_size not in modules:
            modules[one.any_size] = graph.module(predictor, one.any_size)
        with progress.task(f"writing {name}"):
            one.write(modules[one.any_size], folder / one.file, config)
        with progress.task(f"comparing {name} with the classifier"):
            found[name] = parity.compare(one.open(folder / one.file), predictor, one.any_size)
        if wrong := parity.faults(found[name]):
            raise PipelineError(
                f"--to {name}: the export is not what the classifier is: {'; '.join(wrong)}; "
                "nothing is written. Take another format"
            )
    write_json(config, folder / "config.json")
    write_json(metadata.preprocessor(predictor), folder / "preprocessor_config.json")
    text = card.write(predictor, title, found, reports)
    (folder / "README.md").write_text(text, encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.export",
        description="The trained classifier in other tools' formats: pictures in, calibrated "
        "probabilities out, with its configuration and its model card.",
    )
    parser.add_argument("--to", required=True, choices=[*FORMATS, ALL])
    parser.add_argument("out", type=Path, metavar="FOLDER", help="made, or an earlier export")
    parser.add_argument(
        "--model",
        type=Path,
        metavar="FOLDER",
        help="a trained classifier, as models/multilabel is; by default the project's own",
    )
    parser.add_argument(
        "--reports",
        type=Path,
        metavar="FOLDER",
        help="of the run that trained it, for the model card; by default, without --model, reports",
    )
    parser.add_argument(
        "--name", default="image-attributes", help="in the model card; image-attributes"
    )
    return parser


def _check(out: Path, chosen: Mapping[str, Format]) -> None:
    """Raise a `PipelineError` for a folder that holds something else than an earlier export, and
    for packages that are not installed."""
    if out.exists() and not out.is_dir():
        raise PipelineError(f"{out}: a file; expected a folder, made if need be")
    if out.is_dir() and any(out.iterdir()) and not metadata.is_export(out):
        raise PipelineError(
            f"{out}: neither empty nor an earlier export; expected a new folder, as it is written "
            "whole"
        )
    if not out.absolute().parent.is_dir():
        raise PipelineError(f"{out}: no such folder as {out.parent}; make it")
    packages = {k: v for one in chosen.values() for k, v in one.packages.items()}
    require_extra("export", packages, "pipeline.export: not installed:")


if __name__ == "__main__":
    run(main)
