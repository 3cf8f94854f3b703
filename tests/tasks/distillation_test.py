"""What a student learns of a teacher."""

import numpy as np
import pytest
import tensorflow as tf

from official_style.configs import encoders
from official_style.errors import UserError
from official_style.modeling.ops import truncated_distribution
from official_style.tasks import masked_lm_pretraining
from tests.reference import distillation_reference as reference
from tests.reference import tiny_distillation as tiny

WIDE = dict(hidden_size=24, num_layers=4, num_attention_heads=4)
ALL = dict(logits_weight=1.0, hidden_weight=1.0, relations_weight=1.0,
           attention_weight=1.0)


def _pair(teacher_sizes=None, **settings):
  """Task and student, the teacher taken."""
  made = tiny.task(**settings)
  student = tiny.model(made)
  if made.wants_teacher:
    made.take_teacher(tiny.teacher(**teacher_sizes or {}), student)
  return made, student


def _logits(model, batch):
  return model(batch, training=False)["mlm_logits"].numpy().astype(np.float64)


# ---------------------------------------------------------------------------
# The loss
# ---------------------------------------------------------------------------


def test_the_loss_is_bort_s_of_numpy():
  made, student = _pair(WIDE)
  batch = tiny.batch()
  loss, _, sums = tiny.loss_and_gradients(made, student, batch)
  ours, theirs = (_logits(m, batch) for m in (student, made._teacher))
  weights, ids = (batch[f"masked_lm_{x}"].numpy() for x in ("weights", "ids"))
  said = np.take_along_axis(reference.softmax(ours), ids[..., None], -1)[..., 0]
  mlm = -(np.log(said) * weights).sum() / weights.sum()
  divergence = reference.kl_divergence(ours, theirs, 2.0)
  divergence = (divergence * weights).sum() / weights.sum()
  assert loss == pytest.approx(0.1 * mlm + 0.5 * divergence, rel=1e-5)
  means = made.means(sums)
  assert means["mlm_loss"] == pytest.approx(mlm, rel=1e-5)
  assert means["teacher_divergence"] == pytest.approx(divergence, rel=1e-5)
  agreed = (ours.argmax(-1) == theirs.argmax(-1)) * weights
  assert means["teacher_agreement"] == pytest.approx(
      agreed.sum() / weights.sum())


def test_at_all_positions_every_real_one_counts_alike():
  made, student = _pair(WIDE, positions="all", mlm_weight=0.0, weight=1.0)
  batch = tiny.batch()
  loss, gradients, sums = tiny.loss_and_gradients(made, student, batch)
  n = batch["input_mask"].shape[1]
  everywhere = batch | dict(masked_lm_positions=tf.tile(
      tf.range(n)[tf.newaxis], [batch["input_mask"].shape[0], 1]))
  divergence = reference.kl_divergence(*(
      _logits(m, everywhere) for m in (student, made._teacher)), 2.0)
  real = batch["input_mask"].numpy()
  assert loss == pytest.approx((divergence * real).sum() / real.sum(), rel=1e-5)
  # The masked-LM loss is that of the masked positions all the same.
  plain = made.sums(batch, student(batch, training=False))
  assert float(sums["loss"]) == pytest.approx(float(plain["loss"]), rel=1e-5)
  assert all(g is not None for g in gradients.values())


def test_without_weight_it_is_plain_pretraining():
  made, student = _pair(weight=0.0, mlm_weight=0.1, dropout=0.1)
  assert not made.wants_teacher and made.checkpoint_items == {}
  plain = masked_lm_pretraining.MaskedLMPretrainingTask(made.task_config)
  batch = tiny.batch()
  loss, gradients, sums = tiny.loss_and_gradients(made, student, batch)
  with tf.GradientTape() as tape:
    theirs = plain.sums(batch, student(batch, training=True))
    wanted = plain.objective(theirs, plain.normalizers(batch))
  assert loss == float(wanted) and set(sums) == set(theirs)
  variables = plain.trained_variables(student)
  assert list(gradients) == [v.name for v in variables]
  for ours, other in zip(gradients.values(), tape.gradient(wanted, variables)):
    np.testing.assert_array_equal(ours, tf.convert_to_tensor(other))


@pytest.mark.parametrize("positions", ["masked", "all"])
def test_a_model_learns_nothing_from_itself(positions):
  made = tiny.task(mlm_weight=0.0, weight=1.0, positions=positions,
                   hidden_layers=(1, 2, 3), **ALL)
  student = tiny.model(made)
  made.take_teacher(tiny.teacher(seed=7), student)
  for a, b in zip(student.variables, made._teacher.variables):
    b.assign(a)
  loss, gradients, sums = tiny.loss_and_gradients(made, student, tiny.batch())
  assert abs(loss) < 1e-6
  assert max(np.abs(g).max() for g in gradients.values()
             if g is not None) < 1e-6
  for name in ("teacher_divergence", "hidden_distance",
               "relations_divergence", "attention_divergence"):
    assert abs(float(sums[name])) < 1e-4
  assert made.means(sums)["teacher_agreement"] == 1


def test_every_part_adds_its_own_share():
  batch, found = tiny.batch(), {}
  for name in ("logits", "hidden", "relations", "attention"):
    made, student = _pair(dict(num_layers=4), mlm_weight=0.0, weight=1.0, **{
        f"{part}_weight": float(part == name) for part in (
            "logits", "hidden", "relations", "attention")})
    found[name] = tiny.loss_and_gradients(made, student, batch)[0]
    assert found[name] > 1e-3
  made, student = _pair(dict(num_layers=4), mlm_weight=0.0, weight=0.5,
                        **ALL | dict(hidden_weight=3.0))
  loss, gradients, _ = tiny.loss_and_gradients(made, student, batch)
  found["hidden"] *= 3
  assert loss == pytest.approx(0.5 * sum(found.values()), rel=1e-5)
  assert all(g is not None and np.isfinite(g).all()
             for g in gradients.values())


# ---------------------------------------------------------------------------
# States and relations
# ---------------------------------------------------------------------------


def test_states_of_another_width_are_projected_and_the_projection_learns():
  made, student = _pair(WIDE, hidden_weight=1.0, hidden_layers=(1, 3))
  assert set(made.checkpoint_items) == {
      "hidden_projection_1", "hidden_projection_3"}
  assert made._layers == {1: 1, 3: 4}
  _, gradients, _ = tiny.loss_and_gradients(made, student, tiny.batch())
  ours = [g for name, g in gradients.items() if "hidden_projection" in name]
  assert len(ours) == 4 and all(np.abs(g).max() > 0 for g in ours)
  assert not any("hidden_projection" in v.name for v in student.variables)


def test_states_are_compared_where_they_are():
  made, student = _pair(mlm_weight=0.0, weight=1.0, logits_weight=1e-9,
                        hidden_weight=1.0, hidden_layers=(2,),
                        hidden_distance="cosine")
  batch = tiny.batch()
  _, _, sums = tiny.loss_and_gradients(made, student, batch)
  x, y = (m(batch)["encoder_outputs"][1].numpy() for m in (
      student, made._teacher))
  cosine = (x * y).sum(-1) / np.linalg.norm(x, axis=-1) / np.linalg.norm(
      y, axis=-1)
  assert float(sums["hidden_distance"]) == pytest.approx(
      ((1 - cosine) * batch["input_mask"].numpy()).sum(), rel=1e-4)


def test_relations_need_neither_width_nor_heads_to_agree():
  made, student = _pair(WIDE, relations_weight=1.0, relation_heads=8)
  batch = tiny.batch()
  _, _, sums = tiny.loss_and_gradients(made, student, batch)
  parts = []
  for model in (student, made._teacher):
    block = model.encoder_network.transformer_layers[-1]
    states = model(batch)["encoder_outputs"][-2]
    parts.append([x.numpy().astype(np.float64)
                  for x in block.queries_keys_values(states)])
  documents = batch["document_ids"].numpy()
  wanted = sum(reference.relation_divergence(x, y, 8, documents)
               for x, y in zip(*parts))
  assert float(sums["relations_divergence"]) == pytest.approx(
      wanted[documents > 0].sum(), rel=1e-4)


def test_attention_is_what_the_layer_looks_at():
  made, student = _pair(attention_weight=1.0)
  batch = tiny.batch()
  _, _, sums = tiny.loss_and_gradients(made, student, batch)
  weights = []
  for model in (student, made._teacher):
    states = model(batch)["encoder_outputs"][-2]
    mask = batch["input_mask"][:, tf.newaxis, tf.newaxis]
    bias = tf.cast(mask == 0, tf.float32) * -30000.0
    block = model.encoder_network.transformer_layers[-1]
    weights.append(block.attend_with_weights(
        states, states, bias)[1].numpy().astype(np.float64))
  q, p = (np.maximum(x, 1e-30) for x in weights)
  wanted = (p * np.log(p / q)).sum(-1).mean(1)
  assert float(sums["attention_divergence"]) == pytest.approx(
      (wanted * batch["input_mask"].numpy()).sum(), rel=1e-4)


@pytest.mark.parametrize("settings, said", [
    (dict(attention_weight=1.0), "relations_weight"),
    (dict(relations_weight=1.0, relation_heads=5), "16 and 24")])
def test_what_can_t_be_compared_is_told(settings, said):
  with pytest.raises(UserError, match=said):
    _pair(WIDE, **settings)


# ---------------------------------------------------------------------------
# Token dropping
# ---------------------------------------------------------------------------


@pytest.mark.parametrize("positions", ["masked", "all"])
def test_a_student_that_drops_tokens_is_compared_in_their_order(positions):
  """Its words are its teacher's at the very positions."""
  made, student = _pair(drops_tokens=True, positions=positions, **ALL,
                        hidden_layers=(1, 2, 3))
  batch = tiny.batch()
  outputs = made.train_outputs(student, batch)
  assert outputs["encoder_outputs"][1].shape[1] == 6
  if positions == "all":
    assert outputs["all_logits"].shape[:2] == [8, 12]
    np.testing.assert_array_equal(
        outputs["mlm_logits"], tf.gather(
            outputs["all_logits"], batch["masked_lm_positions"], batch_dims=1))
  loss, gradients, _ = tiny.loss_and_gradients(made, student, batch)
  assert np.isfinite(loss)
  assert all(g is not None for g in gradients.values())


def test_its_states_are_compared_where_both_have_them():
  made, student = _pair(drops_tokens=True, hidden_weight=1.0,
                        hidden_layers=(2,))
  batch = tiny.batch()
  outputs = made.train_outputs(student, batch)
  kept = outputs["kept_positions"][1].numpy()
  states = outputs["encoder_outputs"][1].numpy()
  theirs = made._teacher(batch)["encoder_outputs"][1].numpy()
  real, total = batch["input_mask"].numpy(), 0.0
  for row in range(8):
    total += real[row].sum() * np.mean([
        ((states[row, slot] - theirs[row, position])**2).mean()
        for slot, position in enumerate(kept[row]) if real[row, position]])
  assert real.sum(1).min() < real.sum(1).max()
  sums = made.sums(batch, outputs)
  assert float(sums["hidden_distance"]) == pytest.approx(total, rel=1e-5)


# ---------------------------------------------------------------------------
# What a teacher said before
# ---------------------------------------------------------------------------


def _cached(made, teacher, batch, k):
  logits = teacher(batch, training=False)["mlm_logits"]
  kept = truncated_distribution.truncate(logits, k)
  return batch | dict(teacher_ids=kept.ids, teacher_log_probs=kept.log_probs,
                      teacher_tails=kept.tails)


def test_a_cache_of_all_words_is_the_live_teacher():
  live, student = _pair(WIDE)
  cached, _ = _pair(teacher="", teacher_cache="cache")
  assert not cached.wants_teacher
  batch = tiny.batch()
  one = tiny.loss_and_gradients(live, student, batch)
  other = tiny.loss_and_gradients(cached, student, _cached(
      cached, live._teacher, batch, 40))
  assert one[0] == pytest.approx(other[0], rel=1e-6)
  for a, b in zip(one[1].values(), other[1].values()):
    np.testing.assert_allclose(a, b, atol=1e-6)
  assert live.means(one[2]) == pytest.approx(cached.means(other[2]), rel=1e-5)


def test_a_cache_of_some_words_is_nearly():
  live, student = _pair(WIDE)
  cached, _ = _pair(teacher="", teacher_cache="cache")
  batch = tiny.batch()
  one, gradients, _ = tiny.loss_and_gradients(live, student, batch)
  other, near, _ = tiny.loss_and_gradients(cached, student, _cached(
      cached, live._teacher, batch, 10))
  assert one * 0.5 < other <= one
  a, b = (np.concatenate([g.ravel() for g in x.values()])
          for x in (gradients, near))
  assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.8


def test_configs_of_teachers_keep_what_a_dense_bert_has():
  from official_style.configs import checkpoint_sizes
  from official_style.configs import teacher as teacher_config
  source = checkpoint_sizes.Source(
      "runs/x", "runs/x/data/vocab.txt", encoders.TokenDropBertEncoderConfig(
          hidden_size=24, norm_epsilon=1e-5, dropout_rate=0.3).as_dict(),
      None, "gelu_tanh")
  found = teacher_config.encoder_of(source, 99)
  assert type(found) is encoders.FastBertEncoderConfig
  assert (found.hidden_size, found.norm_epsilon, found.dropout_rate,
          found.vocab_size) == (24, 1e-5, 0.0, 99)
