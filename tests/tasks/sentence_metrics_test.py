"""Metrics against scikit-learn's and SciPy's, and by hand."""

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics as reference

from official_style.tasks import sentence_metrics


@pytest.mark.parametrize("num_classes", [2, 3, 7])
@pytest.mark.parametrize("seed", range(3))
def test_class_metrics_are_those_of_scikit_learn(num_classes, seed):
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, num_classes, 200)
  predictions = np.where(rng.random(200) < 0.6, labels,
                         rng.integers(0, num_classes, 200))
  ours = sentence_metrics.of_classes(labels, predictions, num_classes)
  average = "binary" if num_classes == 2 else "macro"
  assert ours == pytest.approx(dict(
      accuracy=reference.accuracy_score(labels, predictions),
      f1=reference.f1_score(labels, predictions, average=average),
      matthews_correlation=reference.matthews_corrcoef(labels, predictions)))


@pytest.mark.parametrize("seed", range(3))
def test_correlations_are_those_of_scipy_with_ties(seed):
  rng = np.random.default_rng(seed)
  labels = rng.integers(0, 6, 100).astype(np.float32)
  predictions = np.round(labels + rng.normal(0, 1, 100), 1)
  ours = sentence_metrics.of_numbers(labels, predictions)
  linear = stats.pearsonr(labels, predictions)[0]
  by_rank = stats.spearmanr(labels, predictions)[0]
  assert ours == pytest.approx(dict(
      pearson=linear, spearman=by_rank,
      pearson_spearman=(linear + by_rank) / 2,
      mean_error=np.abs(labels - predictions).mean()), rel=1e-6)


def test_values_made_by_hand():
  # Labels 1 1 0 0, predictions 1 0 0 0: one of two found, nothing else.
  ours = sentence_metrics.of_classes([1, 1, 0, 0], [1, 0, 0, 0], 2)
  assert ours["accuracy"] == 0.75
  assert ours["f1"] == pytest.approx(2 / 3)
  assert ours["matthews_correlation"] == pytest.approx(1 / np.sqrt(3))
  np.testing.assert_array_equal(
      sentence_metrics.ranks([10, 30, 10, 20]), [1.5, 4, 1.5, 3])


def test_constant_predictions_score_zero_and_are_no_error():
  assert sentence_metrics.of_classes([0, 1, 1], [1, 1, 1], 2)[
      "matthews_correlation"] == 0
  assert sentence_metrics.of_classes([0, 0], [0, 0], 2)["f1"] == 0
  assert sentence_metrics.of_numbers([1, 2, 3], np.ones(3))["pearson"] == 0


def test_predictions_that_are_no_numbers_have_no_correlation():
  ours = sentence_metrics.of_numbers([1, 2, 3], [1.0, np.nan, 3.0])
  assert all(np.isnan(value) for value in ours.values()), ours


def test_a_mean_over_halves_is_not_the_metric():
  labels, predictions = [1, 1, 0, 0, 0, 1], [1, 1, 0, 1, 0, 0]
  whole = sentence_metrics.of_classes(labels, predictions, 2)["f1"]
  halves = [sentence_metrics.of_classes(labels[i:i + 3], predictions[i:i + 3],
                                        2)["f1"] for i in (0, 3)]
  assert whole != pytest.approx(np.mean(halves))


@pytest.mark.parametrize("seed", range(3))
def test_questions_are_judged_as_by_a_loop_over_them(seed):
  rng = np.random.default_rng(seed)
  questions, labels = rng.integers(0, 9, 60), rng.integers(0, 2, 60)
  logits, overlaps = rng.normal(size=[60, 2]), rng.uniform(size=60)
  all_right, best_right, said = [], [], []
  for question in set(questions):
    rows = [i for i in range(60) if questions[i] == question]
    all_right.append(all((logits[i, 1] > logits[i, 0]) == labels[i]
                         for i in rows))
    best = max(rows, key=lambda i: logits[i, 1] - logits[i, 0])
    best_right.append(labels[best] == 1)
    said.append(overlaps[best])
  wanted = dict(exact_match=np.mean(all_right),
                best_candidate=np.mean(best_right),
                best_candidate_f1=np.mean(said))
  assert sentence_metrics.of_questions(
      questions, labels, logits, overlaps) == pytest.approx(wanted)
  # Without them a candidate says all of the answer or nothing.
  wanted["best_candidate_f1"] = wanted["best_candidate"]
  assert sentence_metrics.of_questions(
      questions, labels, logits) == pytest.approx(wanted)


def test_pairs_are_alike_or_not_and_a_row_alone_is_no_pair():
  pairs, predictions = [4, 2, 4, 9, 2, 7, 7], [1, 0, 1, 0, 1, 2, 2]
  assert sentence_metrics.of_pairs(pairs, predictions) == dict(
      pair_parity=2 / 3)
  assert sentence_metrics.of_pairs([1, 2], [0, 0]) == dict(pair_parity=0.0)


def test_a_question_without_a_right_candidate_is_not_answered():
  found = sentence_metrics.of_questions(
      [7, 7, 3], [0, 0, 1], [[1, 0], [2, 0], [0, 1]])
  assert found == dict(exact_match=1.0, best_candidate=0.5,
                       best_candidate_f1=0.5)
