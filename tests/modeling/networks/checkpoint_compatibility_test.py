"""Checkpoints go from ours to Model Garden's BERT and back.

The golden files list what a checkpoint holds. A change there breaks everybody's
checkpoints: make it on purpose only.
"""

import json
import pathlib

import pytest
import tensorflow as tf

from tests.reference import tiny_models

GOLDEN = pathlib.Path(__file__).resolve().parents[2] / "golden"
TABLE = "token_importance_embed"
ENCODERS = dict(bert=tiny_models.bert,
                token_drop_bert=tiny_models.token_drop_bert)


def _save(encoder, folder):
  return tf.train.Checkpoint(encoder=encoder).write(str(folder / "ckpt"))


def _tree(encoder, folder):
  """Keys and shapes of a checkpoint, and the variables' names."""
  listed = tf.train.list_variables(_save(encoder, folder))
  return dict(
      checkpoint={key: list(shape) for key, shape in sorted(listed)
                  if key != "_CHECKPOINTABLE_OBJECT_GRAPH"},
      names={v.name.partition("/")[2]: v.shape.as_list()
             for v in encoder.variables})


@pytest.mark.parametrize("name", ENCODERS)
def test_variables_are_those_of_the_golden_file(name, tmp_path):
  path = GOLDEN / f"{name}_tiny_variables.json"
  golden = json.loads(path.read_text(encoding="utf-8"))
  tree = _tree(ENCODERS[name](), tmp_path)
  for part in tree:
    missing = {k: v for k, v in golden[part].items()
               if tree[part].get(k) != v}
    added = {k: v for k, v in tree[part].items() if golden[part].get(k) != v}
    assert not missing and not added, (
        f"{part} of {name} changed, so old checkpoints no longer load.\n"
        f"Gone or of another shape: {json.dumps(missing, indent=1)}\n"
        f"New: {json.dumps(added, indent=1)}\n"
        f"If that is meant, {path.name} has to become:\n"
        f"{json.dumps(tree, indent=1)}")


def test_variables_are_model_gardens(tmp_path):
  theirs = _tree(tiny_models.official_bert(), tmp_path)
  assert _tree(tiny_models.bert(), tmp_path) == theirs
  ours = _tree(tiny_models.token_drop_bert(), tmp_path)
  for part in ours:
    extra = [key for key in ours[part] if TABLE in key]
    assert len(extra) == 1
    del ours[part][extra[0]]
  assert ours == theirs


@pytest.mark.parametrize("strategy", ["running_loss", "random"])
def test_a_token_dropping_checkpoint_restores_into_model_gardens_bert(
    strategy, tmp_path):
  ours = tiny_models.token_drop_bert(
      4, drop_settings=dict(token_strategy=strategy))
  theirs = tiny_models.official_bert(4)
  status = tf.train.Checkpoint(encoder=theirs).read(_save(ours, tmp_path))
  status.assert_existing_objects_matched()
  if strategy == "random":  # No table that a plain BERT lacks.
    status.assert_consumed()
  inputs = tiny_models.rows(2, 10, padding=3)
  tiny_models.assert_same_outputs(ours(inputs), theirs(inputs))


def test_model_gardens_checkpoint_restores_into_token_dropping(tmp_path):
  theirs = tiny_models.official_bert(4)
  ours = tiny_models.token_drop_bert(4)
  table = ours.token_importance.table.numpy()
  status = tf.train.Checkpoint(encoder=ours).read(_save(theirs, tmp_path))
  status.expect_partial()  # Theirs lacks the table.
  inputs = tiny_models.rows(2, 10, padding=3)
  tiny_models.assert_same_outputs(ours(inputs), theirs(inputs))
  assert (ours.token_importance.table.numpy() == table).all()


def test_the_importance_table_is_restored_exactly(tmp_path):
  ours = tiny_models.token_drop_bert(seed=1)
  again = tiny_models.token_drop_bert(seed=2)
  tf.train.Checkpoint(encoder=again).read(
      _save(ours, tmp_path)).assert_consumed()
  inputs = tiny_models.rows(3, 10)
  a, b = (tiny_models.numpy(encoder(inputs, training=True))
          for encoder in (ours, again))
  for name in a:
    for x, y in zip(a[name], b[name]):
      assert (x == y).all()
