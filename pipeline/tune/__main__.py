"""python -m pipeline.tune: search for a plain convolutional network to train from scratch.

An extra (``pip install '.[tune]'``). Optuna (Akiba et al. 2019, KDD, arXiv:1907.10902) proposes
filters, hidden units, dropout and learning rate by its tree-structured Parzen estimator (Bergstra
et al. 2011, NeurIPS); training images fit, validation images choose, test images are never read.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pipeline import params, progress, runtime
from pipeline.errors import EXIT_INTERRUPTED, PipelineError, require_extra, run
from pipeline.files import replace_file, write_csv
from pipeline.training.fitting import FitSettings
from pipeline.tune import figure, search_space, trainer
from pipeline.tune.search_space import Choice, Result

TABLE = Path("reports/tuning.csv")
PACKAGES = {"optuna": "optuna"}
"""What the extra brings, by the name that is imported."""
LIMITS = {"trials": (1, 10_000), "epochs": (1, 10_000), "seed": (0, 2**31 - 1)}
MOST_BLOCKS = 8
log = logging.getLogger("tune")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line; returns 130 when interrupted, with the trials done so far written."""
    options = _parser().parse_args(arguments)
    _check(options)
    require_extra("tune", PACKAGES, "pipeline.tune: not installed:")
    p = params.load()
    blocks = (options.blocks[0], options.blocks[1])
    if problem := search_space.problem(blocks, p.image_size):
        raise PipelineError(
            f"--blocks {blocks[0]} {blocks[1]}: image_size {list(p.image_size)} is {problem}"
        )
    logging.basicConfig(level="INFO", format="%(name)s: %(message)s")
    seed = p.seed if options.seed is None else options.seed
    runtime.prepare(seed, to_train=True)
    train = trainer_for(p, options.epochs, seed)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    results: list[Result] = []
    interrupted = False
    try:
        trials = search(train, options.trials, blocks, p.image_size, seed)
        for result in progress.track(trials, "tune", "trial", options.trials):
            results.append(result)
            # After each trial, so that nothing that ends the search takes the others along.
            write_csv(search_space.table(results), options.out)
            _log_trial(results, options.trials)
    except KeyboardInterrupt:
        interrupted = True
        kept = f"{options.out} has those" if results else "nothing is written"
        print(
            f"interrupted after {len(results)} of {options.trials} trials; {kept}", file=sys.stderr
        )
    if results:
        _conclude(results, options.out, options.epochs, None if seed == p.seed else seed)
    return EXIT_INTERRUPTED if interrupted else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m pipeline.tune",
        description="Search for a plain convolutional network to train from scratch: filters, "
        "hidden units, dropout and learning rate, by the AUC on validation images.",
    )
    parser.add_argument("--trials", type=int, default=20, metavar="N", help="networks tried; 20")
    parser.add_argument("--epochs", type=int, default=8, metavar="N", help="of each at most; 8")
    parser.add_argument(
        "--blocks",
        type=int,
        nargs=2,
        default=(2, 4),
        metavar=("LEAST", "MOST"),
        help="convolutions, each with a pooling that halves the picture; 2 4",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="by default that in params.yaml")
    parser.add_argument(
        "--out",
        type=Path,
        default=TABLE,
        metavar="FILE",
        help=f"a .csv file, a picture goes beside it; {TABLE}",
    )
    return parser


def _check(options: argparse.Namespace) -> None:
    for name, (least, most) in LIMITS.items():
        value = getattr(options, name)
        if value is not None and not least <= value <= most:
            raise PipelineError(f"--{name} {value}: expected {least} to {most}")
    least, most = options.blocks
    if not 1 <= least <= most <= MOST_BLOCKS:
        raise PipelineError(
            f"--blocks {least} {most}: expected two numbers from 1 to {MOST_BLOCKS}, the smaller "
            "first"
        )
    if options.out.suffix.lower() != ".csv" or options.out.is_dir():
        raise PipelineError(f"--out {options.out}: expected the name of a file that ends in .csv")
    if options.out.parent.exists() and not options.out.parent.is_dir():
        raise PipelineError(f"--out {options.out}: {options.out.parent} is a file, not a folder")


def trainer_for(p: params.Params, epochs: int, seed: int) -> trainer.ChoiceTrainer:
    """What trains a choice as ``p`` says, but for the epochs at most and the seed."""
    return trainer.from_clean_table(
        Path(p.data.images),
        p.image_size,
        FitSettings(
            epochs,
            p.batch_size,
            p.fine_tune.learning_rate,
            p.fine_tune.patience,
            schedule=p.schedule,
            clip_norm=p.clip_norm,
        ),
        p.loss,
        # Whole numbers can't be trained.
        runtime.precision("auto" if p.backbone.precision == "int8" else p.backbone.precision),
        seed,
        views=p.features.views > 1,
    )


def search(
    train: Callable[[Choice], Result],
    trials: int,
    blocks: tuple[int, int],
    image_size: tuple[int, int],
    seed: int,
) -> Iterator[Result]:
    """Propose a choice, train it, learn from its score, and so on; the results as they come.

    The first choice is the usual network of the fewest blocks. The same seed and scores give the
    same proposals.

    Parameters
    ----------
    blocks, image_size : see `search_space.suggest`.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.enqueue_trial(search_space.first(blocks[0]))
    for _ in range(trials):
        trial = study.ask()
        result = train(search_space.suggest(trial, blocks, image_size))
        if result.best_epoch is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, result.value)
        yield result


def _log_trial(results: Sequence[Result], trials: int) -> None:
    last, leader = results[-1], search_space.best(results)
    score = "diverged" if last.best_epoch is None else f"AUC {last.val_auc:.4f}"
    log.info(
        "trial %d of %d: %s, %d units, dropout %g, rate %g: %s, %.1f s; best so far: %s",
        *(len(results), trials, last.choice.backbone, last.choice.dense_units),
        *(last.choice.dropout, last.choice.learning_rate, score, last.seconds),
        "none" if leader is None else f"trial {leader + 1}",
    )


def _conclude(results: Sequence[Result], out: Path, epochs: int, seed: int | None) -> None:
    """Draw the picture, and print the best trial and how to run the pipeline with it."""
    frame = search_space.table(results)
    with replace_file(out.with_suffix(".png")) as staging:
        figure.draw(frame, staging)
    leader = search_space.best(results)
    if leader is None:
        raise PipelineError(
            f"{out}: every one of the {len(results)} fits diverged; set clip_norm in params.yaml, "
            "or look whether the pictures are what they should be"
        )
    found = results[leader]
    print(
        f"best: trial {leader + 1} of {len(results)}, validation AUC {found.val_auc:.4f}, loss "
        f"{found.val_loss:.4f} in epoch {found.best_epoch}; run the pipeline with it:"
    )
    print(search_space.command(found.choice, epochs, seed))


if __name__ == "__main__":
    run(main)
