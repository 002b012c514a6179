"""Runtimes side by side: workers that take turns, and what is made of their rates."""

from __future__ import annotations

import argparse
import sys

import pytest

from benchmarks import peers_speed

FAKE = peers_speed.CLOCK + "turns(lambda due: (images.sum() for images in due), 'numpy')"


def test_a_worker_counts_pictures_turn_by_turn() -> None:
    worker = peers_speed.Worker(sys.executable, FAKE, ["none", "4", "4", "2", "float32", "x"])
    assert worker.ready().startswith("numpy ")
    for _ in range(2):
        rates = worker.turn(0.01)
        assert rates["per_second"] > 0 and rates["per_cpu_second"] > 0
    assert worker.stop() == 0


def test_a_runtime_that_does_not_work_says_why() -> None:
    with pytest.raises(RuntimeError, match="no compiler"):
        peers_speed.Worker(sys.executable, "raise SystemExit('no compiler')", []).ready()


def test_shares_are_of_the_fastest_bare_network_of_each_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates = {"own": [9.0, 30.0, 10.0], "one": [10.0, 20.0, 10.0], "two": [5.0, 5.0, 20.0]}

    class Worker:
        def __init__(self, python: str, code: str, arguments: list[str]) -> None:
            self.left = list(rates[arguments[-1]])

        def ready(self) -> str:
            return "v"

        def turn(self, seconds: float) -> dict[str, float]:
            rate = self.left.pop(0)
            return {"per_second": rate, "per_cpu_second": rate / 2}

        def stop(self) -> None:
            pass

    monkeypatch.setattr(peers_speed, "OWN", "own")
    monkeypatch.setattr(peers_speed, "Worker", Worker)
    monkeypatch.setattr(peers_speed, "RUNTIMES", {label: ("", label) for label in rates})
    asked = argparse.Namespace(torch=None, batch=None, rounds=3, seconds=0.0)
    own, one, two = peers_speed.measure("vgg19:128x96", "float32", asked)
    assert (own["size"], own["batch"], own["per_second"]) == ("128 x 96", 64, 10.0)
    assert own["per_cpu_second"] == 5.0
    # .9, 1.5 and .5 of the fastest; ours is not among the bare ones.
    assert own["of_fastest_by_cpu"] == 0.9
    assert (own["of_fastest"], one["of_fastest"], two["of_fastest"]) == (0.9, 1.0, 0.5)
