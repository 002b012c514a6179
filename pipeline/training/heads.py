"""Trainable heads on frozen features, by name, and their files.

A head takes features as the store holds them and gives logits [B, outputs]; it standardises the
channels itself, with moments of the training images.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import fail, one_line
from pipeline.features.store import FeatureStore
from pipeline.features.weights import oversized, write
from pipeline.training import voting

UNITS = 64
WAY_OUT = "train the classifier again with `dvc repro`, or bring it back with `dvc checkout`"
"""What to do about a damaged model, for the end of a message."""
LOGITS = "logits"
"""Name of a head's last layer."""
DEAD = 1e-12
"""Variance up to which a channel counts as one that never varies."""


@dataclass(frozen=True)
class HeadConfig:
    """What is needed to build a head again.

    kind : a name in `HEADS`.
    input_shape : (h, w, C) of the map, or (C,) of pooled features.
    units : of the hidden layer of a ``dense`` head.
    components, neighbours, votes
        Of a ``stack`` head: numbers to which the map's mean is brought down, the pictures among
        which its neighbours are sought by them, and the votes that each casts; 0 for none.
    """

    kind: str
    input_shape: tuple[int, ...]
    outputs: int
    dropout: float
    units: int = UNITS
    components: int = 0
    neighbours: int = 0
    votes: int = 0


def conv(features: Any, config: HeadConfig) -> Any:
    """A few Conv2D layers on the map, then its average and its maximum over all positions.

    The first, 1 x 1, convolution brings the backbone's many channels down; the second sees
    neighbouring positions together. The average tells how much of something is there, the maximum
    whether it is there at all.
    """
    from keras import layers

    x = layers.Conv2D(UNITS, 1, activation="relu", name="reduce")(features)
    x = layers.Conv2D(UNITS, 3, padding="same", activation="relu", name="neighbours")(x)
    average = layers.GlobalAveragePooling2D(name="average")(x)
    maximum = layers.GlobalMaxPooling2D(name="maximum")(x)
    x = layers.Concatenate(name="pooled")([average, maximum])
    x = layers.Dropout(config.dropout, name="dropout")(x)
    return layers.Dense(config.outputs, dtype="float32", name=LOGITS)(x)


def dense(features: Any, config: HeadConfig) -> Any:
    """One hidden layer on the whole map, as under a plain convolutional network."""
    from keras import layers

    x = layers.Flatten(name="flat")(features)
    x = layers.Dense(config.units, activation="relu", name="hidden")(x)
    x = layers.Dropout(config.dropout, name="dropout")(x)
    return layers.Dense(config.outputs, dtype="float32", name=LOGITS)(x)


def linear(features: Any, config: HeadConfig) -> Any:
    """Logistic regression on the pooled features."""
    from keras import layers, regularizers

    x = layers.Dropout(config.dropout, name="dropout")(features)
    return layers.Dense(
        config.outputs,
        dtype="float32",
        kernel_initializer="zeros",
        kernel_regularizer=regularizers.L2(1e-3),
        name=LOGITS,
    )(x)


def stack(features: Any, config: HeadConfig) -> Any:
    """One affine function of the whole map and of its neighbours' votes: what
    `pipeline.impute.image_classifier` fits."""
    from keras import layers

    x = layers.Flatten(name="flat")(features)
    if config.votes:
        votes = voting.votes(features, config.components, config.neighbours, config.votes)
        x = layers.Concatenate(name="joined")([x, votes])
    return layers.Dense(config.outputs, dtype="float32", kernel_initializer="zeros", name=LOGITS)(x)


@dataclass(frozen=True)
class Head:
    """A kind of head.

    build : (features, config) -> logits, both Keras tensors. Every layer has a name: Keras' own
        are counted up, and would change the bytes of the file; the last one is ``logits``.
    pooled : whether it takes the mean of the map instead of the map.
    """

    build: Callable[[Any, HeadConfig], Any]
    pooled: bool = False


HEADS: dict[str, Head] = {
    "conv": Head(conv),
    "dense": Head(dense),
    "linear": Head(linear, pooled=True),
    "stack": Head(stack),
}
"""Those that ``head`` in params.yaml names."""


def configure(
    kind: str, store: FeatureStore, outputs: int, dropout: float, units: int = UNITS
) -> HeadConfig:
    """The config of a head ``kind`` on the features of ``store``."""
    shape = store.map_shape[-1:] if HEADS[kind].pooled else store.map_shape
    return HeadConfig(kind, tuple(shape), outputs, dropout, units)


def build(config: HeadConfig) -> Any:
    """A keras.Model: float features [B, *input_shape] -> float32 logits [B, outputs]."""
    import keras

    features = keras.Input(config.input_shape, dtype="float32", name="features")
    # A frozen batch normalisation is the standard layer that keeps given moments as weights.
    standardise = keras.layers.BatchNormalization(
        center=False, scale=False, epsilon=1e-12, trainable=False, name="standardise"
    )
    logits = HEADS[config.kind].build(standardise(features), config)
    return keras.Model(features, logits, name=f"{config.kind}_head")


def read_features(
    kind: str,
    store: FeatureStore,
    rows: np.ndarray,
    views: np.ndarray | int = 0,
    out: np.ndarray | None = None,
) -> np.ndarray:
    """The features that a head ``kind`` takes, [n, *input_shape], of each (row, view).

    Of the store's own dtype; ``out`` takes them, where given.
    """
    read = store.pooled if HEADS[kind].pooled else store.maps
    return read(rows, views, out)


def moments(kind: str, store: FeatureStore, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of each channel over ``rows``, for `reset`."""
    read = store.pooled_moments if HEADS[kind].pooled else store.channel_moments
    return read(rows)


def reset(
    head: Any,
    seed: Sequence[int],
    channel_moments: tuple[np.ndarray, np.ndarray],
    start: np.ndarray | float = 0.0,
) -> None:
    """Give ``head`` fresh seeded weights (Glorot and Bengio 2010, uniform) and its moments.

    A compiled graph can so be used for one fit after the other, each as if it were new. Kernels
    are drawn one after the other from one generator, where Keras' initialisers have a seed each;
    those that a layer wants to begin at zero do so.

    Parameters
    ----------
    start : offsets of the logits, one or [outputs], see `losses.constant_logits`.
    """
    import keras

    rng = np.random.default_rng(seed)
    mean, variance = channel_moments
    for layer in head.layers:
        if layer.name == "standardise":
            # A channel that never varies (a dead unit) stays at 0 instead of being blown up.
            layer.moving_mean.assign(mean)
            layer.moving_variance.assign(np.where(variance > DEAD, variance, 1.0))
        elif isinstance(layer, keras.layers.Dropout):
            if layer.rate > 0:
                state = layer.seed_generator.state
                state.assign(rng.integers(0, 2**31, size=tuple(state.shape)))
        elif layer.name not in voting.LAYERS:  # which `stacked.build` fills
            for variable in layer.weights:
                shape = tuple(variable.shape)
                at_zero = isinstance(layer.kernel_initializer, keras.initializers.Zeros)
                if len(shape) == 1 or at_zero:
                    value = np.zeros(shape)
                else:
                    receptive = int(np.prod(shape[:-2]))
                    limit = np.sqrt(6.0 / (receptive * (shape[-2] + shape[-1])))
                    value = rng.uniform(-limit, limit, shape)
                variable.assign(value.astype("float32"))
    shift_logits(head, start)


def counts(head: Any) -> tuple[int, int]:
    """How many numbers a head's weights are, all and those that a fit changes."""
    trainable = sum(int(np.prod(v.shape)) for v in head.trainable_variables)
    return int(head.count_params()), trainable


def shift_logits(head: Any, shift: np.ndarray | float) -> None:
    """Add ``shift``, a number or one per output, to the head's logits through its last bias."""
    transform_logits(head, 1.0, shift)


def transform_logits(head: Any, slope: np.ndarray | float, shift: np.ndarray | float) -> None:
    """Make the head's logits ``slope`` times what they were plus ``shift``, by its last layer.

    Both are a number or one per output.
    """
    layer = head.get_layer(LOGITS)
    layer.kernel.assign(layer.kernel * np.float32(slope))
    layer.bias.assign(layer.bias * np.float32(slope) + np.float32(shift))


def compiled(head: Any) -> Any:
    """The head's call as one graph, float32 features [B, ...] to logits: the same numbers in a
    quarter of the time that its layers take one by one."""
    import tensorflow as tf

    return tf.function(lambda features: head(features, training=False), autograph=False)


def save(head: Any, path: str | Path) -> None:
    """Write the weights, byte-stable, as ``*.weights.h5``."""
    write(head, path)


def load(config: HeadConfig, path: str | Path) -> Any:
    """Build the head of ``config`` and load its weights; no code from the file is executed."""
    head = build(config)
    read_weights(head, path)
    return head


def read_weights(head: Any, path: str | Path) -> None:
    """Load the weights of a built head.

    Raises
    ------
    PipelineError
        If the file is missing, no weights file or of another head, or if a number in it is not
        finite.
    """
    if not Path(path).is_file():
        fail(path, f"no such file; {WAY_OUT}")
    try:
        if problem := oversized(path, head.count_params()):
            raise ValueError(problem)
        head.load_weights(path)
        if not all(np.isfinite(value).all() for value in head.get_weights()):
            raise ValueError("some of its numbers are not finite")
    except Exception as error:  # h5py and Keras raise many kinds for a file that does not fit
        fail(path, f"can't be read as the weights of a head ({one_line(error)[:200]}); {WAY_OUT}")
