"""Coverage of two numbers of a diagnosis: the share of an AUC that goes with an attribute, and turned labels."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from scipy.special import ndtr
from simulations.draws import draw_images
from simulations.judged import Rates, average

from subgroup_audit.diagnosis.advantage import _Cell, _measure
from subgroup_audit.stats import label_flip_rate
from subgroup_audit.study import Study

STUDY = Study.model_validate(
    {
        "study": "simulated",
        "data": {"source": "table"},
        "findings": {"opacity": {"positive": ["yes"]}},
        "cohorts": {"all": {}},
        "models": ["net"],
    }
)
# How often an image is positive in PA and in AP films, and how far apart the classes are within either.
SICK, DISTANCE = np.array([0.25, 0.75]), np.array([1.4, 1.0])


def true_share(lift: float, tau: float) -> float:
    """The share of the AUC above one half that goes with the view, half of the images being of either."""
    positive, negative = SICK / SICK.sum(), (1.0 - SICK) / (1.0 - SICK).sum()
    spread = math.sqrt(2.0 + tau**2)
    apart = DISTANCE[:, None] + lift * (np.arange(2)[:, None] - np.arange(2)[None, :])
    overall = float(positive @ ndtr(apart / spread) @ negative)
    within = float(positive @ ndtr(DISTANCE / spread))
    return (overall - within) / (overall - 0.5)


def share_of_view(rng, n_sets, *, n_persons, lift, n_seeds=1, tau=0.0) -> Rates:
    """Coverage of Fieller's limits; AP lifts scores by `lift`, seeds move the classes' distance by `tau`.

    1 to 3 images a person, half of the score's variance between persons, who keep their view.
    """
    truth = true_share(lift, tau)

    def one_set() -> Rates:
        view = np.arange(n_persons) % 2
        person = np.repeat(np.arange(n_persons), rng.integers(1, 4, n_persons))
        is_ap = view[person]
        labels = (rng.random(len(person)) < SICK[is_ap]).astype(np.int64)
        between = rng.standard_normal(n_persons)[person]
        shared = math.sqrt(0.8) * rng.standard_normal(len(person))
        columns = []
        for moved in tau * rng.standard_normal(n_seeds):
            within = shared + math.sqrt(0.2) * rng.standard_normal(len(person))
            noise = math.sqrt(0.5) * (between + within)
            columns.append(noise + lift * is_ap + (DISTANCE[is_ap] + moved) * labels)
        rows = pd.DataFrame({"person": person, "y_true": labels, "view": np.where(is_ap, "AP", "PA")})
        found = _measure(STUDY, _Cell(rows, columns, "view"), rows)
        if found["share"] is None:
            return {"default": math.nan, "no share": 1.0, "mean share": math.nan, "width": math.nan}
        low = -math.inf if found["low"] is None else found["low"]
        high = math.inf if found["high"] is None else found["high"]
        width = high - low if math.isfinite(high - low) else math.nan
        return {
            "default": float(low <= truth <= high),
            "no share": 0.0,
            "mean share": found["share"],
            "width": width,
        }

    found = [one_set() for _ in range(n_sets)]
    means = {name: float(np.nanmean([rates[name] for rates in found])) for name in found[0]}
    return {"true share": truth, **means}


def turned_labels(rng, n_sets, *, n, value, rate, n_resamples=100) -> Rates:
    """Bias and coverage of the rate of turned labels: whole interval, and each limit alone."""

    def one_set() -> Rates:
        labels, scores = draw_images(rng, n // 2, n - n // 2, value)
        turned = labels ^ (rng.random(n) < rate)
        found = label_flip_rate(turned, scores, n_resamples=n_resamples, seed=int(rng.integers(2**31)))
        return {
            "mean rate": found.estimate,
            "default": float(found.low <= rate <= found.high),
            "lower limit too high": float(found.low > rate),
            "lower limit at 5 % or more": float(found.low >= 0.05),
        }

    return average(one_set, n_sets)
