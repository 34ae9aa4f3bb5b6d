"""A check's result in the format that a reader or a machine asked for."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from typing import Any

from subgroup_audit.checking import words
from subgroup_audit.checking.result import CheckResult
from subgroup_audit.checking.terminal import full_report
from subgroup_audit.errors import ReportError, nearest

LEVELS: Mapping[str, str] = {
    "gap": "error",
    "inconclusive": "warning",
    "not estimable": "warning",
    "no gap beyond the margin": "notice",
}


def render(result: CheckResult, format: str = "full", *, file: str = "") -> str:  # noqa: A002  the option's name
    """The result as text that ends with a line end.

    Parameters
    ----------
    format : one of `FORMATS`
    file : the predictions' file, as annotations and lines name it; may be ''

    Raises
    ------
    ReportError
        No such format; the message lists those there are.
    """
    if format not in FORMATS:
        near = nearest(format, FORMATS)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise ReportError(f"no such format: '{format}'{hint}; formats: {', '.join(FORMATS)}")
    return FORMATS[format](result, file)


def concise(result: CheckResult, file: str = "") -> str:
    """A line for every comparison that is not decided in favour, then how many there are."""
    start = f"{words.plain(file)}: " if file else ""
    several = result.judged["model"].nunique() > 1
    lines = [f"{start}{_line(row, names_model=several)}" for row in _open(result)]
    return "\n".join([*lines, _found(result)]) + "\n"


def _line(row: Mapping[str, Any], *, names_model: bool) -> str:
    what = words.subject(row, names_model=names_model)
    if not words.is_present(row["estimate"]):
        return f"{row['verdict']}: {what}: {words.plain(row['reason'])}"
    value = words.number(row["estimate"], with_sign=True)
    limits = words.limits(row, with_sign=True)
    return f"{row['verdict']}: {what} {value} ({limits}), margin {row['margin']:g}"


def _open(result: CheckResult) -> list[dict[str, Any]]:
    return [row for row in words.clearest(result.judged) if row["verdict"] != "no gap beyond the margin"]


def _found(result: CheckResult) -> str:
    counts = result.counts
    total = words.counted(sum(counts.values()), "comparison")
    if result.verdict == "no gap beyond the margin":
        return f"Found no gap beyond the margin in {total}."
    rest = [f"{counts[name]:,} {name}" for name in words.VERDICTS[1:] if counts[name]]
    ended = f" ({', '.join(rest)})" if rest else ""
    return f"Found {words.counted(counts['gap'], 'gap')} in {total}{ended}."


def github(result: CheckResult, file: str = "") -> str:
    """Workflow commands: an error for every gap, a warning for what is open, and a notice with the verdict."""
    lines = [_annotation(LEVELS[row["verdict"]], row["verdict"], row["sentence"], file) for row in _open(result)]
    level = "notice" if result.verdict == "no gap beyond the margin" else LEVELS[result.verdict]
    lines.append(_annotation(level, result.title, " ".join([_found(result), result.sentences[-1]]), file))
    return "\n".join(lines) + "\n"


def _annotation(level: str, name: str, message: str, file: str) -> str:
    place = f"file={_property(file)}," if file else ""
    return f"::{level} {place}title={_property(f'Subgroup check: {name}')}::{_message(message)}"


def _message(text: str) -> str:
    """The text as the runner's parser takes it back: percent and line ends are escaped."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _message(text).replace(":", "%3A").replace(",", "%2C")


def junit(result: CheckResult, file: str = "") -> str:
    """JUnit XML: a test case for every judged comparison; a gap fails, what is open is skipped."""
    counts = result.counts
    sizes = {
        "tests": str(sum(counts.values())),
        "failures": str(counts["gap"]),
        "errors": "0",
        "skipped": str(counts["inconclusive"] + counts["not estimable"]),
    }
    root = ET.Element("testsuites", {"name": "subgroup_audit check", **sizes})
    suite = ET.SubElement(root, "testsuite", {"name": _xml(file) or "predictions", **sizes})
    for row in words.clearest(result.judged):
        _test_case(suite, row)
    ET.SubElement(suite, "system-out").text = _xml(" ".join([result.title + ".", *result.sentences]))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _test_case(suite: ET.Element, row: Mapping[str, Any]) -> None:
    named = {"classname": _xml(row["model"]), "name": _xml(words.subject(row)), "time": "0"}
    case = ET.SubElement(suite, "testcase", named)
    if row["verdict"] == "no gap beyond the margin":
        return
    outcome = ET.SubElement(case, "failure" if row["verdict"] == "gap" else "skipped")
    outcome.set("message", _xml(row["sentence"]))
    if row["verdict"] == "gap":
        outcome.set("type", "gap")
        outcome.text = _xml(row["sentence"])


def _xml(text: Any) -> str:
    """The text without the characters that XML cannot hold; the writer escapes the rest."""
    return "".join(letter for letter in words.plain(text, 2000) if not 0xD800 <= ord(letter) <= 0xDFFF)


def as_json(result: CheckResult, file: str = "") -> str:
    """The result of the schema `subgroup_audit/check/1`."""
    return result.to_json()


def as_csv(result: CheckResult, file: str = "") -> str:
    """Every gap with its verdict, as CSV."""
    return str(result.contrasts.to_csv(index=False, lineterminator="\n"))


def markdown(result: CheckResult, file: str = "") -> str:
    """The section of a model card."""
    from subgroup_audit.checking.model_card import card_section

    return card_section(result)


def full(result: CheckResult, file: str = "") -> str:
    """The report for a terminal."""
    return full_report(result)


FORMATS: Mapping[str, Callable[[CheckResult, str], str]] = {
    "full": full,
    "concise": concise,
    "json": as_json,
    "github": github,
    "junit": junit,
    "markdown": markdown,
    "csv": as_csv,
}
