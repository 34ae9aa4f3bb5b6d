"""The waterfall's levels are the AUCs that they say, and its steps add up to the whole gap."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.diagnosis import gap_waterfall
from subgroup_audit.schema import CohortManifest, Predictions, Stages
from subgroup_audit.stats import AucComponents, auc, auc_components, seed_gap
from subgroup_audit.study import Study

SIZES = {"train": 120, "val": 60, "test": 90}
SEPARATIONS = {"while training": 2.0, "train": 3.0, "recomputed": 2.5, "val": 1.0, "test": 0.6}


def make_study() -> Study:
    return Study.model_validate(
        {
            "study": "s",
            "data": {"source": "phantom"},
            "findings": {"opacity": {"positive": ["opacity"], "negative": ["normal"]}},
            "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}},
            "train_on": ["F"],
            "models": {"small": {"architecture": "small_cnn"}},
            "seeds": [0, 1],
        }
    )


def score(rng: np.random.Generator, y_true: pd.Series, separation: float) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-(rng.standard_normal(len(y_true)) + separation * y_true.to_numpy())))


@pytest.fixture(scope="module")
def tables() -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Manifest of two cohorts, predictions of two seeds trained on F, and their stages."""
    rng = np.random.default_rng(0)
    rows = [
        {
            "cohort": cohort,
            "image_id": f"{cohort}{split}{i}",
            "patient_id": f"{cohort}{split}p{i // 2}",
            "split": split,
        }
        for cohort in "FM"
        for split, n in SIZES.items()
        for i in range(n)
    ]
    manifest = pd.DataFrame(rows).assign(finding="opacity", weight=1.0, sex=lambda frame: frame["cohort"])
    manifest["y_true"] = rng.integers(0, 2, len(manifest))
    predictions, stages = [], []
    for seed in (0, 1):
        named = {"fit_id": f"fit{seed}", "train_cohort": "F", "model": "small", "recipe": "default", "seed": seed}
        separation = manifest["split"].map(SEPARATIONS).to_numpy() - 0.4 * (manifest["cohort"] == "M").to_numpy()
        noise = rng.standard_normal(len(manifest)) + separation * manifest["y_true"].to_numpy()
        predictions.append(manifest.assign(**named, y_score=1.0 / (1.0 + np.exp(-noise))))
        train = manifest[(manifest["cohort"] == "F") & (manifest["split"] == "train")]
        for stage in ("while training", "recomputed"):
            stages.append(
                pd.DataFrame(
                    {
                        "fit_id": named["fit_id"], "stage": stage, "split": "train",
                        "image_id": train["image_id"].to_numpy(), "draw": np.arange(len(train)),
                        "finding": "opacity", "y_score": score(rng, train["y_true"], SEPARATIONS[stage]),
                    }
                )
            )  # fmt: skip
    return manifest, pd.concat(predictions, ignore_index=True), pd.concat(stages, ignore_index=True)


def components(manifest: pd.DataFrame, scored: pd.DataFrame, split: str) -> list[AucComponents]:
    """The cell of each seed on a split of F."""
    rows = manifest[(manifest["cohort"] == "F") & (manifest["split"] == split)].sort_values("image_id")
    person = pd.factorize(manifest["patient_id"], sort=True)[0][rows.index]
    return [
        auc_components(
            rows["y_true"],
            scored[scored["fit_id"] == f"fit{seed}"].set_index("image_id")["y_score"].reindex(rows["image_id"]),
            person=person,
        )
        for seed in (0, 1)
    ]


def find(tables: tuple[pd.DataFrame, ...], stages: pd.DataFrame | None = None) -> pd.DataFrame:
    manifest, predictions, kept = tables
    return gap_waterfall(
        make_study(),
        CohortManifest(manifest),
        Predictions(predictions),
        Stages(kept if stages is None else stages),
    )


def test_levels_come_in_order_and_other_groups_step_down_from_the_own_test(tables) -> None:
    found = find(tables)
    assert found["stage"].to_list() == [
        "while training", "evaluation mode", "recomputed", "validation", "own test", "other test",
    ]  # fmt: skip
    assert found["from_stage"].to_list() == [
        "", "while training", "evaluation mode", "recomputed", "validation", "own test",
    ]  # fmt: skip
    assert found["test_group"].to_list() == ["F"] * 5 + ["M"]
    assert found["n_images"].to_list() == [120, 120, 120, 60, 90, 90]


def test_steps_add_up_exactly_to_the_whole_gap(tables) -> None:
    found = find(tables)
    assert found["change"].iloc[1:].sum() == pytest.approx(found["auc"].iloc[-1] - found["auc"].iloc[0], abs=1e-15)


def test_the_whole_way_to_every_level_has_an_interval_of_its_own(tables) -> None:
    manifest, predictions, stages = tables
    found = find(tables).set_index("stage")
    assert found["whole_change"].iloc[1:].to_list() == pytest.approx(
        (found["auc"] - found["auc"].iloc[0]).iloc[1:].to_list(), abs=1e-15
    )
    assert found.loc["while training", ["whole_change", "whole_low", "whole_high"]].isna().all()
    assert found.loc["evaluation mode", "whole_low"] == found.loc["evaluation mode", "low"]
    sides = [
        components(manifest, stages[stages["stage"] == "while training"], "train"),
        components(manifest, predictions, "test"),
    ]
    expected = seed_gap(sides[1], sides[0], paired_seeds=True)
    row = found.loc["own test"]
    assert (row["whole_low"], row["whole_high"]) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert row["whole_p_value"] == pytest.approx(expected.p_value)
    # neither the sum of the steps' limits nor as wide as that sum
    assert row["whole_low"] > found["low"].iloc[1:5].sum()


def test_levels_are_means_over_seeds_of_plain_aucs(tables) -> None:
    manifest, predictions, stages = tables
    found = find(tables).set_index("stage")["auc"]
    kept = stages[stages["stage"] == "while training"].merge(
        manifest[["image_id", "y_true"]], on="image_id", validate="m:1"
    )
    expected = np.mean([auc(part["y_true"], part["y_score"]) for _, part in kept.groupby("fit_id")])
    assert found["while training"] == pytest.approx(expected, abs=1e-15)
    other = predictions[(predictions["sex"] == "M") & (predictions["split"] == "test")]
    expected = np.mean([auc(part["y_true"], part["y_score"]) for _, part in other.groupby("fit_id")])
    assert found["other test"] == pytest.approx(expected, abs=1e-15)


def test_a_step_between_the_same_images_is_paired(tables) -> None:
    manifest, predictions, stages = tables
    found = find(tables).set_index("stage")
    recomputed = stages[stages["stage"] == "recomputed"]
    sides = [components(manifest, frame, "train") for frame in (recomputed, predictions)]
    expected = seed_gap(*sides, paired_seeds=True)
    assert found.loc["recomputed", "low"] == pytest.approx(expected.low, abs=1e-12)
    assert found.loc["recomputed", "high"] == pytest.approx(expected.high, abs=1e-12)


def test_a_stage_that_one_seed_lacks_is_left_out_and_the_rest_still_adds_up(tables) -> None:
    stages = tables[2]
    is_lacking = (stages["stage"] == "recomputed") & (stages["fit_id"] == "fit1")
    found = find(tables, stages[~is_lacking])
    assert "recomputed" not in set(found["stage"])
    assert found.set_index("stage").loc["validation", "from_stage"] == "evaluation mode"
    assert found["change"].iloc[1:].sum() == pytest.approx(found["auc"].iloc[-1] - found["auc"].iloc[0], abs=1e-15)


def test_images_drawn_twice_count_once_and_those_never_drawn_not_at_all(tables) -> None:
    manifest, _, stages = tables
    seen = stages[stages["stage"] == "while training"]
    first = seen.loc[seen["fit_id"] == "fit0", "image_id"].iloc[0]
    without = stages[~((stages["fit_id"] == "fit0") & (stages["image_id"] == first))]
    twice = without[without["fit_id"] == "fit1"].assign(draw=lambda frame: frame["draw"] + 1000)
    found = find(tables, pd.concat([without, twice], ignore_index=True)).set_index("stage")
    assert found.loc["while training", "n_images"] == 119
    kept = seen[seen["image_id"] != first].merge(manifest[["image_id", "y_true"]], on="image_id", validate="m:1")
    expected = np.mean([auc(part["y_true"], part["y_score"]) for _, part in kept.groupby("fit_id")])
    assert found.loc["while training", "auc"] == pytest.approx(expected, abs=1e-15)


def test_a_split_with_one_class_is_not_estimable_and_says_why(tables) -> None:
    manifest, predictions, stages = tables
    is_val = manifest["split"] == "val"
    one_class = (
        manifest.assign(y_true=manifest["y_true"].where(~is_val, 1)),
        predictions.assign(y_true=predictions["y_true"].where(predictions["split"] != "val", 1)),
        stages,
    )
    row = find(one_class).set_index("stage").loc["validation"]
    assert row["status"] == "not estimable"
    assert np.isnan(row["auc"])
    assert row["reason"] == "no negative among 60 images: an AUC needs both classes"
