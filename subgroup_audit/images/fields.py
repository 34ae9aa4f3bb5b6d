"""The DICOM header fields that are kept, by keyword."""

from __future__ import annotations

FIELDS = (
    "PatientID",
    "PatientSex",
    "PatientAge",
    "ViewPosition",
    "StudyInstanceUID",
    "SOPInstanceUID",
    "StudyDate",
    "Modality",
    "BodyPartExamined",
    "PhotometricInterpretation",
    "PixelSpacing",
    "Rows",
    "Columns",
    "Manufacturer",
)
