"""Pretraining beside a teacher, through the command line."""

import errno
import os
import shutil

import pytest

from official_style.checkpoints import conversion
from official_style.data import teacher_cache_writer
from official_style.training import finished_run
from tests.reference import tiny_runs

cache_teacher = tiny_runs.tool("cache_teacher")
benchmark_distillation = tiny_runs.tool("benchmark_distillation")
_GIN = tiny_runs._GIN | dict(NUM_LAYERS=2)
_SHORT = dict(TRAIN_STEPS=2, INTERVAL=2)
ALL = {"task.distillation.hidden_weight": 0.5,
       "task.distillation.relations_weight": 0.5,
       "task.distillation.attention_weight": 0.5}


def _flags(folder, data, teacher, *more, experiment="bert_distill",
           params=None, **gin):
  return tiny_runs.arguments(
      experiment, str(folder), data,
      ([f"--teacher={teacher}"] if teacher else []) + list(more),
      tiny_runs._PARAMS | (params or {}), _GIN | gin)


def _run(*args, **kwargs):
  return tiny_runs.run_here(_flags(*args, **kwargs))


def _teacher(folder, data, **gin):
  return tiny_runs.run_here(tiny_runs.arguments(
      "bert", str(folder), data, (), tiny_runs._PARAMS, _GIN | gin))


@pytest.fixture(scope="module")
def places(tmp_path_factory):
  """Folder of text, a teacher that is wider, and a student beside it."""
  folder = tmp_path_factory.mktemp("runs")
  data = tiny_runs.corpus(str(folder))
  teacher = str(folder / "teacher")
  assert _teacher(teacher, data, HIDDEN_SIZE=24, NUM_LAYERS=3) == 0
  assert _run(folder / "student", data, teacher) == 0
  return folder, data, teacher


@pytest.fixture(scope="module")
def plain(places):
  """The student's run, and nothing of a teacher in its settings."""
  folder = str(places[0] / "plain")
  assert _teacher(folder, places[1]) == 0
  return folder


def _error(capsys) -> str:
  last = capsys.readouterr().err.strip().splitlines()[-1]
  assert last.startswith("error: ")
  return last


def test_metrics_say_how_far_the_teacher_is(places):
  lines = tiny_runs.metrics(str(places[0] / "student"), "train")
  assert all(line["teacher_divergence"] > 0 for line in lines)
  assert all(0 <= line["teacher_agreement"] <= 1 for line in lines)
  evaluated = tiny_runs.metrics(str(places[0] / "student"), "eval")
  assert "teacher_divergence" not in evaluated[0]


def test_without_weight_a_run_has_the_bytes_of_plain_pretraining(
    places, plain, tmp_path):
  without = str(tmp_path / "without")
  assert _run(without, places[1], None, DISTILL_WEIGHT=0.0) == 0
  tiny_runs.assert_same_run(without, plain, 8)


def test_a_checkpoint_holds_the_student_alone(places, plain):
  student = str(places[0] / "student")
  ours, theirs = (
      {name: x.shape for name, x in tiny_runs.tensors(run, 8).items()}
      for run in (student, plain))
  assert ours == theirs


def test_a_student_is_used_without_its_teacher(places, tmp_path):
  folder = tmp_path / "moved"
  shutil.copytree(places[0] / "student", folder)
  params = (folder / "params.yaml").read_text(encoding="utf-8")
  (folder / "params.yaml").write_text(
      params.replace(places[2], "/nowhere"), encoding="utf-8")
  run = finished_run.load(str(folder))
  assert run.config.task.distillation.teacher == "/nowhere"
  assert run.model.encoder_network.get_config()["hidden_size"] == 16
  assert not run.task.checkpoint_items


@pytest.mark.slow
def test_a_run_that_is_stopped_ends_with_the_same_bytes(
    places, tmp_path, monkeypatch):
  """With projections, which are no part of the model but of the run."""
  whole, other = str(tmp_path / "whole"), str(tmp_path / "other")
  assert _run(whole, *places[1:], params=ALL) == 0
  tiny_runs.tell_to_stop(monkeypatch, 3)
  assert _run(other, *places[1:], params=ALL) == 75
  monkeypatch.undo()
  assert _run(other, *places[1:], params=ALL) == 0
  tiny_runs.assert_same_run(other, whole, 8)
  names = [name for name in tiny_runs.tensors(whole, 8)
           if name.startswith("hidden_projection_2/")]
  assert len({n.split("/.ATTRIBUTES")[0] for n in names}) >= 2
  # They are no part of what is made of it.
  assert finished_run.load(whole).step == 8


@pytest.mark.slow
def test_a_student_that_drops_tokens_learns_from_one_that_does_not(
    places, tmp_path):
  run = str(tmp_path / "run")
  assert _run(run, *places[1:], experiment="token_drop_distill",
              NUM_LAYERS=3, DISTILL_POSITIONS="all", params={
                  "task.distillation.relations_weight": 0.5}) == 0
  line = tiny_runs.metrics(run, "train")[0]
  assert line["kept_share"] == 0.5
  assert line["teacher_divergence"] > 0 and line["relations_divergence"] > 0


@pytest.mark.slow
def test_a_teacher_in_hugging_faces_layout_is_the_same_one(places, tmp_path):
  theirs = str(tmp_path / "hf")
  conversion.convert(places[2], theirs, "huggingface", False, True,
                     lambda line: None)
  run = str(tmp_path / "run")
  assert _run(run, places[1], theirs) == 0
  for a, b in zip(tiny_runs.metrics(run),
                  tiny_runs.metrics(str(places[0] / "student"))):
    for name, value in b.items():
      if name != "split":
        assert a[name] == pytest.approx(value, rel=1e-3), name


@pytest.mark.slow
def test_a_teacher_without_a_head_is_enough_where_no_words_are_compared(
    places, tmp_path, capsys):
  theirs = str(tmp_path / "hf")
  conversion.convert(places[2], theirs, "huggingface", True, True,
                     lambda line: None)
  run = str(tmp_path / "run")
  assert _run(run, places[1], theirs, **_SHORT) == 2
  assert "logits_weight=0" in _error(capsys)
  relations = {"task.distillation.logits_weight": 0.0,
               "task.distillation.relations_weight": 1.0}
  assert _run(run, places[1], theirs, params=relations, **_SHORT) == 0
  whole = str(tmp_path / "whole")
  assert _run(whole, *places[1:], params=relations, **_SHORT) == 0
  for a, b in zip(tiny_runs.metrics(run), tiny_runs.metrics(whole),
                  strict=True):
    assert "teacher_divergence" not in a
    for name, value in b.items():
      if name != "split":
        assert a[name] == pytest.approx(value, rel=1e-3), name
  assert tiny_runs.metrics(run, "train")[0]["relations_divergence"] > 0


def test_a_checkpoint_of_a_run_may_be_the_teacher(places, tmp_path):
  run = str(tmp_path / "run")
  path = os.path.join(places[2], "checkpoints", "ckpt-4", "ckpt")
  assert _run(run, places[1], path, **_SHORT) == 0


def test_a_dry_run_looks_at_the_teacher_too(places, tmp_path, capsys):
  assert _run(tmp_path / "run", *places[1:], "--dry_run") == 0
  out = capsys.readouterr().out
  assert "teacher_digest" in out and f"{places[2]}, FLOPs a step" in out
  assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------------------
# Refusals
# ---------------------------------------------------------------------------


def test_no_teacher_is_told(places, tmp_path, capsys):
  assert _run(tmp_path / "run", places[1], None) == 2
  assert "--teacher=runs/bert" in _error(capsys)
  assert _run(tmp_path / "run", places[1], "/nowhere") == 2
  assert "nothing there" in _error(capsys)


def test_another_vocabulary_is_told_with_both_files(places, tmp_path, capsys):
  ours = tmp_path / "vocab.txt"
  with open(os.path.join(places[2], "data", "vocab.txt"), "rb") as f:
    lines = f.read().decode().splitlines()
  lines[20], lines[21] = lines[21], lines[20]
  ours.write_text("\n".join(lines) + "\n", encoding="utf-8")
  assert _run(tmp_path / "run", *places[1:], f"--vocab_file={ours}") == 2
  said = _error(capsys)
  assert str(ours) in said and os.path.join(places[2], "data") in said
  assert "token 20 is" in said


def test_a_run_goes_on_with_the_teacher_it_began_with(
    places, tmp_path, capsys):
  teacher, run = str(tmp_path / "teacher"), str(tmp_path / "run")
  shutil.copytree(places[2], teacher)
  assert _run(run, places[1], teacher, **_SHORT) == 0
  other = os.path.join(teacher, "checkpoints", "ckpt-4")
  best = os.path.join(teacher, "checkpoints", "best.json")
  with open(best, encoding="utf-8") as f:
    text = f.read()
  with open(best, "w", encoding="utf-8") as f:
    f.write(text.replace("ckpt-8/", "ckpt-4/"))
  assert os.path.isdir(other)
  assert _run(run, places[1], teacher, **_SHORT) == 2
  assert "teacher_digest" in _error(capsys)


def test_rows_longer_than_the_teacher_reads_are_told(
    places, tmp_path, capsys):
  teacher = str(tmp_path / "short")
  assert tiny_runs.run_here(tiny_runs.arguments(
      "bert", teacher, places[1], (), tiny_runs._PARAMS | {
          "task.model.encoder.any.max_position_embeddings": 16},
      _GIN | _SHORT)) == 0
  assert _run(tmp_path / "run", places[1], teacher, SEQ_LENGTH=32) == 2
  assert "16 positions" in _error(capsys)


def test_a_damaged_teacher_is_told(places, tmp_path, capsys):
  teacher = str(tmp_path / "teacher")
  shutil.copytree(places[2], teacher)
  path = os.path.join(teacher, "checkpoints", "ckpt-8",
                      "ckpt.data-00000-of-00001")
  with open(path, "r+b") as f:
    f.seek(1000)
    f.write(b"\xff\xff")
  assert _run(tmp_path / "run", places[1], teacher) == 2
  assert "damaged" in _error(capsys)


# ---------------------------------------------------------------------------
# A cache
# ---------------------------------------------------------------------------


def _cache(folder, run, places, *more, **kwargs):
  return cache_teacher.main([
      f"--output={folder}", *more,
      *_flags(run, *places[1:], **kwargs)[1:]])


def test_a_cache_of_all_words_trains_as_the_teacher_does(places, tmp_path):
  cache, run = tmp_path / "cache", tmp_path / "run"
  with open(os.path.join(places[2], "data", "vocab.txt"), "rb") as f:
    size = len(f.read().splitlines())
  assert _cache(cache, run, places, f"--top_k={size}") == 0
  assert _run(run, *places[1:], TEACHER_CACHE=str(cache)) == 0
  for a, b in zip(tiny_runs.metrics(str(run)),
                  tiny_runs.metrics(str(places[0] / "student"))):
    for name in ("mlm_loss", "teacher_divergence"):
      if name in b:
        assert a[name] == pytest.approx(b[name], rel=1e-3)


@pytest.mark.slow
def test_a_small_cache_trains_alone_and_fits_one_run(
    places, tmp_path, capsys, monkeypatch):
  cache, run = tmp_path / "cache", tmp_path / "run"
  said = []
  append = teacher_cache_writer.TeacherCacheWriter.append

  def told(self, records):
    append(self, records)
    if not said:
      said.append(self.done)
      raise KeyboardInterrupt

  monkeypatch.setattr(teacher_cache_writer.TeacherCacheWriter, "append", told)
  assert _cache(cache, run, places, "--top_k=4") == 130
  assert not cache.exists() and said[0] > 0
  assert _cache(cache, run, places, "--top_k=4") == 0
  assert f"going on after {said[0]} of" in capsys.readouterr().err
  # The teacher itself is not needed.
  assert _run(tmp_path / "dry", places[1], None, "--dry_run",
              TEACHER_CACHE=str(cache)) == 0
  assert _run(run, places[1], None, TEACHER_CACHE=str(cache)) == 0
  assert tiny_runs.metrics(str(run), "train")[0]["teacher_divergence"] > 0
  # Another seed, a longer run, another teacher, other parts of the loss.
  for changes, words in (
      (dict(SEED=3), "masking.seed=0, and this run has 3"),
      (dict(TRAIN_STEPS=4000), "--epochs="),
      (dict(params=ALL), "needs the teacher itself")):
    assert _run(tmp_path / "other", *places[1:], **dict(
        TEACHER_CACHE=str(cache)) | changes) == 2
    assert words in _error(capsys)
  assert _run(tmp_path / "other", places[1], str(places[0] / "student"),
              f"--vocab_file={places[2]}/data/vocab.txt",
              TEACHER_CACHE=str(cache)) == 2
  assert "have digest" in _error(capsys)
  # As many epochs of masks as there are serve any number.
  assert _run(tmp_path / "again", *places[1:], TRAIN_STEPS=60, INTERVAL=60,
              TEACHER_CACHE=str(cache),
              params={"task.distillation.mask_epochs": 1}) == 0


@pytest.mark.parametrize("flags, said", [
    (["--top_k=0"], "--top_k=0"), (["--top_k=99999"], "--top_k=99999"),
    (["--rows=0"], "--rows=0"), (["--epochs=-1"], "--epochs=-1"),
    (["--output="], "--output: names no folder"),
    (["--output={}/corpus.txt/cache"], "cache: can't be written (Not a dir")])
def test_a_cache_that_can_t_be_made_is_told(
    places, tmp_path, capsys, flags, said):
  flags = [flag.format(places[0]) for flag in flags]
  assert _cache(tmp_path / "cache", tmp_path / "run", places, *flags) == 2
  assert said in _error(capsys)
  assert not (tmp_path / "cache").exists()


def test_a_cache_on_a_full_disk_is_told_and_goes_on(
    places, tmp_path, capsys, monkeypatch):
  append = teacher_cache_writer.TeacherCacheWriter.append

  def full(self, records):
    if self.done:
      raise OSError(errno.ENOSPC, "No space left on device")
    append(self, records)

  monkeypatch.setattr(teacher_cache_writer.TeacherCacheWriter, "append", full)
  asked = (tmp_path / "cache", tmp_path / "run", places, "--top_k=4")
  assert _cache(*asked) == 2
  assert "can't be written (No space left on device): free" in _error(capsys)
  monkeypatch.undo()
  assert _cache(*asked) == 0
  assert "going on after 32 of" in capsys.readouterr().err


def test_a_cache_of_a_run_without_a_teacher_is_refused(
    places, tmp_path, capsys):
  assert cache_teacher.main([
      f"--output={tmp_path / 'cache'}", "--experiment=bert",
      f"--train_data={places[1]}"]) == 2
  assert "bert_distill" in _error(capsys)


@pytest.mark.slow
def test_what_a_teacher_costs_can_be_timed(
    places, tmp_path, capsys, monkeypatch):
  monkeypatch.setattr(benchmark_distillation.in_turns, "pin", lambda n: None)
  assert benchmark_distillation.main([
      f"--teacher={places[2]}", f"--work={tmp_path}", "--top_k=4",
      "--hidden_size=16", "--num_layers=1", "--seq_length=16",
      "--batch_size=4", "--embedded_megabytes=0.01", "--rounds=1",
      "--steps=1", f"--output={tmp_path / 'out.json'}"]) == 0
  lines = capsys.readouterr().out.splitlines()
  assert "bytes a position" in lines[0] and len(lines) == 4
  for name in ("no teacher", "teacher in the step", "cache of 4 words"):
    assert any(line.startswith(name) for line in lines)
  assert (tmp_path / "out.json").exists()
