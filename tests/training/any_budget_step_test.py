"""One update for several budgets, however the batch is cut."""


import numpy as np
import pytest

from official_style.training import eval_step
from tests.reference import tiny_budgets as tiny
from tests.reference import tiny_training
from tests.reference import two_replicas

BATCHES = [tiny.batch(i) for i in range(2)]
LISTS = [tiny.SCHEDULES, tiny.SCHEDULES[::2]]


@pytest.fixture(scope="module")
def plain():
  run = tiny.Run()
  run.first = run.state()
  run.logs = run.train(BATCHES, LISTS)
  return run


@pytest.mark.slow
@pytest.mark.parametrize("settings", [
    dict(jit_compile=True), dict(micro_batches=2)], ids=str)
def test_compiled_and_in_parts_it_is_the_same_step(plain, settings):
  run = tiny.Run(**settings)
  for a, b in zip(run.train(BATCHES, LISTS), plain.logs):
    assert a == pytest.approx(b, rel=1e-3)
  for (name, a), b in zip(run.state().items(), plain.state().values()):
    if not tiny_training.has_no_gradient(name):
      np.testing.assert_allclose(a, b, atol=2e-5, rtol=1e-3, err_msg=name)


@pytest.mark.slow
def test_a_graph_for_each_choice_of_lists_and_no_more(plain):
  assert len(plain.step._functions) == 2
  plain.step._functions[None, LISTS[0]]


@pytest.mark.slow
def test_it_moves_weights_and_says_what_was_lost():
  run = tiny.Run()
  first = run.state()
  log, = run.train(BATCHES[:1], LISTS[:1])
  assert log["rows"] == 7 and log["finite"] == 1 and log["distillation"] > 0
  assert log["objective"] == pytest.approx(
      (log["loss"] + 2 * log["distillation"]) / 3, rel=1e-5)
  assert any((a != b).any() for a, b in zip(
      run.state().values(), first.values()))


@pytest.mark.slow
def test_two_replicas_take_the_step_of_one():
  two_replicas.assert_agree("tests.training.any_budget_replicas", atol=5e-6)


def test_an_evaluation_runs_every_budget():
  run = tiny.Run()
  step = eval_step.EvalStep(
      run.task, run.model, run.strategy,
      budget_schedules=run.model.encoder_network.budget_schedules)
  totals = {}
  for batch in BATCHES:
    eval_step.add(totals, step(tiny_training.Run.distributed(run, batch)))
  for name, lengths in zip(("1", "1.5", "3"), tiny.SCHEDULES):
    np.testing.assert_allclose(
        totals[f"logits_at_{name}x"][1], run.model(
            BATCHES[1], token_schedule=lengths)["logits"], atol=1e-5)
