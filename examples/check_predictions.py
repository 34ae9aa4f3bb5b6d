"""Is a model equally good for women and men? Ask its predictions, in ten lines.

    python examples/check_predictions.py

Makes a small CSV as a hospital would export it (a row for each radiograph, one to three for each person), with
scores that find pneumonia less well in women. Checks it, prints the verdict, and writes a page, the numbers, and a
section for a model card. About ten seconds. `audit check FILE` does the same from the command line.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from subgroup_audit import check
from subgroup_audit.checking.formats import render
from subgroup_audit.checking.model_card import write_model_card
from subgroup_audit.report.check_page import write_check_page


def made_up_predictions(n_persons: int = 900, seed: int = 1) -> pd.DataFrame:
    """Predictions with a planted gap: positives of women score a standard deviation lower than those of men.

    The AUC to be found is about 0.92 in men and 0.76 in women. The view makes no difference.
    """
    rng = np.random.default_rng(seed)
    person = np.repeat(np.arange(n_persons), rng.integers(1, 4, n_persons))
    sex = np.where(rng.random(n_persons) < 0.5, "F", "M")[person]
    has_pneumonia = (rng.random(n_persons) < 0.35)[person]
    shift = np.where(sex == "F", 1.0, 2.0) * has_pneumonia
    logit = shift - 1.3 + rng.normal(0.0, 0.6, n_persons)[person] + rng.normal(0.0, 0.8, len(person))
    return pd.DataFrame(
        {
            "image_id": [f"image_{place:05d}" for place in range(len(person))],
            "patient_id": [f"person_{place:04d}" for place in person],
            "sex": sex,
            "view": np.where(rng.random(len(person)) < 0.4, "AP", "PA"),
            "y_true": has_pneumonia.astype(int),
            "y_score": 1.0 / (1.0 + np.exp(-logit)),
        }
    )


def main() -> None:
    """Make the predictions, check them, and show what a check gives."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("reports/check_predictions"), help="folder to write to")
    folder = parser.parse_args().out
    folder.mkdir(parents=True, exist_ok=True)
    predictions = folder / "predictions.csv"
    made_up_predictions().to_csv(predictions, index=False)

    result = check(
        predictions,
        label="y_true",
        score="y_score",
        person="patient_id",
        image="image_id",
        group=["sex", "view"],
        reference={"sex": "M", "view": "PA"},
        margin=0.05,
    )
    print(render(result, "full", file=str(predictions)))

    judged = result.judged[["attribute", "group", "reference", "estimate", "low", "high", "verdict"]]
    print(judged.round(3).to_string(index=False))

    result.save(folder / "numbers")
    write_check_page(result, folder / "check.html", title="Made-up predictions")
    write_model_card(result, folder / "model_card.md")
    print(f"\nWritten to {folder}: check.html, model_card.md, numbers/. Exit code of a gate: {result.exit_code()}")


if __name__ == "__main__":
    main()
