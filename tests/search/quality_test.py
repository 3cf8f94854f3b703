"""How good logits are."""

import types

import numpy as np
import pytest

from official_style.configs import fine_tuning
from official_style.search import budgets
from official_style.search import fine_tuned_run
from official_style.search import quality
from official_style.search import row_set
from official_style.tasks import sentence_prediction


def _task(kind="class"):
  task = sentence_prediction.SentencePredictionTask(
      fine_tuning.SentencePredictionTaskConfig())
  task.kind = kind
  return task


def test_classes_by_hand():
  logits = np.log([[0.8, 0.2], [0.5, 0.5], [0.1, 0.9]])
  found = quality.measure(_task(), logits, [0, 1, 0], np.log(
      [[0.8, 0.2], [0.25, 0.75], [0.1, 0.9]]))
  assert found["accuracy"] == pytest.approx(1 / 3)  # A tie goes to the first.
  assert found["loss"] == pytest.approx(-np.log([0.8, 0.5, 0.1]).mean())
  assert found["kl"] == pytest.approx(
      (0.25 * np.log(0.5) + 0.75 * np.log(1.5)) / 3)


def test_divergence_does_not_care_for_a_shift_and_is_zero_of_itself():
  logits = np.array([[700.0, -3.0, 0.0], [0.0, 1.0, 2.0]])
  assert quality.divergence("class", logits, logits + [[5.0], [-9.0]]) == (
      pytest.approx(0, abs=1e-12))
  assert quality.divergence("class", logits, logits[::-1]) > 0


def test_numbers_by_hand():
  found = quality.measure(_task("number"), np.array([[1.0], [3.0]]),
                          np.array([2.0, 3.0]), np.array([[1.0], [1.0]]))
  assert found["loss"] == 0.5 and found["kl"] == 1.0
  assert found["mean_error"] == 0.5


def test_candidates_of_a_question_are_judged_together():
  logits = np.log([[0.8, 0.2], [0.3, 0.7], [0.4, 0.6], [0.1, 0.9]])
  task = _task()
  task.of_candidates = True
  found = quality.measure(
      task, logits, [0, 1, 1, 0], questions=np.array([4, 4, 1, 1]),
      overlaps=np.array([0, 1, 1, 0.5]))
  assert found["accuracy"] == 0.75
  assert found["exact_match"] == 0.5  # The second has a wrong one,
  assert found["best_candidate"] == 0.5  # which is its most probable.
  assert found["best_candidate_f1"] == 0.75


def test_a_metric_that_a_list_has_not_is_replaced_before_the_search():
  def run(metric, train=None, eval_rows=None, **settings):
    task = sentence_prediction.SentencePredictionTask(
        fine_tuning.SentencePredictionTaskConfig(**settings))
    task.of_candidates = True
    trainer = fine_tuning.FineTuningTrainerConfig(
        best_checkpoint_eval_metric=metric,
        best_checkpoint_metric_comp="lower")
    return fine_tuned_run.FineTunedRun(
        types.SimpleNamespace(
            task=task, config=types.SimpleNamespace(trainer=trainer)),
        types.SimpleNamespace(
            train=types.SimpleNamespace(questions=train),
            eval=types.SimpleNamespace(questions=eval_rows)))

  own = run("loss")
  assert (own.metric, own.higher_is_better) == ("loss", False)
  costs = run("cost_share", threshold_speedup=2.0)
  assert (costs.metric, costs.higher_is_better) == ("accuracy", True)
  assert "cost_share" in costs.replaced_metric and not own.replaced_metric
  some = np.arange(3)
  assert run("best_candidate", some, some).metric == "best_candidate"
  assert run("best_candidate", some, None).metric == "accuracy"


def test_fitness_is_larger_where_it_is_better():
  good = dict(accuracy=0.9, mean_error=0.1, loss=0.5, kl=0.3)
  same = good | dict(loss=0.4)
  bad = dict(accuracy=0.8, mean_error=0.2, loss=0.6, kl=0.4)
  for kind in quality.FITNESSES:
    fitness = quality.fitness_of(kind, "accuracy", True)
    assert fitness(good) > fitness(bad)
  by_error = quality.fitness_of("metric", "mean_error", False)
  assert by_error(bad) < by_error(good) < by_error(same)


def test_rows_are_drawn_by_the_seed_alone():
  drawn = row_set.draw(50, 20, seed=1)
  assert len(set(drawn.tolist())) == 20 and drawn.max() < 50
  np.testing.assert_array_equal(drawn, row_set.draw(50, 20, seed=1))
  assert (drawn != row_set.draw(50, 20, seed=2)).any()
  assert row_set.draw(5, 20, seed=1).tolist() == [0, 1, 2, 3, 4]


def test_questions_are_drawn_with_all_their_candidates():
  questions = np.array([7, 7, 3, 3, 3, 9, 9, 1])
  drawn = row_set.draw_questions(questions, 5, seed=1)
  assert 3 <= len(drawn) <= 5 and drawn.tolist() == sorted(drawn)
  for number in questions[drawn]:
    assert set(np.flatnonzero(questions == number)) <= set(drawn)
  np.testing.assert_array_equal(
      drawn, row_set.draw_questions(questions, 5, seed=1))
  assert len({tuple(row_set.draw_questions(questions, 5, seed))
              for seed in range(9)}) > 1
  assert len(row_set.draw_questions(questions, 99, seed=1)) == 8
  # One at least, however few rows are asked for.
  assert len(set(questions[row_set.draw_questions(questions, 1, 1)])) == 1


def test_batches_hold_every_row_once_without_needless_padding():
  lengths = np.array([3, 8, 5, 2, 8])

  def rows(indices):
    mask = (np.arange(8) < lengths[indices][:, None]).astype(np.int32)
    return dict(input_word_ids=mask * np.array(indices)[:, None],
                input_mask=mask, input_type_ids=mask * 0)

  source = types.SimpleNamespace(rows=rows, num_choices=1)
  batches = types.SimpleNamespace(
      targets=np.arange(5) * 10, source=source, questions=None,
      overlaps=np.arange(5) / 4)
  made = row_set.RowSet(batches, [4, 3, 2, 1], batch_tokens=16)
  assert made.targets.tolist() == [40, 30, 20, 10]
  assert made.overlaps.tolist() == [1, 0.75, 0.5, 0.25]
  assert [b["places"].tolist() for b in made.batches] == [[0, 3], [2, 1]]
  assert [b["input_mask"].shape for b in made.batches] == [(2, 8), (2, 5)]
  for batch in made.batches:
    numbers = np.array([4, 3, 2, 1])[batch["places"]]
    np.testing.assert_array_equal(
        batch["input_mask"].sum(axis=1), lengths[numbers])


def test_a_budget_allows_what_is_within_it():
  from official_style.modeling import cost_model
  from official_style.modeling import retention_schedule
  sizes = cost_model.ModelSizes(vocab_size=50, num_layers=3)
  times = dict(speedup=2.0, latency_ms=24.0)
  for kind, target in (times | dict(
      memory_share=0.6, flops_speedup=1.5)).items():
    budget = budgets.build(kind, target, sizes, 16, "post_attention", sum)
    for lengths in ((16,) * 3, (10, 8, 6), (12, 9, 9), (4, 4, 4), (9, 5, 2)):
      reached = dict(
          speedup=48 / sum(lengths), latency_ms=sum(lengths),
          memory_share=retention_schedule.memory_share(sizes, lengths, 16),
          flops_speedup=retention_schedule.flops_speedup(sizes, lengths, 16)
      )[kind]
      assert budget.allows(lengths) == (
          reached >= target if kind.endswith("speedup") else reached <= target)
    assert not budget.allows((16,) * 3) and budget.allows((4, 4, 4))
