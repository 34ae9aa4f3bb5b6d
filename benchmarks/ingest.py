"""How fast radiographs are decoded, headers checked and pixels gathered; how true the stored pixels are.

Writes noisy JPEG-baseline DICOM files of about 130 KB, 1024 x 1024, 8 bit, laid out as RSNA's, and compares

    A  pydicom pixel_array (pylibjpeg or gdcm, where installed) + Pillow Lanczos
    B  pydicom pixel_array (Pillow) + Pillow Lanczos
    C  pydicom pixel_array (Pillow) + Pillow bilinear
    ours  `decode_dicom`, as the pixel store calls it

on one core by CPU time. Two processes against one are timed by the clock.
"""

from __future__ import annotations

import statistics
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import simplejpeg
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.pixels import get_decoder, pixel_array
from pydicom.uid import JPEGBaseline8Bit, SecondaryCaptureImageStorage, generate_uid
from turns import Effort, Figure, Figures, Turns, per_cpu_second, per_second, seconds_of, take_turns

from subgroup_audit.images.dicom import decode_dicom
from subgroup_audit.images.headers import scan_headers
from subgroup_audit.images.store import PixelStore, build_pixel_store
from subgroup_audit.schema import ImageTable

SIDE, SIZE = 1024, 256
Way = Callable[[Path], np.ndarray]


def draw_radiograph(rng: np.random.Generator) -> np.ndarray:
    """A picture with the smoothness and grain of a chest film, uint8 [1024, 1024]."""
    coarse = rng.normal(0, 1, (16, 16)).astype(np.float32)
    smooth = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    fine = cv2.GaussianBlur(rng.normal(0, 1, (SIDE, SIDE)).astype(np.float32), (0, 0), 1.0)
    return np.clip(128 + 40 * smooth + 14 * fine, 0, 255).astype(np.uint8)


def write_dicom(path: Path, pixels: np.ndarray, number: int) -> None:
    """Write one file as RSNA's are written."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
    dataset.SOPClassUID, dataset.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.PatientID = dataset.PatientName = path.stem
    dataset.PatientSex, dataset.PatientAge, dataset.ViewPosition = "FM"[number % 2], "058Y", "AP"
    dataset.Modality, dataset.BodyPartExamined, dataset.ConversionType = "CR", "CHEST", "WSD"
    dataset.PixelSpacing, dataset.PhotometricInterpretation = [0.143, 0.143], "MONOCHROME2"
    dataset.Rows = dataset.Columns = SIDE
    dataset.SamplesPerPixel, dataset.PixelRepresentation = 1, 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    frame = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels[:, :, None]), quality=75, colorspace="GRAY", colorsubsampling="Gray"
    )
    dataset.PixelData = encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset.save_as(path, enforce_file_format=True)


def by_pillow(plugin: str, resampling: Image.Resampling) -> Way:
    """A way that decodes with a pydicom plugin and resizes with Pillow."""

    def decode(path: Path) -> np.ndarray:
        pixels = pixel_array(dcmread(path), decoding_plugin=plugin)
        return np.asarray(Image.fromarray(pixels).resize((SIZE, SIZE), resampling))

    return decode


def known_ways() -> dict[str, Way]:
    """The ways that can run here, by letter."""
    installed = get_decoder(JPEGBaseline8Bit).available_plugins
    slow = next((plugin for plugin in ("pylibjpeg", "gdcm") if plugin in installed), None)
    ways = {"A": by_pillow(slow, Image.Resampling.LANCZOS)} if slow else {}
    return {
        **ways,
        "B": by_pillow("pillow", Image.Resampling.LANCZOS),
        "C": by_pillow("pillow", Image.Resampling.BILINEAR),
        "ours": lambda path: decode_dicom(path, SIZE),
    }


def measure_ways(files: Sequence[Path], rounds: int) -> Turns:
    """Files per second of one core, by way."""

    def rate(way: Way) -> Callable[[], float]:
        return lambda: per_cpu_second(len(files), lambda: [way(path) for path in files])

    return take_turns({name: rate(way) for name, way in known_ways().items()}, rounds)


def measure_difference(files: Sequence[Path]) -> Figures:
    """Mean and largest difference of the stored picture from full decoding and area averaging, of 255."""
    worst, means = 0, []
    for path in files:
        whole = cv2.resize(pixel_array(dcmread(path), decoding_plugin="pillow"), (SIZE, SIZE), interpolation=3)
        difference = np.abs(decode_dicom(path, SIZE).astype(int) - whole)
        worst = max(worst, int(difference.max()))
        means.append(float(difference.mean()))
    detail = f"{len(files)} images"
    return {"cache_mean": Figure(statistics.mean(means), detail), "cache_max": Figure(worst, detail)}


def as_images(files: Sequence[Path]) -> ImageTable:
    """An image table of the files."""
    names = [path.name for path in files]
    fixed = {"exam_id": None, "sex": "F", "view": "AP", "age_years": 50.0, "photometric": "", "source": "bench"}
    return ImageTable(pd.DataFrame({"image_id": names, "patient_id": names, "path": names}).assign(**fixed))


def measure_store(files: Sequence[Path], root: Path, rounds: int) -> tuple[PixelStore, Figures]:
    """The store, and how much faster two processes are than one."""
    made: list[PixelStore] = []

    def build(workers: int) -> None:
        cache = root.parent / f"cache-{len(made)}"
        made.append(build_pixel_store(as_images(files), root, size=SIZE, cache=cache, workers=workers)[0])

    turns = take_turns({n: lambda n=n: per_second(len(files), lambda: build(int(n))) for n in "12"}, rounds)  # type: ignore[misc]
    return made[-1], {"ingest_two": turns.figure("2", "1", f"files/s, {len(files):,} files")}


def measure_gather(store: PixelStore, n_images: int) -> Figure:
    """Images per second gathered in random batches of 64."""
    rows = np.random.default_rng(0).integers(0, len(store), (n_images // 64, 64))
    out = np.empty((64, SIZE, SIZE), dtype=np.uint8)
    return Figure(per_second(n_images, lambda: [store.gather(batch, out) for batch in rows]), "256 px")


def measure_headers(source: Path, root: Path, count: int) -> Figures:
    """The first and a warm check of `count` header-sized files."""
    root.mkdir()
    content = source.read_bytes()[:2000]
    names = [f"{number:06d}.dcm" for number in range(count)]
    for name in names:
        (root / name).write_bytes(content)
    cache = root.parent / "cache-headers"
    cold = per_cpu_second(count, lambda: scan_headers(root, names, cache=cache, workers=1))
    warm = seconds_of(lambda: scan_headers(root, names, cache=cache), 5)
    return {"headers_cold": Figure(cold, "CPU time"), "headers_warm": warm}


def measure(effort: Effort) -> Figures:
    """Everything on ingest."""
    cv2.setNumThreads(1)
    rng, n_drawn = np.random.default_rng(0), effort.pick(200, 4)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "data")
        root.mkdir()
        files = [root / f"{number:05d}.dcm" for number in range(effort.pick(8000, 8))]
        for number, path in enumerate(files):
            if number < n_drawn:
                write_dicom(path, draw_radiograph(rng), number)
            else:
                path.write_bytes(files[number % n_drawn].read_bytes())
        turns = measure_ways(files[:n_drawn], effort.rounds(5))
        found = {f"ingest_{w.lower()}": turns.figure("ours", w, "files/s") for w in "ABC" if w in turns.rates}
        found |= measure_difference(files[: effort.pick(50, 2)])
        store, two = measure_store(files, root, effort.rounds(5))
        found |= two | {"gather": measure_gather(store, effort.pick(6400, 64))}
        return found | measure_headers(files[0], Path(folder, "headers"), effort.pick(26_684, 50))
