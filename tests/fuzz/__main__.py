"""python -m tests.fuzz: damaged input of every kind, as long as one likes; `make fuzz` calls it.

It prints how many inputs of each kind were refused, read as something else, or the same, the
slowest input and the largest memory; a defect ends in the seed that repeats it.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
import traceback
from collections import Counter, defaultdict

from tests.fuzz.targets import MAKERS, targets


def main() -> int:
    """The command line; returns 1 where there was a defect."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=1, metavar="N", help="1")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the first input; 0")
    parser.add_argument("--only", choices=MAKERS, metavar="NAME", help="one target")
    parser.add_argument("--inputs", type=int, metavar="N", help="of each at most; no limit")
    options = parser.parse_args()
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    slowest = (0.0, "")
    seed = options.seed
    stop = None if options.inputs is None else seed + options.inputs
    with targets([options.only] if options.only else MAKERS) as chosen:
        end = time.monotonic() + 60 * options.minutes
        while time.monotonic() < end and seed != stop:
            for name, once in chosen.items():
                started = time.monotonic()
                try:
                    ended = once(random.Random(f"{name} {seed}"))
                except Exception:
                    ended = "DEFECT"
                    print(f"{name}, --seed {seed} --only {name!r}:", file=sys.stderr)
                    traceback.print_exc(limit=-6)
                counts[name][ended] += 1
                slowest = max(slowest, (time.monotonic() - started, f"{name}, seed {seed}"))
            seed += 1
    for name, found in counts.items():
        print(f"{name}: {found.total()} inputs, {dict(sorted(found.items()))}")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"slowest: {slowest[0]:.2f} s ({slowest[1]}); largest memory: {memory:.0f} MB")
    return int(any(found["DEFECT"] for found in counts.values()))


if __name__ == "__main__":
    sys.exit(main())
