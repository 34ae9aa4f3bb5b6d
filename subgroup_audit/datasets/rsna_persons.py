"""Who is on an RSNA image: the NIH patient, from RSNA's own mapping or from the map that ships with the package.

The challenge's `patientId` names an image. Its pictures come from NIH ChestX-ray14, where one person has up to 184
of them, so that splitting by `patientId` puts the same person into training and test.
"""

from __future__ import annotations

import gzip
import json
from importlib.resources import files
from pathlib import Path

import pandas as pd

from subgroup_audit.errors import DataError

SHIPPED_MAP = "rsna_nih_patients.csv.gz"


def read_shipped_map() -> pd.Series:
    """Person ('NIH00019124') by RSNA image id; missing where no NIH image matches (see the text beside it)."""
    with files("subgroup_audit.datasets").joinpath(SHIPPED_MAP).open("rb") as handle:
        table = pd.read_csv(handle, compression="gzip", dtype="str")
    return table.set_index("image_id")["nih_patient"].map("NIH{}".format, na_action="ignore")


def read_official_map(path: Path) -> pd.Series:
    """Person by RSNA image id, from RSNA's `pneumonia-challenge-dataset-mappings_2018.json`.

    Raises
    ------
    DataError
        The file is not a list of records with the keys `subset_img_id` and `img_id`.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
        pairs = {str(record["subset_img_id"]): str(record["img_id"]) for record in records}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{path}: must be a JSON list of records with 'subset_img_id' and 'img_id' ({error!r})"
        ) from error
    return pd.Series({image: _person(nih_image) for image, nih_image in pairs.items()}, dtype="str")


def _person(nih_image: str) -> str:
    """'NIH00019124' for '00019124_092.png'."""
    name = nih_image.rsplit(".", 1)[0].split("_", 1)[0]
    return f"NIH{name}" if name.isdigit() else name


def write_map(matches: Path, target: Path) -> None:
    """Write the map that ships, the same bytes every time.

    Parameters
    ----------
    matches : CSV with `patientId` and `nih_image_index`, which is blank where there is no match
    """
    table = pd.read_csv(matches, dtype="str", usecols=["patientId", "nih_image_index"])
    patients = table["nih_image_index"].str.slice(0, 8)
    facts = pd.DataFrame({"image_id": table["patientId"], "nih_patient": patients}).sort_values("image_id")
    text = facts.to_csv(index=False, lineterminator="\n")
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as handle:
        handle.write(text.encode())


if __name__ == "__main__":
    import sys

    write_map(Path(sys.argv[1]), Path(sys.argv[2]))
