"""DICOM files of every kind, written small."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    JPEG2000,
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

WriteDicom = Callable[..., Path]


def _dataset(pixels: np.ndarray, syntax: UID) -> Dataset:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=["instance"])
    dataset.StudyInstanceUID = generate_uid(entropy_srcs=["exam"])
    dataset.PatientID, dataset.PatientSex, dataset.PatientAge = "0007", "F", "058Y"
    dataset.ViewPosition, dataset.Modality = "AP", "CR"
    dataset.Rows, dataset.Columns = pixels.shape[:2]
    dataset.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    dataset.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        dataset.PlanarConfiguration = 0
    dataset.BitsAllocated = dataset.BitsStored = pixels.dtype.itemsize * 8
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    return dataset


def _encode(pixels: np.ndarray, syntax: UID) -> bytes:
    if syntax == JPEGBaseline8Bit:
        gray = np.ascontiguousarray(pixels[:, :, None])
        return simplejpeg.encode_jpeg(gray, quality=95, colorspace="GRAY", colorsubsampling="Gray")
    handle = io.BytesIO()
    Image.fromarray(pixels).save(handle, "JPEG2000", irreversible=syntax == JPEG2000, no_jp2=True)
    return handle.getvalue()


@pytest.fixture
def write_dicom(tmp_path: Path) -> WriteDicom:
    """A function that writes pixels as a DICOM file and returns its path."""

    def write(pixels: np.ndarray, name: str = "a.dcm", syntax: UID = ExplicitVRLittleEndian, **tags: Any) -> Path:
        dataset = _dataset(pixels, ExplicitVRLittleEndian if syntax == RLELossless else syntax)
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        if syntax in (JPEGBaseline8Bit, JPEG2000, JPEG2000Lossless):
            dataset.PixelData = encapsulate([_encode(pixels, syntax)])
            dataset["PixelData"].VR = "OB"
        else:
            is_big = syntax.is_little_endian is False
            dataset.PixelData = (pixels.astype(pixels.dtype.newbyteorder(">")) if is_big else pixels).tobytes()
            dataset["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
        if syntax == RLELossless:
            dataset.compress(RLELossless, generate_instance_uid=False)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def ramp() -> np.ndarray:
    """A smooth 64 x 64 picture without symmetry, uint8."""
    y, x = np.mgrid[0:64, 0:64]
    return np.rint(20 + 2.0 * x + 1.2 * y + 10 * np.sin(x / 7)).astype(np.uint8)
