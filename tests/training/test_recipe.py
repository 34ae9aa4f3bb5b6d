"""Learning rates, losses and what counts as a gain."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from subgroup_audit.study import Recipe
from subgroup_audit.training.data import Labels
from subgroup_audit.training.recipe import Schedule, make_loss, make_optimiser, to_scores, wait_for_gain


def labels_of(y_true: list[list[int]], is_known: list[list[bool]] | None = None) -> Labels:
    values = np.array(y_true, dtype=np.float32)
    known = np.ones(values.shape, dtype=bool) if is_known is None else np.array(is_known)
    return Labels(tuple(map(str, range(len(values)))), values, known)


def test_warmup_then_cosine_to_zero() -> None:
    recipe = Recipe(schedule="cosine", warmup_epochs=1, epochs=5, learning_rate=0.1)
    rates = [Schedule(recipe, steps_per_epoch=10).rate(step) for step in range(50)]
    assert rates[0] == pytest.approx(0.01)
    assert rates[9] == rates[10] == pytest.approx(0.1)
    assert rates[30] == pytest.approx(0.05)
    assert rates[-1] < 0.001
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_plateau_cuts_after_patience() -> None:
    recipe = Recipe(schedule="plateau", plateau_patience=2, plateau_factor=0.1, learning_rate=1.0)
    schedule = Schedule(recipe, steps_per_epoch=1)
    rates = []
    for value in (0.5, 0.6, 0.6, 0.6, 0.6, 0.6, 0.9):
        schedule.end_epoch(value)
        rates.append(schedule.rate(0))
    assert rates == pytest.approx([1, 1, 1, 0.1, 0.1, 0.01, 0.01])


def test_constant_stays() -> None:
    schedule = Schedule(Recipe(learning_rate=0.3), steps_per_epoch=7)
    schedule.end_epoch(-1.0)
    schedule.end_epoch(-2.0)
    assert {schedule.rate(step) for step in range(100)} == {0.3}


def test_a_gain_below_the_threshold_is_none() -> None:
    assert wait_for_gain(0.70005, 0.7, 1, patience=2) == (0.7, 2, True)
    assert wait_for_gain(0.701, 0.7, 1, patience=2) == (0.701, 0, False)


def test_binary_loss_is_masked_mean() -> None:
    labels = labels_of([[1, 0], [0, 1]], [[True, False], [True, True]])
    loss = make_loss(Recipe(), labels, is_multiclass=False, device="cpu")
    logits = torch.tensor([[2.0, 99.0], [0.0, 1.0]])
    total, count = loss(logits, torch.from_numpy(labels.y_true), torch.from_numpy(labels.is_known))
    expected = math.log1p(math.exp(-2)) + math.log(2) + math.log1p(math.exp(-1))
    assert int(count) == 3
    assert float(total) == pytest.approx(expected, rel=1e-6)


def test_balanced_weights_average_one_and_even_out() -> None:
    labels = labels_of([[1]] + [[0]] * 3)
    loss = make_loss(Recipe(class_weight="balanced"), labels, is_multiclass=False, device="cpu")
    np.testing.assert_allclose(loss.weights.numpy(), [[4 / 6], [2.0]], rtol=1e-6)
    classes = labels_of([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]])
    weighted = make_loss(Recipe(class_weight="balanced"), classes, is_multiclass=True, device="cpu")
    np.testing.assert_allclose(weighted.weights.numpy(), [[4 / 3, 4 / 6, 4 / 3]], rtol=1e-6)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_class_loss_is_torch_cross_entropy(smoothing: float) -> None:
    labels = labels_of([[1, 0, 0], [0, 0, 1], [0, 1, 0]])
    loss = make_loss(Recipe(label_smoothing=smoothing), labels, is_multiclass=True, device="cpu")
    logits = torch.randn(3, 3, generator=torch.Generator().manual_seed(0))
    total, count = loss(logits, torch.from_numpy(labels.y_true), torch.from_numpy(labels.is_known))
    truth = torch.tensor([0, 2, 1])
    expected = torch.nn.functional.cross_entropy(logits, truth, label_smoothing=smoothing)
    assert float(total / count) == pytest.approx(float(expected), rel=1e-6)


def test_smoothing_pulls_binary_targets_to_the_middle() -> None:
    labels = labels_of([[1]])
    loss = make_loss(Recipe(label_smoothing=0.2), labels, is_multiclass=False, device="cpu")
    total, _ = loss(torch.tensor([[3.0]]), torch.ones(1, 1), torch.ones(1, 1, dtype=torch.bool))
    expected = torch.nn.functional.binary_cross_entropy_with_logits(torch.tensor(3.0), torch.tensor(0.9))
    assert float(total) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "rmsprop"])
def test_optimisers_descend(name: str) -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    recipe = Recipe(optimiser=name, learning_rate=0.01, weight_decay=0.01)
    optimiser = make_optimiser(recipe, [parameter], "cpu")
    assert type(optimiser).__name__.lower() == name
    assert optimiser.param_groups[0]["weight_decay"] == 0.01
    for _ in range(20):
        optimiser.zero_grad()
        parameter.square().sum().backward()
        optimiser.step()
    assert abs(parameter.item()) < 0.9


def test_scores_are_probabilities() -> None:
    logits = torch.tensor([[0.0, 2.0], [-50.0, 50.0]], dtype=torch.bfloat16)
    scores = to_scores(logits, is_multiclass=True)
    assert scores.dtype == torch.float32
    np.testing.assert_allclose(scores.sum(dim=1).numpy(), 1.0, rtol=1e-6)
    np.testing.assert_allclose(to_scores(logits, is_multiclass=False)[0].numpy(), [0.5, 0.880797], rtol=1e-5)
