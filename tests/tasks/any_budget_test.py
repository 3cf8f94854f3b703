"""What a model for several budgets learns from, and its metrics."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.data.label_sets import LabelSet
from official_style.tasks import any_budget
from official_style.tasks import sentence_distillation
from official_style.tasks import sentence_prediction
from tests.reference import tiny_budgets as tiny

NUMBERS = LabelSet("number", (), 10.0, 4.0)


def _softmax(x):
  shifted = np.exp(x - x.max(axis=-1, keepdims=True))
  return shifted / shifted.sum(axis=-1, keepdims=True)


def _logits(seed, k=3):
  return np.random.default_rng(seed).normal(0, 2, (4, k))


class TestDistillation:
  def test_the_objective_is_the_mean_of_the_passes(self):
    logits = [_logits(i) for i in range(3)]
    labels, weights = np.array([0, 2, 1, 1]), np.array([1.0, 1, 0, 1])
    made = tiny.task()
    with tf.GradientTape() as tape:
      full, *students = (tf.Variable(x, dtype=tf.float32) for x in logits)
      sums = made.sums(
          dict(labels=tf.constant(labels, tf.int32), input_mask=tf.ones([4, 2]),
               weights=tf.constant(weights, tf.float32)),
          dict(logits=full, student_logits=students))
      objective = made.objective(sums, dict(rows=tf.constant(3.0)))
    p = _softmax(logits[0])
    hard = -np.log(p[np.arange(4), labels]) @ weights
    soft = [(p * np.log(p / _softmax(x))).sum(axis=1) @ weights
            for x in logits[1:]]
    assert float(sums["loss"]) == pytest.approx(hard, rel=1e-5)
    assert float(sums["distillation"]) == pytest.approx(
        np.mean(soft), rel=1e-5)
    assert float(objective) == pytest.approx((hard + sum(soft)) / 3 / 3)
    gradients = tape.gradient(objective, [full, *students])
    np.testing.assert_allclose(
        gradients[0], (p - np.eye(3)[labels]) * weights[:, None] / 9,
        atol=1e-6)
    for gradient, x in zip(gradients[1:], logits[1:]):
      np.testing.assert_allclose(
          gradient, (_softmax(x) - p) * weights[:, None] / 9, atol=1e-6)


class TestPasses:

  def test_each_is_the_model_with_that_list(self):
    model, batch = tiny.model(tiny.task()), tiny.batch()
    trained = any_budget.train_outputs(model, batch, tiny.SCHEDULES)
    for lengths, logits in zip(tiny.SCHEDULES, [
        trained["logits"], *trained["student_logits"]], strict=True):
      np.testing.assert_allclose(
          logits, model(batch, training=True, token_schedule=lengths)["logits"],
          atol=1e-6)
    budgets = model.encoder_network.budget_schedules
    assert budgets == dict(zip((1.0, 1.5, 3.0), tiny.SCHEDULES))
    evaluated = any_budget.eval_outputs(model, batch, budgets)
    assert set(evaluated) == {
        "logits", "logits_at_1x", "logits_at_1.5x", "logits_at_3x"}
    np.testing.assert_array_equal(
        evaluated["logits"], evaluated["logits_at_1.5x"])
    np.testing.assert_allclose(
        evaluated["logits_at_3x"],
        model(batch, token_schedule=tiny.SHORT)["logits"], atol=1e-6)

  def test_the_full_pass_learns_the_labels_and_the_others_what_it_says(self):
    made = tiny.task()
    model, batch = tiny.model(made), tiny.batch()
    variables = made.trained_variables(model)

    def gradients(objective):
      with tf.GradientTape() as tape:
        loss = objective()
      return [tf.convert_to_tensor(g).numpy()
              for g in tape.gradient(loss, variables)]

    def whole():
      outputs = any_budget.train_outputs(model, batch, tiny.SCHEDULES)
      return made.objective(
          made.sums(batch, outputs), made.normalizers(batch))

    def logits(lengths):
      return model(batch, training=True, token_schedule=lengths)["logits"]

    teacher = tf.constant(logits(tiny.FULL).numpy())

    def full():
      return made.objective(made.sums(
          batch, dict(logits=logits(tiny.FULL))), made.normalizers(batch))

    def student(lengths):
      losses = sentence_distillation.losses(
          "class", logits(lengths), teacher)
      return tf.reduce_sum(losses * batch["weights"]) / 7

    parts = [gradients(full), gradients(lambda: student(tiny.MIDDLE)),
             gradients(lambda: student(tiny.SHORT))]
    for all_of_it, *some in zip(gradients(whole), *parts, strict=True):
      np.testing.assert_allclose(
          3 * all_of_it, sum(some), rtol=1e-3,
          atol=1e-4 * max(1e-2, np.abs(sum(some)).max()))
    assert all(max(np.abs(g).max() for g in part) > 1e-3 for part in parts)


class TestMetrics:

  @pytest.mark.parametrize("labels", [tiny.CLASSES, NUMBERS])
  def test_an_evaluation_gives_what_its_names_promise(self, labels):
    made = tiny.task(labels)
    k = labels.num_outputs
    draw = np.random.default_rng(0)
    truth = (draw.normal(size=4) if labels is NUMBERS
             else draw.integers(0, 3, 4))
    collected = dict(labels=[truth], example_ids=[np.array([2, 0, 1, -1])])
    for i, name in enumerate((
        "logits", "logits_at_1x", "logits_at_1.5x", "logits_at_3x")):
      collected[name] = [_logits(i, k)]
    means = made.means(dict(loss=3.0, rows=3.0, tokens=9.0, correct=1.0,
                            error=1.0) | collected)
    assert set(means) == set(made.metric_names)
    first = made.metric_names[0]
    assert first.endswith("_over_budgets")
    base = first.removesuffix("_over_budgets")
    assert means[first] == pytest.approx(np.mean([
        means[f"{base}_at_{budget}x"] for budget in ("1", "1.5", "3")]))
    alone = tiny.task(labels)
    alone.budgets = ()
    for i, budget in enumerate(("1", "1.5", "3"), 1):
      single = alone.means(dict(
          loss=3.0, rows=3.0, tokens=9.0, correct=1.0, error=1.0,
          logits=[_logits(i, k)], labels=[truth],
          example_ids=collected["example_ids"]))
      for name in set(single) - {"loss"}:
        assert means[f"{name}_at_{budget}x"] == single[name]

  def test_losses_are_those_of_the_rows(self):
    logits, labels = _logits(0), np.array([0, 2, 1, 1])
    wanted = -np.log(_softmax(logits)[np.arange(4), labels]).mean()
    assert any_budget.mean_loss("class", logits, labels) == pytest.approx(
        wanted)
    assert any_budget.mean_loss(
        "number", logits[:, :1], labels) == pytest.approx(
            np.square(logits[:, 0] - labels).mean())

  def test_rows_hold_the_logits_of_every_budget(self):
    made, batch = tiny.task(), tiny.batch()
    rows = made.rows(batch, dict(logits=1, logits_at_1x=2))
    assert set(rows) == {"logits", "logits_at_1x", "labels", "example_ids"}
    assert "loss" in sentence_prediction.LOWER_IS_BETTER
