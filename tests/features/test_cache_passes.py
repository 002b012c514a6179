from __future__ import annotations

import numpy as np

from pipeline.data.loading import Request
from pipeline.features.cache import KEY, keys, missing

DIGESTS = [f"{number:064x}" for number in (1, 2, 1)]


def test_keys_name_content_view_and_seed() -> None:
    named = keys(DIGESTS, views=3, seed=7)
    assert named.shape == (3, 3)
    assert named.dtype == KEY
    # Identical images share their passes; every other pass is a pass of its own.
    assert (named[0] == named[2]).all()
    assert len(np.unique(named[:2])) == 6
    other = keys(DIGESTS, views=3, seed=8)
    assert (other[:, 0] == named[:, 0]).all(), "the plain view depends on no seed"
    assert (other[:, 1:] != named[:, 1:]).all()
    assert (keys(DIGESTS, views=2, seed=7) == named[:, :2]).all()


def test_only_what_is_missing_and_once() -> None:
    named = keys(DIGESTS, views=2, seed=7)
    images = ["a", "b", "c"]
    nothing = np.zeros((3, 2), dtype=bool)
    work = list(missing(images, DIGESTS, named, nothing))
    assert [(one.image, one.views) for one in work] == [("a", (0, 1)), ("b", (0, 1))]
    assert work[1].keys == tuple(named[1].tolist())
    found = np.array([[True, True], [True, False], [True, True]])
    (one,) = missing(images, DIGESTS, named, found)
    assert (one.image, one.views, one.keys) == ("b", (1,), (named[1, 1],))
    assert isinstance(one, Request), "what is to be computed can be loaded as it is"
    assert not list(missing(images, DIGESTS, named, np.ones((3, 2), dtype=bool)))
