"""The multi-label linear head that every method trains, and how its settings are chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from benchmarks.adam import Adam
from benchmarks.missing_scores import mean_average_precision, mean_log_loss
from benchmarks.partial_losses import Loss

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """What is tried, the same for every method; validation chooses.

    strengths : of the penalty strength * |w|^2 beside the mean loss per cell.
    epochs : numbers of epochs, rising.
    rate, batch : Adam's learning rate, images per step.
    """

    strengths: tuple[float, ...] = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
    epochs: tuple[int, ...] = (2, 5, 10, 20, 40, 80)
    rate: float = 1e-3
    batch: int = 64


@dataclass(frozen=True)
class Head:
    """A trained head and how it came about.

    weights, bias : float32 [C, A], [A].
    rank : (validation mean AP, -log-loss); more is better.
    """

    weights: Floats
    bias: Floats
    rank: tuple[float, float]
    strength: float
    epochs: int

    def logits(self, features: np.ndarray) -> Floats:
        """float32 [n, A] of standardised features [n, C]."""
        return features @ self.weights + self.bias


def standardised(features: np.ndarray, training: np.ndarray) -> Floats:
    """``features`` [N, C] with mean 0 and deviation 1 over the rows ``training``, float32."""
    mean = features[training].mean(axis=0, dtype=np.float64)
    deviation = features[training].std(axis=0, dtype=np.float64)
    # A channel that never varies stays at 0 instead of being blown up.
    return ((features - mean) / np.where(deviation > 1e-6, deviation, 1.0)).astype(np.float32)


def rank(labels: np.ndarray, logits: np.ndarray) -> tuple[float, float]:
    """(mean AP or 0 if it is undefined, -log-loss) over the known cells of [n, A]."""
    value = mean_average_precision(labels, logits)
    return (0.0 if np.isnan(value) else value, -mean_log_loss(labels, logits))


def fit(
    features: np.ndarray,
    labels: np.ndarray,
    loss: Loss,
    val_features: np.ndarray,
    val_labels: np.ndarray,
    grid: Grid,
    seed: int,
) -> Head:
    """The best head of ``grid`` by the known validation cells, the first of equals.

    All strengths are trained side by side, each as if it were alone: a linear head's labels, and
    so heads, share no weight. Weights start at 0, and the order of the images depends on ``seed``
    alone, so that methods differ in nothing but their loss and labels. What is validated, and
    returned, is the mean of the weights since the epoch number before (Polyak and Juditsky 1992,
    SIAM J. Control Optim. 30:838): Adam's last step is noise as large as its learning rate, which
    is larger than the weights themselves where the penalty is strong.

    Parameters
    ----------
    features, val_features : float32 [n, C], [m, C], standardised.
    labels, val_labels : float [n, A], [m, A], NaN for unknown.
    """
    images, channels = features.shape
    outputs, heads = labels.shape[1], len(grid.strengths)
    loss.reset(labels, heads, np.random.default_rng([seed, 1]))
    order = np.random.default_rng([seed, 0])
    weights = np.zeros((channels, heads * outputs), np.float32)
    bias = np.zeros(heads * outputs, np.float32)
    adams = [Adam(v.shape, grid.rate, np.float32) for v in (weights, bias)]
    penalty = np.repeat(2 * np.array(grid.strengths, np.float32), outputs)
    sums, steps_summed = [np.zeros_like(weights), np.zeros_like(bias)], 0
    best: Head | None = None
    for epoch in range(grid.epochs[-1]):
        shuffled = order.permutation(images)
        for start in range(0, images, grid.batch):
            rows = shuffled[start : start + grid.batch]
            x = features[rows]
            logits = (x @ weights + bias).astype(np.float64).reshape(len(rows), heads, outputs)
            cells = loss(logits, labels[rows], epoch, rows)
            mass = cells.mass.sum(axis=(0, 2), keepdims=True)
            gradient = cells.gradient / np.where(mass > 0, mass, 1.0)
            flat = gradient.reshape(len(rows), -1).astype(np.float32)
            steps = x.T @ flat
            steps += penalty * weights
            adams[0].step(weights, steps)
            adams[1].step(bias, flat.sum(axis=0))
            sums[0] += weights
            sums[1] += bias
            steps_summed += 1
        if epoch + 1 not in grid.epochs:
            continue
        mean, mean_bias = (total / np.float32(steps_summed) for total in sums)
        sums, steps_summed = [np.zeros_like(weights), np.zeros_like(bias)], 0
        seen = (val_features @ mean + mean_bias).reshape(-1, heads, outputs)
        for number, strength in enumerate(grid.strengths):
            reached = rank(val_labels, seen[:, number])
            if best is None or reached > best.rank:
                own = slice(number * outputs, (number + 1) * outputs)
                best = Head(
                    mean[:, own].copy(), mean_bias[own].copy(), reached, strength, epoch + 1
                )
    if best is None:
        raise ValueError(f"epochs {grid.epochs}: none to choose from")
    return best
