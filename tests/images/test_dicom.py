"""Every transfer syntax gives the same picture, and every damage a sentence."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    RLELossless,
)

from subgroup_audit.errors import PixelError
from subgroup_audit.images.dicom import decode_dicom, read_header

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "dicom_samples"
needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason="no ../shared/data/dicom_samples")

EXACT = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
)


@pytest.mark.parametrize("syntax", EXACT, ids=lambda uid: uid.name)
@pytest.mark.parametrize("depth", [8, 16])
def test_lossless_syntaxes_give_the_pixels(write_dicom, ramp, syntax: UID, depth: int) -> None:
    pixels = ramp if depth == 8 else ramp.astype(np.uint16) * 16
    stored = decode_dicom(write_dicom(pixels, syntax=syntax), 64)
    low, high = (0, 255) if depth == 8 else (pixels.min(), pixels.max())
    expected = np.rint((pixels.astype(float) - low) * 255 / (high - low))
    np.testing.assert_allclose(stored, expected, atol=1 if depth == 16 else 0)


@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEG2000], ids=lambda uid: uid.name)
def test_lossy_syntaxes_give_nearly_the_pixels(write_dicom, ramp, syntax: UID) -> None:
    stored = decode_dicom(write_dicom(ramp, syntax=syntax), 64)
    assert np.abs(stored.astype(int) - ramp).max() <= 6


@pytest.mark.parametrize("size", [32, 16, 8])
def test_scaling_inside_the_jpeg_decoder_is_area_averaging(write_dicom, ramp, size: int) -> None:
    inside = decode_dicom(write_dicom(ramp, "fast.dcm", JPEGBaseline8Bit), size)
    whole = decode_dicom(write_dicom(ramp, "slow.dcm", JPEGBaseline8Bit, WindowCenter=128, WindowWidth=256), size)
    assert np.abs(inside.astype(int) - whole).max() <= 2


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit], ids=lambda uid: uid.name)
def test_monochrome1_is_inverted(write_dicom, ramp, syntax: UID) -> None:
    plain = decode_dicom(write_dicom(ramp, "plain.dcm", syntax), 32)
    marked = decode_dicom(write_dicom(ramp, "marked.dcm", syntax, PhotometricInterpretation="MONOCHROME1"), 32)
    np.testing.assert_array_equal(255 - plain, marked)


def test_monochrome1_pads_with_black(write_dicom, ramp) -> None:
    wide = np.full((32, 64), 200, dtype=np.uint8)
    stored = decode_dicom(write_dicom(wide, PhotometricInterpretation="MONOCHROME1"), 64)
    assert (stored[:16] == 0).all()
    assert (stored[16:48] == 55).all()
    assert (stored[48:] == 0).all()


def test_twelve_bits_in_sixteen_use_the_whole_range(write_dicom, ramp) -> None:
    stored = decode_dicom(write_dicom(ramp.astype(np.uint16) * 8, BitsStored=12, HighBit=11), 64)
    assert (stored.min(), stored.max()) == (0, 255)


def test_signed_values_with_rescale(write_dicom, ramp) -> None:
    pixels = ramp.astype(np.int16) - 100
    plain = decode_dicom(write_dicom(pixels, "plain.dcm"), 64)
    rescaled = decode_dicom(write_dicom(pixels, "rescaled.dcm", RescaleSlope=2.5, RescaleIntercept=-1024), 64)
    np.testing.assert_array_equal(plain, rescaled)
    negative = decode_dicom(write_dicom(pixels, "negative.dcm", RescaleSlope=-1, RescaleIntercept=0), 64)
    np.testing.assert_allclose(255 - plain.astype(int), negative, atol=1)


def test_window_is_applied_to_rescaled_values(write_dicom) -> None:
    pixels = np.tile(np.arange(0, 4096, 64, dtype=np.uint16), (64, 1))
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1000, "WindowCenter": [1000, 40], "WindowWidth": [1001, 400]}
    stored = decode_dicom(write_dicom(pixels, **tags), 64)
    inside = np.clip((pixels[0] - 1000.0 - 999.5) / 1000 + 0.5, 0, 1) * 255
    np.testing.assert_allclose(stored[0], np.rint(inside), atol=1)
    assert stored[0, 0] == 0
    assert stored[0, -1] == 255


@pytest.mark.parametrize(
    ("function", "at_centre", "one_width_up"), [("LINEAR_EXACT", 128, 255), ("SIGMOID", 128, 250)]
)
def test_window_functions(write_dicom, function: str, at_centre: int, one_width_up: int) -> None:
    pixels = np.zeros((2, 2), dtype=np.uint16)
    pixels[0, 0], pixels[0, 1] = 1000, 1400
    stored = decode_dicom(write_dicom(pixels, WindowCenter=1000, WindowWidth=400, VOILUTFunction=function), 2)
    np.testing.assert_allclose(stored[0], [at_centre, one_width_up], atol=1)


def test_impossible_window_is_ignored(write_dicom, ramp) -> None:
    pixels = ramp.astype(np.uint16)
    plain = decode_dicom(write_dicom(pixels, "plain.dcm"), 64)
    windowed = decode_dicom(write_dicom(pixels, "windowed.dcm", WindowCenter=10, WindowWidth=0), 64)
    np.testing.assert_array_equal(plain, windowed)


def test_voi_lut_goes_before_the_window(write_dicom) -> None:
    lut = Dataset()
    lut.LUTDescriptor = [4, 0, 8]
    lut.LUTData = [0, 200, 100, 255]
    lut["LUTDescriptor"].VR, lut["LUTData"].VR = "US", "US"
    pixels = np.array([[0, 1], [2, 3]], dtype=np.uint8)
    path = write_dicom(pixels, VOILUTSequence=Sequence([lut]), WindowCenter=1, WindowWidth=2)
    np.testing.assert_array_equal(decode_dicom(path, 2), [[0, 200], [100, 255]])


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "MONOCHROME1"])
def test_padding_pixels_are_black_and_do_not_set_the_range(write_dicom, photometric: str) -> None:
    pixels = np.array([[1000, 2000], [1500, 65535]], dtype=np.uint16)
    stored = decode_dicom(write_dicom(pixels, PixelPaddingValue=65535, PhotometricInterpretation=photometric), 2)
    expected = [[0, 255], [128, 0]] if photometric == "MONOCHROME2" else [[255, 0], [128, 0]]
    np.testing.assert_allclose(stored, expected, atol=1)


@pytest.mark.parametrize(("value", "limit"), [(65535, 65000), (65000, 65535)])
def test_padding_may_be_a_range(write_dicom, value: int, limit: int) -> None:
    pixels = np.array([[1000, 2000, 65000], [1500, 65535, 65200], [1000, 1000, 1000]], dtype=np.uint16)
    path = write_dicom(pixels, PixelPaddingValue=value, PixelPaddingRangeLimit=limit)
    np.testing.assert_allclose(decode_dicom(path, 3), [[0, 255, 0], [128, 0, 0], [0, 0, 0]], atol=1)


def test_eight_bits_are_not_spread_for_a_rescale_that_changes_nothing(write_dicom, ramp) -> None:
    path = write_dicom(ramp, RescaleSlope=1, RescaleIntercept=0)
    np.testing.assert_array_equal(decode_dicom(path, 64), ramp)


def test_colour_becomes_luminance(write_dicom) -> None:
    pixels = np.zeros((4, 4, 3), dtype=np.uint8)
    pixels[..., 1] = 100
    assert (decode_dicom(write_dicom(pixels), 4) == 59).all()


def test_flat_image_is_black(write_dicom) -> None:
    assert (decode_dicom(write_dicom(np.full((8, 8), 4000, dtype=np.uint16)), 8) == 0).all()


def test_tall_image_keeps_its_aspect(write_dicom) -> None:
    stored = decode_dicom(write_dicom(np.full((100, 50), 180, dtype=np.uint8)), 40)
    assert (stored[:, 10:30] == 180).all()
    assert stored[:, :10].sum() + stored[:, 30:].sum() == 0


def test_small_image_is_enlarged(write_dicom) -> None:
    stored = decode_dicom(write_dicom(np.full((10, 10), 90, dtype=np.uint8)), 32)
    assert stored.shape == (32, 32)
    assert (stored == 90).all()


def _damage(path: Path, kind: str) -> Path:
    content = path.read_bytes()
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("this is no image\n" * 100)
    elif kind == "cut short":
        path.write_bytes(content[: len(content) * 2 // 3])
    elif kind == "header only":
        path.write_bytes(content[:300])
    elif kind == "absent":
        path.unlink()
    return path


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, RLELossless, JPEG2000])
@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "the file is empty"),
        ("text", "not a DICOM file"),
        ("absent", "file is missing"),
        ("header only", None),
        ("cut short", None),
    ],
)
def test_damaged_files_have_a_reason(write_dicom, kind: str, reason: str | None, syntax: UID) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    path = _damage(write_dicom(noise, syntax=syntax), kind)
    with pytest.raises(PixelError) as caught:
        decode_dicom(path, 32)
    allowed = {
        "the pixel data are damaged or cut short",
        "the DICOM file holds no pixel data",
        "the DICOM file is damaged or cut short",
    }
    assert str(caught.value) in ({reason} if reason else allowed)


def test_every_cut_of_a_file_has_a_reason(write_dicom, ramp) -> None:
    content = write_dicom(ramp[:16, :16].copy(), "whole.dcm", JPEGBaseline8Bit).read_bytes()
    path = write_dicom(ramp, "cut.dcm")
    for length in range(0, len(content) - 10, 7):  # the last 8 bytes only say that the data end
        path.write_bytes(content[:length])
        with pytest.raises(PixelError):
            decode_dicom(path, 16)


def test_flipped_bytes_never_crash(write_dicom, ramp) -> None:
    rng = np.random.default_rng(1)
    content = np.frombuffer(write_dicom(ramp, "whole.dcm", JPEGBaseline8Bit).read_bytes(), dtype=np.uint8)
    path = write_dicom(ramp, "flipped.dcm")
    for _ in range(150):
        broken = content.copy()
        broken[rng.integers(132, len(content), 8)] = rng.integers(0, 255, 8)
        path.write_bytes(broken.tobytes())
        with suppress(PixelError):
            assert decode_dicom(path, 16).shape == (16, 16)


def test_several_frames_are_refused(write_dicom, ramp) -> None:
    path = write_dicom(np.concatenate([ramp, ramp]), NumberOfFrames=2, Rows=64)
    with pytest.raises(PixelError, match=r"^the DICOM file holds several frames, not one radiograph$"):
        decode_dicom(path, 32)


def test_absent_decoder_is_named(write_dicom, ramp) -> None:
    path = write_dicom(ramp, syntax=JPEGBaseline8Bit)
    dataset = dcmread(path)
    dataset.file_meta.TransferSyntaxUID = JPEGLSLossless
    dataset.save_as(path)
    expected = "^no decoder is installed for the transfer syntax JPEG-LS Lossless Image Compression$"
    with pytest.raises(PixelError, match=expected):
        decode_dicom(path, 32)


def test_header_fields_are_text(write_dicom, ramp) -> None:
    header = read_header(write_dicom(ramp, PixelSpacing=[0.168, 0.143]))
    assert header["PatientID"] == "0007"
    assert header["PatientAge"] == "058Y"
    assert header["PixelSpacing"] == "0.168\\0.143"
    assert "BodyPartExamined" not in header


def test_header_without_an_image_is_refused(write_dicom, ramp) -> None:
    path = write_dicom(ramp)
    dataset = dcmread(path)
    del dataset.Rows
    dataset.save_as(path)
    with pytest.raises(PixelError, match=r"^the DICOM file holds no image$"):
        read_header(path)


@needs_samples
def test_real_monochrome1_twin_is_the_inverse() -> None:
    plain = decode_dicom(SAMPLES / "siim_16d7f894.dcm", 256)
    twin = decode_dicom(SAMPLES / "siim_16d7f894_fake_monochrome1.dcm", 256)
    np.testing.assert_array_equal(255 - plain, twin)


@needs_samples
@pytest.mark.parametrize("size", [128, 224, 256, 384, 512])
def test_real_jpeg_is_close_to_full_decoding_and_area_averaging(size: int) -> None:
    import cv2

    path = SAMPLES / "siim_16d7f894.dcm"
    full = cv2.resize(dcmread(path).pixel_array, (size, size), interpolation=cv2.INTER_AREA)
    difference = np.abs(decode_dicom(path, size).astype(int) - full)
    assert difference.max() <= 1
    assert difference.mean() <= (0.16 if size == 512 else 0.1)


@needs_samples
@pytest.mark.parametrize(
    ("name", "view", "modality"), [("udacity_test1.dcm", None, "DX"), ("udacity_test5.dcm", None, "CT")]
)
def test_real_uncompressed_files(name: str, view: str | None, modality: str) -> None:
    header = read_header(SAMPLES / name)
    assert (header.get("ViewPosition"), header["Modality"], header["PatientAge"]) == (view, modality, "81")
    assert decode_dicom(SAMPLES / name, 256).std() > 20
