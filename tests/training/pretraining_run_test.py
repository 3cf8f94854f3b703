"""Whole runs through the command line, in this process."""

import json
import os

import numpy as np
import pytest

from tests.reference import tfrecord_files
from tests.reference import tiny_runs

OPTIMIZER = "trainer.optimizer_config.optimizer"


@pytest.fixture(scope="module")
def text(tmp_path_factory):
  return tiny_runs.corpus(tmp_path_factory.mktemp("text"))


def _weights(tensors):
  return {name: value for name, value in tensors.items()
          if value.dtype == np.float32}


@pytest.fixture(scope="module")
def trained(text, tmp_path_factory):
  run = tmp_path_factory.mktemp("trained") / "run"
  assert tiny_runs.run(run, text, TRAIN_STEPS=4) == 0
  return str(run)


@pytest.mark.slow
def test_micro_batches_take_the_step_of_the_whole_batch(
    trained, text, tmp_path):
  assert tiny_runs.run(tmp_path / "four", text, TRAIN_STEPS=4, params={
      "trainer.gradient_accumulation_steps": 4}) == 0
  one, four = (tiny_runs.tensors(run, 4)
               for run in (trained, tmp_path / "four"))
  assert one.keys() == four.keys()
  for name, value in _weights(one).items():
    np.testing.assert_allclose(value, four[name], atol=2e-5, err_msg=name)
  for a, b in zip(tiny_runs.metrics(trained),
                  tiny_runs.metrics(tmp_path / "four"), strict=True):
    assert a["mlm_loss"] == pytest.approx(b["mlm_loss"], abs=1e-5)


@pytest.mark.parametrize("settings, shares", [
    pytest.param(
        {"task.keep_schedule.dense_warmup_share": 0.3,
         "task.keep_schedule.dense_finish_share": 0.3,
         "task.train_data.masking_strategy": "span",
         "trainer.log_interval": 1}, [1.0, 0.5, 1.0],
        marks=pytest.mark.slow),
    ({"task.model.encoder.any.token_routing": "random_ltd",
      "task.model.encoder.any.token_strategy": "random",
      "task.train_data.masking_strategy": "whole_word",
      "task.train_data.pack_sequences": "false",
      "runtime.mixed_precision_dtype": "bfloat16",
      f"{OPTIMIZER}.type": "lamb", "trainer.log_interval": 1}, [0.5] * 3),
    pytest.param(
        {"runtime.enable_xla": "true", "task.model.encoder.any."
         "token_strategy": "frequency"}, [0.5] * 2, marks=pytest.mark.slow),
    pytest.param(
        {"runtime.mixed_precision_dtype": "bfloat16",
         "task.model.encoder.any.token_random_k": 2}, [0.5] * 2,
        marks=pytest.mark.slow),
], ids=["schedule-span", "random_ltd-whole_word-unpacked-bfloat16-lamb",
        "xla", "bfloat16-random_k"])
def test_what_a_configuration_can_ask_for_runs(
    text, tmp_path, settings, shares):
  assert tiny_runs.run(tmp_path / "run", text, TRAIN_STEPS=3, INTERVAL=3,
                       params=settings) == 0
  lines = tiny_runs.metrics(tmp_path / "run", "train")
  assert [line["kept_share"] for line in lines] == shares
  assert all(np.isfinite(line["mlm_loss"]) for line in lines)
  assert len(tiny_runs.metrics(tmp_path / "run", "eval")) == 1


def test_a_loss_that_is_no_number_ends_the_run_with_a_report(
    text, tmp_path, capsys):
  run = tmp_path / "run"
  explode = dict(LEARNING_RATE=1e38, WARMUP_STEPS=0, TRAIN_STEPS=20,
                 params={"trainer.max_nonfinite_steps": 6,
                         "trainer.log_interval": 1})
  assert tiny_runs.run(run, text, **explode) == 2
  said = capsys.readouterr().err.splitlines()
  assert said[-1].startswith("error: ") and "6 steps in a row" in said[-1]
  skipped = [line["skipped_steps"] for line in tiny_runs.metrics(run, "train")]
  assert sum(skipped) >= 4
  with open(run / "nonfinite_report.json") as f:
    report = json.load(f)
  assert report["skipped_in_a_row"] == 6 and report["step"] >= 6
  assert len(report["input_word_ids"]) == 8
  assert not tiny_runs.unfinished(run)
  kept = [n for n in os.listdir(run / "checkpoints") if n.startswith("ckpt")]
  assert kept == ["ckpt-4"]
  for name, value in _weights(tiny_runs.tensors(run, 4)).items():
    assert np.isfinite(value).all(), name


@pytest.mark.slow
def test_a_run_can_start_from_anothers_weights(
    trained, text, tmp_path, capsys):
  vocabulary = os.path.join(trained, "data", "vocab.txt")
  flags = [f"--init_checkpoint={trained}", f"--vocab_file={vocabulary}"]
  assert tiny_runs.run(
      tmp_path / "run", text, *flags, TRAIN_STEPS=1, LEARNING_RATE=1e-30,
      WARMUP_STEPS=0) == 0
  said = capsys.readouterr().err
  assert "variables loaded" in said and "not in the checkpoint" not in said
  before = tiny_runs.tensors(trained, 4)
  after = tiny_runs.tensors(tmp_path / "run", 1)
  names = [n for n in _weights(before)
           if "SLOT" not in n and n.startswith(("model", "encoder", "masked"))
           and "importance" not in n]
  assert len(names) > 20
  for name in names:
    np.testing.assert_allclose(before[name], after[name], atol=1e-6)


@pytest.mark.parametrize("what, said", [
    ("nothing", "nothing is downloaded"),
    ("other", "have 16: leave it out")])
def test_weights_that_do_not_fit_are_one_line(
    trained, text, tmp_path, capsys, what, said):
  path = str(tmp_path / "none") if what == "nothing" else trained
  vocabulary = os.path.join(trained, "data", "vocab.txt")
  code = tiny_runs.run(
      tmp_path / "run", text, f"--init_checkpoint={path}",
      f"--vocab_file={vocabulary}", HIDDEN_SIZE=32)
  last = capsys.readouterr().err.splitlines()[-1]
  assert code == 2 and last.startswith("error: ") and said in last
  assert not os.path.exists(tmp_path / "run" / "checkpoints")


def test_tfrecords_train_with_a_slice_held_out(trained, tmp_path, capsys):
  vocabulary = os.path.join(trained, "data", "vocab.txt")
  records = tmp_path / "a.tfrecord"
  tfrecord_files.write(records, rows=40)
  run, flags = tmp_path / "run", [f"--vocab_file={vocabulary}"]
  assert tiny_runs.run(run, records, *flags, TRAIN_STEPS=3) == 0
  said = capsys.readouterr().err
  assert "rows 0 to 38 of 40 rows of 16" in said
  assert "rows 38 to 40 of 40 rows of 16" in said
  assert len(tiny_runs.metrics(run, "eval")) == 1
  # Other content under the same name is noticed.
  tfrecord_files.write(records, rows=40, seed=1)
  assert tiny_runs.run(run, records, *flags, TRAIN_STEPS=3) == 2
  assert "content of the training files" in capsys.readouterr().err


def test_records_damaged_while_training_are_one_line(
    trained, tmp_path, capsys, monkeypatch):
  from official_style.data import record_index
  from official_style.errors import UserError
  vocabulary = os.path.join(trained, "data", "vocab.txt")
  records = tmp_path / "a.tfrecord"
  tfrecord_files.write(records, rows=40)
  read, calls = record_index.read_record, []

  def damaged(index, number):
    calls.append(number)
    if len(calls) > 60:
      raise UserError("a.tfrecord, record 7 has changed. Put it back.")
    return read(index, number)

  monkeypatch.setattr(record_index, "read_record", damaged)
  assert tiny_runs.run(tmp_path / "run", records,
                       f"--vocab_file={vocabulary}", TRAIN_STEPS=40) == 2
  assert capsys.readouterr().err.splitlines()[-1] == (
      "error: a.tfrecord, record 7 has changed. Put it back.")


@pytest.mark.parametrize("settings, named", [
    ({"trainer.gradient_accumulation_steps": 3}, "multiple"),
    ({"trainer.best_checkpoint_eval_metric": "mlm_los"}, "mlm_accuracy"),
    ({"trainer.best_checkpoint_metric_comp": "less"}, "higher or lower")])
def test_what_cannot_work_is_told_before_the_first_step(
    text, tmp_path, capsys, settings, named):
  assert tiny_runs.run(tmp_path / "run", text, params=settings) == 2
  last = capsys.readouterr().err.splitlines()[-1]
  assert last.startswith("error: ") and named in last


def test_a_dry_run_leaves_a_run_as_it_is(trained, text, capsys):
  def state():
    return {os.path.join(where, name): os.stat(os.path.join(
        where, name)).st_mtime_ns for where, folders, files in os.walk(
            trained) for name in folders + files}

  before = state()
  assert tiny_runs.run(trained, text, "--dry_run", TRAIN_STEPS=4) == 0
  assert state() == before
  # Of the run's own data, not of a sample.
  said = capsys.readouterr().err
  assert "of the first documents" not in said
  assert "passes over the training rows" in said
  # As the run itself: refused, or of the data that would replace these.
  assert tiny_runs.run(trained, text, "--dry_run", TRAIN_STEPS=5) == 2
  assert "trainer.train_steps was 4 and is 5" in capsys.readouterr().err
  assert tiny_runs.run(trained, text, "--dry_run", "--restart", TRAIN_STEPS=5,
                       TRAINED_VOCAB_SIZE=130) == 0
  assert "of the first documents" in capsys.readouterr().err
  assert state() == before
