"""A data set of your own as a source, here the Shenzhen tuberculosis set of the US National Library of Medicine.

    python examples/add_a_dataset.py [FOLDER]

Without a folder, a handful of files in the published layout is made first: `CXR_png/CHNCXR_0001_0.png`, whose last
digit is 1 for tuberculosis, and `ClinicalReadings/CHNCXR_0001_0.txt`, which begins like "male 45yrs".

To use a source in study files (`data: {source: shenzhen}`), put its class into a package of yours and name it in
that package's pyproject.toml; this toolkit needs no change:

    [project.entry-points."subgroup_audit.datasets"]
    shenzhen = "my_package.shenzhen:Shenzhen"

Jaeger S et al. 2014, Quantitative Imaging in Medicine and Surgery, doi:10.3978/j.issn.2223-4292.2014.11.20.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
from PIL import Image

from subgroup_audit.datasets import Options, Progress
from subgroup_audit.datasets.assembly import RawTables, assemble
from subgroup_audit.datasets.labels import expand_classes
from subgroup_audit.errors import DataError
from subgroup_audit.schema import SourceTables

CLASSES = {"0": "Normal", "1": "Tuberculosis"}


class ShenzhenOptions(Options):
    """What a study may set under `data.options`; a misspelt key is refused with the nearest one."""

    label_source: str = "hospital report"


class Shenzhen:
    """662 frontal radiographs, one per person, from a hospital in Shenzhen."""

    expects: ClassVar[str] = "CXR_png/CHNCXR_*.png and ClinicalReadings/CHNCXR_*.txt"
    Options = ShenzhenOptions

    def load(
        self, root: Path, options: ShenzhenOptions, *, cache: Path, progress: Progress | None = None
    ) -> SourceTables:
        """Columns in the source's own spelling; `assemble` brings sex, view and age to ours and checks files."""
        names = pd.Series(sorted(path.stem for path in root.glob("CXR_png/CHNCXR_*.png")), dtype="str")
        if names.empty:
            raise DataError(f"{root}: no image; source 'shenzhen' expects there {self.expects}")
        readings = names.map(lambda name: read_reading(root / "ClinicalReadings" / f"{name}.txt"))
        facts = readings.str.extract(r"^\s*(?P<sex>\w+)[\s,]+(?P<age_years>\d+)\s*yr")
        parts = names.str.rsplit("_", n=1)
        paths = "CXR_png/" + names + ".png"
        images = facts.assign(image_id=names, patient_id=parts.str[0], path=paths, view="PA")
        classes = parts.str[1].map(CLASSES)
        raw = RawTables(
            source="shenzhen",
            origin=root / "CXR_png",
            images=images,
            labels=expand_classes(names, classes, findings=list(CLASSES.values())),
            label_source=options.label_source,
            notes=("Each image is a person of its own, as the publication says.",),
        )
        return assemble(raw, root)


def read_reading(path: Path) -> str:
    """The text of a clinical reading; empty where there is none, so that sex is Unknown and age missing."""
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def make_demo(root: Path) -> None:
    """Write four files in the published layout; the last one lacks its reading."""
    for folder in ("CXR_png", "ClinicalReadings"):
        (root / folder).mkdir()
    readings = {"1_0": "Male 45yrs\nnormal", "2_0": "female, 31yrs", "3_1": "male 60yrs\nPTB", "4_1": ""}
    for name, text in readings.items():
        Image.fromarray(np.full((64, 60), 90, dtype=np.uint8)).save(root / "CXR_png" / f"CHNCXR_000{name}.png")
        if text:
            (root / "ClinicalReadings" / f"CHNCXR_000{name}.txt").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as demo:
        if len(sys.argv) < 2:
            make_demo(Path(demo))
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else demo)
        tables = Shenzhen().load(folder, ShenzhenOptions(), cache=folder)
        print(tables.images.frame[["image_id", "patient_id", "sex", "view", "age_years"]].to_string(index=False))
        print(tables.labels.frame.query("label == 1")["finding"].value_counts().to_string())
