"""Every goal that speed and memory are held to, and the part of the benchmark that measures it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Goal:
    """One thing measured.

    Attributes
    ----------
    part : module of this folder whose `measure` gives the figure
    limit : what the figure must reach; None where there is no goal, and the figure is for information
    sense : whether it must be at least or at most the limit
    unit : written after the figure: `x`, ` s`, ...
    """

    key: str
    part: str
    what: str
    limit: float | None = None
    sense: Literal["at least", "at most"] = "at least"
    unit: str = "x"

    def is_met(self, value: float) -> bool | None:
        """Whether a value reaches the limit; None without one."""
        if self.limit is None:
            return None
        return value >= self.limit if self.sense == "at least" else value <= self.limit


GOALS = (
    Goal(
        "ingest_a",
        "ingest",
        "decoding 1024 px JPEG DICOM to 256 px, one core, against way A: pydicom (gdcm) + PIL Lanczos",
    ),
    Goal("ingest_b", "ingest", "the same against way B: pydicom (Pillow) + PIL Lanczos", 3.5),
    Goal("ingest_c", "ingest", "the same against way C: pydicom (Pillow) + PIL bilinear", 2.0),
    Goal("ingest_two", "ingest", "two decoding processes against one, by the clock, their start included", 1.8),
    Goal(
        "cache_mean",
        "ingest",
        "stored pixels against full decoding + area average: mean difference of 255",
        0.1,
        "at most",
        "",
    ),
    Goal("cache_max", "ingest", "the same: largest difference of 255", 8, "at most", ""),
    Goal(
        "gather", "ingest", "images gathered from the store in random batches of 64", None, "at least", " images/s"
    ),
    Goal("headers_cold", "ingest", "first scan of DICOM headers, one process", None, "at least", " files/s"),
    Goal("headers_warm", "ingest", "warm check of 26,684 files by the clock, imports apart", 0.3, "at most", " s"),
    Goal(
        "feeding", "feeding", "256 px stored to 224 px augmented, batch 64, against DataLoader + PIL on RGB", 8.0
    ),
    Goal(
        "fed_step", "feeding", "training steps with our feeding against the same on a resident tensor, CPU", 0.95
    ),
    Goal(
        "resnet18_224",
        "compute",
        "ResNet-18 training at 224 px, all cores by the clock: our workers against one eager fp32 NCHW fit",
        2.0,
    ),
    Goal("resnet50_224", "compute", "the same, ResNet-50", 2.0),
    Goal("densenet121_224", "compute", "the same, DenseNet-121", 2.0),
    Goal("resnet18_128", "compute", "the same at 128 px, ResNet-18"),
    Goal("resnet50_128", "compute", "the same at 128 px, ResNet-50"),
    Goal("densenet121_128", "compute", "the same at 128 px, DenseNet-121"),
    Goal("mobilenetv3_large_100_128", "compute", "the same at 128 px, MobileNetV3-large"),
    Goal("convnext_atto_128", "compute", "the same at 128 px, ConvNeXt-atto"),
    Goal("resnet18_224_thread", "compute", "ResNet-18 training at 224 px, CPU time of one thread of each"),
    Goal("resnet50_224_thread", "compute", "the same, ResNet-50"),
    Goal("densenet121_224_thread", "compute", "the same, DenseNet-121"),
    Goal("resnet18_128_thread", "compute", "the same at 128 px, ResNet-18"),
    Goal("resnet50_128_thread", "compute", "the same at 128 px, ResNet-50"),
    Goal("densenet121_128_thread", "compute", "the same at 128 px, DenseNet-121"),
    Goal("mobilenetv3_large_100_128_thread", "compute", "the same at 128 px, MobileNetV3-large"),
    Goal("convnext_atto_128_thread", "compute", "the same at 128 px, ConvNeXt-atto"),
    Goal(
        "allocator", "compute", "ResNet-18 in fp32 channels-last: processes that keep freed memory against others"
    ),
    Goal("inference", "compute", "ResNet-50 inference as a worker does it, against eager fp32 NCHW"),
    Goal(
        "frozen_again",
        "fits",
        "head of a frozen ResNet-18, 3 cohorts x 10 epochs, 64 px: kept features against recomputing them",
        10.0,
    ),
    Goal("frozen_all", "fits", "the same against training everything"),
    Goal(
        "side_by_side",
        "compute",
        "N one-thread fits side by side against one N-thread fit after the other, N cores",
        1.1,
    ),
    Goal("evaluation", "fits", "five overlapping test cohorts: their union in one pass against each by itself"),
    Goal(
        "seen_once",
        "whole",
        "times that a fit of the demo predicts an image, whatever the test cohorts it is in",
        1,
        "at most",
        "",
    ),
    Goal("cohorts_100k", "cohorts", "nine balanced cohorts of 100,000 images", 2.0, "at most", " s"),
    Goal("cohorts_1m", "cohorts", "the same of 1,000,000 images", 20.0, "at most", " s"),
    Goal("cohorts_memory", "cohorts", "the same: peak memory", None, "at most", " GiB"),
    Goal("help", "whole", "`audit --help`, from start to end", 0.4, "at most", " s"),
    Goal("second_run", "whole", "`audit run` of an unchanged, finished demo", 3.0, "at most", " s"),
    Goal("render", "whole", "rendering the report of a stored run", 5.0, "at most", " s"),
    Goal(
        "fit_memory",
        "memory",
        "peak memory of a CPU run, 10,000 images at 224 px, ResNet-18",
        4.0,
        "at most",
        " GiB",
    ),
    Goal("fit_memory_50", "memory", "the same, ResNet-50", 4.0, "at most", " GiB"),
    Goal(
        "gpu_fed_step", "gpu", "training steps on resident images against the same on a resident tensor, GPU", 0.97
    ),
    Goal("gpu_pil", "gpu", "the same against DataLoader with 16 workers + PIL, GPU"),
)

PARTS = tuple(dict.fromkeys(goal.part for goal in GOALS if goal.part != "gpu"))
"""What `measure.py` runs; a GPU is measured by `gpu.py`."""
