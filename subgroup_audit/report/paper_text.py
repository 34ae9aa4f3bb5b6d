"""Text to paste into a paper: methods and results as Markdown and LaTeX, and the references that they cite."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from subgroup_audit.report.bibliography import ENTRIES, bibtex_key, names_cited
from subgroup_audit.report.checklists import checklist_texts
from subgroup_audit.report.contents import RunContents
from subgroup_audit.report.methods import methods_paragraphs
from subgroup_audit.report.paper_figures import PaperFigure
from subgroup_audit.report.results_text import results_paragraphs
from subgroup_audit.report.table_formats import latex_text, markdown_text

Escape = Callable[[str], str]
Say = Callable[[Sequence[str]], str]
GENERATED = "Written from the numbers of one run by subgroup_audit; read it, and edit it, before it is published."


def paper_texts(contents: RunContents) -> dict[str, str]:
    """Every file of `paper/` by name."""
    methods, results = methods_paragraphs(contents), results_paragraphs(contents)
    return {
        "methods.md": to_markdown_text("Methods", methods),
        "methods.tex": to_latex_text("Methods", methods),
        "results.md": to_markdown_text("Results", results),
        "results.tex": to_latex_text("Results", results),
        "references.bib": to_bibtex([*methods, *results]),
        **checklist_texts(contents),
    }


def caption_texts(figures: Mapping[str, PaperFigure]) -> dict[str, str]:
    """The captions of a run's figures as Markdown and LaTeX, by file name; nothing where it has no figure."""
    if not figures:
        return {}
    markdown = ["# Captions", "", f"<!-- {GENERATED} -->", ""]
    latex = [f"% {GENERATED}", r"% needs \usepackage{graphicx} and \graphicspath{{figures/}}"]
    for name, figure in figures.items():
        markdown += [f"**`figures/{name}`** (pdf, svg, png). {markdown_text(figure.caption)}", ""]
        latex += [
            "",
            r"\begin{figure}",
            r"\centering",
            rf"\includegraphics{{{name}}}",
            rf"\caption{{{latex_text(figure.caption)}}}",
            rf"\label{{fig:{name}}}",
            r"\end{figure}",
        ]
    return {"captions.md": "\n".join(markdown).rstrip() + "\n", "captions.tex": "\n".join(latex) + "\n"}


def write_paper(texts: Mapping[str, str], folder: Path) -> list[Path]:
    """The paths of the files written."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
        paths.append(folder / name)
    return paths


def to_markdown_text(title: str, paragraphs: Sequence[str]) -> str:
    """Paragraphs under a heading, with the works that they cite below; names from outside stay text."""
    cited = names_cited(paragraphs)
    lines = [f"# {title}", "", f"<!-- {GENERATED} -->", ""]
    for paragraph in paragraphs:
        lines += [_with_citations(paragraph, cited, markdown_text, lambda names: f"[{'; '.join(names)}]"), ""]
    if cited:
        lines += ["## References", ""]
        lines += [f"- **{name}.** {markdown_text(ENTRIES[name].words)}" for name in cited]
    return "\n".join(lines).rstrip() + "\n"


def to_latex_text(title: str, paragraphs: Sequence[str]) -> str:
    r"""Paragraphs as a section whose citations are `\cite` of the keys in `references.bib`."""
    cited = names_cited(paragraphs)
    lines = [f"% {GENERATED}", rf"\section{{{title}}}", ""]
    for paragraph in paragraphs:
        lines += [_with_citations(paragraph, cited, latex_text, _cite_command), ""]
    return "\n".join(lines).rstrip() + "\n"


def _cite_command(names: Sequence[str]) -> str:
    return rf"\cite{{{','.join(bibtex_key(name) for name in names)}}}"


def _with_citations(paragraph: str, cited: Sequence[str], escape: Escape, say: Say) -> str:
    """The paragraph escaped, and its groups of works said; a bracket that cites nothing is text."""
    parts = re.split(r"\[([^\[\]]*)\]", paragraph)
    said = []
    for place, part in enumerate(parts):
        names = part.split("; ")
        if place % 2 == 0:
            said.append(_kept_spaces(part, escape))
        elif all(name in cited for name in names):
            said.append(say(names))
        else:
            said.append(escape(f"[{part}]"))
    return "".join(said).strip()


def _kept_spaces(part: str, escape: Escape) -> str:
    """The escaped part with the space at either end, which escaping takes away."""
    start, end = (" " if part[:1] == " " else ""), (" " if part[-1:] == " " and part.strip() else "")
    return f"{start}{escape(part)}{end}"


def to_bibtex(texts: Sequence[str]) -> str:
    """The works that texts cite as a `.bib` file; only those."""
    return "\n".join(ENTRIES[name].bibtex(name) for name in names_cited(texts))
