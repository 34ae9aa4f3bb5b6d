"""The certificate of a user's own split on the terminal."""

from __future__ import annotations

from typing import Any

import pandas as pd
from rich.console import Console

from subgroup_audit.checking.split_file import SplitFile, has_shared
from subgroup_audit.cli.design_tables import print_table

HEADER = (
    *("seen, then tested", "images", "persons", "shared persons", "images of seen persons"),
    *("shared images", "same pictures", "near copies"),
)
COMPARED = ("shared_images", "shared_pixels", "shared_near_pixels")


def print_certificate(screen: Console, file: SplitFile, certificate: pd.DataFrame) -> None:
    """Print how the file was read, what every two splits share, and what that means."""
    screen.print(f"Leakage certificate of {file.origin}", soft_wrap=True)
    for note in file.notes:
        screen.print(f"- {note}", soft_wrap=True)
    rows: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in certificate.to_dict("records")]
    print_table(screen, "What the splits share", HEADER, [_line(row) for row in rows])
    for row in rows:
        screen.print(_sentence(row), soft_wrap=True)
    if not has_shared(certificate):
        screen.print(f"Nothing is shared; compared were {_compared(certificate)}.", soft_wrap=True)


def _compared(certificate: pd.DataFrame) -> str:
    words = {"shared_images": "names of images", "shared_pixels": "pictures"}
    return " and ".join(["persons", *(said for name, said in words.items() if certificate[name].notna().all())])


def _line(row: dict[str, Any]) -> list[str]:
    return [
        f"{row['seen']}, {row['tested']}",
        f"{row['n_images']:,}",
        f"{row['n_persons']:,}",
        f"{row['shared_persons']:,}",
        f"{row['images_of_seen_persons']:,} ({row['share_of_seen_persons']:.1%})",
        *(_shared(row, name) for name in COMPARED),
    ]


def _shared(row: dict[str, Any], name: str) -> str:
    if pd.isna(row[name]):
        return "not compared"
    is_part = name != "shared_images" and row["n_pictures"] < row["n_images"]
    return f"{row[name]:,} of {row['n_pictures']:,} found" if is_part else f"{row[name]:,}"


def _sentence(row: dict[str, Any]) -> str:
    return (
        f"{row['images_of_seen_persons']:,} of {row['n_images']:,} images of {row['tested']} "
        f"({row['share_of_seen_persons']:.1%}) show a person who is also in {row['seen']}."
    )
