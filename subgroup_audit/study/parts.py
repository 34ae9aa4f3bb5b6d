"""What every part of a study shares: frozen, unknown keys refused, and the kinds of values."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

Name = Annotated[str, Field(min_length=1, max_length=200)]


Share = Annotated[float, Field(ge=0.0, le=1.0)]


AttributeValue = str | int | float | bool


def _value_text(value: Any) -> Any:
    """A value that names a share, as text: YAML reads `label: {1: 0.5, 0: 0.5}` with numbers for keys."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else value


ValueName = Annotated[str, BeforeValidator(_value_text)]


class Part(BaseModel):
    """Base of every part of a study: frozen, and a key that is not declared is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")
