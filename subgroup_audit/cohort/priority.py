"""A fixed random order of ids: the same for every machine, every order of rows, and every other id present."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def priority(ids: pd.Series, *, purpose: Literal["draw", "part"], seed: int) -> NDArray[np.uint64]:
    """A random number for each id: its SipHash under a key made of the purpose and the seed.

    An id keeps its number when other ids come or go, so draws of different sizes are nested, and cohorts that
    overlap share as many images as they can.

    Parameters
    ----------
    ids : text
    purpose : draw (of images into cohorts) or part (of persons into splits); their numbers are independent
    """
    key = f"{purpose}{seed % 10**12:012d}"
    values = ids.to_numpy(dtype=object)
    return np.asarray(pd.util.hash_array(values, hash_key=key, categorize=False), dtype="uint64")


def occurrence(keys: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many equal keys stand before each key.

    >>> occurrence(np.array([7, 3, 7, 7, 3])).tolist()
    [0, 0, 1, 2, 1]
    """
    order = np.argsort(keys, kind="stable")
    ranked = keys[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(keys) else np.zeros(0, dtype="int64")
    lengths = np.diff(np.r_[starts, len(keys)])
    before = np.empty(len(keys), dtype="int64")
    before[order] = np.arange(len(keys)) - np.repeat(starts, lengths)
    return before


def largest_remainder(total: int, shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """`total` divided into whole numbers by shares that sum to 1; the largest remainders are rounded up.

    >>> largest_remainder(10, np.array([0.7, 0.1, 0.2])).tolist()
    [7, 1, 2]
    >>> largest_remainder(3, np.array([0.5, 0.5])).tolist()
    [2, 1]
    """
    exact = total * shares
    whole = np.floor(exact + 1e-9).astype("int64")
    short = total - int(whole.sum())
    whole[np.argsort(-(exact - whole), kind="stable")[:short]] += 1
    return whole


def deal_out(rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Whole numbers, rows x columns, nearly in proportion, whose sums are exactly these; both sum to the same.

    Each row is divided by what the columns still want, so that what rounding gives a column too much or too little
    in one row is made good in the next.

    >>> deal_out(np.array([3, 3, 3]), np.array([5, 4])).tolist()
    [[2, 1], [1, 2], [2, 1]]
    """
    wanted = columns.astype("int64").copy()
    dealt = np.zeros((len(rows), len(columns)), dtype="int64")
    for i, total in enumerate(rows.tolist()):
        dealt[i] = largest_remainder(total, wanted / max(1, wanted.sum()))
        wanted -= dealt[i]
    return dealt
