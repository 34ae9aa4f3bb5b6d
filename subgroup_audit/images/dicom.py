"""DICOM files: their header fields, and their pixels as they are meant to be seen."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from pydicom import dcmread
from pydicom.dataset import FileDataset
from pydicom.encaps import get_frame
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.pixels import apply_color_lut, apply_modality_lut, apply_voi, get_decoder, pixel_array
from pydicom.uid import UID, JPEGBaseline8Bit

from subgroup_audit.errors import PixelError
from subgroup_audit.images.fields import FIELDS
from subgroup_audit.images.grey import Grey, decode_jpeg, fit_square, spread

# Named, since pydicom would take pylibjpeg or gdcm where they happen to be installed, four times slower.
PREFERRED_PLUGINS = ("pillow", "pydicom")


# What a damaged file makes pydicom and its decoders log goes into the reason instead of onto the terminal.
logging.getLogger("pydicom").setLevel(logging.CRITICAL + 1)


@contextmanager
def _failing_with(reason: str) -> Iterator[None]:
    """Turn whatever a damaged file raises, which can be anything, into `PixelError`: a study must go on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            yield
        except PixelError:
            raise
        except Exception as error:
            raise PixelError(reason) from error


def read_header(path: Path) -> dict[str, str]:
    """The header fields `FIELDS` that the file states, as text; several values are joined by a backslash.

    Raises
    ------
    PixelError
        The file is missing, empty, not DICOM, or holds no image.
    """
    dataset = _read(path, stop_before_pixels=True)
    with _failing_with("the DICOM header is damaged"):  # values are parsed when touched
        found = {name: _as_text(dataset.get(name)) for name in FIELDS}
    if not (found["Rows"] and found["Columns"]):
        raise PixelError("the DICOM file holds no image")
    return {name: text for name, text in found.items() if text}


def _as_text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, MultiValue):
        return "\\".join(str(part).strip() for part in value)
    return str(value).strip()


def _read(path: Path, *, stop_before_pixels: bool = False) -> FileDataset:
    with _failing_with("the DICOM file is damaged or cut short"):
        try:
            return dcmread(path, stop_before_pixels=stop_before_pixels)
        except FileNotFoundError as error:
            raise PixelError("file is missing") from error
        except InvalidDicomError as error:
            is_empty = path.stat().st_size == 0
            raise PixelError("the file is empty" if is_empty else "not a DICOM file") from error
        except OSError as error:
            raise PixelError("the file cannot be opened") from error


def decode_dicom(path: Path, size: int) -> Grey:
    """The radiograph in a DICOM file as uint8 [size, size], bright where the viewer shows bright.

    In order: rescale slope and intercept (or modality LUT); VOI LUT, or else the first window; without either,
    values deeper than 8 bits are spread over [0, 255] by their smallest and largest; MONOCHROME1 is inverted;
    padding pixels are black; areas are averaged to `size` and the rest of the square is black.

    Raises
    ------
    PixelError
        The file is missing, empty, not DICOM, damaged, holds several frames, or needs a decoder that is absent.
    """
    dataset = _read(path)
    with _failing_with("the pixel data are damaged or cut short"):
        _check_decodable(dataset)
        return _render(dataset, size)


def _check_decodable(dataset: FileDataset) -> None:
    if "PixelData" not in dataset:
        raise PixelError("the DICOM file holds no pixel data")
    if int(dataset.get("NumberOfFrames", 1) or 1) != 1:
        raise PixelError("the DICOM file holds several frames, not one radiograph")
    syntax = getattr(dataset.file_meta, "TransferSyntaxUID", None)
    if syntax is None:
        raise PixelError("the DICOM file does not say its transfer syntax")
    if UID(syntax).is_encapsulated and not _plugin(syntax):
        raise PixelError(f"no decoder is installed for the transfer syntax {UID(syntax).name}")


def _plugin(syntax: str) -> str:
    """The decoding plugin to use for an encapsulated syntax; empty if there is none."""
    try:
        available = get_decoder(UID(syntax)).available_plugins
    except NotImplementedError:
        return ""
    return next((name for name in PREFERRED_PLUGINS if name in available), available[0] if available else "")


def _render(dataset: FileDataset, size: int) -> Grey:
    if _is_ready_jpeg(dataset):
        image: npt.NDArray[Any] = _decode_jpeg_frame(dataset, size)
    else:
        image = _viewed(dataset)
    grey = fit_square(image, size)
    if dataset.get("PhotometricInterpretation") != "MONOCHROME1":
        return grey
    if dataset.Rows == dataset.Columns:
        return np.asarray(255 - grey, dtype=np.uint8)
    return fit_square(255 - image, size)  # inverted before the black border is added


def _is_ready_jpeg(dataset: FileDataset) -> bool:
    """Whether the frame is an 8-bit grey JPEG that needs nothing beyond decoding."""
    return (
        dataset.file_meta.TransferSyntaxUID == JPEGBaseline8Bit
        and dataset.SamplesPerPixel == 1
        and _is_rescale_idle(dataset)
        and not any(name in dataset for name in ("VOILUTSequence", "WindowWidth", "PixelPaddingValue"))
    )


def _decode_jpeg_frame(dataset: FileDataset, size: int) -> npt.NDArray[Any]:
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    try:
        return decode_jpeg(frame, size)
    except ValueError:  # harmless oddities; Pillow has the last word on what is damage
        return _stored(dataset)


def _stored(dataset: FileDataset) -> npt.NDArray[Any]:
    plugin = _plugin(dataset.file_meta.TransferSyntaxUID) if _is_encapsulated(dataset) else ""
    return np.asarray(pixel_array(dataset, decoding_plugin=plugin))


def _is_encapsulated(dataset: FileDataset) -> bool:
    return bool(UID(dataset.file_meta.TransferSyntaxUID).is_encapsulated)


def _viewed(dataset: FileDataset) -> npt.NDArray[Any]:
    """The image as float32 or uint8 [height, width] in [0, 255], before inversion."""
    stored = _stored(dataset)
    if dataset.get("PhotometricInterpretation") == "PALETTE COLOR":
        stored = apply_color_lut(stored, dataset)
    if stored.ndim == 3:
        return _luminance(stored)
    valid = _not_padding(stored, dataset)
    values = stored if _is_rescale_idle(dataset) else apply_modality_lut(stored, dataset)
    image = _windowed(values, dataset, valid)
    if valid is not None:
        image[~valid] = 255 if dataset.PhotometricInterpretation == "MONOCHROME1" else 0
    return image


def _not_padding(stored: npt.NDArray[Any], dataset: FileDataset) -> npt.NDArray[np.bool_] | None:
    """Which pixels belong to the picture; None: all. Padding is a value or a range (DICOM PS3.3 C.7.5.1.1.2)."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return None
    limit = dataset.get("PixelPaddingRangeLimit")
    low, high = sorted((int(padding), int(padding if limit is None else limit)))
    return np.asarray((stored < low) | (stored > high))


def _is_rescale_idle(dataset: FileDataset) -> bool:
    """Whether values stay as they are stored. pydicom would make floats of them, and 8 bits look deeper then."""
    return (
        "ModalityLUTSequence" not in dataset
        and dataset.get("RescaleSlope", 1) in (1, None)
        and dataset.get("RescaleIntercept", 0) in (0, None)
    )


def _luminance(colour: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if colour.dtype != np.uint8:
        colour = np.rint(spread(colour)).astype(np.uint8)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(colour[:, :, :3]), cv2.COLOR_RGB2GRAY))


def _windowed(
    values: npt.NDArray[Any], dataset: FileDataset, valid: npt.NDArray[np.bool_] | None
) -> npt.NDArray[Any]:
    if dataset.get("VOILUTSequence"):
        bits = int(dataset.VOILUTSequence[0].LUTDescriptor[2])
        looked_up = apply_voi(values.astype(np.int32), dataset)
        return np.asarray(looked_up.astype(np.float32) * np.float32(255.0 / (2**bits - 1)))
    window = _window(dataset)
    if window is not None:
        return _through_window(values.astype(np.float32), *window)
    if values.dtype == np.uint8:
        return values.copy()
    return spread(values, valid)


def _window(dataset: FileDataset) -> tuple[float, float, str] | None:
    """Centre, width and function of the first window; None where there is none or its width is impossible."""
    centre, width = _first(dataset.get("WindowCenter")), _first(dataset.get("WindowWidth"))
    function = str(dataset.get("VOILUTFunction", "LINEAR") or "LINEAR")
    if centre is None or width is None or width < (1.0 if function == "LINEAR" else 1e-9):
        return None
    return centre, width, function


def _first(value: object) -> float | None:
    if isinstance(value, MultiValue):
        value = value[0] if value else None
    return None if value in (None, "") else float(value)  # type: ignore[arg-type]


def _through_window(
    values: npt.NDArray[np.float32], centre: float, width: float, function: str
) -> npt.NDArray[np.float32]:
    """The values through a window, in [0, 255]; DICOM PS3.3 C.11.2.1.2 and C.11.2.1.3."""
    if function == "SIGMOID":
        share = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (values - centre) / width, -50.0, 50.0)))
    elif function == "LINEAR_EXACT":
        share = (values - centre) / width + 0.5
    else:
        share = (values - (centre - 0.5)) / max(width - 1.0, 1e-6) + 0.5
    return np.asarray(np.clip(share, 0.0, 1.0) * 255.0, dtype=np.float32)
