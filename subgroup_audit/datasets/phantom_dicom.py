"""One phantom radiograph as the bytes of a DICOM file, the same bytes every time."""

from __future__ import annotations

import hashlib
import io
import uuid
from typing import Any

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from openjpeg.utils import encode_array
from pydicom import config as pydicom_config
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
)

from subgroup_audit.datasets.phantom_design import PlannedImage
from subgroup_audit.datasets.phantom_film import FIELD_CM

JPEG_QUALITY = 90
_IMPLEMENTATION = UID("2.25.226913476915371205183476918357461290671")
_RESCALE_SLOPE, _RESCALE_INTERCEPT = 2, -1000


def dicom_bytes(plan: PlannedImage, pixels: NDArray[Any]) -> bytes:
    """A complete DICOM file; headers as RSNA's, no date of today, UIDs that follow from seed and image.

    `pixels` are uint8, or uint16 with 12 bits used, bright where tissue absorbs; a plan with the defect
    "monochrome1" gets them inverted and so tagged, one with "sixteen_bit" a rescale and a VOI window.
    """
    dataset = FileDataset("", {}, preamble=b"\0" * 128)
    dataset.file_meta = _file_meta(plan)
    _describe(dataset, plan)
    if plan.defect == "monochrome1":
        pixels = np.subtract(np.iinfo(pixels.dtype).max, pixels, dtype=pixels.dtype)
    _add_pixels(dataset, plan, pixels)
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def _uid(plan: PlannedImage, kind: str) -> UID:
    digest = hashlib.sha256(f"{plan.seed}/{plan.image_id}/{kind}".encode()).digest()
    return UID(f"2.25.{uuid.UUID(bytes=digest[:16], version=4).int}")


def _file_meta(plan: PlannedImage) -> FileMetaDataset:
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    meta.MediaStorageSOPInstanceUID = _uid(plan, "instance")
    meta.TransferSyntaxUID = _first_syntax(plan)
    meta.ImplementationClassUID = _IMPLEMENTATION
    meta.ImplementationVersionName = "SUBGROUP_AUDIT"
    return meta


def _is_jpeg(plan: PlannedImage) -> bool:
    """Baseline JPEG holds 8 bits only."""
    return plan.transfer_syntax == "jpeg" and plan.defect != "sixteen_bit"


def _first_syntax(plan: PlannedImage) -> UID:
    """The syntax in which pixels are handed over; pydicom makes RLE of native pixels and says so."""
    if plan.transfer_syntax == "jpeg2000":
        return JPEG2000Lossless
    return JPEGBaseline8Bit if _is_jpeg(plan) else ExplicitVRLittleEndian


def _describe(dataset: Dataset, plan: PlannedImage) -> None:
    """Person, study and acquisition, as RSNA's files say them."""
    dataset.SpecificCharacterSet = "ISO_IR 100"
    dataset.SOPClassUID = ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.StudyDate, dataset.StudyTime = "19010101", "000000.00"
    dataset.AccessionNumber = dataset.ReferringPhysicianName = dataset.PatientBirthDate = ""
    dataset.Modality, dataset.ConversionType = "CR", "WSD"
    dataset.SeriesDescription = f"view: {plan.view}"
    dataset.PatientName = dataset.PatientID = plan.image_id
    dataset.PatientSex = plan.sex
    # RSNA writes a bare number where the standard wants "043Y"; readers must cope, so that is what we write
    age = DataElement("PatientAge", "AS", f"{plan.age_years:.0f}", validation_mode=pydicom_config.IGNORE)
    dataset.add(age)
    dataset.BodyPartExamined, dataset.ViewPosition = "CHEST", plan.view
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = _uid(plan, "study"), _uid(plan, "series")
    dataset.StudyID = dataset.PatientOrientation = ""
    dataset.SeriesNumber = dataset.InstanceNumber = 1
    dataset.LossyImageCompression = "01" if _is_jpeg(plan) else "00"
    if _is_jpeg(plan):
        dataset.LossyImageCompressionMethod = "ISO_10918_1"


def _add_pixels(dataset: Dataset, plan: PlannedImage, pixels: NDArray[Any]) -> None:
    wide = pixels.dtype == np.uint16
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME1" if plan.defect == "monochrome1" else "MONOCHROME2"
    dataset.Rows, dataset.Columns = pixels.shape
    spacing = plan.pixel_spacing_mm or round(10 * FIELD_CM / plan.size, 4)
    dataset.PixelSpacing = [f"{spacing:.6g}", f"{spacing:.6g}"]
    dataset.BitsAllocated, dataset.BitsStored = (16, 12) if wide else (8, 8)
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    if wide:
        dataset.RescaleIntercept, dataset.RescaleSlope = str(_RESCALE_INTERCEPT), str(_RESCALE_SLOPE)
        dataset.RescaleType = "US"
        dataset.WindowCenter = str(_RESCALE_INTERCEPT + _RESCALE_SLOPE * 2048)
        dataset.WindowWidth = str(_RESCALE_SLOPE * 4096)
    if _is_jpeg(plan):
        frame = np.ascontiguousarray(pixels[..., None])
        dataset.PixelData = encapsulate([simplejpeg.encode_jpeg(frame, JPEG_QUALITY, colorspace="GRAY")])
        dataset["PixelData"].VR = "OB"
        return
    dataset.PixelData = pixels.astype("<u2").tobytes() if wide else pixels.tobytes()
    dataset["PixelData"].VR = "OW" if wide else "OB"
    if plan.transfer_syntax == "rle":
        dataset.compress(RLELossless, encoding_plugin="pydicom", generate_instance_uid=False)
    elif plan.transfer_syntax == "jpeg2000":
        stream = encode_array(pixels, bits_stored=dataset.BitsStored, photometric_interpretation=2, codec_format=0)
        dataset.PixelData = encapsulate([stream])
        dataset["PixelData"].VR = "OB"
