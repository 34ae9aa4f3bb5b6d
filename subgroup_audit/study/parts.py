"""What every part of a study shares: frozen, unknown keys refused, and the kinds of values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, field_validator

Name = Annotated[str, Field(min_length=1, max_length=200)]


Share = Annotated[float, Field(ge=0.0, le=1.0)]


AttributeValue = str | int | float | bool


def value_name(value: Any) -> Any:
    """The name of a value as cohorts write it: YAML reads `label: {1: 0.5, 0: 0.5}` with numbers for keys."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, (int, float)) else value


ValueName = Annotated[str, BeforeValidator(value_name)]


class Part(BaseModel):
    """Base of every part of a study: frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_truth_value(cls, value: Any, info: ValidationInfo) -> Any:
        """YAML reads `yes`, `on` and `true` alike: where a number is asked for, that would silently be 1."""
        asked = cls.model_fields[str(info.field_name)].annotation
        if isinstance(value, bool) and asked in (int, float, int | None, float | None):
            raise ValueError(f"must be a number, not {str(value).lower()}")
        return value
