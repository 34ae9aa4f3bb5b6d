"""The real RSNA metadata: the facts that are stated of them, and the cohorts that experiments ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from subgroup_audit.cohort import design_cohorts
from subgroup_audit.errors import CohortError
from subgroup_audit.study_file import load_study

STUDY = Path(__file__).resolve().parents[2] / "cohorts" / "rsna_sex_view.yaml"
OPACITY, NORMAL, OTHER = "Lung Opacity", "Normal", "No Lung Opacity / Not Normal"
AGAINST_NORMAL = {"opacity": {"positive": [OPACITY], "negative": [NORMAL]}}


@pytest.fixture(scope="module")
def shipped(rsna):
    return design_cohorts(load_study(STUDY), rsna)


def test_the_facts_of_the_source(shipped, rsna):
    counts = shipped.counts.pivot_table(index=["sex", "view"], columns="finding", values="n_images")
    groups = [("F", "AP"), ("F", "PA"), ("M", "AP"), ("M", "PA")]
    expected = [[1952, 2504, 671], [550, 2607, 3234], [2712, 3368, 966], [798, 3342, 3980]]
    assert counts.loc[groups, [OPACITY, OTHER, NORMAL]].to_numpy().tolist() == expected
    images = rsna.images.frame
    matched = images[~images["patient_id"].str.startswith("rsna-")]
    assert (len(images), len(images) - len(matched), matched["patient_id"].nunique()) == (26_684, 98, 11_410)
    per_person = matched["patient_id"].value_counts()
    assert ((per_person > 1).sum(), per_person.max()) == (4342, 65)
    assert shipped.flow.query("reason == 'age above 120'")["n_images"].item() == 5


def test_a_split_of_images_would_leak_seventy_in_a_hundred_and_one_sidedly(shipped):
    share = shipped.image_level_leakage.set_index(["train_cohort", "test_cohort"])[
        "share_of_test_images_of_seen_persons"
    ]
    assert share["", ""] == pytest.approx(0.70, abs=0.01)
    assert share["F", "F"] > 0.3
    assert share["F", "M"] == share["M", "F"] == 0.0


def test_the_shipped_study_is_balanced_and_leaks_nothing(shipped):
    frame = shipped.manifest.frame
    sizes = frame.groupby(["cohort", "split"]).size().unstack()
    compared = sizes.loc[["all", "F", "M", "AP", "PA"]]
    assert compared.to_numpy().tolist() == [[440, 1536, 216]] * 5
    cells = frame.groupby(["cohort", "split", "sex", "view", "y_true"]).size()
    assert (cells.groupby(["cohort", "split"]).nunique() == 1).all()
    assert (shipped.leakage["shared_persons"] == 0).all()
    limit = shipped.ceiling[shipped.ceiling["is_limiting"]].set_index("cohort")
    assert (limit.loc["F", "cell"], limit.loc["F", "ceiling"]) == ("label=1, sex=F, view=PA", 2200)


PA, WOMEN, MEN = {"view": "PA"}, {"view": "PA", "sex": "F"}, {"view": "PA", "sex": "M"}


def composed(opacity, normal, other):
    """Images of each source label, and the shares that ask for them."""
    counts = {OPACITY: opacity, NORMAL: normal, OTHER: other}
    return {name: n / (opacity + normal + other) for name, n in counts.items()}, counts


def sexes(men, women):
    return {"sex": {"M": men / (men + women), "F": women / (men + women)}}


@pytest.mark.parametrize(
    ("where", "size"), [(PA, 2 * 1076), (MEN, 2 * 620), (WOMEN, 2 * 400)], ids=["M+F, PA", "M, PA", "F, PA"]
)
def test_opacity_against_normal_has_the_sizes_of_the_first_experiments(where, size, rsna, study):
    asked = study(findings=AGAINST_NORMAL, cohorts={"c": {"where": where, "size": size}})
    frame = design_cohorts(asked, rsna, describe=False).manifest.frame
    label = rsna.labels.frame.set_index("image_id")["finding"]
    assert label[frame["image_id"]].value_counts().to_dict() == {OPACITY: size // 2, NORMAL: size // 2}


@pytest.mark.parametrize(
    ("where", "counts", "sex"),
    [
        (PA, (1000, 500, 500), {}),
        (PA, (1000, 500, 1000), {}),
        ({}, (4400, 2200, 2200), sexes(5000, 4000)),
        ({}, (4400, 4400, 4400), sexes(7547, 5653)),
    ],
)
def test_negatives_composed_by_source_label_have_the_sizes_of_the_first_experiments(
    where, counts, sex, rsna, study
):
    shares, expected = composed(*counts)
    asked = study(
        findings={"opacity": {"positive": [OPACITY]}},
        cohorts={"c": {"where": where, "size": sum(counts), "shares": {"source_label": shares, **sex}}},
        balance={"over": []},
    )
    frame = design_cohorts(asked, rsna, describe=False).manifest.frame
    label = rsna.labels.frame.set_index("image_id")["finding"]
    found = label[frame["image_id"]].value_counts()
    assert len(frame) == sum(counts)
    assert max(abs(found[name] - n) for name, n in expected.items()) <= 3  # one image in each split, by rounding
    for value, share in sex.get("sex", {}).items():
        assert abs((frame["sex"] == value).sum() - share * len(frame)) <= 9


PAPER = {
    "all_8800": {OPACITY: 4400, NORMAL: 2200, OTHER: 2200},
    "PA_2000": {OPACITY: 1000, NORMAL: 500, OTHER: 500},
    "PA_2500": {OPACITY: 1000, NORMAL: 500, OTHER: 1000},
    "PA": {OPACITY: 1076, NORMAL: 1076},
    "M_PA": {OPACITY: 620, NORMAL: 620},
    "F_PA": {OPACITY: 400, NORMAL: 400},
}


def test_the_shipped_paper_study_meets_every_class_count_to_the_image(rsna):
    frame = design_cohorts(
        load_study(STUDY.with_name("rsna_paper_curves.yaml")), rsna, describe=False
    ).manifest.frame
    label = rsna.labels.frame.set_index("image_id")["finding"]
    found = frame.groupby(["cohort", frame["image_id"].map(label)]).size()
    assert {name: found[name].to_dict() for name in PAPER} == PAPER
    assert frame.query("cohort == 'all_8800'")["sex"].value_counts().to_dict() == {"M": 4889, "F": 3911}
    assert (frame.query("cohort == 'PA'")["split"].value_counts()).to_dict() == {
        "train": 1506,
        "val": 216,
        "test": 430,
    }


def test_the_shipped_three_class_study_meets_classes_and_sexes_to_the_image(rsna):
    path = STUDY.with_name("rsna_paper_three_class.yaml")
    frame = design_cohorts(load_study(path), rsna, describe=False).manifest.frame
    frame = frame[(frame["cohort"] == "all") & (frame["y_true"] == 1)]
    assert frame["finding"].value_counts().to_dict() == {"opacity": 4400, "not normal": 4400, "normal": 4400}
    assert frame["sex"].value_counts().to_dict() == {"M": 7547, "F": 5653}
    assert frame["split"].value_counts().to_dict() == {"train": 9240, "val": 1320, "test": 2640}


def test_more_women_on_pa_films_than_there_are_is_refused(rsna, study):
    asked = study(findings=AGAINST_NORMAL, cohorts={"F_PA": {"where": WOMEN, "size": 1240}})
    with pytest.raises(CohortError) as error:
        design_cohorts(asked, rsna, describe=False)
    assert str(error.value) == (
        "cohort 'F_PA': asked for 1,240 images, but its ceiling is 1,101: cell label=1 has 385 images in split "
        "train, and 434 would be needed"
    )


def test_the_share_of_women_can_be_varied_at_constant_size(rsna, study):
    """Larrazabal et al. 2020, doi:10.1073/pnas.1919012117: 0, 25, 50, 75, 100 % women."""
    mixes = {f"women_{p}": {"mix": {"sex": {"F": p / 100, "M": 1 - p / 100}}} for p in (0, 25, 50, 75, 100)}
    asked = study(findings=AGAINST_NORMAL, cohorts={**mixes, "F": {"sex": "F"}, "M": {"sex": "M"}})
    frame = design_cohorts(asked, rsna, describe=False).manifest.frame
    share = frame.groupby("cohort")["sex"].agg(lambda sex: (sex == "F").mean())
    assert [share[f"women_{p}"] for p in (0, 25, 50, 75, 100)] == [0, 0.25, 0.5, 0.75, 1]
    assert frame["cohort"].value_counts().nunique() == 1
