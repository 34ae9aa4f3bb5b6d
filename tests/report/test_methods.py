"""The methods paragraph: what ran, as a paper says it."""

from __future__ import annotations

from dataclasses import replace

from subgroup_audit.report import RunContents
from subgroup_audit.report.methods import method_words, methods_paragraphs
from subgroup_audit.schema import AuditResult
from subgroup_audit.study import Study

CROSSED = "crossed seeds x patients, Satterthwaite t"


def of(contents: RunContents, **changes: object) -> Study:
    return Study.model_validate({**contents.study.model_dump(mode="json"), **changes})


def test_methods_of_intervals_are_words_and_each_is_said_once(contents: RunContents) -> None:
    result = contents.result
    changed = AuditResult(
        result.estimates.assign(method=CROSSED),
        result.contrasts.assign(method=f"MOVER, {CROSSED}"),
        result.fits,
        result.settings,
    )
    text = methods_paragraphs(replace(contents, result=changed))[3]
    assert (
        "Intervals at 95 % confidence come from seeds and persons as crossed random effects (Satterthwaite t); "
        "those of gaps combine two of them (MOVER) [Zou and Donner 2008; Satterthwaite 1946]; percentile "
        "bootstrap intervals over 2,000 draws of persons stand beside them"
    ) in text
    assert "Differences within ±0.05 AUC counted as no gap" in text


def test_an_unknown_method_stands_as_it_is() -> None:
    assert method_words("logit DeLong") == "logit DeLong"


def test_augmentation_is_said_with_its_ranges(contents: RunContents) -> None:
    recipe = {"augmentation": {"horizontal_flip": 0.5, "rotation_degrees": 5, "shift": 0.05}}
    text = methods_paragraphs(replace(contents, study=of(contents, recipes={"r": recipe})))[2]
    assert (
        "Training images were augmented by horizontal flip (probability 0.5), rotation (up to 5°) and shift "
        "(up to 5 %)."
    ) in text


def test_a_table_is_named_by_its_data_and_not_by_our_word_for_it(contents: RunContents) -> None:
    study = of(contents, data={"source": "table", "options": {"file": "metadata.csv"}})
    run = replace(contents, study=study, provenance={"data": "nih_pneumonia_1000"})
    assert methods_paragraphs(run)[0].startswith("Radiographs came from a table of images (nih_pneumonia_1000).")
