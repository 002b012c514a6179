"""A plain convolutional network trained from scratch on known labels, and its validation score."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.data import categories
from pipeline.data.clean_table import read_clean, read_hashes
from pipeline.data.loading import Pictures
from pipeline.errors import PipelineError
from pipeline.features import backbones, extract, weights
from pipeline.training import fine_tuning, heads, losses, network
from pipeline.training.fitting import DivergedError, FitSettings, Task
from pipeline.tune import search_space
from pipeline.tune.search_space import Choice, Result

CLEAN = Path("data/clean")
SAMPLE = 256
"""Training pictures that the moments of a new network's features are taken from."""


@dataclass(frozen=True)
class ChoiceTrainer:
    """Trains one choice after the other on the same pictures, each as if it were the first.

    pictures, task : training and validation images only.
    settings : their learning rate is the choice's.
    precision : float32 or bfloat16.
    seed : of the first weights; the same for all, so that they differ by the choice alone.
    views : whether each epoch sees other augmented views.
    """

    pictures: Pictures
    task: Task
    settings: FitSettings
    precision: str
    seed: int
    views: bool

    def __call__(self, choice: Choice) -> Result:
        """Train a network of ``choice``; a fit that diverges is a result without scores."""
        import keras

        started = time.perf_counter()
        # Without this the networks of earlier trials would stay in memory.
        keras.backend.clear_session()
        branch = self.network(choice)
        settings = replace(self.settings, learning_rate=choice.learning_rate)
        outputs = self.task.targets.shape[1]
        parameters = search_space.parameters(choice, self.pictures.size, outputs)
        epoch, scores = None, {"val_auc": np.nan, "val_loss": np.nan}
        try:
            (fit,) = fine_tuning.fit(
                branch,
                self.pictures,
                self.task,
                settings,
                train_backbone=True,
                batch_statistics=True,
                views=self.views,
            )
            epoch, scores = fit.best_epoch + 1, fit.history[fit.best_epoch]
        except DivergedError:
            # Of all that can go wrong only this is the choice's doing.
            pass
        seconds = time.perf_counter() - started
        return Result(choice, parameters, epoch, scores["val_auc"], scores["val_loss"], seconds)

    def network(self, choice: Choice) -> network.Branch:
        """The network with the first weights that stage fine_tune would give it."""
        import keras

        earlier = keras.config.dtype_policy()
        keras.config.set_dtype_policy(
            "mixed_bfloat16" if self.precision == "bfloat16" else "float32"
        )
        try:
            backbone = backbones.build(choice.backbone, self.pictures.size)
        finally:
            keras.config.set_dtype_policy(earlier)
        weights.randomise(backbone, self.seed)
        outputs = self.task.targets.shape[1]
        shape = tuple(backbone.output_shape[1:])
        config = heads.HeadConfig("dense", shape, outputs, choice.dropout, choice.dense_units)
        branch = network.make_branch(backbone, config, [(0, outputs)])
        heads.reset(branch.heads[0], (*self.task.seed, 0), self._moments(backbone))
        return branch

    def _moments(self, backbone: Any) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of each channel of the network's map, as `heads.reset` takes them."""
        rows = np.random.default_rng(self.seed).permutation(self.task.rows)[:SAMPLE]
        encoder = extract.Encoder(backbone, self.pictures.size)
        batches = self.pictures.batches(np.sort(rows), encoder.batch)
        maps = np.concatenate([encoder(batch) for batch in batches])
        return fine_tuning.bounded_variance(maps.mean(axis=(0, 1, 2)), maps.var(axis=(0, 1, 2)))


def from_clean_table(
    folder: Path,
    size: tuple[int, int],
    settings: FitSettings,
    loss: str,
    precision: str,
    seed: int,
    views: bool,
    clean: Path = CLEAN,
) -> ChoiceTrainer:
    """A trainer on the images of the clean table; test images are left out at once.

    Parameters
    ----------
    folder, size : of the images; (height, width) in pixels.
    settings : their objective is that of ``loss``, a name in `losses.LOSSES`.
    precision, seed, views : see `ChoiceTrainer`; the seed is that of augmented views, too.

    Raises
    ------
    PipelineError
        If there is no clean table, or no training or no validation image has a known label.
    """
    for name in ("labels.csv", "images.csv"):
        if not (clean / name).is_file():
            raise PipelineError(f"{clean / name}: no such file; run `dvc repro clean`")
    whole = read_clean(clean / "labels.csv")
    table = whole.take([row for row, part in enumerate(whole.split or []) if part != "test"])
    split = np.array(table.split)
    known = ~np.isnan(table.values).all(axis=1)
    training = np.flatnonzero((split == "train") & known)
    validation = np.flatnonzero((split == "val") & known)
    for part, rows in (("training", training), ("validation", validation)):
        if not len(rows):
            raise PipelineError(
                f"{clean / 'labels.csv'}: no {part} image with a known label, expected some; label "
                "more images, or change split.val in params.yaml"
            )
    values: npt.NDArray[np.float32] = table.values.astype(np.float32)
    softmax = categories.spans(table.categories)
    return ChoiceTrainer(
        Pictures(
            folder=folder,
            names=table.images,
            sha256=read_hashes(clean, table.images),
            size=size,
            seed=seed,
        ),
        Task(
            rows=training,
            targets=values[training],
            val_rows=validation,
            val_targets=values[validation].astype(np.float64),
            seed=(seed, len(table.attributes)),
        ),
        replace(settings, objective=losses.objective(loss, values[training], softmax)),
        precision,
        seed,
        views,
    )
