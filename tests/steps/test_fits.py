"""What a fit depends on."""

from __future__ import annotations

import json
from pathlib import Path

from subgroup_audit.steps.fits import weights_digest


def test_the_normalisation_beside_local_weights_belongs_to_a_fit(tmp_path: Path) -> None:
    """Moved by its description, an image enters the network with other levels."""
    found = [weights_digest(tmp_path, None), weights_digest(tmp_path, "absent.pth")]
    assert found == ["", ""]
    for number, description in enumerate((None, {"mean": 0.5, "std": 0.25}, {"mean": 0.4, "std": 0.25})):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "checkpoint.safetensors").write_bytes(b"the same weights")
        if description:
            (folder / "model.json").write_text(json.dumps({**description, "fit_id": str(number)}))
        found.append(weights_digest(folder, "checkpoint.safetensors"))
    assert len(set(found)) == 4
