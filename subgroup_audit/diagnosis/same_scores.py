"""Columns of scores that are one: a file saved under two names, or a model compared with itself.

Two models never put every image in the same order. Where they do, one column is the other, or a rising function of
it, as probabilities are of logits; every comparison of the two then says zero, with an interval of no width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SAME, ORDER, OPPOSITE = "the same scores", "the same order", "the opposite order"
MIN_DISTINCT = 20
"""Fewer different scores than this can fall into one order by chance, or because both are coarse."""
_PROBES = 50


def same_scores(columns: Mapping[str, Floats]) -> Iterator[tuple[str, str, str, int]]:
    """(one, other, relation, images) of every two columns that are one; NaN where an image has no score.

    Relation: the same scores; the same order (a rising function, ties allowed where rounding made them); or the
    opposite order. Compared on the images that both have.
    """
    probes = {name: _probe(values) for name, values in columns.items()}
    for one, other in combinations(columns, 2):
        if _may_be_one(probes[one], probes[other]):
            relation, n = _relation(columns[one], columns[other])
            if relation:
                yield one, other, relation, n


def _probe(values: Floats) -> Floats:
    """A few of the scores, the same images of every column: enough to tell nearly all columns apart."""
    return values[np.linspace(0, len(values) - 1, _PROBES).astype(np.int64)]


def _may_be_one(a: Floats, b: Floats) -> bool:
    both = np.isfinite(a) & np.isfinite(b)
    return _is_rising(a[both], b[both]) or _is_rising(a[both], -b[both])


def _relation(a: Floats, b: Floats) -> tuple[str, int]:
    """How the columns are one, or '' where they are not, and on how many images."""
    both = np.isfinite(a) & np.isfinite(b)
    a, b = a[both], b[both]
    if min(len(np.unique(a)), len(np.unique(b))) < MIN_DISTINCT:
        return "", len(a)
    if (a == b).all():
        return SAME, len(a)
    if _is_rising(a, b):
        return ORDER, len(a)
    return (OPPOSITE if _is_rising(a, -b) else ""), len(a)


def _is_rising(a: Floats, b: Floats) -> bool:
    """Whether no two images are in one order by `a` and in the other by `b`."""
    order = np.lexsort((b, a))
    return bool((np.diff(b[order]) >= 0).all())
