"""Rows of a .npy file, read as they are asked for and written as they come.

By plain reads and writes and not through a memory map: pages of a map that were touched count as
the process's own memory for as long as there is any, so that it would seem to, and on a full
machine does, grow with the file; and writing through it would end in a killed process on a full
disk, which is an `OSError` here.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

DAMAGE = (
    *(OSError, EOFError, TypeError, ValueError, KeyError, AttributeError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError),
)
"""What `numpy.load` raises of a damaged archive, or of one that lacks an array."""


def save(path: str | Path, array: np.ndarray) -> None:
    """Write an array [N, ...], the bytes of ``numpy.save``, whose error on a full disk names no
    cause."""
    with RowWriter(path, array.shape, array.dtype) as writer:
        writer.append(array)


class RowFile:
    """Read access to an array [N, ...] in a file, in C order.

    Attributes
    ----------
    shape : of the array.
    dtype : of the array.

    Raises
    ------
    ValueError
        If the file is no such array, or is cut off.
    """

    def __init__(self, path: str | Path):
        self._file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - held
        version = np.lib.format.read_magic(self._file)
        read = np.lib.format.read_array_header_1_0
        if version != (1, 0):
            read = np.lib.format.read_array_header_2_0
        self.shape, fortran, self.dtype = read(self._file)
        self._start = self._file.tell()
        self._row = int(np.prod(self.shape[1:], dtype=np.int64)) * self.dtype.itemsize
        size = os.fstat(self._file.fileno()).st_size
        if fortran or size != self._start + len(self) * self._row:
            raise ValueError(f"{path}: {size} bytes, not an array of shape {self.shape}")

    def __len__(self) -> int:
        return int(self.shape[0])

    def take(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """The rows asked for, [n, ...], into ``out`` where given (of that shape, in C order)."""
        rows = np.asarray(rows, dtype=np.int64)
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        if out is None:
            out = np.empty((len(rows), *self.shape[1:]), dtype=self.dtype)
        if not out.size:
            return out
        if not out.flags.c_contiguous or out.dtype != self.dtype:
            out[...] = self.take(rows)
            return out
        # Neighbouring rows in one read.
        ends = (np.flatnonzero(np.diff(rows) != 1) + 1).tolist()
        begins = [0, *ends]
        self._read(rows[begins].tolist(), begins, [*ends, len(rows)], out)
        return out

    def scatter(self, rows: np.ndarray, places: np.ndarray, out: np.ndarray) -> None:
        """Read row ``rows[i]`` into ``out[places[i]]``; ``out`` of this type, in C order."""
        if len(rows) and not (rows.min() >= 0 and rows.max() < len(self)):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        begins = places.tolist()
        self._read(rows.tolist(), begins, [place + 1 for place in begins], out)

    def _read(self, rows: list[int], begins: list[int], ends: list[int], out: np.ndarray) -> None:
        """Rows from ``rows[i]`` on into ``out[begins[i]:ends[i]]``."""
        memory, size, file = out.data.cast("B"), self._row, self._file.fileno()
        for row, begin, end in zip(rows, begins, ends, strict=True):
            at, stop, offset = begin * size, end * size, self._start + row * size
            while at < stop:
                read = os.preadv(file, [memory[at:stop]], offset)
                if not read:
                    raise ValueError(f"{self._file.name}: ended while it was read")
                at, offset = at + read, offset + read

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class RowWriter:
    """Writes an array [N, ...] front to back; use it as a context manager.

    Parameters
    ----------
    shape : of the whole array.
    """

    def __init__(self, path: str | Path, shape: tuple[int, ...], dtype: npt.DTypeLike):
        self.rows = 0
        """Written so far."""
        self._shape, self._dtype = shape, np.dtype(dtype)
        self._file = Path(path).open("wb")  # noqa: SIM115 - held
        descr = np.lib.format.dtype_to_descr(self._dtype)
        header = {"descr": descr, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, rows: np.ndarray) -> None:
        """Write the next rows [n, ...], cast where they are of another type."""
        if rows.shape[1:] != self._shape[1:] or self.rows + len(rows) > self._shape[0]:
            raise ValueError(f"rows {rows.shape} after {self.rows} of an array {self._shape}")
        self._file.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self.rows += len(rows)

    def __enter__(self) -> RowWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
