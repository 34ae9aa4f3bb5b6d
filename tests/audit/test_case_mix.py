"""Does the gap survive an equal mix? A planted confounder, a gap of its own, and what cannot be asked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.audit import audit_predictions
from subgroup_audit.audit.case_mix import MAX_RESAMPLES
from subgroup_audit.schema import CASE_MIX_COLUMNS, AuditResult, CohortManifest, Predictions
from subgroup_audit.stats import matched_auc_gap, weighted_auc_gap
from subgroup_audit.store import read_frames, write_frames
from subgroup_audit.study import Study

WAYS = ["as measured", "matched", "within view", "within age band", "weighted", "regression", "xAUC"]


def make_study(**changes: object) -> Study:
    base = {
        "study": "mix",
        "data": {"source": "table"},
        "findings": {"opacity": {"positive": ["yes"]}},
        "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}},
        "models": ["net"],
        "seeds": [0, 1],
        "analysis": {"reference": {"sex": "M"}, "n_resamples": 500, "contrasts": ["subgroup_gap"]},
    }
    return Study.model_validate({**base, **changes})


def make_run(
    *, own_gap: float, share_of_ap: tuple[float, float], n_persons: int = 900, seed: int = 0, **changes: object
) -> tuple[Study, CohortManifest, Predictions]:
    """Two images a person; AP lowers the distance of the classes, and being F does by `own_gap`."""
    study, rng = make_study(**changes), np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), 2)
    sex = np.where(person % 2, "F", "M")
    is_ap = rng.random(len(person)) < np.where(sex == "F", *share_of_ap)
    images = pd.DataFrame(
        {
            "image_id": [f"i{i:05d}" for i in rng.permutation(len(person))],
            "patient_id": [f"p{p:05d}" for p in person],
            "sex": sex,
            "view": np.where(is_ap, "AP", "PA"),
            "age_years": np.round(rng.normal(52, 14, n_persons)[person]),
            "split": np.array(["train", "val", "test", "test", "test", "test"])[(person // 2) % 6],
            "y_true": rng.integers(0, 2, len(person)),
        }
    )
    images.loc[rng.random(len(images)) < 0.03, "age_years"] = np.nan
    cohorts = [images[images["sex"] == name].assign(cohort=name) for name in ("F", "M")]
    manifest = CohortManifest(pd.concat(cohorts).assign(finding="opacity", weight=1.0))
    distance = np.where(images["view"] == "AP", 0.7, 2.0) - own_gap * (images["sex"] == "F")
    common = rng.normal(size=n_persons)[person]
    scored = []
    for cohort, model, recipe, fit_seed in study.fit_combinations():
        noise = 0.6 * common + 0.8 * rng.normal(size=len(images))
        score = distance * images["y_true"] + 0.4 * (images["view"] == "AP") + noise
        scored.append(
            images.assign(
                fit_id=f"{cohort}-{model}-{fit_seed}",
                train_cohort=cohort,
                model=model,
                recipe=recipe,
                seed=fit_seed,
                finding="opacity",
                y_score=1 / (1 + np.exp(-score)),
            )
        )
    return study, manifest, Predictions(pd.concat(scored, ignore_index=True))


def rows_of(result: AuditResult, train: str = "F") -> dict[str, Any]:
    assert result.case_mix is not None
    chosen = result.case_mix[result.case_mix["train_cohort"] == train]
    return {str(row["adjustment"]): row for row in chosen.to_dict("records")}


@pytest.fixture(scope="module")
def confounded() -> AuditResult:
    return audit_predictions(*make_run(own_gap=0.0, share_of_ap=(0.75, 0.25)))


def test_a_gap_that_the_mix_makes_does_not_survive(confounded: AuditResult) -> None:
    rows = rows_of(confounded)
    assert list(rows) == WAYS
    assert rows["as measured"]["verdict"] == "gap"
    assert rows["as measured"]["estimate"] < -0.05
    for name in ("matched", "within view", "weighted", "regression"):
        row = rows[name]
        assert abs(row["estimate"]) < abs(rows["as measured"]["estimate"]) / 2, name
        assert row["low"] < 0 < row["high"], name
        assert row["change_low"] > 0, name
        assert row["change"] == pytest.approx(row["estimate"] - rows["as measured"]["estimate"], abs=1e-9)
    assert abs(rows["within age band"]["change"]) < 0.02


def test_a_gap_of_its_own_survives_and_an_equal_mix_changes_little() -> None:
    rows = rows_of(audit_predictions(*make_run(own_gap=0.6, share_of_ap=(0.5, 0.5), seed=1)))
    for name in WAYS[:-1]:
        assert rows[name]["verdict"] == "gap", name
        if name != "as measured":
            assert abs(rows[name]["change"]) < 0.02, name


def test_rows_say_what_is_equal_and_what_they_rest_on(confounded: AuditResult) -> None:
    rows = rows_of(confounded)
    assert rows["matched"]["held_equal"] == "class x view x age band"
    assert rows["weighted"]["held_equal"] == "view, age"
    assert rows["within view"]["held_equal"] == "view"
    assert rows["as measured"]["n_effective"] == rows["as measured"]["n_images"]
    assert rows["weighted"]["n_effective"] < 0.95 * rows["weighted"]["n_images"]
    assert rows["xAUC"]["verdict"] == "descriptive"
    assert pd.isna(rows["xAUC"]["change"])
    assert pd.isna(rows["xAUC"]["margin"])
    other = rows_of(confounded, "M")["matched"]
    assert other["bootstrap_low"] == pytest.approx(other["low"], abs=0.02)
    assert {row["n_seeds"] for row in rows.values()} == {2}


def test_the_measured_row_is_the_contrast(confounded: AuditResult) -> None:
    gap = confounded.contrasts[confounded.contrasts["train_cohort"] == "F"].iloc[0]
    row = rows_of(confounded)["as measured"]
    for name in ("estimate", "low", "high", "bootstrap_low", "bootstrap_high", "verdict", "n_patients"):
        assert row[name] == pytest.approx(gap[name]) if name != "verdict" else row[name] == gap[name]


def test_one_seed_gives_the_librarys_numbers() -> None:
    study, manifest, predictions = make_run(own_gap=0.2, share_of_ap=(0.6, 0.4), seeds=[0], seed=2)
    rows = rows_of(audit_predictions(study, manifest, predictions))
    own = predictions.frame
    test = own[(own["train_cohort"] == "F") & (own["split"] == "test")].sort_values("image_id")
    arrays = test["y_true"], test["y_score"], (test["sex"] == "F").to_numpy()
    matched = matched_auc_gap(*arrays, test["view"], person=test["patient_id"])
    ages = test["age_years"]
    covariates = np.column_stack([test["view"] == "PA", ages.fillna(ages.mean()), ages.isna()]).astype(float)
    weighted = weighted_auc_gap(*arrays, covariates, person=test["patient_id"])
    assert rows["weighted"]["estimate"] == pytest.approx(weighted.estimate, abs=1e-9)
    assert rows["weighted"]["low"] == pytest.approx(weighted.low, abs=1e-9)
    assert matched.estimate == pytest.approx(rows["matched"]["estimate"], abs=0.02)


def test_without_another_attribute_the_question_is_answered_as_such() -> None:
    study, manifest, predictions = make_run(own_gap=0.3, share_of_ap=(0.5, 0.5))
    bare = CohortManifest(manifest.frame.drop(columns=["age_years", "view"]))
    rows = rows_of(audit_predictions(study, bare, predictions))
    assert list(rows) == ["as measured", "matched", "weighted", "regression", "xAUC"]
    assert rows["matched"]["status"] == "not estimable"
    assert rows["matched"]["reason"] == ("no other attribute varies among these images: the mix is equal already")


def test_groups_without_overlap_have_no_equal_mix() -> None:
    rows = rows_of(audit_predictions(*make_run(own_gap=0.0, share_of_ap=(1.0, 0.0))))
    assert "nothing can be compared" in rows["within view"]["reason"]
    assert "tell the groups apart completely" in rows["weighted"]["reason"]
    for name in ("matched", "within view", "weighted"):
        assert rows[name]["verdict"] == "not estimable"
        assert pd.isna(rows[name]["estimate"])
    assert rows["within age band"]["status"] == "ok"


def test_a_group_without_a_class_is_not_estimable_in_any_way() -> None:
    study, manifest, predictions = make_run(own_gap=0.0, share_of_ap=(0.5, 0.5), n_persons=120)
    is_kept = (manifest.frame["sex"] == "M") ^ (manifest.frame["y_true"] == 1)
    rows = rows_of(audit_predictions(study, CohortManifest(manifest.frame[is_kept]), predictions))
    assert {row["status"] for row in rows.values()} == {"not estimable"}
    assert all(row["reason"] for row in rows.values())


def test_rows_of_images_in_another_order_are_the_same(confounded: AuditResult) -> None:
    study, manifest, predictions = make_run(own_gap=0.0, share_of_ap=(0.75, 0.25))
    turned = CohortManifest(manifest.frame.iloc[::-1].reset_index(drop=True))
    shuffled = Predictions(predictions.frame.sample(frac=1, random_state=1))
    again = audit_predictions(study, turned, shuffled)
    assert confounded.case_mix is not None
    assert again.case_mix is not None
    pd.testing.assert_frame_equal(again.case_mix, confounded.case_mix, rtol=1e-9)


def test_a_study_without_subgroup_gaps_has_no_rows() -> None:
    run = make_run(own_gap=0.0, share_of_ap=(0.5, 0.5), cohorts={"all": {}}, train_on=["all"])
    study, manifest, predictions = run
    frame = manifest.frame.assign(cohort="all").drop_duplicates("image_id")
    result = audit_predictions(study, CohortManifest(frame), predictions)
    assert result.case_mix is not None
    assert len(result.case_mix) == 0
    assert list(result.case_mix.columns) == [column.name for column in CASE_MIX_COLUMNS]


def test_a_result_stored_before_there_was_a_case_mix_still_loads(confounded: AuditResult) -> None:
    old = AuditResult(confounded.estimates, confounded.contrasts, confounded.fits, confounded.settings)
    assert old.case_mix is None


def test_the_rows_are_stored_and_read_back(confounded: AuditResult, tmp_path: Path) -> None:
    names = (*AuditResult.FRAMES, *AuditResult.OPTIONAL_FRAMES)
    write_frames(tmp_path, {name: getattr(confounded, name) for name in names})
    again = AuditResult(**read_frames(tmp_path, names))  # type: ignore[arg-type]
    assert again.case_mix is not None
    assert confounded.case_mix is not None
    pd.testing.assert_frame_equal(again.case_mix, confounded.case_mix)
    (tmp_path / "case_mix.parquet").unlink()
    assert AuditResult(**read_frames(tmp_path, names)).case_mix is None  # type: ignore[arg-type]


def test_resamples_are_the_first_shared_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    assert MAX_RESAMPLES == 400
    seen: list[int] = []
    from subgroup_audit.audit import case_mix

    original: Callable[..., Any] = case_mix.gap_replicates

    def spy(*arguments: Any, n_resamples: int) -> Any:
        seen.append(n_resamples)
        return original(*arguments, n_resamples=n_resamples)

    monkeypatch.setattr(case_mix, "gap_replicates", spy)
    audit_predictions(*make_run(own_gap=0.0, share_of_ap=(0.6, 0.4), n_persons=200))
    assert set(seen) == {400}
