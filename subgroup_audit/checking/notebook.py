"""A check's result as a notebook shows it: the verdict, then a table, in the notebook's light or dark."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup, escape

from subgroup_audit.checking import words
from subgroup_audit.checking.result import CheckResult

MAX_ROWS = 30
KEYS = {"gap": "gap", "no gap beyond the margin": "equal"}
# Colours follow the notebook: of the system, and of the themes of JupyterLab and VS Code.
STYLE = """
.sga{--gap:#b84300;--equal:#00704f;--soft:#5b6472;font:14px/1.45 system-ui,sans-serif;max-width:60em}
@media (prefers-color-scheme:dark){.sga{--gap:#ff9b5e;--equal:#4fd1a5;--soft:#a7b0bb}}
[data-jp-theme-light="true"] .sga{--gap:#b84300;--equal:#00704f;--soft:#5b6472}
[data-jp-theme-light="false"] .sga,.vscode-dark .sga{--gap:#ff9b5e;--equal:#4fd1a5;--soft:#a7b0bb}
.sga .head{border-left:5px solid var(--soft);padding:.2em .8em}.sga .title{font-size:1.25em;font-weight:700}
.sga .gap{color:var(--gap);border-color:var(--gap)}.sga .equal{color:var(--equal);border-color:var(--equal)}
.sga p{margin:.2em 0}.sga table{border-collapse:collapse;margin:.7em 0}
.sga th,.sga td{text-align:left!important;padding:.2em .7em .2em 0;vertical-align:top}
.sga tr{border-bottom:1px solid #8884}
.sga .soft{color:var(--soft)}.sga td:nth-child(n+2){white-space:nowrap}
"""
MARKS = {
    "gap": "◆",
    "no gap beyond the margin": "●",
    "inconclusive": "○",
    "not estimable": "×",
    "descriptive": "□",
}


def notebook_view(result: CheckResult) -> str:
    """HTML of its own: the verdict, its sentences, and the judged gaps (or, without any, those shown)."""
    key = KEYS.get(result.verdict, "")
    sentences = Markup("").join(Markup("<p>{}</p>").format(sentence) for sentence in result.sentences)
    head = Markup('<div class="head {}"><p class="title {}">{} {}</p></div>').format(
        key, key, MARKS[result.verdict], result.title
    )
    notes = Markup("").join(Markup("<li>{}</li>").format(note) for note in result.notes)
    folded = Markup("<details><summary>{}</summary><ul>{}</ul></details>").format(
        words.counted(len(result.notes), "note"), notes
    )
    return str(
        Markup('<div class="sga"><style>{}</style>{}{}{}{}</div>').format(
            Markup(STYLE), head, sentences, _table(result), folded if result.notes else ""
        )
    )


def _table(result: CheckResult) -> Markup:
    judged = result.judged
    rows = words.clearest(judged if len(judged) else result.contrasts)
    if not rows:
        return Markup("")
    level = words.percent_level(rows[0]["confidence_level"])
    heading = ("Comparison", "Difference", f"{level} interval", "Margin", "Verdict", "Detectable gap")
    head = Markup("").join(Markup("<th>{}</th>").format(name) for name in heading)
    body = Markup("").join(
        _line(row, names_model=len(result.settings.get("models", ())) > 1) for row in rows[:MAX_ROWS]
    )
    more = len(rows) - MAX_ROWS
    rest = Markup('<p class="soft">and {} more in .contrasts</p>').format(more) if more > 0 else ""
    return Markup("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>{}").format(head, body, rest)


def _line(row: dict[str, Any], *, names_model: bool) -> Markup:
    verdict = row["verdict"]
    margin = f"{row['margin']:g}" if words.is_present(row["margin"]) else "-"
    cells = (
        escape(words.subject(row, names_model=names_model)),
        Markup("<b>{}</b>").format(words.number(row["estimate"], with_sign=True)),
        escape(words.limits(row, with_sign=True)),
        escape(margin),
        Markup('<span class="{}" title="{}">{} {}</span>').format(
            KEYS.get(verdict, "soft"), row["sentence"], MARKS[verdict], verdict
        ),
        escape(words.number(row["minimal_detectable_gap"])),
    )
    return Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in cells))
