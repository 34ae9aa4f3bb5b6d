"""How fast radiographs are decoded, headers checked and pixels gathered, as ratios measured in one run.

    python benchmarks/ingest.py [--files 200] [--rounds 5] [--headers 26684] [--json FILE]

Writes noisy JPEG-baseline DICOM files of about 130 KB, 1024 x 1024, 8 bit, laid out as RSNA's, and compares

    A  pydicom pixel_array (pylibjpeg or gdcm, where installed) + Pillow Lanczos
    B  pydicom pixel_array (Pillow) + Pillow Lanczos
    C  pydicom pixel_array (Pillow) + Pillow bilinear
    ours  `decode_dicom`, as the pixel store calls it

in alternating rounds on one core, by CPU time; the median of the rounds counts. Goals: ours at least 3.5 x B and
2 x C; two processes at least 1.8 x one; a warm check of 26,684 headers within 0.3 s; mean difference from full
decoding and area averaging at most 0.1 of 255, largest at most 8.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

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


def measure_ways(files: Sequence[Path], rounds: int) -> dict[str, float]:
    """Files per second of one core, by way; medians of alternating rounds of CPU time."""
    ways = known_ways()
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.process_time()
            for path in files:
                way(path)
            seconds[name].append(time.process_time() - started)
    return {name: len(files) / statistics.median(taken) for name, taken in seconds.items()}


def measure_difference(files: Sequence[Path]) -> dict[str, float]:
    """Mean and largest difference of the stored picture from full decoding and area averaging, of 255."""
    worst, means = 0, []
    for path in files:
        whole = cv2.resize(pixel_array(dcmread(path), decoding_plugin="pillow"), (SIZE, SIZE), interpolation=3)
        difference = np.abs(decode_dicom(path, SIZE).astype(int) - whole)
        worst = max(worst, int(difference.max()))
        means.append(float(difference.mean()))
    return {"mean_difference": statistics.mean(means), "largest_difference": worst}


def as_images(files: Sequence[Path]) -> ImageTable:
    """An image table of the files."""
    names = [path.name for path in files]
    fixed = {"exam_id": None, "sex": "F", "view": "AP", "age_years": 50.0, "photometric": "", "source": "bench"}
    return ImageTable(pd.DataFrame({"image_id": names, "patient_id": names, "path": names}).assign(**fixed))


def measure_store(files: Sequence[Path], root: Path, rounds: int) -> tuple[PixelStore, dict[str, float]]:
    """The store, and files per second of wall-clock with one and with two processes (their start included)."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    for number in range(rounds):
        for workers, taken in rates.items():
            cache = root.parent / f"cache-{workers}-{number}"
            started = time.perf_counter()
            store, _ = build_pixel_store(as_images(files), root, size=SIZE, cache=cache, workers=workers)
            taken.append(len(files) / (time.perf_counter() - started))
    one, two = statistics.median(rates[1]), statistics.median(rates[2])
    return store, {"store_1_process": one, "store_2_processes": two, "two_over_one": two / one}


def measure_gather(store: PixelStore, n_images: int = 6400) -> float:
    """Images per second gathered in random batches of 64."""
    rows = np.random.default_rng(0).integers(0, len(store), (n_images // 64, 64))
    out = np.empty((64, SIZE, SIZE), dtype=np.uint8)
    started = time.perf_counter()
    for batch in rows:
        store.gather(batch, out)
    return n_images / (time.perf_counter() - started)


def measure_headers(source: Path, root: Path, count: int) -> dict[str, float]:
    """Seconds of the first and of a warm check of `count` header-sized files."""
    root.mkdir()
    content = source.read_bytes()[:2000]
    names = [f"{number:06d}.dcm" for number in range(count)]
    for name in names:
        (root / name).write_bytes(content)
    taken = []
    for _ in range(4):
        started = time.perf_counter()
        scan_headers(root, names, cache=root.parent / "cache-headers")
        taken.append(time.perf_counter() - started)
    return {"headers": count, "first_scan_seconds": taken[0], "warm_check_seconds": min(taken[1:])}


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--headers", type=int, default=26_684)
    parser.add_argument("--store-files", type=int, default=6000)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder, "data")
        root.mkdir()
        files = [root / f"{number:05d}.dcm" for number in range(max(asked.files, asked.store_files))]
        for number, path in enumerate(files):
            if number < asked.files:
                write_dicom(path, draw_radiograph(rng), number)
            else:
                path.write_bytes(files[number % asked.files].read_bytes())
        few = files[: asked.files]
        rates = measure_ways(few, asked.rounds)
        found: dict[str, float] = {f"{name}_files_per_second": rate for name, rate in rates.items()}
        found |= {f"ours_over_{name}": rates["ours"] / rates[name] for name in rates if name != "ours"}
        found |= measure_difference(few[:50])
        store, store_rates = measure_store(files, root, min(asked.rounds, 3))
        found |= store_rates | {"gather_images_per_second": measure_gather(store)}
        found |= measure_headers(files[0], Path(folder, "headers"), asked.headers)
        found["kilobytes_per_file"] = files[0].stat().st_size / 1000
    for name, value in found.items():
        print(f"{name:28} {value:12.3f}")
    if asked.json:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
