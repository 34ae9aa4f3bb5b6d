"""Source tables for the tests of cohorts: invented ones of any size, and RSNA's real metadata where they lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from subgroup_audit.schema import ExclusionTable, ImageTable, LabelTable, SourceTables
from subgroup_audit.study import Study

RSNA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "rsna"


def invent_tables(n_images: int = 600, *, seed: int = 0, images_per_person: int = 3) -> SourceTables:
    """Tables of invented images: persons have one sex and age, and one to many images of either view."""
    rng = np.random.default_rng(seed)
    n_persons = max(1, n_images // images_per_person)
    person = rng.integers(n_persons, size=n_images)
    sex = rng.choice(["F", "M"], size=n_persons)
    age = rng.integers(1, 95, size=n_persons).astype(float)
    race = rng.choice(["Black", "White"], size=n_persons)
    ids = [f"{i:07d}" for i in range(n_images)]
    images = pd.DataFrame(
        {
            "image_id": ids,
            "patient_id": [f"p{p:06d}" for p in person],
            "exam_id": [f"e{i:07d}" for i in range(n_images)],
            "path": [f"images/{i:07d}.png" for i in range(n_images)],
            "sex": sex[person],
            "view": rng.choice(["AP", "PA"], size=n_images),
            "age_years": age[person],
            "photometric": "MONOCHROME2",
            "source": "invented",
            "race": race[person],
        }
    )
    finding = rng.choice(["Opacity", "Normal", "Other"], size=n_images, p=[0.3, 0.4, 0.3])
    labels = pd.DataFrame({"image_id": ids, "finding": finding, "label": 1, "label_source": "invented"})
    return SourceTables(ImageTable(images), LabelTable(labels), no_exclusions())


def no_exclusions() -> ExclusionTable:
    """An exclusion table without rows."""
    return ExclusionTable(pd.DataFrame({"image_id": [], "step": [], "reason": []}))


def replace_images(tables: SourceTables, frame: pd.DataFrame, labels: pd.DataFrame | None = None) -> SourceTables:
    """The tables with other images, and other labels where given."""
    table = tables.labels if labels is None else LabelTable(labels)
    return SourceTables(ImageTable(frame), table, tables.exclusions)


def study_of(**parts: object) -> Study:
    """A study of the invented tables: opacity against the rest, cohorts by sex, with these parts changed."""
    content: dict[str, object] = {
        "study": "test",
        "data": {"source": "table"},
        "findings": {"opacity": {"positive": ["Opacity"]}},
        "cohorts": {"F": {"sex": "F"}, "M": {"sex": "M"}},
        "models": ["resnet18"],
    }
    return Study.model_validate({**content, **parts})


def read_rsna() -> SourceTables:
    """RSNA's metadata as its challenge ships them; the person is the NIH patient of the matched image."""
    headers = pd.read_csv(RSNA / "dicom_headers.csv", dtype=str, keep_default_na=False)
    matches = pd.read_csv(RSNA / "nih_matches.csv", dtype=str, keep_default_na=False)
    classes = pd.read_csv(RSNA / "stage_2_detailed_class_info.csv", dtype=str).drop_duplicates()
    nih = matches.set_index("patientId")["nih_image_index"].str[:8]
    person = headers["PatientID"].map(nih)
    images = pd.DataFrame(
        {
            "image_id": headers["PatientID"],
            "patient_id": person.where(person != "", "rsna-" + headers["PatientID"]),
            "exam_id": np.nan,
            "path": "stage_2_train_images/" + headers["PatientID"] + ".dcm",
            "sex": headers["PatientSex"],
            "view": headers["ViewPosition"],
            "age_years": headers["PatientAge"].astype(float),
            "photometric": "MONOCHROME2",
            "source": "rsna",
        }
    )
    labels = pd.DataFrame(
        {"image_id": classes["patientId"], "finding": classes["class"], "label": 1, "label_source": "RSNA"}
    )
    return SourceTables(ImageTable(images), LabelTable(labels), no_exclusions())


@pytest.fixture(scope="session")
def invent():
    """The maker of invented tables."""
    return invent_tables


@pytest.fixture(scope="session")
def replace():
    """The maker of tables with other images or labels."""
    return replace_images


@pytest.fixture(scope="session")
def study():
    """The maker of small studies."""
    return study_of


@pytest.fixture(scope="session")
def rsna() -> SourceTables:
    """RSNA's real metadata."""
    if not RSNA.is_dir():
        pytest.skip(f"real RSNA metadata are not beside the repository ({RSNA.name})")
    return read_rsna()


@pytest.fixture(scope="session")
def tables() -> SourceTables:
    """Six hundred invented images of about two hundred persons."""
    return invent_tables()
