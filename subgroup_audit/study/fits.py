"""What is trained: models, recipes, augmentation, stopping, and which cohort with which."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from subgroup_audit.study.parts import Part, Share


class Model(Part):
    """A network: what it is, what it starts from, what of it is trained."""

    architecture: Annotated[
        str, Field(description="timm or torchvision name (`torchvision/NAME` to insist), or `small_cnn`")
    ]
    pretrained: Annotated[bool, Field(description="start from published weights")] = False
    weights: Annotated[
        str | None,
        Field(
            description="local safetensors or weights-only checkpoint to start from; relative to the study file"
        ),
    ] = None
    trainable: Annotated[
        Literal["all", "head", "7x7", "14x14", "28x28"],
        Field(
            description="train everything, the head, or from the last layer down to the feature map of this size at 224 px (stride 32, 16, 8)"
        ),
    ] = "all"
    hidden: Annotated[
        tuple[Annotated[int, Field(gt=0)], ...], Field(description="widths of hidden layers of the head")
    ] = ()
    dropout: Annotated[float, Field(ge=0.0, lt=1.0, description="before the last layer")] = 0.0
    freeze_batch_norm: Annotated[bool, Field(description="frozen layers keep their stored batch statistics")] = (
        True
    )
    batch_norm_momentum: Annotated[
        float | None,
        Field(
            ge=0.0,
            le=1.0,
            description="share of each batch in the stored batch statistics; 0: they are never updated, as in frozen layers of old Keras; absent: the architecture's own",
        ),
    ] = None


class Augmentation(Part):
    """Random changes of training images; every range is symmetric around no change."""

    horizontal_flip: Annotated[Share, Field(description="probability")] = 0.0
    vertical_flip: Annotated[Share, Field(description="probability")] = 0.0
    rotate_quarter: Annotated[bool, Field(description="random multiples of 90 degrees")] = False
    rotation_degrees: Annotated[float, Field(ge=0, le=180)] = 0.0
    shift: Annotated[float, Field(ge=0, le=0.5, description="share of the side")] = 0.0
    zoom: Annotated[float, Field(ge=0, lt=1, description="0.1: from 0.9 to 1.1 times")] = 0.0
    shear: Annotated[float, Field(ge=0, le=1, description="tangent of the angle")] = 0.0
    brightness: Annotated[float, Field(ge=0, le=1, description="share of the full range added")] = 0.0
    contrast: Annotated[float, Field(ge=0, lt=1, description="0.1: from 0.9 to 1.1 times")] = 0.0


class EarlyStopping(Part):
    """Stop when the monitored value has not improved for `patience` epochs."""

    patience: Annotated[int, Field(gt=0)] = 5


class Recipe(Part):
    """How a model is trained."""

    image_size: Annotated[int, Field(ge=16, le=1024, description="side of the input, px")] = 224
    batch_size: Annotated[int, Field(gt=0)] = 32
    epochs: Annotated[int, Field(gt=0)] = 10
    optimiser: Literal["sgd", "adam", "adamw", "rmsprop"] = "adamw"
    learning_rate: Annotated[float, Field(gt=0)] = 3e-4
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    momentum: Annotated[float, Field(ge=0, lt=1, description="of sgd and rmsprop")] = 0.9
    schedule: Literal["constant", "plateau", "cosine"] = "constant"
    plateau_patience: Annotated[int, Field(gt=0)] = 3
    plateau_factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    warmup_epochs: Annotated[float, Field(ge=0)] = 0.0
    clip_norm: Annotated[float | None, Field(gt=0, description="largest gradient norm; none: not clipped")] = None
    class_weight: Annotated[
        Literal["none", "balanced"], Field(description="loss weights inverse to class frequency")
    ] = "none"
    sampling: Annotated[
        Literal["plain", "balanced"], Field(description="`balanced` draws classes equally often")
    ] = "plain"
    label_smoothing: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    early_stopping: EarlyStopping | None = None
    monitor: Annotated[
        Literal["val_auc", "val_loss"],
        Field(description="what picks the best epoch, plateau and early stopping"),
    ] = "val_auc"
    restore_best: Annotated[bool, Field(description="keep the best epoch's weights instead of the last")] = True
    augmentation: Augmentation = Augmentation()
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"], Field(description="`auto` probes the device")
    ] = "auto"


class Fits(Part):
    """A block of fits: every cohort with every model and recipe of the block. Absent lists mean all."""

    cohorts: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    recipes: tuple[str, ...] | None = None
