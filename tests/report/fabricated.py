"""A fabricated but realistic run: five cohorts, two models, three seeds. Numbers are drawn, not measured."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import numpy as np
import pandas as pd
from fabricated_performance import fabricated_differences, fabricated_performance

from subgroup_audit.report import Problem, RunContents, Sample
from subgroup_audit.schema import AuditResult
from subgroup_audit.study import Study

COHORTS = ("F_PA", "M_PA", "F_AP", "M_AP", "All")
MODELS = ("densenet121", "resnet101")
SEEDS = (0, 1, 2)
HOSTILE = "<script>alert('x')</script> \"q\" & \u202eיש $x^2_3$ " + "long name " * 16


def fabricated_study(*, hostile: bool = False, figures: tuple[str, ...] | None = None) -> Study:
    """The study that the fabricated run belongs to."""
    cohorts: dict[str, Any] = {
        "F_PA": {"sex": "F", "view": "PA"},
        "M_PA": {"sex": "M", "view": "PA"},
        "F_AP": {"sex": "F", "view": "AP"},
        "M_AP": {"sex": "M", "view": "AP"},
        "All": {},
    }
    if hostile:
        cohorts = {(HOSTILE[:200] if name == "F_PA" else name): spec for name, spec in cohorts.items()}
    reference = [
        {
            "label": "report 7",
            "value": 0.93,
            "train_cohort": next(iter(cohorts)),
            "model": "resnet101",
            "split": "train",
        },
        {"label": "report 7", "value": 0.55, "train_cohort": next(iter(cohorts)), "model": "resnet101"},
        {"label": "Larrazabal 2020", "value": 0.829, "train_cohort": "unknown cohort"},
    ]
    question = (
        HOSTILE
        if hostile
        else "Does a chest-radiograph classifier find lung opacity as well in women as in men, "
        "and on bedside AP films as on PA films?"
    )
    spec: dict[str, Any] = {
        "study": "rsna_sex_view",
        "question": question,
        "data": {"source": "rsna"},
        "findings": {"Lung opacity": {"positive": ["Lung Opacity"], "negative": ["Normal"]}},
        "cohorts": cohorts,
        "test_on": list(cohorts)[:4],
        "balance": {"over": ["label"]},
        "models": {name: {"architecture": name, "pretrained": True} for name in MODELS},
        "recipes": {"rmsprop": {"optimiser": "rmsprop", "epochs": 11}},
        "seeds": list(SEEDS),
        "reference": reference,
    }
    if figures is not None:
        spec["figures"] = figures
    return Study.model_validate(spec)


def fabricated_result(study: Study, rng: np.random.Generator) -> AuditResult:
    """Estimates, contrasts and fits of every cohort, model and seed."""
    estimates = pd.DataFrame(
        [
            _estimate(train, model, split, test, rng)
            for model in MODELS
            for train in study.train_cohorts
            for split, test in [("train", train), *(("test", name) for name in study.test_cohorts)]
        ]
    )
    weak = (estimates["test_group"] == "F_AP") & (estimates["train_cohort"] == "All")
    estimates.loc[weak, ["status", "reason"]] = ["small", "8 positive persons, fewer than 10"]
    none = (estimates["test_group"] == "M_AP") & (estimates["train_cohort"] == "F_AP")
    numbers = [
        "estimate",
        "low",
        "high",
        "standard_error",
        "bootstrap_low",
        "bootstrap_high",
        "band_low",
        "band_high",
    ]
    estimates.loc[none, numbers] = np.nan
    estimates.loc[none, ["status", "reason"]] = ["not estimable", "no positive image in this cell"]
    contrasts = pd.DataFrame(_contrasts(estimates, study, rng))
    settings = {"confidence_level": 0.95, "n_resamples": 2000, "margin": 0.05, "multiplicity": "holm"}
    return AuditResult(estimates, contrasts, _fits(estimates, rng), settings)


def _estimate(train: str, model: str, split: str, test: str, rng: np.random.Generator) -> dict[str, Any]:
    value = 0.93 if split == "train" else 0.80 - 0.04 * test.startswith("F_AP") + 0.02 * (train == test)
    value += rng.normal(0, 0.015)
    width = 0.012 if split == "train" else rng.uniform(0.02, 0.035)
    return {
        "finding": "Lung opacity",
        "train_cohort": train,
        "model": model,
        "recipe": "rmsprop",
        "split": split,
        "test_group": test,
        "metric": "auc",
        "estimate": value,
        "low": value - 2 * width,
        "high": value + 1.8 * width,
        "standard_error": width,
        "confidence_level": 0.95,
        "method": "logit-t on DeLong components, seeds averaged",
        "bootstrap_low": value - 1.9 * width,
        "bootstrap_high": value + 1.7 * width,
        "band_low": value - 3 * width,
        "band_high": value + 2.7 * width,
        "band_method": "bootstrap max-T over 20 cells",
        "patient_se": 0.9 * width,
        "seed_sd": 0.009,
        "n_patients": 412,
        "n_images": 440,
        "n_positive": 220,
        "n_negative": 220,
        "n_seeds": 3,
        "status": "ok",
        "reason": "",
    }


def _contrasts(estimates: pd.DataFrame, study: Study, rng: np.random.Generator) -> list[dict[str, Any]]:
    cells = {
        (row["train_cohort"], row["model"], row["split"], row["test_group"]): row
        for row in estimates.to_dict("records")
    }
    rows = []
    for model in MODELS:
        for train in study.train_cohorts:
            if train in study.test_cohorts:
                a, b = cells[train, model, "train", train], cells[train, model, "test", train]
                rows.append(_contrast("generalization_gap", a, b, "test split", rng))
            first, second, third, fourth = study.test_cohorts
            for one, other in ((first, second), (third, fourth), (third, first), (fourth, second)):
                a, b = cells[train, model, "test", one], cells[train, model, "test", other]
                rows.append(_contrast("subgroup_gap", a, b, other, rng))
        for test in study.test_cohorts[:2]:
            for one, other in list(permutations(study.train_cohorts, 2))[:6]:
                a, b = cells[one, model, "test", test], cells[other, model, "test", test]
                rows.append(_contrast("transfer_gap", a, b, other, rng))
    return rows


def _contrast(
    kind: str, a: dict[str, Any], b: dict[str, Any], other: str, rng: np.random.Generator
) -> dict[str, Any]:
    gap = a["estimate"] - b["estimate"]
    error = rng.uniform(0.008, 0.03)
    low, high = gap - 2 * error, gap + 2 * error
    verdict, sentence = _verdict(kind, gap, low, high)
    is_missing = bool(np.isnan(gap))
    return {
        "kind": kind,
        "finding": "Lung opacity",
        "model": a["model"],
        "recipe": "rmsprop",
        "minuend": f"trained on {a['train_cohort']}, {a['split']} images of {a['test_group']}",
        "subtrahend": f"trained on {b['train_cohort']}, {b['split']} images of {b['test_group']}",
        "train_cohort": a["train_cohort"],
        "test_group": a["test_group"],
        "other": other,
        "minuend_estimate": a["estimate"],
        "subtrahend_estimate": b["estimate"],
        "estimate": gap,
        "low": low,
        "high": high,
        "standard_error": error,
        "confidence_level": 0.95,
        "method": "MOVER, independent persons",
        "bootstrap_low": gap - 1.9 * error,
        "bootstrap_high": gap + 1.95 * error,
        "p_value": None if kind == "generalization_gap" or is_missing else float(np.exp(-abs(gap / error))),
        "p_adjusted": None
        if kind == "generalization_gap" or is_missing
        else float(min(1.0, 20 * np.exp(-((gap / error) ** 2)))),
        "p_permutation": 0.04 if kind == "subgroup_gap" and not is_missing else None,
        "permutation": "999 exchanges of persons between the groups, mean over 3 fits as given",
        "margin": None if kind == "generalization_gap" else 0.05,
        "minimal_detectable_gap": None if kind == "generalization_gap" or is_missing else 2.8 * error,
        "verdict": verdict,
        "sentence": sentence,
        "n_patients": 824,
        "n_seeds": 3,
        "status": "not estimable" if is_missing else "ok",
        "reason": "no positive image in a cell" if is_missing else "",
    }


def _verdict(kind: str, gap: float, low: float, high: float) -> tuple[str, str]:
    if kind == "generalization_gap":
        return "descriptive", "Descriptive: the model has seen the training images."
    if np.isnan(gap):
        return "not estimable", "One of the two cells could not be estimated."
    if low > 0 or high < 0:
        return "gap", f"A gap of {gap:.3f}: the interval excludes zero."
    if low > -0.05 and high < 0.05:
        return "no gap beyond the margin", "The interval lies inside the margin of 0.05."
    return "inconclusive", "The interval holds zero and reaches beyond the margin."


def _fits(estimates: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    keys = ["train_cohort", "model", "recipe", "finding", "split", "test_group"]
    parts = []
    for seed in SEEDS:
        part = estimates[keys].copy()
        part["seed"] = seed
        part["auc"] = estimates["estimate"] + rng.normal(0, 0.01, len(estimates))
        part["fit_id"] = part["train_cohort"].str[:30] + "-" + part["model"] + f"-{seed}"
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def fabricated_history(study: Study, rng: np.random.Generator, epochs: int = 11) -> pd.DataFrame:
    """Curves that overfit: training goes on rising while validation stays."""
    rows = []
    for train in study.train_cohorts:
        for model in study.models:
            for seed in study.seeds:
                for epoch in range(1, epochs + 1):
                    for phase in ("train", "val"):
                        rise = 0.45 if phase == "train" else 0.28
                        auc = 0.5 + rise * (1 - np.exp(-epoch / 3)) + rng.normal(0, 0.012)
                        loss = 0.7 - 0.9 * (auc - 0.5) + (0.02 * epoch if phase == "val" else 0.0)
                        rows.append(
                            {
                                "fit_id": f"{train[:30]}-{model}-{seed}",
                                "epoch": epoch,
                                "phase": phase,
                                "loss": loss,
                                "auc": auc,
                                "accuracy": np.nan,
                                "learning_rate": 1e-4,
                                "seconds": 12.0,
                                "images_per_second": 80.0,
                                "is_best": epoch == 6 + seed,
                                "train_cohort": train,
                                "model": model,
                                "recipe": "rmsprop",
                                "seed": seed,
                            }
                        )
    return pd.DataFrame(rows)


def fabricated_waterfall(study: Study) -> pd.DataFrame:
    """Every model from its training log to the test of every group; the second has no batch normalisation."""
    main = [("while training", 0.88), ("evaluation mode", 0.93), ("recomputed", 0.935), ("validation", 0.84)]
    rows = []
    for train in study.train_cohorts:
        for model in study.models:
            kept = [step for step in main if model == next(iter(study.models)) or step[0] != "recomputed"]
            stages = [(*step, train) for step in kept] + [("own test", 0.80, train)]
            stages += [("other test", 0.76, name) for name in study.test_cohorts if name != train]
            for place, (stage, auc, group) in enumerate(stages):
                before = stages[min(place, len(kept) + 1) - 1] if place else ("", np.nan, "")
                rows.append(_stage(train, model, min(place, len(kept) + 1), stage, auc, group, before))
    return pd.DataFrame(rows)


def _stage(
    train: str, model: str, place: int, stage: str, auc: float, group: str, before: tuple[str, float, str]
) -> dict[str, Any]:
    change = auc - before[1]
    whole = auc - 0.88 if place else np.nan
    return {
        "finding": "Lung opacity", "train_cohort": train, "model": model, "recipe": "rmsprop", "position": place,
        "stage": stage, "test_group": group, "from_stage": before[0],
        "auc": auc, "auc_low": auc - 0.03, "auc_high": auc + 0.02,
        "change": change, "low": change - 0.03, "high": change + 0.03, "standard_error": 0.015, "p_value": 0.2,
        "whole_change": whole, "whole_low": whole - 0.04, "whole_high": whole + 0.04, "whole_p_value": 0.01,
        "confidence_level": 0.95, "method": "persons as drawn, seeds paired", "n_patients": 412, "n_images": 440,
        "n_positive": 220, "n_negative": 220, "n_seeds": 3, "status": "ok", "reason": "",
    }  # fmt: skip


def fabricated_flow(study: Study) -> pd.DataFrame:
    """Shared steps, then the balance and the split of each cohort."""
    rows: list[tuple[Any, ...]] = [
        ("", "found", "", 26684, None, 26684, None),
        ("", "read", "file could not be decoded", 3, None, 26681, None),
        ("", "read", "", 26681, 11409, 26681, 11409),
        ("", "eligibility", "age below 18 or above 120 years", 1482, 611, 25199, 10798),
        ("", "eligibility", "sex or view missing", 12, 12, 25187, 10790),
        ("", "eligibility", "", 25187, 10790, 25187, 10790),
        ("", "labels", "label is neither opacity nor normal", 11821, 3011, 13366, 8214),
        ("", "labels", "", 13366, 8214, 13366, 8214),
    ]
    for i, name in enumerate(study.cohorts):
        matched = 3800 - 400 * i
        rows.append((name, "matched", "", matched, 2900 - 300 * i, matched, 2900 - 300 * i))
        rows.append((name, "balanced", "not needed for 1,100 balanced images", matched - 1100, 900, 1100, 980))
        rows.append((name, "balanced", "", 1100, 980, 1100, 980))
        rows += [(name, split, "", n, n, n, n) for split, n in (("train", 770), ("val", 110), ("test", 220))]
    columns = ["cohort", "step", "reason", "n_images", "n_patients", "left_images", "left_patients"]
    whole = {name: "Int64" for name in columns if name.endswith("patients")}
    return pd.DataFrame(rows, columns=columns).astype(whole)


def fabricated_table1(study: Study) -> pd.DataFrame:
    """Age, sex, view and label by cohort and split."""
    rows = []
    for i, cohort in enumerate(study.cohorts):
        for split in ("all", "train", "val", "test"):
            base = {"cohort": cohort, "split": split, "mean": None, "sd": None, "missing": 0, "smd": None}
            rows.append({**base, "variable": "images", "level": "", "n": 770, "percent": None})
            rows.append({**base, "variable": "persons", "level": "", "n": 640, "percent": None})
            age = {"mean": 47.2 + i, "sd": 16.1, "missing": 2 * i, "smd": 0.06 * i}
            rows.append({**base, "variable": "age_years", "level": "", "n": 770, "percent": None, **age})
            for level, share in (("F", 48.0), ("M", 52.0)):
                n = round(7.7 * share)
                rows.append({**base, "variable": "sex", "level": level, "n": n, "percent": share, "smd": 0.04})
            for level, share in (("AP", 31.0), ("PA", 69.0)):
                n = round(7.7 * share)
                rows.append({**base, "variable": "view", "level": level, "n": n, "percent": share, "smd": 0.22})
    return pd.DataFrame(rows)


def fabricated_leakage(study: Study, *, shared_persons: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """A clean certificate, and what an image-level split would have leaked."""
    pairs = [(train, test) for train in study.train_cohorts for test in study.test_cohorts]
    leakage = pd.DataFrame(
        [
            {
                "train_cohort": train,
                "test_cohort": test,
                "n_train_images": 770,
                "n_test_images": 220,
                "shared_persons": shared_persons,
                "shared_files": 0,
                "shared_pixels": 0,
                "share_of_test_images_of_seen_persons": shared_persons / 220,
            }
            for train, test in pairs
        ]
    )
    simulated = leakage[["train_cohort", "test_cohort"]].assign(
        share_of_test_images_of_seen_persons=[0.31 if a == b else 0.02 for a, b in pairs], n_images=1100
    )
    whole = {"train_cohort": "", "test_cohort": "", "n_images": 25187, "share_of_test_images_of_seen_persons": 0.7}
    return leakage, pd.concat([pd.DataFrame([whole]), simulated], ignore_index=True)


def fabricated_samples(study: Study, rng: np.random.Generator) -> tuple[Sample, ...]:
    """Pictures with a bright field and noise; nobody's radiograph."""
    rows, columns = np.mgrid[0:256, 0:256]
    field = 190 * np.exp(-(((rows - 128) / 95) ** 2 + ((columns - 128) / 80) ** 2))
    return tuple(
        Sample(
            cohort=cohort,
            label=label,
            pixels=np.clip(field + rng.normal(0, 12, field.shape), 0, 255).astype(np.uint8),
            caption=f"{caption}, 54 years",
        )
        for cohort in study.cohorts
        for label, caption in (("Lung opacity", "as stored"), ("no Lung opacity", "as stored")) * 2
    )


def fabricated_contents(*, hostile: bool = False, seed: int = 7, **study: Any) -> RunContents:
    """A whole run with every part."""
    plan = fabricated_study(hostile=hostile, **study)
    rng = np.random.default_rng(seed)
    leakage, simulated = fabricated_leakage(plan)
    ceiling = pd.DataFrame(
        [
            {
                "cohort": cohort,
                "split": split,
                "cell": f"label={label}",
                "available": 550 + 90 * i + 2200 * (label == 0),
                "used": 550,
                "ceiling": 550 + 90 * i,
                "is_limiting": i == 0 and label == 1,
            }
            for i, cohort in enumerate(plan.cohorts)
            for split in ("train", "val", "test")
            for label in (1, 0)
        ]
    )
    counts = pd.DataFrame(
        [
            {"finding": finding, "sex": sex, "view": view, "n_images": 1952, "n_patients": 1204}
            for finding in ("Lung opacity", "No lung opacity")
            for sex in "FM"
            for view in ("AP", "PA")
        ]
    )
    step = HOSTILE if hostile else "fit M_AP / resnet101 / seed 2"
    return RunContents(
        study=plan,
        result=fabricated_result(plan, rng),
        history=fabricated_history(plan, rng),
        flow=fabricated_flow(plan),
        ceiling=ceiling,
        counts=counts,
        table1=fabricated_table1(plan),
        leakage=leakage,
        image_level_leakage=simulated,
        waterfall=fabricated_waterfall(plan),
        **fabricated_performance(plan),
        differences=fabricated_differences(plan),
        notes=("Persons are NIH patients, matched by picture; 98 radiographs without a match stand alone.",),
        samples=fabricated_samples(plan, rng),
        problems=(Problem(step, "The loss was not finite in epoch 3.", "Traceback: ...\nepoch 3: nan"),),
        provenance={
            "version": "0.1.0",
            "python": "3.11.2",
            "torch": "2.15.0",
            "device": "cpu",
            "started": "2026-03-01T08:00:00Z",
            "finished": "2026-03-01T09:12:00Z",
            "seconds": {"cohort": 3.2, "fits": 4010.4, "audit": 6.1},
            "command": "audit run cohorts/rsna_sex_view.yaml",
            "digests": {"study": "9f2c11d0", "manifest": "77ab01c3"},
            "n_fits": 30,
            "cached": 0,
        },
    )
