"""What a run says for the items of reporting checklists: a sentence a topic, and where the report shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from subgroup_audit.report.contents import RunContents, distinct, rows_of
from subgroup_audit.report.methods import methods_paragraphs, operating_words
from subgroup_audit.report.methods_design import (
    augmentation_words,
    balance_words,
    flow_words,
    label_words,
    model_words,
    size_words,
    software_sentences,
    source_words,
)
from subgroup_audit.report.numerals import count, decimal, listed, plural
from subgroup_audit.report.sentences import limits_sentence


@dataclass(frozen=True)
class Fact:
    """What a run says of a topic, and where its report shows it."""

    words: str
    where: str


def checklist_facts(contents: RunContents) -> dict[str, Fact]:
    """Facts by topic; a topic of which this run says nothing is left out."""
    found = {**_design_facts(contents), **_training_facts(contents), **_analysis_facts(contents)}
    return {topic: fact for topic, fact in found.items() if fact.words}


def _design_facts(contents: RunContents) -> dict[str, Fact]:
    study = contents.study
    unit = "person" if study.split.unit == "person" else "image (a person can be in two partitions)"
    attributes = listed([name.replace("_", " ") for name in study.group_attributes])
    return {
        "question": Fact(study.question, "first screen"),
        "source": Fact(f"Radiographs from {source_words(contents)}.", "Methods"),
        "eligibility": Fact(flow_words(contents).strip(), "cohort flow, tables/flow"),
        "labels": Fact(label_words(study), "Methods"),
        "pixels": Fact(f"Images stored as squares of {study.data.stored_size} px.", "Methods"),
        "subsets": Fact(
            f"{plural(len(study.cohorts), 'cohort')}: {listed(list(study.cohorts))}.{balance_words(study)}",
            "Who is in the cohorts, tables/ceiling",
        ),
        "missing": Fact(_missing_words(contents), "cohort flow, tables/flow"),
        "partition": Fact(_partition_words(contents), "Methods"),
        "level": Fact(f"Data were split by {unit}; {_leakage_words(contents)}", "leakage certificate"),
        "attributes": Fact(f"Groups are told apart by {attributes}.", "Table 1, tables/table1"),
        "flow": Fact(_sizes(contents), "cohort flow, tables/flow"),
        "characteristics": Fact(
            "Age, sex, view and label by cohort and partition." if contents.has("table1") else "",
            "Table 1, tables/table1",
        ),
        "representative": Fact(
            "How cohorts differ from each other is in Table 1; how they differ from the target population is "
            "for the authors to say."
            if contents.has("table1")
            else "",
            "Table 1, tables/table1",
        ),
    }


def _sizes(contents: RunContents) -> str:
    return (flow_words(contents) + size_words(contents)).strip()


def _missing_words(contents: RunContents) -> str:
    """Images left out since something about them is missing, from the flow."""
    rows = [row for row in rows_of(contents.flow) if "missing" in str(row["reason"]).lower()]
    said = [f"{count(row['n_images'])} images left out: {row['reason']}" for row in rows]
    return f"{'; '.join(said)}." if said else ""


def _partition_words(contents: RunContents) -> str:
    split = contents.study.split
    if split.official:
        return f"Official split of the source (attribute {split.official})."
    parts = ", ".join(
        f"{100 * share:g} % {name}"
        for name, share in (("training", split.train), ("validation", split.val), ("test", split.test))
    )
    return f"At random: {parts}; seed {split.seed}."


def _leakage_words(contents: RunContents) -> str:
    if not contents.has("leakage") or contents.leakage is None:
        return "shared persons were not counted."
    shared = int((contents.leakage["shared_persons"].fillna(0) > 0).sum())
    if not shared:
        return "no test set shares a person with a training set."
    return f"{plural(shared, 'pair')} of training and test set share persons."


def _training_facts(contents: RunContents) -> dict[str, Fact]:
    study = contents.study
    models = [model_words(name, model) for name, model in study.models.items()]
    changes = [f"{name}: {augmentation_words(recipe.augmentation)}" for name, recipe in study.recipes.items()]
    kept = {recipe.restore_best for recipe in study.recipes.values()}
    chosen = (
        "The epoch with the best validation value"
        if kept == {True}
        else "The last epoch"
        if kept == {False}
        else ""
    )
    seeds = listed([str(seed) for seed in study.seeds])
    weighted = [name for name, r in study.recipes.items() if r.class_weight != "none" or r.sampling != "plain"]
    return {
        "model": Fact(f"{listed(models)}.", "Methods"),
        "start": Fact(f"{listed(models)}; random seeds {seeds}.", "Methods"),
        "software": Fact(software_sentences(contents).replace(" [Paszke 2019]", ""), "About this run"),
        "training": Fact(" ".join(changes), "Methods, learning curves"),
        "selection": Fact(f"{chosen} was kept." if chosen else "", "Methods, learning curves"),
        "ensembles": Fact("Seeds were averaged as results; no ensemble was scored.", "Methods"),
        "imbalance": Fact(
            f"Recipes that weight or draw classes evenly: {listed(weighted)}."
            if weighted
            else "No class weights and no resampling in training; cohorts as described under subsets.",
            "Methods",
        ),
        "curves": Fact(
            "Loss and AUC by epoch of every fit." if contents.has("history") else "", "learning curves"
        ),
        "output": Fact(f"A score from 0 to 1 per finding. {operating_words(contents)}".strip(), "Methods"),
    }


def _analysis_facts(contents: RunContents) -> dict[str, Fact]:
    result, analysis = contents.result, contents.study.analysis
    if result is None:
        return {}
    paragraphs = methods_paragraphs(contents)
    statistics = next((text for text in paragraphs if text.startswith("Performance is")), "")
    n_cells = int(result.estimates["estimate"].notna().sum())
    controls = (
        listed(distinct(contents.controls["words"]))
        if contents.has("controls") and contents.controls is not None
        else ""
    )
    looked = [
        word
        for part, word in (("encoding", "probes of the features"), ("saliency", "heat maps"))
        if contents.has(part)
    ]
    return {
        "metrics": Fact(_measure_words(contents), "Methods"),
        "statistics": Fact(_without_works(statistics), "Methods"),
        "margin": Fact(f"Differences within ±{decimal(analysis.margin, 2)} AUC count as none.", "Methods"),
        "robustness": Fact(_robust_words(contents, controls), "Does the gap survive?, controls"),
        "explained": Fact(
            f"{listed(looked).capitalize()}." if looked else "", "What the features tell, heat maps"
        ),
        "internal": Fact(_internal_words(contents), "Every model on every group"),
        "groups": Fact(
            f"Every model on {plural(len(contents.study.test_cohorts), 'test group')}: "
            f"{listed(list(contents.study.test_cohorts))}.",
            "Every model on every group, gaps",
        ),
        "performance": Fact(f"{plural(n_cells, 'AUC')} with intervals.", "tables/matrix, tables/estimates"),
        "gaps": Fact("Gaps between groups with intervals, p-values and verdicts.", "tables/gaps"),
        "failures": Fact(
            "Errors by person and group." if contents.has("error_counts") else "", "tables/error_counts"
        ),
        "power": Fact(limits_sentence(result.contrasts), "first screen"),
        "limits": Fact(_limit_words(contents), "first screen, notes"),
        "seeds": Fact(_seed_words(contents), "tables/matrix, tables/fits"),
    }


def _without_works(text: str) -> str:
    """The text without the works that it cites, which a checklist has no list of."""
    return re.sub(r" \[[^\[\]]*\]", "", text)


def _robust_words(contents: RunContents, controls: str) -> str:
    result = contents.result
    mixed = result is not None and result.case_mix is not None and len(result.case_mix) > 0
    said = ["subgroup gaps again at an equal case mix"] if mixed else []
    said += [f"controls: {controls}"] if controls else []
    return f"{'; '.join(said).capitalize()}." if said else ""


def _limit_words(contents: RunContents) -> str:
    notes = [note[:1].upper() + note[1:].rstrip(".") for note in contents.notes]
    return " ".join(f"{note}." for note in ["One source of data; no external test in this run", *notes])


def _internal_words(contents: RunContents) -> str:
    """That the test is internal, and of persons never trained on only where that was found."""
    leakage = contents.leakage
    if leakage is None or not len(leakage) or (leakage["shared_persons"].fillna(0) > 0).any():
        return "Test images of the same source."
    return "Test persons of the same source, none of whom was in training."


def _measure_words(contents: RunContents) -> str:
    area = "Area under the ROC curve, and differences of it between groups"
    if not contents.has("performance"):
        return f"{area}."
    return f"{area}; sensitivity, specificity, predictive values, calibration and average precision by group."


def _seed_words(contents: RunContents) -> str:
    n = len(contents.study.seeds)
    if n > 1:
        return f"{n} training seeds; the spread between them is in the intervals."
    return "One training seed: what another training would give is not in the intervals."
