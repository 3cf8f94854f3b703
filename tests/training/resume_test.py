"""Going on with a run: after signals, damage and changes."""

import os
import shutil
import signal
import time

import pytest
import yaml

from official_style.training import checkpoints
from official_style.training import run_frame
from tests.reference import slow_params
from tests.reference import tiny_runs

STEPS = 8  # Evaluated and saved at 4 and 8.


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
  """A run that nothing happened to, and the text it was made from."""
  folder = tmp_path_factory.mktemp("whole")
  data = tiny_runs.corpus(folder)
  assert tiny_runs.run(folder / "run", data) == 0
  return str(folder / "run"), data


@pytest.fixture
def copied(whole, tmp_path):
  """A copy of it to do things to."""
  shutil.copytree(whole[0], tmp_path / "run")
  return str(tmp_path / "run"), whole[1]


def _tree(folder):
  return {os.path.join(where, name): tiny_runs.read(where, name)
          for where, _, names in os.walk(folder) for name in names}


def _go_on(copied, *flags, **changes):
  return tiny_runs.run(copied[0], copied[1], *flags, **changes)


def _damage(folder, step):
  path = os.path.join(folder, "checkpoints", f"ckpt-{step}",
                      "ckpt.data-00000-of-00001")
  content = bytearray(tiny_runs.read(path))
  content[len(content) // 2] ^= 4
  with open(path, "wb") as f:
    f.write(content)


def test_a_finished_run_started_again_changes_no_byte(copied, capsys):
  before = {path: content for path, content in _tree(copied[0]).items()
            if "tensorboard" not in path}
  assert _go_on(copied) == 0
  after = {path: content for path, content in _tree(copied[0]).items()
           if "tensorboard" not in path}
  assert after == before
  assert f"Done: {STEPS} steps" in capsys.readouterr().out


def test_a_damaged_newest_checkpoint_costs_steps_and_changes_nothing(
    whole, copied, capsys):
  _damage(copied[0], 8)
  os.makedirs(os.path.join(copied[0], "checkpoints", "ckpt-8.tmp-1"))
  with open(os.path.join(copied[0], "checkpoints", "checkpoint"), "wb") as f:
    f.write(b"\xff garbage")
  assert _go_on(copied) == 0
  said = capsys.readouterr().err
  assert "checkpoint 8: ckpt.data-00000-of-00001 is damaged" in said
  assert "falling back to checkpoint 4" in said
  tiny_runs.assert_same_run(copied[0], whole[0], STEPS)
  assert not tiny_runs.unfinished(copied[0])


def test_all_damaged_is_an_error_and_nothing_starts_over(copied, capsys):
  for step in (4, 8):
    _damage(copied[0], step)
  before = tiny_runs.read(copied[0], "metrics.jsonl")
  assert _go_on(copied) == 2
  said = capsys.readouterr().err.splitlines()[-1]
  assert said.startswith("error: ") and "no usable checkpoint" in said
  assert tiny_runs.read(copied[0], "metrics.jsonl") == before


@pytest.mark.parametrize("changes, named", [
    (dict(BATCH_SIZE=16), "task.train_data.global_batch_size was 8 and is 16"),
    (dict(SEQ_LENGTH=32), "task.train_data.seq_length was 16 and is 32"),
    (dict(TRAINED_VOCAB_SIZE=129), "task.trained_vocab_size was 128"),
    (dict(SEED=1), "trainer.seed was 0 and is 1")])
def test_another_configuration_is_refused_with_its_name(
    copied, capsys, changes, named):
  before = _tree(copied[0])
  assert _go_on(copied, **changes) == 2
  said = capsys.readouterr().err.splitlines()[-1]
  assert named in said
  assert "--allow_config_change" in said and "--restart" in said
  assert _tree(copied[0]) == before


def test_other_text_is_refused(copied, capsys, tmp_path):
  other = tiny_runs.corpus(tmp_path, seed=1)
  assert tiny_runs.run(copied[0], other, "--allow_config_change="
                       "task.train_data.input_path") == 2
  assert "content of the training files changed" in capsys.readouterr().err


def test_another_vocabulary_is_refused(copied, capsys, tmp_path):
  vocabulary = tmp_path / "other.txt"
  with open(os.path.join(copied[0], "data", "vocab.txt"),
            encoding="utf-8") as f:
    vocabulary.write_text(f.read() + "another\n", encoding="utf-8")
  flag = f"--vocab_file={vocabulary}"
  assert _go_on(copied, flag) == 2
  assert "task.vocab_file was '' and is" in capsys.readouterr().err
  assert _go_on(copied, flag, "--allow_config_change=task.vocab_file") == 2
  assert "the content of the vocabulary file" in capsys.readouterr().err


def test_an_allowed_change_goes_on_and_is_written_down(copied, capsys):
  # Half of a run, so that there is something to go on with.
  shutil.rmtree(os.path.join(copied[0], "checkpoints", "ckpt-8"))
  allow = ["--allow_config_change=task.train_data.global_batch_size",
           "--allow_config_change=task.validation_data.global_batch_size"]
  assert _go_on(copied, *allow, BATCH_SIZE=16) == 0
  assert "going on from step 4" in capsys.readouterr().err
  lines = tiny_runs.metrics(copied[0], "train")
  assert [line["step"] for line in lines] == [2, 4, 6, 8]
  assert lines[3]["tokens"] - lines[2]["tokens"] > 1.5 * (
      lines[1]["tokens"] - lines[0]["tokens"])
  # Now this is the run's configuration, and what it was can be read.
  assert _go_on(copied, BATCH_SIZE=16, TRAIN_STEPS=9) == 2
  assert "global_batch_size" not in capsys.readouterr().err
  assert b'"before"' in tiny_runs.read(copied[0], "run.json")


@pytest.mark.parametrize("change", [dict(HIDDEN_SIZE=32), dict(NUM_LAYERS=4)])
def test_a_change_that_the_weights_do_not_fit_is_told_and_not_written_down(
    copied, capsys, change):
  before = _tree(copied[0])
  assert _go_on(copied, "--allow_config_change=task.model", **change) == 2
  assert "checkpoint 8 does not fit this model" in (
      capsys.readouterr().err.splitlines()[-1])
  assert _tree(copied[0]) == before


def test_a_run_of_an_earlier_version_is_known_by_its_defaults(
    copied, capsys):
  path = os.path.join(copied[0], "params.yaml")
  params = yaml.safe_load(tiny_runs.read(path))
  del params["trainer"]["train_steps"]
  del params["task"]["model"]["encoder"]["any"]["norm_epsilon"]
  with open(path, "w", encoding="utf-8") as f:
    yaml.safe_dump(params, f)
  assert _go_on(copied, "--mode=eval") == 2
  error = capsys.readouterr().err
  # The default is not what is asked for now.
  assert "trainer.train_steps was 0 and is 8" in error
  assert "norm_epsilon" not in error


def test_relative_paths_and_another_working_folder(
    copied, capsys, tmp_path, monkeypatch):
  """The text is known by its content; where it lies may be allowed."""
  shutil.copy(copied[1], tmp_path / "corpus.txt")
  monkeypatch.chdir(tmp_path)
  assert tiny_runs.run("run", "corpus.txt") == 2
  assert "task.train_data.input_path was" in capsys.readouterr().err
  assert tiny_runs.run("run", "corpus.txt", "--mode=eval", "--allow_config_"
                       "change=task.train_data.input_path") == 0
  (tmp_path / "elsewhere").mkdir()
  monkeypatch.chdir(tmp_path / "elsewhere")
  assert tiny_runs.run("../run", copied[1], "--mode=eval") == 0
  assert tiny_runs.run("../run", "corpus.txt", "--allow_config_change="
                       "task.train_data.input_path") == 2
  assert "corpus.txt" in capsys.readouterr().err
  assert os.listdir(".") == []


def test_a_run_without_its_configuration_is_not_gone_on_with(copied, capsys):
  os.remove(os.path.join(copied[0], "params.yaml"))
  assert _go_on(copied, SEED=5) == 2
  assert "params.yaml: is missing" in capsys.readouterr().err


def test_restart_begins_anew_and_leaves_what_is_not_the_runs(
    whole, copied, capsys):
  with open(os.path.join(copied[0], "notes.txt"), "w") as f:
    f.write("mine")
  assert _go_on(copied, "--restart", "--mode=train", TRAIN_STEPS=4) == 0
  assert "going on" not in capsys.readouterr().err
  assert os.path.exists(os.path.join(copied[0], "notes.txt"))
  assert [line["step"] for line in tiny_runs.metrics(copied[0])] == [2, 4]
  assert sorted(n for n in os.listdir(os.path.join(
      copied[0], "checkpoints")) if n.startswith("ckpt")) == ["ckpt-4"]


@pytest.mark.parametrize("more, said", [
    (["--mode=eval"], "--restart: would delete the run that --mode=eval"),
    (["--init_checkpoint=nowhere"], "nowhere"),
    (["--vocab_file={}/data/vocab.txt"], "is of the run that would be")])
def test_a_restart_that_can_not_begin_costs_nothing(
    copied, capsys, more, said):
  before = _tree(copied[0])
  more = [flag.format(copied[0]) for flag in more]
  assert _go_on(copied, "--restart", *more, TRAIN_STEPS=4) == 2
  assert said in capsys.readouterr().err.splitlines()[-1]
  assert _tree(copied[0]) == before


def test_a_restart_that_is_stopped_early_costs_nothing(
    copied, capsys, monkeypatch):
  before = _tree(copied[0])

  def stopping(*unused):
    signal.raise_signal(signal.SIGTERM)

  monkeypatch.setattr(run_frame, "_trainer", stopping)
  assert _go_on(copied, "--restart", TRAIN_STEPS=4) == 75
  said = capsys.readouterr().err.splitlines()[-1]
  assert "run the same command again" in said and "without" not in said
  assert _tree(copied[0]) == before


def test_a_restart_that_is_stopped_in_training_is_not_to_be_repeated(
    copied, capsys, monkeypatch):
  tiny_runs.tell_to_stop(monkeypatch, 2)
  assert _go_on(copied, "--restart", TRAIN_STEPS=4) == 75
  assert "same command again to go on, without --restart" in (
      capsys.readouterr().err.splitlines()[-1])


def test_eval_mode_evaluates_and_writes_nothing(copied, capsys):
  before = _tree(copied[0])
  assert _go_on(copied, "--mode=eval") == 0
  out = capsys.readouterr().out
  last = tiny_runs.metrics(copied[0], "eval")[-1]
  # The best one, as here the last is.
  assert f"step 8: mlm_loss {last['mlm_loss']:.4f}" in out
  assert _tree(copied[0]) == before


def test_eval_mode_needs_a_run(tmp_path, whole, capsys):
  assert tiny_runs.run(tmp_path / "none", whole[1], "--mode=eval") == 2
  assert "no run to evaluate" in capsys.readouterr().err
  assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("where, step", slow_params.all_but(
    [("_step", 2)], [("_step", 2), ("_evaluate", 4)]))
def test_sigterm_saves_and_the_run_ends_as_if_it_had_not_come(
    whole, tmp_path, monkeypatch, capsys, where, step):
  tiny_runs.tell_to_stop(monkeypatch, step, where,
                         (signal.SIGTERM, signal.SIGINT) * 2)
  save = checkpoints.CheckpointFolder.save

  def told_again(self, *args):
    # Impatient: again while it saves, and right after.
    signal.raise_signal(signal.SIGINT)
    save(self, *args)
    signal.raise_signal(signal.SIGINT)

  monkeypatch.setattr(checkpoints.CheckpointFolder, "save", told_again)
  run = str(tmp_path / "run")
  assert tiny_runs.run(run, whole[1]) == 75
  saved = step + (where == "_step")
  assert f"saved at step {saved} of {STEPS}" in capsys.readouterr().err
  assert not tiny_runs.unfinished(run)
  monkeypatch.undo()
  assert tiny_runs.run(run, whole[1]) == 0
  assert f"going on from step {saved}" in capsys.readouterr().err
  tiny_runs.assert_same_run(run, whole[0], STEPS)


def test_sigterm_while_data_are_made_leaves_no_half_of_them(
    whole, tmp_path, monkeypatch, capsys):
  from official_style.data import vocabulary_training

  def told(*unused_args, **unused_kwargs):
    signal.raise_signal(signal.SIGTERM)

  monkeypatch.setattr(vocabulary_training, "train_vocabulary", told)
  assert tiny_runs.run(tmp_path / "run", whole[1]) == 75
  assert "run the same command again" in capsys.readouterr().err
  assert os.listdir(tmp_path / "run") == [".lock"]


@pytest.mark.parametrize("seconds", [1.5])
def test_sigterm_while_importing_ends_with_75(whole, tmp_path, seconds):
  process = tiny_runs.start(tmp_path / "run", whole[1])
  time.sleep(seconds)
  process.send_signal(signal.SIGTERM)
  code, said = tiny_runs.finish(process)
  assert code == 75, said
  assert "run the same command again" in said


def test_a_second_process_on_the_folder_is_refused(copied, capsys):
  from official_style.training.run_folder import RunFolder
  other = RunFolder(copied[0])
  assert _go_on(copied) == 2
  assert "another process is training there" in capsys.readouterr().err
  other.close()


def test_a_full_disk_is_one_error_and_the_last_checkpoint_is_whole(
    whole, tmp_path, monkeypatch, capsys):
  """The disk is full at the second checkpoint."""
  sync = os.fsync

  def full(descriptor):
    if "/ckpt-8.tmp-" in os.readlink(f"/proc/self/fd/{descriptor}"):
      raise OSError(28, "No space left on device")
    sync(descriptor)

  monkeypatch.setattr(os, "fsync", full)
  run = str(tmp_path / "run")
  assert tiny_runs.run(run, whole[1]) == 2
  said = capsys.readouterr().err.splitlines()[-1]
  assert said.startswith("error: ") and "no space left" in said
  assert "checkpoint 4 is kept" in said
  assert not tiny_runs.unfinished(run)
  for name in ("commit.json", "ckpt.index", "ckpt.data-00000-of-00001"):
    path = ("checkpoints", "ckpt-4", name)
    assert tiny_runs.read(run, *path) == tiny_runs.read(whole[0], *path)
  monkeypatch.undo()
  assert tiny_runs.run(run, whole[1], "--mode=eval") == 0
  assert "step 4: mlm_loss" in capsys.readouterr().out
