"""python classify.py EXPORT PICTURE...: what an exported classifier says, without TensorFlow.

Needs onnxruntime, numpy and pillow, and no other file of this project.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

folder, *files = map(Path, sys.argv[1:])
config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(folder / "model.onnx")

for file in files:
    with Image.open(file) as picture:
        picture.draft(None, (2 * max(config["image_size"]),) * 2)  # a large JPEG decodes faster
        pixels = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    probabilities = session.run(["probabilities"], {"pictures": pixels[None]})[0][0].tolist()
    found = dict(zip(config["label2id"], probabilities, strict=True))
    for attribute, values in config["categorical"].items():
        own = {value: found.pop(f"{attribute}={value}") for value in values}
        value = max(own, key=lambda one: own[one])
        print(file, attribute, value, f"{own[value]:.6f}", sep="\t")
    for name, p in found.items():
        print(file, name, int(p >= config["thresholds"][name]), f"{p:.6f}", sep="\t")
