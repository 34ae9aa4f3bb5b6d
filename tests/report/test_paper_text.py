"""Text for a paper: true of the run, with the works that it cites, and never more than was found."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from subgroup_audit.report import RunContents
from subgroup_audit.report.bibliography import ENTRIES, bibtex_key, names_cited
from subgroup_audit.report.checklists import CHECKLISTS, CLAIM, FUTURE_AI, OPEN, TRIPOD_AI
from subgroup_audit.report.methods import methods_paragraphs, references_cited
from subgroup_audit.report.paper_text import paper_texts, to_bibtex, to_latex_text, to_markdown_text
from subgroup_audit.report.results_text import results_paragraphs
from subgroup_audit.schema import AuditResult

FILES = {
    "methods.md", "methods.tex", "results.md", "results.tex", "references.bib",
    "checklist_claim.md", "checklist_tripod_ai.md", "checklist_future_ai.md",
}  # fmt: skip


def judged(contents: RunContents, verdict: str) -> RunContents:
    """The run with one verdict for every tested gap."""
    result = contents.result
    is_tested = result.contrasts["verdict"] != "descriptive"
    contrasts = result.contrasts.assign(
        verdict=np.where(is_tested, verdict, result.contrasts["verdict"]), p_adjusted=np.nan
    )
    return replace(contents, result=replace(result, contrasts=contrasts))


def test_every_file_lies_beside_the_page(report: Path) -> None:
    assert {path.name for path in (report.parent / "paper").iterdir()} == FILES | {"captions.md", "captions.tex"}


def test_page_and_paper_say_the_same_methods(contents: RunContents, report: Path) -> None:
    page, paper = report.read_text(encoding="utf-8"), (report.parent / "paper" / "methods.md").read_text()
    sentence = "Data were split by person, so that no person is in two splits"
    assert sentence in page
    assert sentence in paper


def test_methods_say_what_was_left_out_and_why(contents: RunContents) -> None:
    text = methods_paragraphs(contents)[0]
    assert (
        "Of 26,684 images found, 13,318 were left out (file could not be decoded: 3; age below 18 or above 120 "
        "years: 1,482; sex or view missing: 12; label is neither opacity nor normal: 11,821), and 13,366 of 8,214 "
        "persons were eligible."
    ) in text
    assert "images found" not in methods_paragraphs(replace(contents, flow=None))[0]


def test_methods_name_only_what_ran(contents: RunContents) -> None:
    whole = " ".join(methods_paragraphs(contents))
    assert "The train/test gap was taken apart" in whole
    assert "Every training set was compared with every test set for shared persons, files and pixels." in whole
    less = " ".join(methods_paragraphs(replace(contents, waterfall=None, leakage=None)))
    assert "taken apart" not in less
    assert "shared" not in less
    assert "Only" not in whole or "planned" in whole


def test_fits_that_are_missing_are_said_to_be(make_contents: Callable[..., RunContents]) -> None:
    run = make_contents()
    few = replace(run, provenance={**run.provenance, "n_fits": 2})
    planned = len(run.study.fit_combinations())
    assert f"Only 2 of {planned} planned fits ended and are in the results." in " ".join(methods_paragraphs(few))


def test_results_hold_the_numbers_of_the_tables(contents: RunContents) -> None:
    text = " ".join(results_paragraphs(contents))
    estimates = contents.result.estimates
    own = estimates[(estimates["split"] == "test") & (estimates["train_cohort"] == estimates["test_group"])]
    first = own.dropna(subset=["estimate"]).iloc[0]
    assert f"{first['model']} trained on {first['train_cohort']} {first['estimate']:.3f}" in text
    assert "The smallest gap that these data would show in 8 of 10 repetitions" in text
    assert "These gaps are a description" in text


@pytest.mark.parametrize("verdict", ["inconclusive", "gap", "no gap beyond the margin", "not estimable"])
def test_what_is_open_is_never_called_equal(contents: RunContents, verdict: str) -> None:
    text = " ".join(results_paragraphs(judged(contents, verdict))).lower()
    assert "no difference" not in text
    assert "no significant" not in text
    assert ("within ±0.05" in text) == (verdict == "no gap beyond the margin")
    assert ("stayed open, neither showing a gap nor excluding one beyond ±0.05" in text) == (
        verdict == "inconclusive"
    )
    assert ("could not be estimated" in text) or verdict != "not estimable"


def test_without_an_audit_there_are_no_results(contents: RunContents) -> None:
    bare = RunContents(study=contents.study)
    assert results_paragraphs(bare) == ["This run holds no audit, so there are no results to write of."]
    assert set(paper_texts(bare)) == FILES


def test_only_works_that_are_cited_are_in_the_bibliography(contents: RunContents) -> None:
    texts = paper_texts(contents)
    cited = set(re.findall(r"\\cite\{([^}]*)\}", texts["methods.tex"] + texts["results.tex"]))
    keys = {key for group in cited for key in group.split(",")}
    assert keys == set(re.findall(r"@\w+\{(\w+),", texts["references.bib"]))
    assert keys == {bibtex_key(name) for name, _ in references_cited(methods_paragraphs(contents))}
    assert "Efron and Tibshirani 1993" not in texts["methods.tex"]


def test_every_work_has_a_place_to_find_it_and_a_key_of_its_own() -> None:
    assert all(entry.doi or entry.arxiv or entry.url for entry in ENTRIES.values())
    assert len({bibtex_key(name) for name in ENTRIES}) == len(ENTRIES)
    assert ENTRIES["Wang 2017"].words.endswith(" Recognition 2017:3462-3471. doi:10.1109/CVPR.2017.369")
    text = to_bibtex(["As known [Wang 2017; Zou and Donner 2008]."])
    assert "author = {Zou, G. Y. and Donner, A.}" in text
    assert "author = {Wang, X. and Peng, Y. and Lu, L. and others}" in text
    assert "pages = {1693--1702}" in text


def test_a_bracket_that_cites_nothing_stays_text() -> None:
    words = ["Known [Holm 1979]; a cohort [odd_name] & 5 %."]
    assert names_cited(words) == ["Holm 1979"]
    assert r"Known \cite{holm1979}; a cohort [odd\_name] \& 5 \%." in to_latex_text("T", words)
    markdown = to_markdown_text("T", words)
    assert r"Known [Holm 1979]; a cohort \[odd\_name\] & 5 %." in markdown
    assert "- **Holm 1979.** Holm S." in markdown


def test_hostile_names_stay_text_in_every_file(hostile: RunContents) -> None:
    for name, text in paper_texts(hostile).items():
        assert "<script" not in text, name
        if name.endswith(".tex"):
            bare = re.sub(r"\\[{}]", "", text)
            assert bare.count("{") == bare.count("}"), name


@pytest.mark.parametrize(
    ("checklist", "total", "last"), [(CLAIM, 44, "44"), (TRIPOD_AI, 52, "27c"), (FUTURE_AI, 30, "General 7")]
)
def test_checklists_have_the_published_items(checklist: object, total: int, last: str) -> None:
    numbers = [item.number for item in checklist.items]
    assert len(numbers) == len(set(numbers)) == total
    assert numbers[-1] == last


def test_a_checklist_says_what_the_run_knows_and_leaves_the_rest(contents: RunContents) -> None:
    texts = paper_texts(contents)
    for name, checklist in CHECKLISTS.items():
        rows = [line for line in texts[name].splitlines() if line.startswith("| ")][2:]
        assert len(rows) == len(checklist.items)
        assert any(OPEN in row for row in rows)
        assert ENTRIES[checklist.work].doi in texts[name]
    claim = texts["checklist_claim.md"]
    assert "| 20 | Level at which partitions are disjoint | Data were split by person; no test set shares" in claim
    assert f"| 33 | Testing on external data | *{OPEN}* |" in claim


def test_a_leak_is_not_hidden_by_a_checklist(contents: RunContents) -> None:
    leaky = replace(contents, leakage=contents.leakage.assign(shared_persons=3))
    claim = paper_texts(leaky)["checklist_claim.md"]
    assert "pairs of training and test set share persons" in claim
    assert "none of whom was in training" not in claim


def test_facts_of_an_empty_run_are_few(contents: RunContents) -> None:
    claim = paper_texts(RunContents(study=contents.study))["checklist_claim.md"]
    assert f"| 29 | Statistical significance and uncertainty | *{OPEN}* |" in claim


def test_the_page_leads_to_the_files(report: Path) -> None:
    page, folder = report.read_text(encoding="utf-8"), report.parent
    section = page[page.index('<section id="paper"') : page.index('<section id="about"')]
    links = re.findall(r'href="((?:paper|tables|figures)/[^"]+)"', section)
    assert {f"paper/{name}" for name in FILES} <= set(links)
    assert all((folder / link).is_file() for link in links)
    assert 'data-copy="methods-text"' in section
    assert "88 mm wide" in section


def test_a_result_of_nothing_but_training_has_no_cells(contents: RunContents) -> None:
    result = contents.result
    only = AuditResult(
        result.estimates[result.estimates["split"] == "train"], result.contrasts, result.fits, result.settings
    )
    text = " ".join(results_paragraphs(replace(contents, result=only)))
    assert "No model could be tested on the group that it was trained on." in text
