"""python -m benchmarks.peers_speed: the frozen network in this pipeline and in other runtimes.

Pictures per second through VGG19 and MobileNetV2 without their tops, in float32, on arrays in
memory, batches of the pipeline's size and all cores. Each runtime has a process of its own, and
these take turns; medians over the rounds. ``per_cpu_second`` counts processor time instead, which
other work on the machine disturbs less. ``--torch PYTHON`` names an interpreter that has torch and
torchvision; without it PyTorch is left out. Writes benchmarks/peers_speed.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

from benchmarks.workshop import record

RESULT = Path("benchmarks/peers_speed.csv")
CASES = (("mobilenet_v2", 224, 224), ("vgg19", 128, 96))

CLOCK = """
import json, sys, time
import numpy as np
name, height, width, batch, kind, seconds = sys.argv[1:]
size, batch, seconds = (int(height), int(width)), int(batch), float(seconds)
pictures = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), dtype=np.uint8)

def rates(step):
    step()
    step()
    wall, cpu, done = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - wall < seconds:
        step()
        done += batch
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    print(json.dumps({"per_second": done / wall, "per_cpu_second": done / cpu}))
"""
OURS = (
    CLOCK
    + """
from pipeline import runtime
runtime.prepare(0)
from pipeline.features import backbones, extract, openvino_network, weights
model = backbones.build(name, size)
weights.randomise(model, 0)
openvino = openvino_network.chosen("auto", "float32", not backbones.find(name).bfloat16, True)
openvino = openvino if kind == "pipeline" else kind == "openvino"
encoder = openvino_network.encoder(model) if openvino else extract.Encoder(model, size)
rates(lambda: encoder(pictures))
"""
)
TORCH = (
    CLOCK
    + """
import torch, torchvision
network = getattr(torchvision.models, name)(weights=None).features.eval()
images = torch.from_numpy(pictures).permute(0, 3, 1, 2).float()
if kind != "eager":
    network = network.to(memory_format=torch.channels_last)
    images = images.to(memory_format=torch.channels_last)
else:
    images = images.contiguous()
if kind == "compiled":
    network = torch.compile(network)
with torch.inference_mode():
    rates(lambda: network(images).numpy())
"""
)
RUNTIMES = {
    "pipeline, as it chooses": (OURS, "pipeline"),
    "TensorFlow": (OURS, "keras"),
    "OpenVINO": (OURS, "openvino"),
    "PyTorch, eager": (TORCH, "eager"),
    "PyTorch, channels last": (TORCH, "channels_last"),
    "PyTorch, torch.compile": (TORCH, "compiled"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--torch", type=Path, help="an interpreter with torch and torchvision")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=6, help="of each measurement")
    a = parser.parse_args()
    from pipeline.features.extract import batch_size

    found: list[dict[str, object]] = []
    for number in range(a.rounds):
        for name, height, width in CASES:
            batch = batch_size((height, width))
            for runtime, (code, kind) in RUNTIMES.items():
                if code is TORCH and a.torch is None:
                    continue
                python = str(a.torch) if code is TORCH else sys.executable
                values = (name, height, width, batch, kind, a.seconds)
                done = subprocess.run(
                    [python, "-c", code, *map(str, values)],
                    env={**os.environ, "PYTHONPATH": str(Path.cwd())},
                    capture_output=True,
                    text=True,
                    check=False,
                )
                if done.returncode:
                    print(f"{runtime}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
                    continue
                key = {"backbone": name, "size": f"{height} x {width}", "batch": batch}
                rates = json.loads(done.stdout.splitlines()[-1])
                found.append({**key, "runtime": runtime, "round": number, **rates})
                print(found[-1], flush=True)
        keys = ["backbone", "size", "batch", "runtime"]
        medians = pd.DataFrame(found).groupby(keys, sort=False).median().drop(columns="round")
        medians["rounds"] = number + 1
        record(medians.round(1).reset_index().to_dict("records"), RESULT)
    print(medians.round(1).to_string())


if __name__ == "__main__":
    main()
