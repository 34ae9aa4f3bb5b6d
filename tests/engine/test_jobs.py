"""The order in which one machine takes its fits."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from subgroup_audit.engine.jobs import FitJob, in_order
from subgroup_audit.store import Step

NOWHERE = Path("nowhere")


def job_of(number: int, architecture: str, size: int, seconds: float) -> FitJob:
    spec = json.dumps({"model": {"architecture": architecture}, "recipe": {"image_size": size}})
    step = Step("fit", 1, {"number": number})
    return FitJob(
        str(number), step, spec, NOWHERE, NOWHERE, None, NOWHERE, NOWHERE, NOWHERE, epochs=1, seconds=seconds
    )


def test_fits_of_one_network_stand_together_the_longest_first():
    jobs = [
        job_of(0, "resnet18", 64, 5),
        job_of(1, "resnet50", 64, 20),
        job_of(2, "resnet18", 64, 9),
        job_of(3, "resnet50", 64, 2),
        job_of(4, "resnet18", 224, 7),
    ]
    assert [job.label for job in in_order(jobs)] == ["1", "3", "2", "0", "4"]


def test_equal_fits_keep_the_order_of_the_plan():
    jobs = [job_of(number, "small_cnn", 64, 3) for number in range(6)]
    assert in_order(jobs) == jobs


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([64, 128]), st.integers(0, 9)), max_size=12))
def test_no_fit_is_lost_and_no_network_begins_twice(fits):
    jobs = [job_of(number, *fit) for number, fit in enumerate(fits)]
    ordered = in_order(jobs)
    assert sorted(ordered, key=lambda job: int(job.label)) == jobs
    starts = [now.network for now, before in zip(ordered, [None, *ordered], strict=False)
              if before is None or now.network != before.network]  # fmt: skip
    assert len(starts) == len(set(starts))
