"""Runs of any size: their tables are what the audit itself makes of scores drawn by a rule."""

from __future__ import annotations

import numpy as np
import pandas as pd
from fabricated import (
    fabricated_flow,
    fabricated_history,
    fabricated_leakage,
    fabricated_samples,
    fabricated_table1,
    fabricated_waterfall,
)
from made_up_looks import made_up_encoding, made_up_looks

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.performance import group_performance
from subgroup_audit.report import RunContents
from subgroup_audit.schema import CohortManifest, Predictions
from subgroup_audit.study import Study

FINDING = "Lung opacity"


def made_up_run(
    *, groups: int = 5, models: int = 2, seeds: int = 3, persons: int = 60, is_looked_at: bool = False
) -> RunContents:
    """A run with every section: each group is trained on and tested on, and one pair of groups is compared a row.

    Parameters
    ----------
    groups : hospitals, each a cohort; the matrix has the square of it as cells for every model
    persons : test persons of a group, one radiograph each, half of them positive
    is_looked_at : with probes of the features and heat maps
    """
    study = made_up_study(groups, models, seeds, ["encoding", "saliency"] if is_looked_at else [])
    images = made_up_images(groups, persons)
    manifest = CohortManifest(images.assign(cohort=images["site"], weight=1.0))
    predictions = Predictions(pd.concat(made_up_scores(study, images), ignore_index=True))
    rng = np.random.default_rng(3)
    leakage, simulated = fabricated_leakage(study)
    looked = {"encoding": made_up_encoding(study), "saliency": made_up_looks(study, rng)} if is_looked_at else {}
    return RunContents(
        study=study,
        result=audit_predictions(study, manifest, predictions),
        history=fabricated_history(study, rng),
        flow=fabricated_flow(study),
        table1=fabricated_table1(study),
        leakage=leakage,
        image_level_leakage=simulated,
        waterfall=fabricated_waterfall(study),
        samples=fabricated_samples(study, rng),
        provenance={"version": "0.1.0", "n_fits": groups * models * seeds, "command": "audit run many.yaml"},
        **group_performance(study, manifest, predictions),
        **looked,
    )


def made_up_study(groups: int, models: int, seeds: int, diagnose: list[str]) -> Study:
    """Hospitals as cohorts, compared with the first."""
    names = [f"Hospital {place + 1:02d}" for place in range(groups)]
    return Study.model_validate(
        {
            "study": "many_hospitals",
            "question": f"Do classifiers of {groups} hospitals find lung opacity equally well in all of them?",
            "data": {"source": "table"},
            "findings": {FINDING: {"positive": ["yes"]}},
            "cohorts": {name: {"site": name} for name in names},
            "models": {f"net{place}": {"architecture": "densenet121"} for place in range(models)},
            "seeds": list(range(seeds)),
            "diagnose": diagnose,
            "analysis": {
                "reference": {"site": names[0]},
                "n_resamples": 100,
                "contrasts": ["subgroup_gap", "transfer_gap", "generalization_gap"],
            },
        }
    )


def made_up_images(groups: int, persons: int) -> pd.DataFrame:
    """Training and test images of all hospitals."""
    size = groups * persons * 2
    places = np.arange(size)
    keys = pd.Series(places).map("{:07d}".format)
    return pd.DataFrame(
        {
            "image_id": "i" + keys,
            "patient_id": "p" + keys,
            "site": pd.Series(places // (2 * persons)).map(lambda place: f"Hospital {place + 1:02d}"),
            "split": np.where(places % (2 * persons) < persons, "train", "test"),
            "finding": FINDING,
            "y_true": places % 2,
        }
    )


def made_up_scores(study: Study, images: pd.DataFrame) -> list[pd.DataFrame]:
    """One table a fit: all test images and its own training images, which it knows better."""
    found = []
    for number, (cohort, model, recipe, seed) in enumerate(study.fit_combinations()):
        rows = images[(images["split"] == "test") | (images["site"] == cohort)]
        noise = np.random.default_rng((1, number)).standard_normal(len(rows))
        strength = np.where(rows["split"] == "train", 3.0, np.where(rows["site"] == cohort, 1.8, 1.4))
        fit = {"fit_id": f"{cohort}-{model}-{seed}", "train_cohort": cohort, "model": model}
        scores = 1.0 / (1.0 + np.exp(-(strength * rows["y_true"] + noise)))
        found.append(rows.drop(columns="site").assign(**fit, recipe=recipe, seed=seed, y_score=scores))
    return found
