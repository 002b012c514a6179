"""EXPORT=folder uvicorn serve:app: a picture in, JSON out, from an exported classifier.

curl --data-binary @one.jpg http://127.0.0.1:8000/. Needs starlette, uvicorn, onnxruntime, numpy and
pillow, and no other file of this project.
"""

import json
import os
from io import BytesIO
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

FORMATS, BYTES, PIXELS = ("JPEG", "PNG", "WEBP"), 10_000_000, 50_000_000
folder = Path(os.environ["EXPORT"])
config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(folder / "model.onnx")


def classify(content: bytes) -> dict[str, float]:
    """The probability of each label; raises an OSError or a ValueError for what is no picture."""
    with Image.open(BytesIO(content), formats=FORMATS) as picture:
        if picture.width * picture.height > PIXELS:
            raise ValueError(f"more than {PIXELS} pixels")
        picture.draft(None, (2 * max(config["image_size"]),) * 2)
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    (probabilities,) = session.run(["probabilities"], {"pictures": pixels[None]})[0].tolist()
    return dict(zip(config["label2id"], probabilities, strict=True))


async def answer(request: Request) -> JSONResponse:
    """What the picture in the body of the request has."""
    content = bytearray()
    async for part in request.stream():
        content += part
        if len(content) > BYTES:
            return JSONResponse({"error": f"more than {BYTES} bytes"}, 413)
    try:
        found = await run_in_threadpool(classify, bytes(content))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        return JSONResponse({"error": f"no {', '.join(FORMATS)} of this size: {error}"}, 415)
    decisions = {name: int(p >= config["thresholds"][name]) for name, p in found.items()}
    for attribute, values in config["categorical"].items():
        best = max(values, key=lambda value: found[f"{attribute}={value}"])
        decisions |= {f"{attribute}={value}": int(value == best) for value in values}
    return JSONResponse({"probabilities": found, "decisions": decisions})


app = Starlette(routes=[Route("/", answer, methods=["POST"])])
