"""Stage check: refuse bad params and missing inputs before any earlier output is touched.

DVC removes a stage's outputs before it runs the stage. Every other stage depends on this one's
output, which is always the same two letters, so a mistake in params.yaml ends here, and a run with
good params never repeats work because of it.
"""

from __future__ import annotations

from pathlib import Path

from pipeline import params
from pipeline.demo import paths
from pipeline.errors import PipelineError, run
from pipeline.features import backbones, int8, openvino_network
from pipeline.files import replace_file

OUTPUT = Path("data/checked.txt")


def check_paths(p: params.Params) -> None:
    """Raise a `PipelineError` that names the param whose path is not there."""
    labels, images = Path(p.data.labels), Path(p.data.images)
    if labels != paths.LABELS and not labels.is_file():
        raise PipelineError(
            f"params.yaml: data.labels: {labels}: no such file; expected a table of labels, for "
            f"example {paths.LABELS}, the demo's"
        )
    if images != paths.IMAGES and not images.is_dir():
        raise PipelineError(
            f"params.yaml: data.images: {images}: no such folder; expected the folder of the "
            "images that the table names"
        )
    weights = p.backbone.weights
    if weights not in ("imagenet", "random") and not Path(weights).is_file():
        raise PipelineError(
            f"params.yaml: backbone.weights: {weights}: no such file; expected imagenet, random or "
            "the path of a Keras weights file saved without the top"
        )


def check_runtime(p: params.Params) -> None:
    """Raise a `PipelineError` where the precision or the runtime can't be had."""
    if p.backbone.precision == int8.PRECISION:
        wanted = f"backbone.precision {int8.PRECISION}"
        int8.check_installed()
    elif p.backbone.runtime == "openvino":
        wanted = "backbone.runtime openvino"
        openvino_network.check_installed()
    else:
        return
    if p.compute.engine != "local":
        raise PipelineError(
            f"params.yaml: compute.engine: got {p.compute.engine!r} with {wanted}, which runs on "
            "this machine alone; expected local"
        )


def main() -> None:
    p = params.load()
    backbones.check(p.backbone.name, p.image_size, p.backbone.weights)
    check_paths(p)
    check_runtime(p)
    OUTPUT.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(OUTPUT) as staging:  # an earlier one may be a link into DVC's cache
        staging.write_text("ok\n", encoding="utf-8")


if __name__ == "__main__":
    run(main)
