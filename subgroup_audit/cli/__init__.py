"""The command `audit`: each file here is one command that parses, calls one function and prints."""

from __future__ import annotations

import errno
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from subgroup_audit.cli import (
    check,
    cohort,
    compare,
    doctor,
    fetch,
    init,
    leakage,
    phantom,
    power,
    predict,
    report,
    run,
    schema,
    worker,
)
from subgroup_audit.cli.streams import silence
from subgroup_audit.errors import AuditError

INTERNAL_ERROR = 3
INTERRUPTED = 130
# What a disk or its rights can refuse at any moment: for the user to put right, wherever it happens.
REFUSALS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}


class _StoppedError(Exception):
    """The user pressed Ctrl-C."""


class _UnheardError(Exception):
    """Nobody reads our output any more."""


@contextmanager
def _said_our_way() -> Iterator[None]:
    """Two exceptions renamed, which typer would else end in its own way, differing between its versions."""
    try:
        yield
    except KeyboardInterrupt:
        raise _StoppedError from None
    except BrokenPipeError:
        raise _UnheardError from None


class _Commands(TyperGroup):
    """The commands, with what interrupts them left to `main`."""

    def make_context(self, *args: Any, **settings: Any) -> Any:
        """Read the words of the command line."""
        with _said_our_way():
            return super().make_context(*args, **settings)

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        with _said_our_way():
            return super().invoke(ctx)


app = typer.Typer(
    name="audit",
    cls=_Commands,
    help="Does a chest-radiograph classifier work equally well for everyone? "
    "Balanced cohorts, cross-evaluation, and AUC gaps with intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
COMMANDS = (
    run,
    worker,
    check,
    compare,
    cohort,
    leakage,
    power,
    report,
    predict,
    phantom,
    fetch,
    init,
    schema,
    doctor,
)
for command in COMMANDS:
    command.register(app)


def main() -> None:
    """Run the command line; exits 0 done, 2 wrong input, 3 internal error, 130 interrupted."""
    try:
        _run_app()
    except AuditError as error:
        _end(f"audit: {error}", error.exit_code)
    except (_StoppedError, KeyboardInterrupt):
        _end("\naudit: stopped. What was finished is kept; the same command goes on from there.", INTERRUPTED)
    except (_UnheardError, BrokenPipeError):
        silence(sys.stdout)
        raise SystemExit(0) from None
    except Exception as error:  # noqa: BLE001  the last resort: a defect of ours must be told apart from wrong input
        if isinstance(error, OSError) and error.errno in REFUSALS:
            _end(f"audit: {_refusal(error)}", AuditError.exit_code)
        traceback.print_exc()
        _end("audit: internal error; please report it with the lines above.", INTERNAL_ERROR)


def _run_app() -> None:
    try:
        app()
    finally:  # what is still buffered may meet a closed pipe: here, where that is caught, not at the very end
        sys.stdout.flush()


def _end(message: str, code: int) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(code) from None


def _refusal(error: OSError) -> str:
    place = f"{error.filename}: " if error.filename else ""
    said = error.strerror or str(error)
    return f"{place}{said}. What was finished is kept; mend this, and the same command goes on from there."
