"""How a study is judged, and the published figures that stand beside it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from subgroup_audit.study.parts import Part, ValueName


class Analysis(Part):
    """What is estimated, against what, and how sure."""

    contrasts: Annotated[
        tuple[Literal["generalization_gap", "subgroup_gap", "transfer_gap", "gap_of_gaps"], ...],
        Field(
            description="which gaps are reported, and so corrected for; `gap_of_gaps`: a subgroup gap trained on the group minus the same trained on its reference"
        ),
    ] = ("generalization_gap", "subgroup_gap", "transfer_gap")
    reference: Annotated[
        dict[str, ValueName],
        Field(
            description="attribute: reference value, the subtrahend of subgroup gaps; absent: the value with most images"
        ),
    ] = {}
    margin: Annotated[float, Field(gt=0, lt=0.5, description="largest AUC difference that counts as none")] = 0.05
    confidence_level: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    n_resamples: Annotated[int, Field(ge=100, le=100_000)] = 2000
    multiplicity: Literal["holm", "benjamini-hochberg", "none"] = "holm"
    min_persons: Annotated[
        int, Field(ge=2, description="cells with fewer positive or negative persons are marked small")
    ] = 10
    seed: Annotated[int, Field(ge=0, description="of the draws of persons")] = 0
    operating_point: Annotated[
        str,
        Field(
            pattern=r"^(youden|f1|(sensitivity|specificity)=(1|1\.0|0?\.\d*[1-9]\d*))$",
            description="how the threshold of each fit is chosen, on the validation images of its own training cohort: `youden`, `f1`, or the point that just reaches a target, as `sensitivity=0.9` or `specificity=0.9`",
        ),
    ] = "youden"


class Reference(Part):
    """A published figure to stand beside ours."""

    label: str
    value: float
    train_cohort: str | None = None
    test_group: str | None = None
    model: str | None = None
    recipe: str | None = None
    split: Literal["train", "val", "test"] = "test"
    metric: Literal["auc", "accuracy"] = "auc"
