"""Starting from checkpoints of this project and of Model Garden."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from official.modeling import tf_utils
from official.nlp.modeling import models

from official_style.checkpoints import object_graph
from official_style.errors import UserError
from official_style.modeling.networks import masked_lm_pretrainer
from official_style.training import initial_weights
from tests.reference import tiny_models

LAYERS = 3


def _example():
  return dict(tiny_models.rows(1, 8),
              masked_lm_positions=tf.zeros([1, 1], tf.int32))


def _ours(encoder):
  """A pretrainer with random weights."""
  model = masked_lm_pretrainer.MaskedLMPretrainer(
      encoder_network=encoder, mlm_activation=tf_utils.get_activation("gelu"))
  model(_example())
  for i, v in enumerate(model.masked_lm.trainable_variables):
    if "embeddings" not in v.name:
      v.assign(tf.random.stateless_normal(v.shape, [i, 9]))
  return model


def _dropping(seed=3, **changes):
  return _ours(tiny_models.token_drop_bert(LAYERS, seed=seed, **changes))


def _dense(seed=3, **changes):
  return _ours(tiny_models.bert(LAYERS, seed=seed, **changes))


def _official(seed=1):
  model = models.BertPretrainerV2(
      encoder_network=tiny_models.official_bert(LAYERS, seed=seed),
      mlm_activation=tf_utils.get_activation("gelu"))
  model(_example())
  for i, v in enumerate(model.masked_lm.trainable_variables):
    if "embeddings" not in v.name:
      v.assign(tf.random.stateless_normal(v.shape, [i, 4]))
  return model


def _save(folder, **items):
  return tf.train.Checkpoint(**items).write(str(folder / "ckpt"))


def _trainers(model):
  """What Model Garden's base_trainer saves, optimizer slots and all."""
  optimizer = tf_keras.optimizers.legacy.Adam()
  optimizer._create_all_weights(model.trainable_variables)
  return dict(global_step=optimizer.iterations, model=model,
              optimizer=optimizer, **model.checkpoint_items)


def _values(model):
  return [v.numpy() for v in model.variables]


def _same_outputs(one, other):
  _same_sequences(one, other)
  a, b = one(_example(), training=False), other(_example(), training=False)
  np.testing.assert_allclose(a["mlm_logits"], b["mlm_logits"], atol=2e-4)


def _same_sequences(one, other):
  """Compares encoders: with a head, ours only has the positions it reads."""
  a, b = (model.encoder_network(tiny_models.rows(1, 8), training=False)
          for model in (one, other))
  np.testing.assert_allclose(
      a["sequence_output"], b["sequence_output"], atol=2e-5)


@pytest.mark.parametrize("layout", ["trainer", "items", "model"])
def test_model_gardens_checkpoint_gives_model_gardens_outputs(
    tmp_path, layout):
  theirs, ours = _official(), _dense()
  items = dict(trainer=_trainers(theirs), items=theirs.checkpoint_items,
               model=dict(model=theirs))[layout]
  report = initial_weights.load(ours, _save(tmp_path, **items))
  assert not report.missing and not report.unused
  _same_outputs(ours, theirs)


def test_a_dense_checkpoint_lacks_only_the_importance_table(tmp_path):
  theirs, ours = _official(), _dropping()
  path = _save(tmp_path, **_trainers(theirs))
  before = _values(ours)
  with pytest.raises(UserError, match="token_importance.*--allow_missing"):
    initial_weights.load(ours, path)
  for a, b in zip(before, _values(ours)):
    np.testing.assert_array_equal(a, b)
  report = initial_weights.load(ours, path, ["token_importance"])
  assert len(report.missing) == 1
  _same_outputs(ours, theirs)


def test_an_encoder_alone_needs_the_head_allowed(tmp_path):
  theirs, ours = _official(), _dense()
  path = _save(tmp_path, encoder=theirs.encoder_network)
  with pytest.raises(UserError, match="masked_lm"):
    initial_weights.load(ours, path)
  report = initial_weights.load(ours, path, ["^masked_lm"])
  assert report.missing and all(
      name.startswith("masked_lm") for name in report.missing)
  _same_sequences(ours, theirs)


def test_our_own_comes_back_whole(tmp_path):
  one, other = _dropping(seed=1), _dropping(seed=2)
  report = initial_weights.load(other, _save(tmp_path, **_trainers(one)))
  assert not report.missing and not report.unused
  for a, b in zip(_values(one), _values(other)):
    np.testing.assert_array_equal(a, b)


def test_every_variable_is_asked_for_once():
  model = _dropping()
  matches, _ = initial_weights._match(
      initial_weights._items(model), object_graph.empty())
  assert sorted(id(v) for v, _ in matches.values()) == sorted(
      id(v) for v in model.variables)


def test_what_nothing_asked_for_is_told(tmp_path):
  one, ours = _dropping(seed=1), _dense()
  report = initial_weights.load(ours, _save(tmp_path, **_trainers(one)))
  assert len(report.unused) == 1 and "importance" in report.unused[0]
  assert "not used" in report.describe()


def test_what_is_left_of_a_layer_is_told_in_a_word():
  names = [f"encoder.layer.{i}.output.dense.{kind}"
           for i in (2, 10) for kind in ("bias", "weight")]
  report = initial_weights.LoadReport(
      ("a", "b"), (), (*names, "pooler.dense.bias", "heads/1/kernel"))
  assert report.describe() == (
      "2 variables loaded; not used: encoder.layer.2 (2 arrays), "
      "encoder.layer.10 (2 arrays), pooler.dense.bias, heads/1/kernel")


@pytest.mark.parametrize("changes", [
    dict(hidden_size=8), dict(vocab_size=41), dict(inner_dim=16)])
def test_another_shape_is_refused_and_nothing_is_half_loaded(
    tmp_path, changes):
  path = _save(tmp_path, **_trainers(_dense(seed=1)))
  ours = _dense(**changes)
  before = _values(ours)
  with pytest.raises(UserError) as error:
    initial_weights.load(ours, path)
  assert "in this model" in str(error.value)
  assert "\n" not in str(error.value)
  for a, b in zip(before, _values(ours)):
    np.testing.assert_array_equal(a, b)


def test_more_layers_than_the_checkpoint_has_are_missing(tmp_path):
  path = _save(tmp_path, **_trainers(_dense(seed=1)))
  with pytest.raises(UserError, match="variables are missing"):
    initial_weights.load(_ours(tiny_models.bert(LAYERS + 1)), path)


@pytest.fixture
def model():
  return _dense()


def test_no_checkpoint_is_one_line(tmp_path, model):
  (tmp_path / "random.txt").write_text("hello")
  (tmp_path / "empty").mkdir()
  for path in ("random.txt", "empty", "nothing"):
    with pytest.raises(UserError, match="--init_checkpoint=") as error:
      initial_weights.load(model, str(tmp_path / path))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"", b"garbage" * 99, bytes(300)])
def test_random_files_are_one_line(tmp_path, model, content):
  for name in ("ckpt.index", "ckpt.data-00000-of-00001"):
    (tmp_path / name).write_bytes(content)
  with pytest.raises(UserError, match="can't be read") as error:
    initial_weights.load(model, str(tmp_path / "ckpt"))
  assert "\n" not in str(error.value)


def test_weights_of_a_run_that_diverged_are_refused(tmp_path, model):
  theirs = _dense(seed=1)
  kernel = theirs.encoder_network.trainable_variables[-1]
  kernel.assign(tf.fill(kernel.shape, np.nan))
  before = _values(model)
  with pytest.raises(UserError, match="no finite numbers"):
    initial_weights.load(model, _save(tmp_path, **_trainers(theirs)))
  for a, b in zip(before, _values(model)):
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_damaged_data_are_one_line_and_nothing_is_half_loaded(
    tmp_path, model, damage):
  path = _save(tmp_path, **_trainers(_dense(seed=1)))
  data = tmp_path / "ckpt.data-00000-of-00001"
  content = bytearray(data.read_bytes())
  if damage == "flip":
    for i in range(0, len(content), 64):
      content[i] ^= 1
  data.write_bytes(content[:200] if damage == "cut" else content)
  if damage == "gone":
    data.unlink()
  before = _values(model)
  with pytest.raises(UserError) as error:
    initial_weights.load(model, path)
  assert "\n" not in str(error.value)
  for a, b in zip(before, _values(model)):
    np.testing.assert_array_equal(a, b)


def test_a_folder_is_found_by_its_pointer_or_by_the_highest_step(tmp_path):
  folder = tmp_path / "run" / "checkpoints"
  for step in (9, 10):
    (folder / f"ckpt-{step}").mkdir(parents=True)
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(
        str(folder / f"ckpt-{step}" / "ckpt"))
  find = object_graph.find_checkpoint
  newest = str(folder / "ckpt-10" / "ckpt")
  for path in (tmp_path / "run", folder, folder / "ckpt-10", newest,
               newest + ".index"):
    assert find(str(path)) == newest
  pointer = folder / "checkpoint"
  pointer.write_bytes(b"\xff\x00 garbage")
  assert find(str(folder)) == newest
  pointer.write_text('model_checkpoint_path: "ckpt-9/ckpt"\n')
  assert find(str(folder)) == str(folder / "ckpt-9" / "ckpt")
