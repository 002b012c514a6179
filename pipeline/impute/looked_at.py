"""Known cells as a sample of the unknown ones after people have looked at some of these.

People are sent to hard cells. What they made known is no sample of anything, and what is left is
easier than it was. Labels that were known from the start are a sample of all cells that were
unknown then; weighted by how many of the cells as sure as they are still unknown, they are one of
those that are left (post-stratification).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sklearn.isotonic import IsotonicRegression


def still_unknown(
    confidence: np.ndarray, unknown: np.ndarray, looked_at: np.ndarray
) -> npt.NDArray[np.float64]:
    """Share [n] of the once unknown cells as sure as each known one that nobody has looked at yet:
    never less among surer ones, as lists begin with doubtful cells.

    Parameters
    ----------
    confidence : [n] of known cells; unknown : [m] of the cells left; looked_at : [l].
    """
    if not len(looked_at):
        return np.ones(len(confidence))
    share = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    share.fit(np.r_[unknown, looked_at], np.r_[np.ones(len(unknown)), np.zeros(len(looked_at))])
    return np.asarray(share.predict(confidence)) if len(confidence) else np.ones(0)
