"""Reporting checklists, filled in as far as a run can: CLAIM 2024, TRIPOD+AI 2024 and FUTURE-AI 2025.

Items carry the published number and a topic in our words; the published text is in the work that each file names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subgroup_audit.report.bibliography import ENTRIES
from subgroup_audit.report.checklist_facts import Fact, checklist_facts
from subgroup_audit.report.contents import RunContents
from subgroup_audit.report.table_formats import markdown_text

OPEN = "to be filled in by the authors"


@dataclass(frozen=True)
class Item:
    """One item: its number, its topic in our words, and the facts of a run that speak to it."""

    number: str
    topic: str
    facts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Checklist:
    """A published checklist, under the name of its file."""

    title: str
    work: str
    items: tuple[Item, ...]


def _items(lines: str) -> tuple[Item, ...]:
    """Items from lines of `number | topic | facts`."""
    found = []
    for line in lines.strip().splitlines():
        number, topic, facts = (part.strip() for part in line.split("|"))
        found.append(Item(number, topic, tuple(facts.split())))
    return tuple(found)


CLAIM = Checklist(
    "CLAIM 2024",
    "Tejani 2024",
    _items("""
        1 | Named as a study of AI, with the kind of it |
        2 | Abstract: design, methods, results and conclusions |
        3 | Background, with the intended use and role of the AI |
        4 | Aims, objectives and hypotheses | question margin
        5 | Prospective or retrospective |
        6 | Goal of the study | question
        7 | Data sources | source
        8 | Inclusion and exclusion criteria | eligibility
        9 | Preprocessing | pixels
        10 | Selection of subsets | subsets
        11 | De-identification |
        12 | Missing data | missing
        13 | How images were acquired |
        14 | How the reference standard was obtained | labels
        15 | Why this reference standard |
        16 | Where the annotations come from |
        17 | Annotation of the test set |
        18 | Variability within and between annotators |
        19 | How data were assigned to partitions | partition
        20 | Level at which partitions are disjoint | level
        21 | Intended size of the sample | power
        22 | Model in detail | model output
        23 | Software and versions | software
        24 | Initial values of the parameters | start
        25 | Training | training imbalance
        26 | How the final model was chosen | selection
        27 | Ensembles | ensembles
        28 | Measures of performance | metrics
        29 | Statistical significance and uncertainty | statistics
        30 | Robustness or sensitivity | robustness seeds
        31 | How results are explained or interpreted | explained
        32 | Evaluation on internal data | internal groups
        33 | Testing on external data |
        34 | Registration of a clinical trial |
        35 | Patients or examinations included and excluded | flow
        36 | Characteristics of the cases in each partition | characteristics
        37 | Performance and its uncertainty | performance gaps
        38 | Estimates of diagnostic performance and their precision | performance
        39 | Failures: incorrect results | failures
        40 | Limitations | limits
        41 | Implications for practice, with intended use or role |
        42 | Full protocol or further technical detail |
        43 | Availability of software, model and data |
        44 | Funding, other support and the role of funders |
    """),
)
TRIPOD_AI = Checklist(
    "TRIPOD+AI 2024",
    "Collins 2024",
    _items("""
        1 | Title: developing or evaluating, population, outcome |
        2 | Abstract by its own checklist |
        3a | Healthcare context, rationale and existing models |
        3b | Target population, purpose and users |
        3c | Known inequalities between groups |
        4 | Objectives | question
        5a | Sources of data and how representative they are | source representative
        5b | Dates of the data |
        6a | Setting and centres |
        6b | Eligibility | eligibility
        6c | Treatments |
        7 | Preparation and checking of data, alike across groups | pixels level
        8a | Outcome: definition, time horizon and assessment, alike across groups | labels
        8b | Who assessed the outcome |
        8c | Blinding of the outcome |
        9a | Choice of predictors | pixels
        9b | Definition of predictors | pixels attributes
        9c | Who assessed the predictors |
        10 | Study size and whether it suffices | flow power
        11 | Missing data | missing
        12a | How data were used and partitioned | partition level
        12b | How predictors were handled | pixels
        12c | Model, building steps, tuning, internal validation | model training selection
        12d | How heterogeneity across clusters was handled |
        12e | Measures and plots of performance | metrics statistics
        12f | Model updating |
        12g | How predictions were computed | output
        13 | Methods for class imbalance, and recalibration after them | imbalance
        14 | Approaches to fairness and why | margin groups
        15 | Output of the model and thresholds | output
        16 | Differences between development and evaluation data | subsets representative
        17 | Ethical approval and consent |
        18a | Funding |
        18b | Conflicts of interest |
        18c | Where the protocol is |
        18d | Registration |
        18e | Data sharing |
        18f | Code sharing |
        19 | Patient and public involvement |
        20a | Flow of participants | flow
        20b | Characteristics, with differences between groups | characteristics
        20c | Evaluation data beside development data | characteristics
        21 | Participants and events in each analysis | flow performance
        22 | The full model, so that others can predict with it | model
        23a | Performance with intervals, by key subgroups | performance gaps
        23b | Heterogeneity of performance across clusters |
        24 | Results of updating |
        25 | Interpretation, with fairness |
        26 | Limitations | limits power
        27a | Poor or unavailable input |
        27b | Interaction and expertise of users |
        27c | Next steps |
    """),
)
FUTURE_AI = Checklist(
    "FUTURE-AI 2025",
    "Lekadir 2025",
    _items("""
        Fairness 1 | Possible sources of bias named from the start | attributes
        Fairness 2 | Attributes of persons and data collected | attributes characteristics
        Fairness 3 | Fairness evaluated, and biases corrected where needed | groups gaps robustness
        Universality 1 | Settings of use and how they vary |
        Universality 2 | Standards of the community |
        Universality 3 | Evaluation on external data or at several sites |
        Universality 4 | Local clinical validity |
        Traceability 1 | Risk management |
        Traceability 2 | Documentation | software model
        Traceability 3 | Quality control of inputs and outputs | eligibility level
        Traceability 4 | Periodic audits and updates |
        Traceability 5 | Logs of use |
        Traceability 6 | Governance |
        Usability 1 | Intended use and requirements of users |
        Usability 2 | Interaction and oversight by humans |
        Usability 3 | Training of users |
        Usability 4 | Experience of independent users |
        Usability 5 | Clinical utility and safety |
        Robustness 1 | Sources of variation in the data named from the start | attributes
        Robustness 2 | Training data that represent the real world | source representative
        Robustness 3 | Robustness to real variation evaluated | groups robustness seeds
        Explainability 1 | Need for explanations, with users |
        Explainability 2 | Explanations evaluated with users |
        General 1 | Stakeholders of several disciplines engaged |
        General 2 | Privacy and security |
        General 3 | Measures against the risks found |
        General 4 | Evaluation plan: data, measures, reference methods | partition metrics statistics
        General 5 | Regulation |
        General 6 | Ethical questions of the application |
        General 7 | Social and environmental questions |
    """),
)
CHECKLISTS: Mapping[str, Checklist] = {
    "checklist_claim.md": CLAIM,
    "checklist_tripod_ai.md": TRIPOD_AI,
    "checklist_future_ai.md": FUTURE_AI,
}


def checklist_texts(contents: RunContents) -> dict[str, str]:
    """Every checklist as Markdown, by file name."""
    facts = checklist_facts(contents)
    return {name: to_checklist(checklist, facts) for name, checklist in CHECKLISTS.items()}


def filled_items(contents: RunContents) -> dict[str, int]:
    """How many items of each checklist hold something of this run, by file name."""
    facts = checklist_facts(contents)
    return {
        name: sum(bool(_said(item, facts)) for item in checklist.items) for name, checklist in CHECKLISTS.items()
    }


def to_checklist(checklist: Checklist, facts: Mapping[str, Fact]) -> str:
    """One checklist as Markdown: what this run says for each item, or that the authors must."""
    rows = [(item, _said(item, facts)) for item in checklist.items]
    filled = sum(bool(said) for _, said in rows)
    lines = [
        f"# {checklist.title}",
        "",
        f"{filled} of {len(rows)} items hold what this run has stored; the others are for the authors. What is "
        "filled in is a start and not a claim that the item is met. Topics are in our words; the items are in:",
        "",
        markdown_text(ENTRIES[checklist.work].words),
        "",
        "| Item | Topic | What this run says | Where in the report |",
        "| --- | --- | --- | --- |",
    ]
    for item, said in rows:
        words = " ".join(markdown_text(fact.words) for fact in said) or f"*{OPEN}*"
        where = markdown_text("; ".join(dict.fromkeys(fact.where for fact in said)))
        lines.append(f"| {item.number} | {item.topic} | {words} | {where} |")
    return "\n".join(lines) + "\n"


def _said(item: Item, facts: Mapping[str, Fact]) -> Sequence[Fact]:
    return [facts[name] for name in item.facts if name in facts]
