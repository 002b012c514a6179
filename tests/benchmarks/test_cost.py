"""What the benchmark of costs looks for in a profile is there."""

from __future__ import annotations

from importlib import import_module

from benchmarks import cost


def test_functions_of_guarantees_are_those_of_the_pipeline() -> None:
    for file, function in cost.GUARANTEES:
        module = import_module(f"pipeline.impute.{file.removesuffix('.py')}")
        assert callable(getattr(module, function))
