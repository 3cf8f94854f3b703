"""From configuration to batches, for every kind of input."""

import gzip
import json
import os

import numpy as np
import pytest

from official_style.configs import checkpoint_sizes
from official_style.configs import distillation
from official_style.configs import pretraining
from official_style.data import pretraining_data
from official_style.errors import UserError
from tests.reference import tfrecord_files
from tests.reference import tiny_runs


def _task(data, eval_data="", vocab_file="", **changes):
  task = pretraining.PretrainingTaskConfig(
      vocab_file=str(vocab_file), trained_vocab_size=128)
  task.train_data.input_path = str(data)
  task.validation_data.input_path = str(eval_data)
  for split in (task.train_data, task.validation_data):
    split.seq_length, split.global_batch_size = 16, 4
  for name, value in changes.items():
    setattr(task.train_data, name, value)
  return task


def _documents(count=60, seed=0):
  return [d for d in tiny_runs.text(count, seed).split("\n\n") if d.strip()]


@pytest.fixture
def corpus(tmp_path):
  return tiny_runs.corpus(tmp_path)


def _batch_bytes(data):
  return b"".join(
      batch[name].tobytes() for batches in (data.train, data.eval)
      for batch in [batches.batch(0)] for name in sorted(batch))


def _write_all_kinds(folder):
  """The same text in a folder of files of every kind."""
  folder.mkdir()
  documents = _documents()
  third = len(documents) // 3
  parts = [documents[:third], documents[third:2 * third],
           documents[2 * third:]]
  (folder / "a.txt").write_text("\n\n".join(parts[0]))
  with gzip.open(folder / "b.txt.gz", "wt") as f:
    f.write("\n\n".join(parts[1]))
  with gzip.open(folder / "c.jsonl.gz", "wt") as f:
    for document in parts[2]:
      f.write(json.dumps(dict(text=document)) + "\n")
  (folder / "README.md").write_text("not text of the corpus")
  return folder


def test_a_folder_of_every_kind_of_text_is_that_text(tmp_path):
  folder = _write_all_kinds(tmp_path / "corpus")
  single = tmp_path / "one.txt"
  single.write_text("\n\n".join(_documents()))
  made = [pretraining_data.prepare(_task(path), str(tmp_path / name), 3)
          for name, path in (("x", folder), ("y", single))]
  assert made[0].vocabulary.tokens == made[1].vocabulary.tokens
  tokens = [data.train.manifest()["source"] for data in made]
  assert tokens[0] == tokens[1] or (
      _batch_bytes(made[0]) == _batch_bytes(made[1]))


def test_what_was_made_is_read_again_byte_for_byte(corpus, tmp_path):
  folder = str(tmp_path / "data")
  first = pretraining_data.prepare(_task(corpus), folder, 3)
  times = os.stat(folder).st_mtime_ns
  again = pretraining_data.prepare(_task(corpus), folder, 3)
  assert _batch_bytes(first) == _batch_bytes(again)
  assert os.stat(folder).st_mtime_ns == times
  assert first.unigram_loss == again.unigram_loss
  json.dumps(first.manifest())


def test_another_folder_and_place_give_the_same_bytes(corpus, tmp_path):
  (tmp_path / "moved").mkdir()
  os.rename(corpus, tmp_path / "moved" / "corpus.txt")
  one = pretraining_data.prepare(
      _task(tmp_path / "moved" / "corpus.txt"), str(tmp_path / "x"), 3)
  os.rename(tmp_path / "moved" / "corpus.txt", corpus)
  other = pretraining_data.prepare(_task(corpus), str(tmp_path / "y"), 3)
  assert _batch_bytes(one) == _batch_bytes(other)
  # And a run whose text was moved goes on.
  pretraining_data.prepare(_task(corpus), str(tmp_path / "x"), 3)


@pytest.mark.parametrize("change, named", [
    ("content", "the content of the training files"),
    ("eval", "the content of the evaluation files"),
    ("vocabulary", "the content of the vocabulary file"),
    ("size", "trained_vocab_size"),
    ("case", "lower_case"),
    ("share", "held_out_share"),
    ("kind", "kind of data|training files|input_path|changed")])
def test_a_change_of_what_the_data_were_made_from_is_refused(
    corpus, tmp_path, change, named):
  other = tmp_path / "other"
  other.mkdir()
  evaluation = tiny_runs.corpus(other, documents=5, seed=9)
  vocabulary = tmp_path / "vocab.txt"
  folder = str(tmp_path / "data")
  first = pretraining_data.prepare(
      _task(corpus), str(tmp_path / "first"), 3).vocabulary
  first.save(str(vocabulary))
  kwargs = {}
  if change == "eval":
    kwargs["eval_data"] = evaluation
  if change == "vocabulary":
    kwargs["vocab_file"] = vocabulary
  task = _task(corpus, **kwargs)
  pretraining_data.prepare(task, folder, 3)
  if change == "content":
    with open(corpus, "a", encoding="utf-8") as f:
      f.write("more\n")
  elif change == "eval":
    with open(evaluation, "a", encoding="utf-8") as f:
      f.write("more\n")
  elif change == "vocabulary":
    with open(vocabulary, "a", encoding="utf-8") as f:
      f.write("more\n")
  elif change == "size":
    task.trained_vocab_size = 130
  elif change == "case":
    task.lower_case = True
  elif change == "share":
    task.train_data.held_out_share = 0.2
  else:
    task.train_data.input_path = ""
  with pytest.raises(UserError, match=named) as error:
    pretraining_data.prepare(task, folder, 3)
  assert "--restart" in str(error.value) and "\n" not in str(error.value)


def test_a_killed_attempt_leaves_nothing_that_is_taken_for_data(
    corpus, tmp_path):
  half = tmp_path / "run" / "data.tmp-77"
  half.mkdir(parents=True)
  (half / "source.json").write_text("{}")
  data = pretraining_data.prepare(
      _task(corpus), str(tmp_path / "run" / "data"), 3)
  assert os.listdir(tmp_path / "run") == ["data"]
  assert data.train.source.num_rows > 100


def test_a_failed_attempt_cleans_up(tmp_path):
  (tmp_path / "bad.txt").write_text("\n")
  with pytest.raises(UserError):
    pretraining_data.prepare(
        _task(tmp_path / "bad.txt"), str(tmp_path / "run" / "data"), 3)
  assert os.listdir(tmp_path / "run") == []


def test_a_data_folder_of_somebody_else_is_left_alone(corpus, tmp_path):
  (tmp_path / "data").mkdir()
  (tmp_path / "data" / "mine.txt").write_text("mine")
  with pytest.raises(UserError, match="holds files of something else"):
    pretraining_data.prepare(_task(corpus), str(tmp_path / "data"), 3)
  assert os.listdir(tmp_path / "data") == ["mine.txt"]


def test_a_damaged_source_json_is_one_line(corpus, tmp_path):
  folder = tmp_path / "data"
  pretraining_data.prepare(_task(corpus), str(folder), 3)
  (folder / "source.json").write_text("{")
  with pytest.raises(UserError, match="source.json is damaged"):
    pretraining_data.prepare(_task(corpus), str(folder), 3)


def test_evaluation_text_of_its_own_is_what_is_evaluated(corpus, tmp_path):
  (tmp_path / "e").mkdir()
  evaluation = tiny_runs.corpus(tmp_path / "e", documents=5, seed=9)
  data = pretraining_data.prepare(
      _task(corpus, evaluation), str(tmp_path / "data"), 3)
  held_out = pretraining_data.prepare(
      _task(corpus), str(tmp_path / "other"), 3)
  assert data.train.source.num_rows > held_out.train.source.num_rows
  assert 0 < data.unigram_loss < np.log(128)


def test_text_of_words_that_are_all_unknown_is_refused(
    corpus, vocabulary, tmp_path):
  """Its loss would be 0, and the best there is."""
  foreign = tmp_path / "foreign.txt"
  foreign.write_text("я ты он\n\nмы вы они\n")
  for what, data, vocab_file in (("training", (foreign, ""), vocabulary),
                                 ("evaluation", (corpus, foreign), "")):
    with pytest.raises(UserError, match=f"every word of the {what} text"):
      pretraining_data.prepare(_task(*data, vocab_file=vocab_file),
                               str(tmp_path / "data"), 3)
  assert not (tmp_path / "data").exists()


def test_leaked_evaluation_documents_are_told(corpus, tmp_path):
  copy = tmp_path / "copy.txt"
  copy.write_text("\n\n".join(_documents()[:4]))
  said = []
  pretraining_data.prepare(
      _task(corpus, copy), str(tmp_path / "data"), 3, said.append)
  assert any("4 evaluation documents are training documents" in line
             for line in said), said


@pytest.mark.parametrize("spec", ["{}/*", "{}/*.txt,", "{}"])
def test_any_way_to_name_text_is_taken(tmp_path, spec):
  folder = tmp_path / "texts"
  folder.mkdir()
  tiny_runs.corpus(folder)
  data = pretraining_data.prepare(
      _task(spec.format(folder)), str(tmp_path / "data"), 3)
  assert data.train.source.num_rows


def test_a_folder_of_records_is_not_read_for_its_vocabulary(tmp_path):
  (tmp_path / "vocab.txt").write_text("[PAD]\n")
  (tmp_path / "train-00000.tfrecord").write_text("")
  with pytest.raises(UserError, match="TFRecords, which hold ids"):
    pretraining_data.prepare(_task(tmp_path), str(tmp_path / "data"), 3)


def test_what_is_no_text_is_told_what_text_is_read_from(tmp_path):
  (tmp_path / "a.csv").write_text("text,label\n")
  with pytest.raises(UserError, match="a.csv: text is read from .txt .txt.gz"):
    pretraining_data.prepare(
        _task(tmp_path / "a.csv"), str(tmp_path / "data"), 3)


def test_text_and_records_are_not_mixed(corpus, tmp_path):
  with pytest.raises(UserError, match="can't be mixed"):
    pretraining_data.prepare(
        _task(f"{corpus},{tmp_path}/a.tfrecord"), str(tmp_path / "d"), 3)
  with pytest.raises(UserError, match="a.csv': text is read from .txt "):
    pretraining_data.prepare(
        _task(f"{corpus},{tmp_path}/a.csv"), str(tmp_path / "d"), 3)
  with pytest.raises(UserError, match="must be on text too"):
    pretraining_data.prepare(
        _task(corpus, tmp_path / "a.tfrecord"), str(tmp_path / "d"), 3)


@pytest.fixture
def vocabulary(tmp_path):
  path = tmp_path / "vocab.txt"
  path.write_text("\n".join(
      ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
      + [f"w{i}" for i in range(45)]) + "\n")
  return path


def test_the_last_records_are_held_out(tmp_path, vocabulary):
  path = tfrecord_files.write(tmp_path / "a.tfrecord", rows=40)
  data = pretraining_data.prepare(
      _task(path, vocab_file=vocabulary, held_out_share=0.1),
      str(tmp_path / "data"), 3)
  assert data.train.source.num_rows == 36
  assert data.eval.source.num_rows == 4
  rows = data.eval.source.rows([0, 3])["input_word_ids"]
  np.testing.assert_array_equal(
      rows, tfrecord_files.word_ids(rows=40)[[36, 39]])
  assert 0 < data.unigram_loss < 2 * np.log(50)


def test_other_records_under_the_same_name_are_refused(tmp_path, vocabulary):
  path = tfrecord_files.write(tmp_path / "a.tfrecord", rows=40)
  task = _task(path, vocab_file=vocabulary)
  pretraining_data.prepare(task, str(tmp_path / "data"), 3)
  pretraining_data.prepare(task, str(tmp_path / "data"), 3)
  tfrecord_files.write(tmp_path / "a.tfrecord", rows=40, seed=1)
  with pytest.raises(UserError, match="content of the training files"):
    pretraining_data.prepare(task, str(tmp_path / "data"), 3)


def test_records_moved_elsewhere_are_the_same_records(tmp_path, vocabulary):
  path = tfrecord_files.write(tmp_path / "a.tfrecord", rows=40)
  pretraining_data.prepare(
      _task(path, vocab_file=vocabulary), str(tmp_path / "data"), 3)
  (tmp_path / "moved").mkdir()
  os.rename(path, tmp_path / "moved" / "a.tfrecord")
  pretraining_data.prepare(
      _task(tmp_path / "moved" / "a.tfrecord", vocab_file=vocabulary),
      str(tmp_path / "data"), 3)


def test_records_need_a_vocabulary_and_enough_rows(tmp_path, vocabulary):
  path = tfrecord_files.write(tmp_path / "a.tfrecord", rows=1)
  with pytest.raises(UserError, match="--vocab_file"):
    pretraining_data.prepare(_task(path), str(tmp_path / "data"), 3)
  with pytest.raises(UserError, match="too few to hold some out"):
    pretraining_data.prepare(
        _task(path, vocab_file=vocabulary), str(tmp_path / "data"), 3)
  data = pretraining_data.prepare(
      _task(path, path, vocab_file=vocabulary), str(tmp_path / "data2"), 3)
  assert data.eval.source.num_rows == 1


def test_records_evaluated_on_that_are_trained_on_are_told(
    tmp_path, vocabulary):
  one, two = (tfrecord_files.write(tmp_path / name, rows=8, seed=i)
              for i, name in enumerate(("a.tfrecord", "b.tfrecord")))
  told = [pretraining_data.prepare(
      _task(one, evaluation, vocab_file=vocabulary),
      str(tmp_path / name), 3).lines[0]
          for name, evaluation in (("x", one), ("y", two))]
  assert "1 evaluation files are training files too" in told[0]
  assert "warning" not in told[1]


def test_prediction_slots_are_the_share_of_a_full_row():
  data = pretraining.PretrainingDataConfig(seq_length=128, masking_rate=0.15)
  assert pretraining_data.max_predictions(data) == 19
  data.seq_length, data.masking_rate = 8, 0.01
  assert pretraining_data.max_predictions(data) == 1


def test_a_first_look_reads_the_first_documents_only(corpus, tmp_path):
  few = pretraining_data.prepare(
      _task(corpus), str(tmp_path / "few"), 3, max_documents=20)
  everything = pretraining_data.prepare(_task(corpus), str(tmp_path / "a"), 3)
  assert few.train.source.num_rows < everything.train.source.num_rows / 2


@pytest.mark.parametrize("attention", ["softmax", "favor"])
def test_a_teacher_is_not_given_documents_it_can_t_keep_apart(
    corpus, tmp_path, monkeypatch, attention):
  monkeypatch.setattr(
      checkpoint_sizes, "source_of", lambda *_: checkpoint_sizes.Source(
          "t", "t/vocab.txt", dict(attention=attention), None, None))
  task = distillation.DistillationTaskConfig(**_task(corpus).as_dict())
  task.distillation.teacher = str(tmp_path)
  if attention == "softmax":
    data = pretraining_data.prepare(task, str(tmp_path / "data"), 3)
    rows = data.train.masked_rows(0, np.arange(data.train.source.num_rows))
    assert rows["document_ids"].max() > 1
    return
  with pytest.raises(UserError, match="or of its teacher.*--pack=false"):
    pretraining_data.prepare(task, str(tmp_path / "data"), 3)
