"""References: every work that a report cites is listed once, in a form that can be looked up."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import subgroup_audit.report
from subgroup_audit.report.bibliography import ENTRIES, Entry, bibtex_key, names_cited
from subgroup_audit.report.check_methods import references_cited
from subgroup_audit.report.checklists import CHECKLISTS, CLAIM, FUTURE_AI, TRIPOD_AI
from subgroup_audit.report.methods import REFERENCES

ROOT = Path(__file__).resolve().parents[2]
REPORT = Path(subgroup_audit.report.__file__).parent
NAME = r"[A-Z][a-z]+[A-Za-z-]*(?: (?:and )?[A-Z][a-z]+[A-Za-z-]*)* (?:19|20)\d\d[a-z]?"
DOI = re.compile(r"10\.\d{4,9}/\S+")
TRIPOD_NUMBERS = (
    "1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16 17 18a 18b "
    "18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c"
)


def strings_of_reports() -> Iterator[str]:
    """Every string in the code of reports, joined where the code breaks it, outside the bibliography."""
    for path in sorted(REPORT.rglob("*.py")):
        if path.name == "bibliography.py":
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def works_cited_in_code() -> set[str]:
    """Names such as 'Holm 1979' that stand alone as a string, or in brackets within one."""
    found = set()
    for text in strings_of_reports():
        alone = [text] if re.fullmatch(NAME, text) else []
        grouped = [name for group in re.findall(r"\[([^\[\]]*)\]", text) for name in group.split("; ")]
        found |= {name for name in [*alone, *grouped] if re.fullmatch(NAME, name)}
    return found


def dois_in_text() -> dict[tuple[str, str], set[str]]:
    """DOIs in docstrings, comments and pages, by the first author and the year that stand before them."""
    cited = re.compile(
        r"([A-Z][\w-]+)(?:(?:,| &| and)? [A-Z][\w'-]+)*(?: et al\.)?,? \(?((?:19|20)\d\d)[,)]? \(?doi:(10\.\S+)"
    )
    found: dict[tuple[str, str], set[str]] = {}
    for folder in ("subgroup_audit", "docs", "examples", "cohorts"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in {".py", ".md", ".yaml"}:
                text = " ".join(path.read_text(encoding="utf-8").split())
                for author, year, doi in cited.findall(text):
                    found.setdefault((author, year), set()).add(without_stops(doi))
    return found


def without_stops(doi: str) -> str:
    """A DOI without what ends the sentence or the bracket that it stands in."""
    bare = doi.rstrip('.,;:"`')
    while bare.endswith(")") and bare.count(")") > bare.count("("):
        bare = bare[:-1].rstrip('.,;:"`')
    return bare


def test_what_the_code_cites_is_what_the_bibliography_has() -> None:
    assert works_cited_in_code() == set(ENTRIES)


def test_a_work_that_is_missing_would_be_seen() -> None:
    assert re.fullmatch(NAME, "Van Calster 2019")
    assert re.fullmatch(NAME, "Vickers and Elkin 2006")
    assert not re.fullmatch(NAME, "CLAIM 2024")
    assert not re.fullmatch(NAME, "Seen 12 times in 2019, by name")


@pytest.mark.parametrize("name", list(ENTRIES))
def test_a_work_can_be_looked_up(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.doi or entry.arxiv or entry.url
    assert not entry.doi or DOI.fullmatch(entry.doi)
    assert not entry.arxiv or re.fullmatch(r"\d{4}\.\d{4,5}", entry.arxiv)
    assert not entry.url or entry.url.startswith("https://")
    assert entry.kind in {"article", "inproceedings", "book", "misc"}
    assert not entry.locator or re.fullmatch(r"(\d+:)?e?\d+(-\d+)?", entry.locator)


@pytest.mark.parametrize("name", list(ENTRIES))
def test_a_name_is_the_first_author_and_the_year(name: str) -> None:
    entry = ENTRIES[name]
    authors, _, year = name.rpartition(" ")
    surnames = [author.rpartition(" ")[0] for author in entry.authors.removesuffix(", et al").split(", ")]
    assert authors.split(" and ") == surnames[: authors.count(" and ") + 1]
    assert year.rstrip("ab") == str(entry.year)
    assert " and " not in authors or len(surnames) == 2


def test_no_work_is_listed_twice() -> None:
    for said in (
        [entry.doi or entry.arxiv or entry.url for entry in ENTRIES.values()],
        [entry.title.lower() for entry in ENTRIES.values()],
        [bibtex_key(name) for name in ENTRIES],
    ):
        assert [value for value, times in Counter(said).items() if times > 1] == []


def test_a_page_lists_what_it_cites_by_name() -> None:
    said = ["One [Schuirmann 1987].", "Two [Johnson 2019; Johnson 2019b], and a [bracket]."]
    found = references_cited(said, REFERENCES)
    assert [name for name, _ in found] == ["Johnson 2019", "Johnson 2019b", "Schuirmann 1987"]
    assert names_cited(said) == ["Schuirmann 1987", "Johnson 2019", "Johnson 2019b"]
    assert found[1][1] == (
        "Johnson AEW, Pollard TJ, Greenbaum NR, et al. MIMIC-CXR-JPG, a large publicly available database of "
        "labeled chest radiographs. arXiv 2019. arXiv:1901.07042"
    )


def test_an_entry_is_written_as_bibtex_reads_it() -> None:
    assert ENTRIES["Van Calster 2019"].bibtex("Van Calster 2019") == (
        "@article{vancalster2019,\n"
        "  author = {Van Calster, B. and McLernon, D. J. and van Smeden, M. and others},\n"
        "  title = {{Calibration: the Achilles heel of predictive analytics}},\n"
        "  journal = {BMC Medicine},\n"
        "  year = {2019},\n"
        "  volume = {17},\n"
        "  pages = {230},\n"
        "  doi = {10.1186/s12916-019-1466-7},\n"
        "}\n"
    )
    assert "publisher = {Chapman \\& Hall}" in ENTRIES["Efron and Tibshirani 1993"].bibtex(
        "Efron and Tibshirani 1993"
    )
    assert Entry("A B", "T", "W", 2000).words == "A B. T. W 2000."


def test_dois_in_docstrings_and_pages_agree() -> None:
    found = dois_in_text()
    assert len(found) > 40
    assert {key: dois for key, dois in found.items() if len(dois) > 1} == {}
    assert [doi for dois in found.values() for doi in dois if not DOI.fullmatch(doi)] == []
    for name, entry in ENTRIES.items():
        key = (name.split()[0], str(entry.year))
        assert not entry.doi or found.get(key, {entry.doi}) == {entry.doi}


def test_the_page_on_statistics_lists_the_works_that_it_names() -> None:
    body, listed = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8").split("## References\n")
    named = re.findall(r"(?:& )?([A-Z][\w-]+)(?: et al\.)? \(?((?:19|20)\d\d)\b", " ".join(body.split()))
    lines = listed.strip().splitlines()
    assert len(set(named)) > 30
    assert {work for work in named if not any(all(word in line for word in work) for line in lines)} == set()
    assert len({line.split("doi:")[-1] for line in lines}) == len(lines)


def test_checklists_number_their_items_as_published() -> None:
    assert [item.number for item in CLAIM.items] == [str(number) for number in range(1, 45)]
    assert [item.number for item in TRIPOD_AI.items] == TRIPOD_NUMBERS.split()
    sizes = {
        "Fairness": 3, "Universality": 4, "Traceability": 6, "Usability": 5, "Robustness": 3, "Explainability": 2,
        "General": 7,
    }  # fmt: skip
    assert [item.number for item in FUTURE_AI.items] == [
        f"{principle} {number}" for principle, size in sizes.items() for number in range(1, size + 1)
    ]
    for checklist in CHECKLISTS.values():
        assert checklist.work in ENTRIES
        assert len({item.topic for item in checklist.items}) == len(checklist.items)
