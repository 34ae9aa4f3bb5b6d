"""What a phantom plants, and the plan of its images that follows from it."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np

from subgroup_audit.datasets.phantom_person import ABNORMALITIES
from subgroup_audit.errors import StudyError, nearest

OPACITY, NOT_NORMAL, NORMAL = "Lung Opacity", "No Lung Opacity / Not Normal", "Normal"
TRANSFER_SYNTAXES = ("jpeg", "explicit", "rle", "jpeg2000")
GROUPS = {"sex": ("F", "M"), "view": ("AP", "PA")}
"""The groups for which a design may plant different values."""
_BY_GROUP = ("share_ap", "prevalence", "wrong_label_share", "contrast_by_sex", "contrast_by_view")
_WHOLE = ("n_images", "max_images_per_person", "size", "seed")


@dataclass(frozen=True)
class PhantomDesign:
    """Everything that a phantom data set plants; the defaults plant nothing.

    A mapping by group names every group of its attribute: `{"F": 0.6, "M": 1.0}`, `{"AP": 0.5, "PA": 0.3}`.

    Attributes
    ----------
    n_images : int
        Radiographs, at least 1.
    images_per_person : float
        Mean number of radiographs of a person, at least 1; a shifted geometric distribution.
    max_images_per_person : int
        No person has more radiographs than this.
    share_female : float
        Share of persons who are female, in [0, 1].
    share_ap : float or mapping by sex
        Share of radiographs that are AP bedside films, in [0, 1].
    prevalence : float or mapping by view
        Share of radiographs with an opacity, in [0, 1]. Unequal values are a shortcut: the view tells the label.
    label_persistence : float
        Share of a person's radiographs, in [0, 1], whose opacity follows one draw of that person.
    contrast : float
        Share of the air in an opacity that fluid has replaced, in [0, 1].
    contrast_by_sex, contrast_by_view : mapping
        Multipliers of `contrast` by group, at least 0; both apply.
    contrast_spread : float
        Standard deviation of log contrast between images, without a unit, at least 0.
    opacity_cm : pair of float
        Smallest and largest side of an opacity, in centimetres at the detector (field: 40 cm).
    wrong_label_share : float or mapping by sex
        Share of images whose written label is the opposite of the truth, in [0, 1].
    not_normal_share : float
        Share, in [0, 1], of images labelled negative that show another abnormality and are so classed.
    age_mean, age_sd : float
        Age of persons in years, a normal distribution cut to [3, 92].
    anatomy_follows_sex, anatomy_follows_view : bool
        Whether women's and bedside films look as such. False: habitus or film is drawn by lot, independently of
        what the header says, so that pixels carry no trace of the group and no gap is the exact truth.
    size : int
        Pixels a side, 64 to 2048.
    seed : int
        The same design gives the same bytes.
    transfer_syntax : {"jpeg", "explicit", "rle", "jpeg2000"}
        How pixels lie in the files; JPEG baseline as RSNA's.
    n_monochrome1 : int
        Files with inverted pixels, tagged MONOCHROME1.
    n_sixteen_bit : int
        Files of 12 bits stored in 16, with rescale slope, intercept and a VOI window.
    n_lateral : int
        Lateral radiographs (ViewPosition LL), never with an opacity.
    n_missing_sex : int
        Files with an empty PatientSex.
    n_age_151 : int
        Files that say age 151, as some of RSNA's do.
    n_truncated : int
        Files cut in the middle of their pixels.
    n_text_files : int
        Text files named .dcm.
    """

    n_images: int = 200
    images_per_person: float = 1.6
    max_images_per_person: int = 12
    share_female: float = 0.5
    share_ap: float | Mapping[str, float] = 0.5
    prevalence: float | Mapping[str, float] = 0.4
    label_persistence: float = 0.0
    contrast: float = 0.4
    contrast_by_sex: Mapping[str, float] = field(default_factory=lambda: {"F": 1.0, "M": 1.0})
    contrast_by_view: Mapping[str, float] = field(default_factory=lambda: {"AP": 1.0, "PA": 1.0})
    contrast_spread: float = 0.25
    opacity_cm: tuple[float, float] = (4.0, 9.0)
    wrong_label_share: float | Mapping[str, float] = 0.0
    not_normal_share: float = 0.3
    age_mean: float = 47.0
    age_sd: float = 17.0
    anatomy_follows_sex: bool = True
    anatomy_follows_view: bool = True
    size: int = 256
    seed: int = 0
    transfer_syntax: str = "jpeg"
    n_monochrome1: int = 0
    n_sixteen_bit: int = 0
    n_lateral: int = 0
    n_missing_sex: int = 0
    n_age_151: int = 0
    n_truncated: int = 0
    n_text_files: int = 0

    def __post_init__(self) -> None:
        """Refuse what no phantom can be; every problem is listed."""
        problems = list(_problems(self))
        if problems:
            raise StudyError("phantom design:\n" + "\n".join(f"- {p}" for p in problems))

    @property
    def defects(self) -> dict[str, int]:
        """How many files have each defect, in the order in which they are dealt out."""
        return {f.name[2:]: getattr(self, f.name) for f in fields(self) if _is_defect(f.name)}

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON holds them."""
        plain: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return plain

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> PhantomDesign:
        """A design from plain values; an unknown key raises `StudyError` naming the nearest."""
        known = [f.name for f in fields(cls)]
        for name in values:
            if name not in known:
                near = nearest(name, known, limit=1)
                raise StudyError(
                    f"phantom design: unknown key {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
                )
        values = dict(values)
        if "opacity_cm" in values:
            sides = values["opacity_cm"]
            values["opacity_cm"] = tuple(sides) if isinstance(sides, list) else sides
        return cls(**values)


def _is_defect(name: str) -> bool:
    return name.startswith("n_") and name != "n_images"


def by_group(value: float | Mapping[str, float], group: str) -> float:
    """The value of one group: itself, or the mapping's entry."""
    return float(value[group]) if isinstance(value, Mapping) else float(value)


def _problems(design: PhantomDesign) -> Iterator[str]:
    wrong = [problem for f in fields(design) for problem in _wrong_type(f.name, getattr(design, f.name))]
    yield from wrong if wrong else _wrong_values(design)


def _wrong_type(name: str, value: Any) -> Iterator[str]:
    """What is wrong with a value's kind, so that ranges can be compared afterwards."""
    kind = _kind(name)
    if isinstance(value, Mapping) and name in _BY_GROUP:
        yield from (f"{name}[{g}] must be a number, not {v!r}" for g, v in value.items() if not _is_number(v))
    elif not _KINDS[kind](value):
        yield f"{name} must be {kind}, not {'a mapping' if isinstance(value, Mapping) else repr(value)}"


def _kind(name: str) -> str:
    if name.startswith(("anatomy_follows", "contrast_by")):
        return "true or false" if name.startswith("anatomy") else "a mapping"
    if name in ("opacity_cm", "transfer_syntax"):
        return "two numbers" if name == "opacity_cm" else "a word"
    return "a whole number" if name in _WHOLE or _is_defect(name) else "a number"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_KINDS: dict[str, Callable[[Any], bool]] = {
    "true or false": lambda value: isinstance(value, bool),
    "a mapping": lambda value: isinstance(value, Mapping),
    "two numbers": lambda value: isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value)),
    "a word": lambda value: isinstance(value, str),
    "a whole number": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "a number": _is_number,
}


def _wrong_values(design: PhantomDesign) -> Iterator[str]:
    yield from _off_range("seed", design.seed, None, 0, 2**63)
    yield from _off_range("age_mean", design.age_mean, None, 0, 120)
    yield from _off_range("age_sd", design.age_sd, None, 0, 60)
    yield from _off_range("max_images_per_person", design.max_images_per_person, None, 1, 10_000_000)
    for name in ("share_female", "label_persistence", "not_normal_share"):
        yield from _off_range(name, getattr(design, name), None, 0, 1)
    yield from _off_range("share_ap", design.share_ap, "sex", 0, 1)
    yield from _off_range("prevalence", design.prevalence, "view", 0, 1)
    yield from _off_range("wrong_label_share", design.wrong_label_share, "sex", 0, 1)
    yield from _off_range("contrast_by_sex", design.contrast_by_sex, "sex", 0, 10)
    yield from _off_range("contrast_by_view", design.contrast_by_view, "view", 0, 10)
    yield from _off_range("contrast", design.contrast, None, 0, 1)
    yield from _off_range("contrast_spread", design.contrast_spread, None, 0, 3)
    yield from _off_range("size", design.size, None, 64, 2048)
    yield from _off_range("n_images", design.n_images, None, 1, 10_000_000)
    yield from _off_range("images_per_person", design.images_per_person, None, 1, design.max_images_per_person)
    yield from _off_range("opacity_cm[0]", design.opacity_cm[0], None, 0.5, design.opacity_cm[1])
    yield from _off_range("opacity_cm[1]", design.opacity_cm[1], None, 0.5, 20)
    for name, count in design.defects.items():
        yield from _off_range(f"n_{name}", count, None, 0, design.n_images)
    if sum(design.defects.values()) > design.n_images:
        yield f"the defects need {sum(design.defects.values())} files, n_images is {design.n_images}"
    if design.transfer_syntax not in TRANSFER_SYNTAXES:
        yield f"transfer_syntax must be one of {', '.join(TRANSFER_SYNTAXES)}, not {design.transfer_syntax!r}"


def _off_range(
    name: str, value: float | Mapping[str, float], attribute: str | None, low: float, high: float
) -> Iterator[str]:
    if isinstance(value, Mapping):
        groups = GROUPS.get(attribute or "", ())
        if set(value) != set(groups):
            yield f"{name} must name exactly {', '.join(groups)}, not {', '.join(map(str, value))}"
            return
        for group, one in value.items():
            yield from _off_range(f"{name}[{group}]", one, None, low, high)
    elif not low <= value <= high:
        yield f"{name} must lie in [{low:g}, {high:g}], not {value:g}"


@dataclass(frozen=True)
class PlannedImage:
    """One radiograph before it is drawn: all that a worker needs, independent of every other image."""

    index: int
    image_id: str
    patient_id: str
    person: int
    sex: str
    view: str
    age_years: float
    body_sex: str
    film_view: str
    has_opacity: bool
    label: bool
    class_name: str
    abnormality: str
    contrast: float
    defect: str
    size: int
    seed: int
    transfer_syntax: str
    opacity_cm: tuple[float, float] = (4.0, 9.0)
    boxes: tuple[tuple[float, float, float, float], ...] = ()
    acquired_for: tuple[tuple[float, float, float, float], ...] = ()
    pixel_spacing_mm: float = 0.0
    nih_image: str = ""
    acquisition_spread: float = 1.0


def plan_images(design: PhantomDesign) -> list[PlannedImage]:
    """Every image of a design, in writing order."""
    rng = np.random.default_rng([design.seed, 11])
    planned = [
        image
        for person, count in enumerate(_images_of_each_person(design, rng))
        for image in _plan_person(design, person, count, np.random.default_rng([design.seed, 14, person]))
    ]
    planned = [changed(image, index=i) for i, image in enumerate(planned)]
    return _deal_defects(design, planned, rng)


def _images_of_each_person(design: PhantomDesign, rng: np.random.Generator) -> list[int]:
    counts: list[int] = []
    left = design.n_images
    while left > 0:
        count = int(rng.geometric(1 / design.images_per_person))
        counts.append(min(count, design.max_images_per_person, left))
        left -= counts[-1]
    return counts


def _plan_person(
    design: PhantomDesign, person: int, count: int, rng: np.random.Generator
) -> Iterator[PlannedImage]:
    sex = "F" if rng.random() < design.share_female else "M"
    body = sex if design.anatomy_follows_sex else str(rng.choice(GROUPS["sex"]))
    age = float(np.clip(np.rint(rng.normal(design.age_mean, design.age_sd)), 3, 92))
    own_draw = rng.random()
    for _ in range(count):
        view = "AP" if rng.random() < by_group(design.share_ap, sex) else "PA"
        draw = own_draw if rng.random() < design.label_persistence else rng.random()
        has_opacity = bool(draw < by_group(design.prevalence, view))
        is_wrong = bool(rng.random() < by_group(design.wrong_label_share, sex))
        label = has_opacity != is_wrong
        shows_other = bool(rng.random() < design.not_normal_share) and not label
        yield PlannedImage(
            index=0,
            image_id=str(uuid.UUID(bytes=rng.bytes(16), version=4)),
            patient_id=f"{person + 1:08d}",
            person=person,
            sex=sex,
            view=view,
            age_years=age,
            body_sex=body,
            film_view=view if design.anatomy_follows_view else str(rng.choice(GROUPS["view"])),
            has_opacity=has_opacity,
            label=label,
            class_name=OPACITY if label else NOT_NORMAL if shows_other else NORMAL,
            abnormality=str(rng.choice(ABNORMALITIES)) if shows_other else "",
            contrast=draw_contrast(design, sex, view, rng) if has_opacity else 0.0,
            defect="",
            size=design.size,
            seed=design.seed,
            transfer_syntax=design.transfer_syntax,
            opacity_cm=design.opacity_cm,
        )


class PlantedContrast(Protocol):
    """The part of a design that says how strong its opacities are."""

    @property
    def contrast(self) -> float: ...
    @property
    def contrast_by_sex(self) -> Mapping[str, float]: ...
    @property
    def contrast_by_view(self) -> Mapping[str, float]: ...
    @property
    def contrast_spread(self) -> float: ...


def draw_contrast(design: PlantedContrast, sex: str, view: str, rng: np.random.Generator) -> float:
    """Contrast of one image's opacities, in [0, 1]: planted value times a log-normal spread."""
    spread = float(np.exp(rng.normal(0.0, design.contrast_spread)))
    planted = design.contrast * design.contrast_by_sex[sex] * design.contrast_by_view[view]
    return float(min(planted * spread, 1.0))


def changed(image: PlannedImage, **changes: Any) -> PlannedImage:
    """The same plan with some of its values replaced."""
    return PlannedImage(**{**image.__dict__, **changes})


def _deal_defects(
    design: PhantomDesign, planned: list[PlannedImage], rng: np.random.Generator
) -> list[PlannedImage]:
    """The plan with defects dealt to images by lot, at most one each; laterals go to negatives first."""
    order = [int(i) for i in rng.permutation(len(planned))]
    for defect, count in design.defects.items():
        if defect == "lateral":
            order.sort(key=lambda i: planned[i].has_opacity or planned[i].label)
        for index in order[:count]:
            planned[index] = _damaged(planned[index], defect)
        order = order[count:]
        if defect == "lateral":
            order = [int(i) for i in rng.permutation(order)]
    return planned


def _damaged(image: PlannedImage, defect: str) -> PlannedImage:
    if defect == "lateral":
        image = changed(image, has_opacity=False, label=False, contrast=0.0, abnormality="")
        return changed(image, view="LL", class_name=NORMAL, defect=defect)
    if defect == "missing_sex":
        return changed(image, sex="", defect=defect)
    if defect == "age_151":
        return changed(image, age_years=151.0, defect=defect)
    return changed(image, defect=defect)
