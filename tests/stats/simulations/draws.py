"""Simulated data whose true AUCs are known: normal scores, whole or rounded to a few levels."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr, ndtri


def shift(value: float, spread: float = 1.0) -> float:
    """The distance of two normals that gives this AUC; the positives have `spread` times the deviation."""
    return float(ndtri(value)) * math.sqrt(1.0 + spread**2)


def cut_points(value: float, levels: int, spread: float = 1.0) -> np.ndarray:
    """The `levels` - 1 cuts, evenly between the middle of the negatives and somewhat beyond the positives'."""
    top = shift(value, spread)
    return np.linspace(-0.5, top + 0.5, levels - 1)


def rounded(scores: np.ndarray, cuts: np.ndarray | None) -> np.ndarray:
    """Scores as they are, or their level: 0 below the first cut, and so on."""
    return scores if cuts is None else np.searchsorted(cuts, scores).astype(np.float64)


def true_auc(value: float, cuts: np.ndarray | None, spread: float = 1.0) -> float:
    """The AUC of rounded normal scores, a tie counting one half; `value` itself if they are not rounded."""
    if cuts is None:
        return value
    edges = np.concatenate(([-np.inf], cuts, [np.inf]))
    negative = np.diff(ndtr(edges))
    positive = np.diff(ndtr((edges - shift(value, spread)) / spread))
    below = np.cumsum(negative) - negative
    return float(positive @ (below + 0.5 * negative))


def draw_images(rng, m, n, value, spread=1.0):
    """Labels and scores of m positives and n negatives, one image a person."""
    labels = np.repeat([True, False], [m, n])
    noise = rng.standard_normal(m + n)
    return labels, np.where(labels, shift(value, spread) + spread * noise, noise)


def draw_clustered(rng, k_positive, k_negative, value, *, labels_per: str):
    """Labels, scores and persons: 2 to 5 images a person, half of the score's variance between persons."""
    n_persons = k_positive + k_negative
    sizes = rng.integers(2, 6, n_persons)
    person = np.repeat(np.arange(n_persons), sizes)
    if labels_per == "patient":
        labels = (np.arange(n_persons) < k_positive)[person]
    else:
        share = k_positive / n_persons
        labels = rng.random(len(person)) < rng.beta(share, 1.0 - share, n_persons)[person]
    scores = math.sqrt(0.5) * (rng.standard_normal(n_persons)[person] + rng.standard_normal(len(person)))
    return labels, scores + shift(value) * labels, person


def draw_pair(rng, labels, values, correlation):
    """Scores of two models on the same images: rows whose noise has this correlation."""
    common, *own = rng.standard_normal((3, len(labels)))
    return np.array(
        [
            math.sqrt(correlation) * common + math.sqrt(1 - correlation) * noise + shift(value) * labels
            for noise, value in zip(own, values, strict=True)
        ]
    )


def draw_overlap(rng, n_persons, shared, value):
    """Two groups of images (group, labels, scores, persons), a part `shared` of the persons in both.

    Up to three images a person and group, with labels and scores that go with the person, as for two views.
    """
    prone, level = rng.beta(0.3, 0.7, n_persons), rng.standard_normal(n_persons)
    role = rng.random(n_persons)
    in_group = (role < (1.0 + shared) / 2.0, role >= (1.0 - shared) / 2.0)
    counts = [rng.integers(0, 4, n_persons) * is_in for is_in in in_group]
    person = np.concatenate([np.repeat(np.arange(n_persons), count) for count in counts])
    group = np.repeat([0, 1], [count.sum() for count in counts])
    labels = rng.random(len(person)) < prone[person]
    scores = math.sqrt(0.5) * (level[person] + rng.standard_normal(len(person))) + shift(value) * labels
    return group, labels, scores, person


def draw_seeds(rng, labels, values, correlation=0.8):
    """Scores of several fits of one recipe on the same images, whose true AUCs are `values`."""
    common = rng.standard_normal(len(labels))
    return [
        math.sqrt(correlation) * common
        + math.sqrt(1 - correlation) * rng.standard_normal(len(labels))
        + shift(value) * labels
        for value in values
    ]
