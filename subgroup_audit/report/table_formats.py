"""A table of text as LaTeX, Markdown and HTML, with its caption and its notes; names from outside stay text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import escape
from unicodedata import category

import pandas as pd

from subgroup_audit.report.numerals import ABSENT

LONG_TABLE = 40
# Text longer than this many letters is set in lines of a column of this width.
LONG_TEXT, TEXT_WIDTH = 48, "55mm"
# A cell of a column that siunitx can align at its decimal mark; thousands are separated by commas.
NUMBER = re.compile(r"[+−-]?\d[\d,]*(\.\d+)?")
LATEX_MARKS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "−": "$-$",
    "±": r"$\pm$",
    "–": "--",
    "°": r"$^{\circ}$",
    "·": r"$\cdot$",
    "×": r"$\times$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "…": r"\ldots{}",
    "“": "``",
    "”": "''",
}
RULE = "border-top:1.5pt solid #000;"
CELL = "padding:2pt 6pt;text-align:left;vertical-align:top;"


def to_markdown(shown: pd.DataFrame) -> str:
    """A table of text as Markdown; what would end a cell is escaped."""
    lines = [list(shown.columns), ["---"] * shown.shape[1], *shown.to_numpy().tolist()]
    return "".join(f"| {' | '.join(markdown_text(cell) for cell in line)} |\n" for line in lines)


def markdown_text(text: str) -> str:
    """The text with Markdown's and HTML's marks made harmless.

    >>> markdown_text("F_PA <b>")
    'F\\\\_PA &lt;b&gt;'
    """
    flat = " ".join(str(text).split())
    for mark in ("\\", "|", "`", "*", "_", "[", "]"):
        flat = flat.replace(mark, f"\\{mark}")
    return flat.replace("<", "&lt;").replace(">", "&gt;")


def to_html(shown: pd.DataFrame, caption: str, notes: Sequence[str] = ()) -> str:
    """A table as a page of its own that a word processor keeps when it is pasted: each cell has its style.

    No style sheet and no script, since pasting drops the one and blocks the other.
    """
    head = "".join(
        f'<th scope="col" style="{CELL}{RULE}border-bottom:0.75pt solid #000;">{escape(str(name))}</th>'
        for name in shown.columns
    )
    last = len(shown) - 1
    body = "".join(_html_row(line, is_last=i == last) for i, line in enumerate(shown.to_numpy().tolist()))
    said = "".join(f'<p style="font-size:9pt;margin:3pt 0;">{escape(note)}</p>' for note in notes)
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>{escape(caption)}</title></head>\n"
        '<body style="font-family:serif;font-size:10pt;">\n'
        '<table style="border-collapse:collapse;">\n'
        f'<caption style="text-align:left;padding:4pt 0;"><b>Table.</b> {escape(caption)}</caption>\n'
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody>\n</table>\n{said}</body>\n</html>\n"
    )


def _html_row(line: Sequence[str], *, is_last: bool) -> str:
    end = "border-bottom:1.5pt solid #000;" if is_last else ""
    cells = "".join(f'<td style="{CELL}{end}">{escape(str(cell))}</td>' for cell in line)
    return f"<tr>{cells}</tr>\n"


def to_latex(
    shown: pd.DataFrame, caption: str, label: str, notes: Sequence[str] = (), *, with_siunitx: bool = False
) -> str:
    """A table of text as LaTeX with booktabs' rules; above `LONG_TABLE` lines as a longtable.

    With siunitx, columns of numbers are aligned at their decimal mark; without, they are set as text.
    """
    cells = [shown.iloc[:, i].tolist() for i in range(shown.shape[1])]
    columns = [_column(texts) if with_siunitx else _text_column(texts) for texts in cells]
    heads = [rf"{{{latex_text(str(name))}}}" if with_siunitx else latex_text(str(name)) for name in shown.columns]
    lines = [
        " & ".join(_latex_cell(cell, column) for cell, column in zip(line, columns, strict=True)) + r" \\"
        for line in shown.to_numpy().tolist()
    ]
    packages = [
        "booktabs",
        *(["longtable"] if len(lines) > LONG_TABLE else []),
        *(["siunitx"] if with_siunitx else []),
    ]
    start = [
        f"% needs \\usepackage{{{','.join(packages)}}}",
        r"\begingroup\setlength{\tabcolsep}{3pt}",
    ]
    title = rf"\caption{{{latex_text(caption)}}}\label{{tab:{label}}}"
    make = _longtable if len(lines) > LONG_TABLE else _short_table
    body = make("".join(columns), " & ".join(heads) + r" \\", title, lines, [latex_text(note) for note in notes])
    return "\n".join([*start, *body, r"\endgroup"]) + "\n"


def _column(cells: Sequence[str]) -> str:
    """The column's type: siunitx's S with room for its numbers, or text."""
    numbers = [cell for cell in cells if NUMBER.fullmatch(cell)]
    if not numbers or any(cell != ABSENT and cell not in numbers for cell in cells):
        return _text_column(cells)
    sign = "+" if any(cell[0] in "+−-" for cell in numbers) else ""
    parts = [cell.lstrip("+−-").replace(",", "").partition(".") for cell in numbers]
    whole, decimals = max(len(part[0]) for part in parts), max(len(part[2]) for part in parts)
    plus = ",retain-explicit-plus" if any(cell[0] == "+" for cell in numbers) else ""
    return f"S[table-format={sign}{whole}{f'.{decimals}' if decimals else ''}{plus}]"


def _text_column(cells: Sequence[str]) -> str:
    return f"p{{{TEXT_WIDTH}}}" if any(len(cell) > LONG_TEXT for cell in cells) else "l"


def _latex_cell(cell: str, column: str) -> str:
    """The cell as its column wants it: a bare number for siunitx, anything else as text."""
    if not column.startswith("S"):
        return latex_text(cell)
    return cell.replace("−", "-").replace(",", "") if NUMBER.fullmatch(cell) else rf"{{{latex_text(cell)}}}"


def _short_table(columns: str, head: str, caption: str, body: Sequence[str], notes: Sequence[str]) -> list[str]:
    said = [r"\par\smallskip", r"\begin{minipage}{\linewidth}\raggedright", *_lines(notes), r"\end{minipage}"]
    return [
        r"\begin{table}",
        r"\centering",
        r"\footnotesize",
        caption,
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        head,
        r"\midrule",
        *body,
        r"\bottomrule",
        r"\end{tabular}",
        *(said if notes else []),
        r"\end{table}",
    ]


def _longtable(columns: str, head: str, caption: str, body: Sequence[str], notes: Sequence[str]) -> list[str]:
    return [
        r"\footnotesize",
        rf"\begin{{longtable}}{{{columns}}}",
        caption + r" \\",
        r"\toprule",
        head,
        r"\midrule",
        r"\endfirsthead",
        r"\toprule",
        head,
        r"\midrule",
        r"\endhead",
        *body,
        r"\bottomrule",
        r"\end{longtable}",
        *([r"\noindent", *_lines(notes)] if notes else []),
    ]


def _lines(notes: Sequence[str]) -> list[str]:
    return [note + (r" \\" if i < len(notes) - 1 else "") for i, note in enumerate(notes)]


def latex_text(text: str) -> str:
    """The text with LaTeX's marks escaped, so that a name cannot be a command.

    >>> latex_text("F_PA & 5 % −0.01")
    'F\\\\_PA \\\\& 5 \\\\% $-$0.01'
    """
    visible = (letter for letter in " ".join(str(text).split()) if category(letter) != "Cf")
    return "".join(LATEX_MARKS.get(letter, letter) for letter in visible)
