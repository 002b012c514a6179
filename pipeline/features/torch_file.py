"""Tensors of a file that PyTorch before 1.6 wrote, read without PyTorch and without running code.

Such a file is a row of pickles: a magic number, a protocol, the sizes of types, the object, and the
keys of its storages; the storages' bytes follow. Pickles can call any function, so that the only
names that are admitted here are those that a mapping of names to tensors needs, each replaced by a
function of this module: https://github.com/pytorch/pytorch/blob/v1.5.0/torch/serialization.py
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from pipeline.errors import fail, one_line

MAGIC = 0x1950A86A20F9469CFC6C
PROTOCOL = 1001
TYPES = {
    "DoubleStorage": np.dtype("<f8"),
    "FloatStorage": np.dtype("<f4"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
}
"""Numbers in a storage, by the class of the storage."""


class _Storage:
    """Numbers that one or more tensors are views of; its bytes come after the pickles."""

    def __init__(self, dtype: np.dtype[Any], count: int):
        self.dtype, self.count = dtype, count
        self.numbers: npt.NDArray[Any] | None = None


class _Tensor:
    """A view of a storage, until its bytes are there."""

    def __init__(
        self, storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...]
    ):
        whole = (offset, *shape, *strides)
        if not isinstance(storage, _Storage) or not all(type(n) is int and n >= 0 for n in whole):
            raise pickle.UnpicklingError("a tensor that is no view of a storage")
        if len(shape) != len(strides):
            raise pickle.UnpicklingError(f"a tensor of shape {shape} with strides {strides}")
        last = offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
        if math.prod(shape) > storage.count or (0 not in shape and last >= storage.count):
            raise pickle.UnpicklingError("a tensor that reaches beyond its storage")
        self.storage, self.offset, self.shape, self.strides = storage, offset, shape, strides

    def array(self) -> npt.NDArray[Any]:
        """A copy of its own, in C order."""
        numbers = self.storage.numbers
        if numbers is None:
            raise pickle.UnpicklingError("a storage that is not in the file")
        strides = [stride * numbers.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides)
        return np.ascontiguousarray(view).reshape(self.shape)


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any, *_: Any) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Reader(pickle.Unpickler):
    """Admits ordered mappings, tensors and their storages."""

    def __init__(self, stream: IO[bytes]):
        super().__init__(stream)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in TYPES:
            return TYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is in it, which is no tensor")

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _, count, view = pid
        if kind != "storage" or view is not None or dtype not in TYPES.values():
            raise pickle.UnpicklingError("a reference that is no storage")
        if type(count) is not int or count < 0:
            raise pickle.UnpicklingError(f"a storage of {count!r} numbers")
        return self.storages.setdefault(str(key), _Storage(dtype, count))


class _Plain(pickle.Unpickler):
    """Admits numbers, texts, lists and mappings."""

    def find_class(self, module: str, name: str) -> Any:
        raise pickle.UnpicklingError(f"{module}.{name} is in it, which is no tensor")


def read(path: str | Path) -> dict[str, npt.NDArray[Any]]:
    """The tensors in ``path`` by name, with their shapes; strides are honoured.

    Raises
    ------
    PipelineError
        If it can't be read, is of another kind, is cut off, or holds anything but tensors.
    """
    try:
        return _read(io.BytesIO(Path(path).read_bytes()))
    except OSError as error:
        fail(path, f"can't be read ({error.strerror})")
    except Exception as error:  # whatever unpickling makes of bytes that are no such file
        fail(
            path,
            f"not a file of tensors and nothing else, as PyTorch before 1.6 wrote them: "
            f"{one_line(error)[:200] or type(error).__name__}; install its package again",
        )


def _read(stream: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    if _Plain(stream).load() != MAGIC or _Plain(stream).load() != PROTOCOL:
        raise pickle.UnpicklingError("another kind of file")
    if not _Plain(stream).load().get("little_endian"):
        raise pickle.UnpicklingError("big-endian numbers")
    reader = _Reader(stream)
    tensors = reader.load()
    for key in _Plain(stream).load():
        storage = reader.storages[key]
        if int.from_bytes(stream.read(8), "little") != storage.count:
            raise pickle.UnpicklingError("a storage of another size than its tensors'")
        content = stream.read(storage.count * storage.dtype.itemsize)
        storage.numbers = np.frombuffer(content, storage.dtype, storage.count)
    if not isinstance(tensors, OrderedDict) or not all(
        isinstance(name, str) and isinstance(one, _Tensor) for name, one in tensors.items()
    ):
        raise pickle.UnpicklingError("something else than a mapping of names to tensors")
    return {name: one.array() for name, one in tensors.items()}
