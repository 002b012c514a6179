"""python -m benchmarks.peers_speed: the frozen network in this pipeline and in other runtimes.

Pictures per second through VGG19 and MobileNetV2 without their tops, on arrays in memory, with all
cores. The bare networks get batches of the pipeline's size that are prepared already; ours gets
bytes, prepares them and has two steps under way, as in stage embed. Each runtime has a process of
its own, and these take turns; medians over the rounds. ``per_cpu_second`` counts processor time,
which other work on the machine disturbs less; ``of_fastest`` and ``of_fastest_by_cpu`` are the
medians over the rounds of both rates by those of the round's best bare network.

``--torch PYTHON`` names an interpreter that has torch and torchvision; without it PyTorch is left
out. Writes benchmarks/peers_speed.csv, where cases that are not measured keep their rows; with
``--as laptop`` the libraries are kept to AVX2 and two threads, and the figures go to
benchmarks/peers_speed_laptop.csv.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from benchmarks import weaker
from pipeline import runtime
from pipeline.features.extract import batch_size
from pipeline.files import write_csv

RESULT = Path("benchmarks/peers_speed.csv")
CASES = ("vgg19:128x96", "vgg19:224x224", "mobilenet_v2:224x224")
PRECISIONS = ("float32", "bfloat16")
KEYS = ["backbone", "size", "precision", "batch"]

CLOCK = """
import importlib.metadata, json, sys, time
import numpy as np
name, height, width, batch, precision, kind = sys.argv[1:]
size, batch = (int(height), int(width)), int(batch)
pictures = np.random.default_rng(0).integers(0, 256, (batch, *size, 3), dtype=np.uint8)

def turns(outputs, package):
    '''A turn for each line of standard input, which says of how many seconds.

    outputs : an iterator of pictures -> an iterator of what comes out.
    '''
    list(outputs(iter([pictures])))
    print(json.dumps(f"{package} {importlib.metadata.version(package)}"), flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        def due():
            while time.perf_counter() - wall < float(line):
                yield pictures
        done = sum(batch for _ in outputs(due()))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        print(json.dumps({"per_second": done / wall, "per_cpu_second": done / cpu}), flush=True)
"""
OURS = (
    CLOCK
    + """
import tempfile
from pipeline import runtime
runtime.prepare(0)
from pipeline.data.loading import ahead
from pipeline.features import backbones, extract, openvino_network, weights
model = backbones.build(name, size)
weights.randomise(model, 0)
gains = not backbones.find(name).bfloat16
if openvino_network.chosen("auto", precision, gains, local=True):
    package, encoder = "openvino", openvino_network.encoder(model, precision)
else:
    with tempfile.TemporaryDirectory() as folder:
        weights.save(model, folder)
        model = weights.load(name, size, precision, folder)
    package, encoder = "tensorflow", extract.Encoder(model, size)
steps = extract.STEPS
turns(lambda due: ahead(encoder, due, steps, depth=steps - 1), package)
"""
)
KERAS = (
    CLOCK
    + """
from pipeline import runtime
tf = runtime.prepare(0)
import keras
mixed = (kind, precision) == ("keras", "bfloat16")
keras.config.set_dtype_policy("mixed_bfloat16" if mixed else "float32")
make = {"vgg19": keras.applications.VGG19, "mobilenet_v2": keras.applications.MobileNetV2}[name]
network = make(include_top=False, weights=None, input_shape=(*size, 3))
pictures = tf.constant(pictures.astype(np.float32))
"""
)
TENSORFLOW = (
    KERAS
    + """
@tf.function(autograph=False)
def step(images):
    return tf.cast(network(images, training=False), tf.float32)
turns(lambda due: (step(images).numpy() for images in due), "tensorflow")
"""
)
OPENVINO = (
    KERAS
    + """
import openvino
pictures = pictures.numpy()
graph = tf.function(lambda x: network(x, training=False), autograph=False)
signature = tf.TensorSpec(pictures.shape, tf.float32)
converted = openvino.convert_model(graph.get_concrete_function(signature))
converted.reshape(list(pictures.shape))
hint = {"float32": "f32", "bfloat16": "bf16"}[precision]
settings = {"INFERENCE_PRECISION_HINT": hint, "PERFORMANCE_HINT": "LATENCY"}
compiled = openvino.Core().compile_model(converted, "CPU", settings)
request = compiled.create_infer_request()
turns(lambda due: (request.infer(images)[0] for images in due), "openvino")
"""
)
TORCH = (
    CLOCK
    + """
import torch, torchvision
network = getattr(torchvision.models, name)(weights=None).features.eval()
pictures = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous().float()
if precision == "bfloat16":
    network, pictures = network.bfloat16(), pictures.bfloat16()
if kind != "eager":
    network = network.to(memory_format=torch.channels_last)
    pictures = pictures.to(memory_format=torch.channels_last)
if kind == "compiled":
    import torch._inductor.config
    torch._inductor.config.freezing = True
    network = torch.compile(network)
with torch.no_grad():
    turns(lambda due: (network(images).float().numpy() for images in due), "torch")
"""
)
OWN = "pipeline, as it chooses"
RUNTIMES = {
    OWN: (OURS, ""),
    "TensorFlow": (TENSORFLOW, "keras"),
    "OpenVINO": (OPENVINO, ""),
    "PyTorch, eager": (TORCH, "eager"),
    "PyTorch, channels last": (TORCH, "channels_last"),
    "PyTorch, torch.compile": (TORCH, "compiled"),
}


class Worker:
    """A process that makes one network ready and takes a turn when it is told to.

    Parameters
    ----------
    arguments : name, height, width, batch, precision and kind, for ``code``.
    """

    def __init__(self, python: str, code: str, arguments: Sequence[str]):
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115, read when the process has failed
        self._process = subprocess.Popen(
            [python, "-c", code, *arguments],
            env={**os.environ, "PYTHONPATH": str(Path.cwd())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            text=True,
        )

    def ready(self) -> str:
        """The version of the package that computes, with its name, once a turn can be taken.

        Raises
        ------
        RuntimeError
            With the last line of what the process says, if it has failed.
        """
        if line := self._process.stdout.readline():
            return json.loads(line)
        self._process.wait()
        self._said.seek(0)
        raise RuntimeError(["no answer", *self._said.read().strip().splitlines()][-1])

    def turn(self, seconds: float) -> dict[str, float]:
        """Pictures per second and per processor second."""
        print(seconds, file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def stop(self) -> int:
        """End the process; its status."""
        self._process.stdin.close()
        self._said.close()
        return self._process.wait()


def measure(case: str, precision: str, a: argparse.Namespace) -> list[dict[str, Any]]:
    """A row for each runtime that works here."""
    name, _, size = case.partition(":")
    height, width = size.split("x")
    batch = a.batch or batch_size((int(height), int(width)))
    key = dict(zip(KEYS, (name, f"{height} x {width}", precision, batch)))
    started = {
        label: Worker(
            str(a.torch) if code is TORCH else sys.executable,
            *(code, [name, height, width, str(batch), precision, kind]),
        )
        for label, (code, kind) in RUNTIMES.items()
        if code is not TORCH or a.torch
    }
    workers, versions = {}, {}
    for label, worker in started.items():
        try:
            versions[label] = worker.ready()
            workers[label] = worker
        except RuntimeError as error:
            print(f"{label}: {error}", file=sys.stderr)
    rounds = [
        {label: worker.turn(a.seconds) for label, worker in workers.items()}
        for _ in range(a.rounds)
    ]
    for worker in workers.values():
        worker.stop()
    rates = {
        what: pd.DataFrame([{label: found[what] for label, found in one.items()} for one in rounds])
        for what in ("per_second", "per_cpu_second")
    }
    shares = {
        what: found.div(found.drop(columns=OWN).max(axis=1), axis=0).median()
        for what, found in rates.items()
    }
    return [
        {
            **key,
            "runtime": label,
            "computed_by": versions[label],
            **{what: round(found[label].median(), 1) for what, found in rates.items()},
            "of_fastest": round(shares["per_second"][label], 2),
            "of_fastest_by_cpu": round(shares["per_cpu_second"][label], 2),
            "rounds": a.rounds,
        }
        for label in workers
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--torch", type=Path, help="an interpreter with torch and torchvision")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE")
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, help="those it has")
    parser.add_argument("--batch", type=int, help="pictures in a step; as the pipeline takes them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2, help="of each turn, at least")
    weaker.add_option(parser)
    a = parser.parse_args()
    here = weaker.become(a.weaker, "benchmarks.peers_speed")
    result = weaker.result(RESULT, a.weaker)
    precisions = PRECISIONS if runtime.processor_has_bfloat16() else PRECISIONS[:1]
    for case in a.cases:
        for precision in a.precisions or precisions:
            found = pd.DataFrame(measure(case, precision, a)).assign(machine=here)
            print(found.drop(columns="machine").to_string(index=False), flush=True)
            if result.exists():
                earlier = pd.read_csv(result)
                other = ~earlier.set_index(KEYS).index.isin(found.set_index(KEYS).index)
                found = pd.concat([earlier[other], found])
            write_csv(found, result)


if __name__ == "__main__":
    main()
