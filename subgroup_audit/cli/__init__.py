"""The command `audit`: each file here is one command that parses, calls one function and prints."""

from __future__ import annotations

import sys
import traceback

import typer

from subgroup_audit.cli import cohort, doctor, init, phantom, report, run, schema
from subgroup_audit.errors import AuditError

INTERNAL_ERROR = 3
INTERRUPTED = 130

app = typer.Typer(
    name="audit",
    help="Does a chest-radiograph classifier work equally well for everyone? "
    "Balanced cohorts, cross-evaluation, and AUC gaps with intervals.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
for command in (run, cohort, report, phantom, init, schema, doctor):
    command.register(app)


def main() -> None:
    """Run the command line; exits 0 done, 2 wrong input, 3 internal error, 130 interrupted."""
    try:
        app()
    except AuditError as error:
        print(f"audit: {error}", file=sys.stderr)
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print("\naudit: stopped. What was finished is kept; the same command goes on from there.", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    except BrokenPipeError:
        raise SystemExit(0) from None
    except Exception:  # noqa: BLE001  the last resort: a defect of ours must be told apart from wrong input
        traceback.print_exc()
        print("audit: internal error; please report it with the lines above.", file=sys.stderr)
        raise SystemExit(INTERNAL_ERROR) from None
