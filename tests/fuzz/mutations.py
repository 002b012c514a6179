"""Seeded damage to bytes, text and JSON."""

from __future__ import annotations

import json
import random
from typing import Any

STRANGE: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 2, 10**9, 0.5, float("nan"), float("inf"), "", "x", "\0", "=1+1"),
    *([], {}, [None], {"a": 1}, "é\u200b", "../..", "a" * 5_000),
)
TOKENS = (
    *(b"", b"\0", b"\xff", b"\n", b"\r", b",", b";", b"\t", b'"', b"'", b"NaN", b"-1", b"1e999"),
    *(
        b"image",
        b"../",
        b"/",
        b"=cmd|",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"{",
        b"}",
        b"[",
        b"]",
        b": ",
    ),
    *(b"&a", b"*a", b"!!set", b"052", b"0x1F", b" ", b"\xe2\x80\x8b", b"\x1b[31m", b"\xed\xa0\x80"),
)


def of_bytes(content: bytes, rng: random.Random) -> bytes:
    """``content`` with one to four pieces flipped, cut out, repeated, moved or put in."""
    out = bytearray(content)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        at = rng.randrange(len(out) + 1)
        stop = min(len(out), at + rng.choice((1, 1, 2, 8, 64, len(out))))
        match rng.randrange(6):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1:
                del out[at:stop]
            case 2:
                out[at:at] = out[at:stop]
            case 3:
                out[at:stop] = rng.choice(TOKENS)
            case 4:
                out[at:at] = rng.choice(TOKENS)
            case _:
                out = out[:at] + out[stop:] + out[at:stop]
    return bytes(out)


def of_json(content: Any, rng: random.Random) -> Any:
    """A copy of decoded JSON in which a value or a key is another, gone, doubled or moved."""
    whole = json.loads(json.dumps(content))
    places: list[tuple[Any, Any]] = []
    todo = [whole]
    while todo:
        one = todo.pop()
        keys = list(one) if isinstance(one, dict) else range(len(one))
        for key in keys:
            places.append((one, key))
            if isinstance(one[key], (dict, list)):
                todo.append(one[key])
    parent, key = rng.choice(places)
    match rng.randrange(5):
        case 0:
            parent[key] = rng.choice(STRANGE)
        case 1:
            del parent[key]
        case 2 if isinstance(parent, list):
            parent.insert(rng.randrange(len(parent) + 1), parent[key])
        case 3 if isinstance(parent, list):
            parent.reverse()
        case 4 if isinstance(parent[key], (int, float)):
            parent[key] = parent[key] * rng.choice((-1, 2, 1e9)) + rng.choice((0, 1, 0.5))
        case _ if isinstance(parent, dict):
            parent[rng.choice(("", "x", key + "s"))] = parent.pop(key)
        case _:
            rng.shuffle(parent)
    return whole
