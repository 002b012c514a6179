"""Files as PyTorch before 1.6 wrote them, made here by hand: a pickle of references to storages."""

from __future__ import annotations

import os
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, strategies

from pipeline.errors import PipelineError
from pipeline.features import torch_file


def text(value: str) -> bytes:
    content = value.encode()
    return b"X" + struct.pack("<I", len(content)) + content


def whole(value: int) -> bytes:
    return b"J" + struct.pack("<i", value)


def numbers(values: tuple[int, ...]) -> bytes:
    return b"(" + b"".join(map(whole, values)) + b"t"


def tensor(key: str, count: int, offset: int, shape: Any, strides: Any, kind: str) -> bytes:
    storage = b"(" + text("storage") + f"ctorch\n{kind}\n".encode() + text(key) + text("cpu")
    storage += whole(count) + b"Nt" + b"Q"
    rest = whole(offset) + numbers(shape) + numbers(strides) + b"\x89ccollections\nOrderedDict\n)R"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


def file_of(entries: bytes, storages: dict[str, np.ndarray], *, little: bool = True) -> bytes:
    """The whole file: ``entries`` are what goes into the ordered mapping."""
    body = b"\x80\x02ccollections\nOrderedDict\n)R(" + entries + b"u."
    out = pickle.dumps(torch_file.MAGIC, 2) + pickle.dumps(torch_file.PROTOCOL, 2)
    out += pickle.dumps({"little_endian": little}, 2) + body
    out += pickle.dumps(sorted(storages), 2)
    for key in sorted(storages):
        out += struct.pack("<q", storages[key].size) + storages[key].tobytes()
    return out


VALUES = np.arange(6, dtype="<f4")
PLAIN = text("a") + tensor("0", 6, 0, (2, 3), (3, 1), "FloatStorage")


def write(folder: Path, content: bytes) -> Path:
    path = folder / "weights.pth"
    path.write_bytes(content)
    return path


def test_tensors_come_with_their_shapes_offsets_and_strides(tmp_path: Path) -> None:
    entries = PLAIN
    entries += text("turned") + tensor("0", 6, 0, (3, 2), (1, 3), "FloatStorage")
    entries += text("part") + tensor("0", 6, 4, (2,), (1,), "FloatStorage")
    entries += text("count") + tensor("1", 1, 0, (), (), "LongStorage")
    content = file_of(entries, {"0": VALUES, "1": np.array([7], dtype="<i8")})
    found = torch_file.read(write(tmp_path, content))
    assert list(found) == ["a", "turned", "part", "count"]
    assert found["a"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["part"].tolist() == [4, 5]
    assert found["count"] == 7
    assert found["count"].shape == ()
    assert found["a"].dtype == np.float32


class Runs:
    """Unpickled by a plain reader, it makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("place", ["magic", "protocol", "sizes", "object", "entry", "keys"])
def test_a_pickle_that_calls_anything_is_refused_and_nothing_runs(
    tmp_path: Path, place: str
) -> None:
    made = tmp_path / "made"
    hostile = pickle.dumps(Runs(made), 2)
    pickle.loads(hostile)
    made.rmdir()  # it would have worked
    parts = {
        "magic": pickle.dumps(torch_file.MAGIC, 2),
        "protocol": pickle.dumps(torch_file.PROTOCOL, 2),
        "sizes": pickle.dumps({"little_endian": True}, 2),
        "object": b"\x80\x02ccollections\nOrderedDict\n)R(" + PLAIN + b"u.",
        "keys": pickle.dumps(["0"], 2),
    }
    if place == "entry":
        body = hostile[2:-1]  # without its protocol and its end
        parts["object"] = b"\x80\x02ccollections\nOrderedDict\n)R(" + text("a") + body + b"u."
    else:
        parts[place] = hostile
    content = b"".join(parts.values()) + struct.pack("<q", 6) + VALUES.tobytes()
    with pytest.raises(PipelineError, match=r"weights\.pth: not a file of tensors.*mkdir"):
        torch_file.read(write(tmp_path, content))
    assert not made.exists()


@pytest.mark.parametrize(
    "name",
    [
        "builtins\neval",
        "posix\nsystem",
        "torch\nload",
        "torch._utils\n_rebuild_parameter",
        "collections\nUserDict",
        "torch\nFloatStorage.__class__",
        "numpy\nload",
    ],
)
def test_names_that_are_no_tensors_are_refused(tmp_path: Path, name: str) -> None:
    entries = text("a") + b"c" + name.encode() + b"\n"
    with pytest.raises(PipelineError, match="is in it, which is no tensor"):
        torch_file.read(write(tmp_path, file_of(entries, {"0": VALUES})))


@pytest.mark.parametrize(
    ("entries", "reason"),
    [
        (text("a") + tensor("0", 6, 0, (3, 3), (3, 1), "FloatStorage"), "beyond its storage"),
        (text("a") + tensor("0", 6, 5, (2,), (1,), "FloatStorage"), "beyond its storage"),
        (text("a") + tensor("0", 6, 0, (9**9,), (0,), "FloatStorage"), "beyond its storage"),
        (text("a") + tensor("0", 6, -1, (2,), (1,), "FloatStorage"), "no view"),
        (text("a") + tensor("0", 6, 0, (2, 3), (3,), "FloatStorage"), "with strides"),
        (text("a") + tensor("0", 7, 0, (2, 3), (3, 1), "FloatStorage"), "of another size"),
        (text("a") + tensor("0", 2**31 - 1, 0, (6,), (1,), "FloatStorage"), "of another size"),
        (text("a") + tensor("1", 6, 0, (2, 3), (3, 1), "FloatStorage"), "'0'|KeyError"),
    ],
)
def test_tensors_that_do_not_fit_the_file(tmp_path: Path, entries: bytes, reason: str) -> None:
    with pytest.raises(PipelineError, match=reason):
        torch_file.read(write(tmp_path, file_of(entries, {"0": VALUES})))


def test_other_things_than_tensors_are_refused(tmp_path: Path) -> None:
    with pytest.raises(PipelineError, match="something else than a mapping"):
        torch_file.read(write(tmp_path, file_of(text("a") + whole(3), {})))


def test_other_files_are_refused(tmp_path: Path) -> None:
    for content in (b"", b"PK\x03\x04", pickle.dumps(OrderedDict(a=1)), b"\x89HDF\r\n"):
        with pytest.raises(PipelineError, match=r"weights\.pth: not a file of tensors"):
            torch_file.read(write(tmp_path, content))
    with pytest.raises(PipelineError, match="big-endian"):
        torch_file.read(write(tmp_path, file_of(PLAIN, {"0": VALUES}, little=False)))
    with pytest.raises(PipelineError, match="can't be read"):
        torch_file.read(tmp_path / "gone.pth")


@given(where=strategies.floats(0, 1, exclude_max=True), byte=strategies.integers(0, 255))
def test_a_damaged_file_is_refused_in_one_line_or_read(
    where: float, byte: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = file_of(PLAIN, {"0": VALUES})
    at = int(where * len(good))
    for content in (good[:at], good[:at] + bytes([byte]) + good[at + 1 :]):
        path = write(tmp_path_factory.mktemp("damaged"), content)
        try:
            found = torch_file.read(path)
        except PipelineError as error:
            assert "\n" not in str(error)
        else:
            assert all(isinstance(one, np.ndarray) for one in found.values())
