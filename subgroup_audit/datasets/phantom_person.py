"""Who is radiographed and how: the person's anatomy, one acquisition, and the opacities in the lungs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

ABNORMALITIES = ("enlarged heart", "nodule", "pleural line")
"""What a radiograph that is not normal, but has no lung opacity, may show."""


@dataclass(frozen=True)
class Opacity:
    """One soft-edged consolidation that fills a box.

    Attributes
    ----------
    x, y, width, height : float
        Box in pixels of the image it is drawn on: left, top, extent.
    contrast : float
        Share of the air inside the ellipsoid that fluid has replaced, in [0, 1]: 1 is a dense consolidation.
    """

    x: float
    y: float
    width: float
    height: float
    contrast: float

    def scaled(self, factor: float) -> Opacity:
        """The same opacity on an image `factor` times as large."""
        return Opacity(self.x * factor, self.y * factor, self.width * factor, self.height * factor, self.contrast)


@dataclass(frozen=True)
class PatientAnatomy:
    """What stays the same in every radiograph of a person: sizes in centimetres, shares without a unit."""

    sex: str
    age_years: float
    half_width: float
    lung_height: float
    depth: float
    wall: float
    heart_ratio: float
    rib_spacing: float
    rib_drop: float
    bone_density: float
    breast: float
    scoliosis: float
    aortic_knob: float
    texture_seed: int

    @classmethod
    def draw(cls, sex: str, age_years: float, rng: np.random.Generator) -> PatientAnatomy:
        """A person of that sex and age; anything but "F" has the male habitus."""
        female = sex == "F"
        age = min(max(float(age_years), 5.0), 95.0)
        grown = 0.68 + 0.32 * min(age, 18.0) / 18.0
        old = max(age - 50.0, 0.0) / 40.0
        return cls(
            sex=sex,
            age_years=float(age_years),
            half_width=grown * rng.normal(12.2 if female else 13.4, 0.6),
            lung_height=grown * rng.normal(21.8 if female else 23.8, 1.0),
            depth=grown * rng.normal(19.0 if female else 20.5, 1.2),
            wall=float(np.clip(rng.normal(2.2, 0.7), 1.0, 4.0)),
            heart_ratio=float(np.clip(rng.normal(0.45 + 0.03 * old, 0.03), 0.36, 0.55)),
            rib_spacing=grown * rng.normal(2.75, 0.12),
            rib_drop=grown * rng.normal(3.6, 0.4),
            bone_density=float(np.clip(rng.normal(1.0 - 0.25 * old, 0.1), 0.55, 1.25)),
            breast=float(np.clip(rng.normal(0.95, 0.3), 0.3, 1.7)) if female and age >= 13 else 0.0,
            scoliosis=float(rng.normal(0.0, 0.35)),
            aortic_knob=float(np.clip(rng.normal(1.0 + 0.35 * old, 0.1), 0.75, 1.5)),
            texture_seed=int(rng.integers(2**31)),
        )


@dataclass(frozen=True)
class Acquisition:
    """How one radiograph was taken: geometry in centimetres and degrees, exposure, and what lies on the person.

    `inspiration` and `heart_scale` are multipliers of the person's lung height and heart; `mediastinum` of the
    vascular pedicle. `photons` is the mean count at a detector pixel of 0.156 cm without anybody in the beam.
    """

    view: str
    inspiration: float
    heart_scale: float
    mediastinum: float
    scapula_cm: float
    clavicle_cm: float
    rotation_degrees: float
    shift_x: float
    shift_y: float
    zoom: float
    turn_cm: float
    brightness: float
    latitude: float
    photons: float
    shutter_cm: float
    device_seed: int
    abnormality: str = ""

    @classmethod
    def draw(
        cls, view: str, rng: np.random.Generator, *, abnormality: str = "", spread: float = 1.0
    ) -> Acquisition:
        """A PA film in deep inspiration, or an AP bedside film ("AP"): larger heart, less air, more lines.

        `spread` multiplies the standard deviations: at 0 every film of a view is taken in the same way.
        """
        bedside = view == "AP"
        enlarged = rng.uniform(1.28, 1.5) if abnormality == "enlarged heart" else 1.0
        has_devices = rng.random() < (0.6 if bedside else 0.05)

        def normal(mean: float, sd: float) -> float:
            return float(rng.normal(mean, sd * spread))

        return cls(
            view=view,
            inspiration=float(np.clip(normal(0.85 if bedside else 1.0, 0.05), 0.68, 1.1)),
            heart_scale=enlarged * normal(1.17 if bedside else 1.0, 0.03),
            mediastinum=normal(1.3 if bedside else 1.0, 0.07),
            scapula_cm=normal(-2.6 if bedside else 1.6, 0.6),
            clavicle_cm=normal(-1.5 if bedside else 0.2, 0.5),
            rotation_degrees=normal(0.0, 2.2 if bedside else 1.1),
            shift_x=normal(0.0, 1.0 if bedside else 0.5),
            shift_y=normal(0.6 if bedside else -0.2, 0.9),
            zoom=float(np.clip(normal(1.12 if bedside else 1.09, 0.04), 0.97, 1.24)),
            turn_cm=normal(0.0, 0.6 if bedside else 0.25),
            brightness=normal(0.06 if bedside else 0.0, 0.13),
            latitude=float(np.clip(normal(1.1 if bedside else 1.0, 0.09), 0.8, 1.35)),
            photons=float(np.exp(normal(np.log(1.0e5 if bedside else 2.0e5), 0.35))),
            shutter_cm=float(rng.uniform(0.3, 2.0)) if rng.random() < 0.3 else 0.0,
            device_seed=int(rng.integers(1, 2**31)) if has_devices else 0,
            abnormality=abnormality,
        )
