"""Sample radiographs as small pictures inside the page."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from subgroup_audit.report.contents import Sample

LONGEST_SIDE = 224
MAX_SAMPLES = 60


@dataclass(frozen=True)
class Picture:
    """One sample as a data URI, with the words around it."""

    label: str
    caption: str
    uri: str
    width: int
    height: int


def pictures_by_cohort(samples: tuple[Sample, ...]) -> dict[str, list[Picture]]:
    """The samples by cohort, in the order in which they come; at most `MAX_SAMPLES` altogether."""
    groups: dict[str, list[Picture]] = {}
    for sample in samples[:MAX_SAMPLES]:
        groups.setdefault(sample.cohort, []).append(picture(sample))
    return groups


def picture(sample: Sample) -> Picture:
    """The sample as a JPEG of at most `LONGEST_SIDE` pixels; nothing but pixels is stored in the file."""
    image = Image.fromarray(sample.pixels).convert("L")
    image.thumbnail((LONGEST_SIDE, LONGEST_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.save(buffer, format="JPEG", quality=82, optimize=True)
    uri = "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
    return Picture(sample.label, sample.caption, uri, image.width, image.height)
