"""JPEG, PNG and TIFF radiographs of every depth, and damaged ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from subgroup_audit.errors import PixelError
from subgroup_audit.images.plain import decode_plain


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_eight_bit_grey_is_kept(tmp_path: Path, ramp: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(ramp).save(path)
    np.testing.assert_array_equal(decode_plain(path, 64), ramp)


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_use_the_whole_range(tmp_path: Path, ramp: np.ndarray, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(ramp.astype(np.uint16) * 16).save(path)
    span = (ramp.astype(float) - ramp.min()) * 255 / float(ramp.max() - ramp.min())
    np.testing.assert_allclose(decode_plain(path, 64), span, atol=1)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "CMYK"])
def test_colour_and_transparency_become_luminance(tmp_path: Path, ramp: np.ndarray, mode: str) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    picture = Image.fromarray(ramp).convert("RGB")
    (picture.quantize(256) if mode == "P" else picture.convert(mode)).save(path)
    tolerance = 12 if mode == "CMYK" else 2
    assert np.abs(decode_plain(path, 64).astype(int) - ramp).mean() <= tolerance


def test_float_values_that_are_not_finite(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.array([[1.0, np.nan], [np.inf, 3.0]], dtype=np.float32)).save(path)
    np.testing.assert_array_equal(decode_plain(path, 2), [[0, 0], [255, 255]])


def test_one_bit_image(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(np.eye(8, dtype=bool)).save(path)
    np.testing.assert_array_equal(decode_plain(path, 8), np.eye(8, dtype=np.uint8) * 255)


def test_jpeg_scaled_while_decoding(tmp_path: Path, ramp: np.ndarray) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(ramp).save(path, quality=95)
    blocks = ramp.reshape(16, 4, 16, 4).mean(axis=(1, 3))
    assert np.abs(decode_plain(path, 16) - blocks).max() <= 3


def test_wide_jpeg_is_padded(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(np.full((40, 80), 200, dtype=np.uint8)).save(path)
    stored = decode_plain(path, 20)
    assert np.abs(stored[5:15].astype(int) - 200).max() <= 1
    assert stored[:5].sum() + stored[15:].sum() == 0


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif"])
def test_damaged_files_have_a_reason(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(PixelError, match=r"^(the image data are damaged or cut short|not an image file)$"):
        decode_plain(path, 32)


def test_reasons_of_hopeless_files(tmp_path: Path) -> None:
    empty, text, several = tmp_path / "empty.png", tmp_path / "text.png", tmp_path / "several.tif"
    empty.touch()
    text.write_text("no image")
    page = Image.fromarray(np.zeros((4, 4), dtype=np.uint8))
    page.save(several, save_all=True, append_images=[page])
    for path, reason in (
        (empty, "the file is empty"),
        (text, "not an image file"),
        (several, "the file holds more than one image"),
        (tmp_path / "absent.png", "file is missing"),
    ):
        with pytest.raises(PixelError) as caught:
            decode_plain(path, 8)
        assert str(caught.value) == reason
