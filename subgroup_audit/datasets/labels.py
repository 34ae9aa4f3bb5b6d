"""Labels as every source gives them, brought to one row per image and finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from subgroup_audit.errors import DataError

STATED = {"1": 1, "1.0": 1, "0": 0, "0.0": 0, "-1": -1, "-1.0": -1}
BLANK = frozenset({"", "nan", "NaN", "NA", "None", "<NA>"})


def expand_classes(
    image_ids: pd.Series, text: pd.Series, *, separator: str | None = None, findings: Sequence[str] | None = None
) -> pd.DataFrame:
    """`image_id, finding, label`: 1 for each finding that an image's text names, 0 for all the others.

    An image without text gets no rows: nothing is stated about it.

    Parameters
    ----------
    separator : stands between the findings of one text; None: the text is one finding
    findings : every finding of the data set; None: those that occur
    """
    stated = text.notna() & (text.astype("str").str.strip() != "")
    ids, named = image_ids[stated].to_numpy(), text[stated].str.strip()
    texts, code = np.unique(named.to_numpy(dtype=object), return_inverse=True)
    parts = [{part.strip() for part in (t.split(separator) if separator else [t])} - {""} for t in texts]
    names = list(findings) if findings is not None else sorted(set().union(*parts)) if parts else []
    holds = np.array([[name in part for name in names] for part in parts], dtype=np.int64).reshape(
        len(parts), len(names)
    )
    return pd.DataFrame(
        {
            "image_id": pd.Series(np.repeat(ids, len(names)), dtype="str"),
            "finding": pd.Series(np.tile(np.asarray(names, dtype=object), len(ids)), dtype="str"),
            "label": holds[code].reshape(-1),
        }
    )


def stack_columns(
    frame: pd.DataFrame, findings: Sequence[str] | Mapping[str, str], *, blank_is_negative: bool, origin: str
) -> pd.DataFrame:
    """`image_id, finding, label` from one column per finding that holds 1, 0, -1 (uncertain) or nothing.

    Parameters
    ----------
    frame : has `image_id` and the finding columns, as text
    findings : columns, or finding -> column
    blank_is_negative : whether an empty field says absent; otherwise it says nothing
    origin : file that the columns come from, for messages

    Raises
    ------
    DataError
        A field holds anything else; names file, column and value.
    """
    columns = dict(findings) if isinstance(findings, Mapping) else {name: name for name in findings}
    stacked = [
        _one_column(frame, finding, column, blank_is_negative=blank_is_negative, origin=origin)
        for finding, column in columns.items()
    ]
    return pd.concat(stacked, ignore_index=True)


def _one_column(
    frame: pd.DataFrame, finding: str, column: str, *, blank_is_negative: bool, origin: str
) -> pd.DataFrame:
    values = frame[column].astype("str").str.strip()
    is_blank = values.isna() | values.isin(list(BLANK))
    strange = values[~is_blank & ~values.isin(list(STATED))]
    if len(strange):
        raise DataError(
            f"{origin}: column '{column}' must hold 1, 0, -1 or nothing; {len(strange)} rows hold something else, "
            f"the first '{strange.iloc[0]}'"
        )
    label = values.map(STATED).astype("float64").mask(is_blank, 0.0 if blank_is_negative else np.nan)
    kept = label.notna()
    rows = pd.DataFrame({"image_id": frame.loc[kept, "image_id"], "label": label[kept].astype("int64")})
    return rows.assign(finding=finding)
