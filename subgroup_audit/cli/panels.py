"""Help whose options stand in panels: a list of forty is not read, five short ones are."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from typer.core import TyperCommand

Panels = Mapping[str, tuple[str, ...]]
# What typer calls the kinds of values, in words that are no code.
KINDS = {"<list[str]>": "WORD", "<str>": "WORD", "<list[Path]>": "PATH", "<path>": "PATH"}
KINDS |= {"<int>": "NUMBER", "<float>": "NUMBER"}


def command_with(panels: Panels) -> type[TyperCommand]:
    """A command class whose help shows its options in these panels.

    Parameters
    ----------
    panels : title -> names of parameters; what no panel names stands under "Other options"
    """

    class Panelled(TyperCommand):
        def format_options(self, ctx: Any, formatter: Any) -> None:
            arguments, options = [], {}
            for parameter in self.get_params(ctx):
                record = parameter.get_help_record(ctx)
                if record is None:
                    continue
                if parameter.param_type_name == "argument":
                    arguments.append(record)
                else:
                    options[str(parameter.name)] = record
            _write(formatter, "Arguments", arguments)
            for title, names in panels.items():
                _write(formatter, title, [options.pop(name) for name in names if name in options])
            _write(formatter, "Other options", list(options.values()))

    return Panelled


def _write(formatter: Any, title: str, records: list[tuple[str, str]]) -> None:
    if records:
        with formatter.section(title):
            formatter.write_dl([(_in_words(usage), text) for usage, text in records])


def _in_words(usage: str) -> str:
    """The option with the kind of its value in a word.

    >>> _in_words("--label <list[str]>")
    '--label WORD'
    """
    for kind, word in KINDS.items():
        usage = usage.replace(kind, word)
    return usage
