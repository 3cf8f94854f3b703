"""Loading a trained run from its folder."""

import json
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf

from official_style import experiment_configs
from official_style.configs import gin_files
from official_style.configs import resolve
from official_style.configs import saved_config
from official_style.errors import UserError
from official_style.modeling.networks import pyramidize
from official_style.training import finished_run
from tests.reference import tiny_fine_tuning as tiny
from tests.reference import tiny_runs


@pytest.fixture(scope="module")
def pyramid(tmp_path_factory):
  """A run of Pyramid-BERT, and its data."""
  folder = tmp_path_factory.mktemp("pyramid")
  data = tiny.classes(folder)
  run = str(folder / "run")
  assert tiny.run(run, data, experiment="pyramid_bert", EPOCHS=2.0,
                  RETENTION_SPEEDUP=1.3) == 0
  return run


def _texts(run):
  """The texts of the rows that were predicted."""
  rows = tiny.table(run, "predictions.tsv")
  with open(os.path.join(os.path.dirname(run), "train.tsv"),
            encoding="utf-8") as f:
    lines = f.read().split("\n")
  return [((lines[int(row["row"]) - 1].split("\t")[0],),) for row in rows], rows


def test_a_loaded_run_predicts_what_the_run_itself_did(pyramid):
  run = finished_run.load(pyramid)
  texts, rows = _texts(pyramid)
  logits = run.predict(texts, batch_size=4)
  assert [run.labels.names[i] for i in logits.argmax(1)] == [
      row["prediction"] for row in rows]
  odds = np.exp(logits)
  np.testing.assert_allclose(
      (odds / odds.sum(1, keepdims=True)).max(1),
      [float(row["probability"]) for row in rows], atol=2e-6)


def test_the_best_step_is_loaded_unless_another_is_asked_for(pyramid):
  with open(os.path.join(pyramid, "checkpoints", "best.json"),
            encoding="utf-8") as f:
    best = json.load(f)["step"]
  run = finished_run.load(pyramid)
  assert (run.step, run.is_best) == (best, True)
  assert finished_run.load(pyramid, best).step == best
  with pytest.raises(UserError, match="no checkpoint of step 999; there are"):
    finished_run.load(pyramid, 999)


def test_a_pretrained_run_loads_with_its_importance_table(tmp_path):
  folder = str(tmp_path / "run")
  assert tiny_runs.run(folder, tiny_runs.corpus(tmp_path)) == 0
  run = finished_run.load(folder)
  assert run.labels is None
  table = run.encoder.token_importance.table.numpy()
  saved = tiny_runs.tensors(folder, run.step)
  key = next(name for name in saved if name.startswith("encoder/")
             and "importance_embed/.ATTR" in name)
  np.testing.assert_array_equal(table, saved[key])
  assert len(set(table)) > 1


def test_another_encoder_comes_under_the_same_head(pyramid):
  run = finished_run.load(pyramid)
  texts, _ = _texts(pyramid)
  same = run.with_encoder(pyramidize.pyramidize(
      run.encoder, token_schedule=run.encoder.token_schedule))
  np.testing.assert_allclose(
      same.predict(texts), run.predict(texts), atol=1e-5)
  fewer = run.with_encoder(pyramidize.pyramidize(
      run.encoder, token_schedule=[1, 1]))
  assert np.abs(fewer.predict(texts) - run.predict(texts)).max() > 1e-3


def test_a_batch_that_is_not_full_is_filled_and_cut(pyramid):
  run = finished_run.load(pyramid)
  texts, _ = _texts(pyramid)
  one = np.concatenate([run.predict([text]) for text in texts[:3]])
  np.testing.assert_allclose(
      run.predict(texts[:3], batch_size=2), one, atol=1e-5)


@pytest.mark.parametrize("name, damage, said", [
    ("params.yaml", os.remove, "no params.yaml there, so it is no run"),
    ("run.json", os.remove, "run.json: can't be read"),
    ("run.json", lambda path: _replace(path, '"data": {', '"data": [], "a": {'),
     "run.json: damaged"),
    ("run.json", lambda path: _replace(
        path, '"vocabulary": {', '"vocabulary": 3, "a": {'),
     "run.json: damaged"),
    ("data/vocab.txt", os.remove, "vocab.txt: cannot read the vocabulary"),
    ("data/vocab.txt", lambda path: _swap_last_lines(path),
     "vocab.txt: not the vocabulary that run.json says"),
    ("data/labels.json", os.remove, "labels.json: can't be read"),
    ("data/labels.json", lambda path: _replace(path, "BAD", "WORSE"),
     "labels.json: not the labels that run.json says"),
    ("params.yaml", lambda path: _replace(path, "hidden_size: 16",
                                          "hidden_size: 32"),
     "does not fit the model of params.yaml"),
    ("params.yaml", lambda path: _replace(path, "token_selector", "selektor"),
     "no configuration of a pretraining or fine-tuning run"),
    ("checkpoints", shutil.rmtree, "checkpoints: no checkpoint there"),
    ("checkpoints/best.json", lambda path: _replace(path, "{", "["),
     "best.json: is no JSON")])
def test_what_is_missing_or_wrong_is_named(
    pyramid, tmp_path, name, damage, said):
  copy = str(tmp_path / "copy")
  shutil.copytree(pyramid, copy)
  damage(os.path.join(copy, name))
  with pytest.raises(UserError) as error:
    finished_run.load(copy)
  assert said in str(error.value) and "\n" not in str(error.value)


def test_a_damaged_checkpoint_is_refused(pyramid, tmp_path):
  copy = str(tmp_path / "copy")
  shutil.copytree(pyramid, copy)
  step = finished_run.load(copy).step
  path = os.path.join(copy, "checkpoints", f"ckpt-{step}",
                      "ckpt.data-00000-of-00001")
  with open(path, "r+b") as f:
    f.seek(100)
    byte = f.read(1)
    f.seek(100)
    f.write(bytes([byte[0] ^ 1]))
  with pytest.raises(UserError, match="ckpt.data-.* is damaged"):
    finished_run.load(copy)


def test_a_folder_of_runs_says_which_are_in_it(pyramid, tmp_path):
  shutil.copytree(pyramid, tmp_path / "all" / "seed-0")
  with pytest.raises(UserError, match="holds the runs seed-0: give one"):
    finished_run.load(str(tmp_path / "all"))
  with pytest.raises(UserError, match="no such folder"):
    finished_run.load(str(tmp_path / "none"))


def test_loading_changes_nothing(pyramid):
  def state():
    return {os.path.join(folder, name): os.stat(
        os.path.join(folder, name)).st_mtime_ns
            for folder, _, names in os.walk(pyramid) for name in names}
  before = state()
  finished_run.load(pyramid)
  assert state() == before


@pytest.mark.parametrize("name", gin_files.experiment_names())
def test_every_experiments_configuration_is_read_back(name, tmp_path):
  config = experiment_configs.get_experiment(name)
  path = tmp_path / "params.yaml"
  path.write_text(resolve.params_text(config), encoding="utf-8")
  read = saved_config.read(str(path))
  assert type(read) is type(config)
  assert type(read.task.model.encoder.get()) is type(
      config.task.model.encoder.get())
  assert resolve.params_text(read) == resolve.params_text(config)


def test_a_field_that_was_not_there_yet_has_its_default(tmp_path):
  config = experiment_configs.get_experiment("pyramid_bert")
  lines = resolve.params_text(config).splitlines(keepends=True)
  path = tmp_path / "params.yaml"
  path.write_text("".join(line for line in lines if "coreset_metric" not in
                          line), encoding="utf-8")
  assert saved_config.read(
      str(path)).task.model.encoder.get().coreset_metric == "euclidean"


def _replace(path, old, new):
  with open(path, encoding="utf-8") as f:
    text = f.read()
  assert old in text
  with open(path, "w", encoding="utf-8") as f:
    f.write(text.replace(old, new))


def _swap_last_lines(path):
  with open(path, encoding="utf-8") as f:
    lines = f.read().splitlines()
  with open(path, "w", encoding="utf-8") as f:
    f.write("\n".join(lines[:-2] + [lines[-1], lines[-2]]) + "\n")


def test_batches_are_tensors_of_one_shape(pyramid):
  run = finished_run.load(pyramid)
  batches = list(finished_run.batches_of(
      run.rows([(("good",),)] * 5), batch_size=2))
  assert [count for _, count in batches] == [2, 2, 1]
  assert {tuple(batch["input_word_ids"].shape) for batch, _ in batches} == {
      (2, 16)}
  assert all(isinstance(x, tf.Tensor) for batch, _ in batches
             for x in batch.values())
