"""What a teacher said, on disk: whole, its own row's, or refused."""

import json
import os

import numpy as np
import pytest

from official_style.data import packed_rows
from official_style.data import pretraining_batches
from official_style.data import teacher_cache
from official_style.data import teacher_cache_writer
from official_style.data import teacher_records
from official_style.data import vocabulary
from official_style.errors import UserError

WORDS = vocabulary.Vocabulary(
    [*vocabulary.BERT_SPECIAL_TOKENS, *(f"w{i}" for i in range(45))])
EPOCHS, K, T = 2, 3, 2


def _batches(seed=5, tokens=400, **changes):
  draw = np.random.default_rng(0)
  rows = packed_rows.PackedRows(
      draw.integers(5, 50, tokens), np.arange(0, tokens + 1, 20), WORDS, 16)
  return pretraining_batches.PretrainingBatches(rows, WORDS, **dict(
      global_batch_size=8, seed=seed, max_predictions=3) | changes)


def _said(epoch, rows):
  """Stands for a teacher: numbers that tell rows and epochs apart."""
  base = 1000 * epoch + np.asarray(rows)[:, None, None]
  slots = np.arange(3)[:, None]
  ids = (base + slots + np.arange(K)) % WORDS.size
  return ids, -(base + 0.5 * slots + 0.1 * np.arange(K)), (
      -0.01 * (base + slots + np.arange(T)))


def _manifest(batches, **changes):
  layout = teacher_records.Layout(3, K, T, WORDS.size)
  return dict(format=teacher_records.FORMAT, version=teacher_records.VERSION,
              layout=vars(layout), rows=batches.source.num_rows, epochs=EPOCHS,
              teacher="runs/teacher", teacher_digest="abc",
              data=teacher_records.identity(batches, WORDS, "masked")) | changes


def _write(folder, batches, upto=None, size=5):
  writer = teacher_cache_writer.TeacherCacheWriter(
      str(folder), _manifest(batches))
  rows = batches.source.num_rows
  layout = teacher_records.Layout(3, K, T, WORDS.size)
  while writer.done < (writer.total if upto is None else upto):
    epoch, first = divmod(writer.done, rows)
    these = np.arange(first, min(first + size, rows))
    writer.append(layout.records(
        batches.masked_rows(epoch, these), *_said(epoch, these)))
  if upto is None:
    writer.finish()
  writer.close()
  return writer


@pytest.fixture
def cache(tmp_path):
  _write(tmp_path / "cache", _batches())
  return teacher_cache.TeacherCache(str(tmp_path / "cache"))


def test_every_batch_holds_what_was_said_of_its_rows(cache):
  batches = _batches()
  rows = batches.source.num_rows
  plain = [batches.batch(step) for step in range(2 * rows // 8)]
  batches.take_teacher(cache.rows)
  seen = set()
  for step, before in enumerate(plain):
    batch = batches.batch(step)
    for name, value in before.items():
      np.testing.assert_array_equal(value, batch[name])
    assert batch["teacher_ids"].dtype == np.int32
    assert batch["teacher_ids"].shape == (8, 3, K)
    first = -batch["teacher_log_probs"][:, 0, 0]
    for i, value in enumerate(first):
      epoch, row = divmod(round(float(value)), 1000)
      np.testing.assert_allclose(
          batch["teacher_log_probs"][i], _said(epoch, [row])[1][0], rtol=1e-6)
      assert epoch == (step * 8 + i) // rows
      seen.add((epoch, row))
  assert len(seen) == len(plain) * 8


def test_any_cut_of_a_batch_holds_the_same(cache):
  batches = _batches()
  batches.take_teacher(cache.rows)
  whole = batches.batch(1)
  for name, value in batches.batch(1, 3, 2).items():
    np.testing.assert_array_equal(value, whole[name][3:5])


def test_masks_that_repeat_make_any_run_last():
  batches = _batches(mask_epochs=2)
  rows = batches.source.num_rows
  assert batches.num_masked_epochs(10**6) == 2
  assert batches.num_masked_epochs(1) == 1
  assert _batches().num_masked_epochs(rows) == 8
  many = [batches.batch(step) for step in range(4 * rows)]
  texts = {}
  for batch in many:
    for ids in batch["input_word_ids"]:
      texts[ids.tobytes()] = texts.get(ids.tobytes(), 0) + 1
  assert len(texts) <= 2 * rows
  # The order of each epoch is its own all the same.
  assert many[0]["input_word_ids"].tobytes() != many[2 * rows // 8][
      "input_word_ids"].tobytes()


def test_a_killed_writer_goes_on_and_ends_with_the_same_bytes(tmp_path, cache):
  batches, folder = _batches(), tmp_path / "other"
  _write(folder, batches, upto=10)
  assert not folder.exists()
  # Killed after the records and before the word of progress.
  with open(f"{folder}.unfinished/epoch-0000.bin", "ab") as f:
    f.write(b"left")
  writer = teacher_cache_writer.TeacherCacheWriter(
      str(folder), _manifest(batches))
  assert writer.done == 10
  writer.close()
  _write(folder, batches, size=3)
  assert sorted(os.listdir(folder)) == [
      "epoch-0000.bin", "epoch-0001.bin", "manifest.json"]
  for name in os.listdir(folder):
    with open(folder / name, "rb") as a, open(
        os.path.join(cache.folder, name), "rb") as b:
      assert a.read() == b.read()


def test_a_writer_that_is_killed_at_its_end_has_lost_nothing(
    tmp_path, monkeypatch):
  batches, folder = _batches(), tmp_path / "cache"
  total = 2 * batches.source.num_rows
  _write(folder, batches, upto=total)
  replace = os.replace

  def killed(source, target):
    if target == str(folder):
      raise KeyboardInterrupt
    replace(source, target)

  monkeypatch.setattr(os, "replace", killed)
  with pytest.raises(KeyboardInterrupt):
    _write(folder, batches)
  monkeypatch.undo()
  writer = teacher_cache_writer.TeacherCacheWriter(
      str(folder), _manifest(batches))
  assert writer.done == total
  writer.finish()
  assert teacher_cache.TeacherCache(str(folder)).num_epochs == EPOCHS


def test_an_unfinished_cache_is_none_and_takes_no_other_s_records(tmp_path):
  batches, folder = _batches(), tmp_path / "cache"
  _write(folder, batches, upto=10)
  with pytest.raises(UserError, match="manifest.json"):
    teacher_cache.TeacherCache(str(folder))
  with pytest.raises(UserError, match="another teacher"):
    teacher_cache_writer.TeacherCacheWriter(
        str(folder), _manifest(batches, teacher_digest="other"))


def test_two_writers_don_t_share_a_folder(tmp_path):
  batches = _batches()
  one = teacher_cache_writer.TeacherCacheWriter(
      str(tmp_path / "cache"), _manifest(batches))
  with pytest.raises(UserError, match="another process"):
    teacher_cache_writer.TeacherCacheWriter(
        str(tmp_path / "cache"), _manifest(batches))
  one.close()


@pytest.mark.parametrize("changes, said", [
    (dict(seed=6), "masking.seed=5, and this run has 6"),
    (dict(mask_rate=0.3), "masking.rate=0.15"),
    (dict(max_predictions=4), "masking.max_predictions=3"),
    (dict(tokens=420), "source."), ({}, None)])
def test_another_run_s_cache_is_refused_by_name(cache, changes, said):
  batches = _batches(**changes)
  made_from = teacher_records.identity(batches, WORDS, "masked")
  if said is None:
    cache.check(made_from, "abc", 2)
    cache.check(made_from, "", 2)
    return
  with pytest.raises(UserError, match=said):
    cache.check(made_from, "abc", 2)


@pytest.mark.parametrize("digest, epochs, said", [
    ("abd", 2, "runs/teacher"), ("abc", 3, "--epochs=3")])
def test_another_teacher_or_a_longer_run_is_refused(
    cache, digest, epochs, said):
  with pytest.raises(UserError, match=said):
    cache.check(teacher_records.identity(_batches(), WORDS, "masked"),
                digest, epochs)


def test_a_row_it_was_not_made_for_is_refused(cache):
  batches = _batches(seed=6)
  batches.take_teacher(cache.rows)
  with pytest.raises(UserError, match="another row"):
    batches.batch(0)


def test_a_damaged_record_is_refused_by_its_number(cache):
  path = os.path.join(cache.folder, "epoch-0000.bin")
  size = os.path.getsize(path) // cache.num_rows
  with open(path, "r+b") as f:
    f.seek(7 * size + 3)
    f.write(b"\xff")
  batches = _batches()
  batches.take_teacher(teacher_cache.TeacherCache(cache.folder).rows)
  with pytest.raises(UserError, match="epoch-0000.bin: record 7 is damaged"):
    for step in range(-(-batches.source.num_rows // 8)):
      batches.batch(step)


@pytest.mark.parametrize("damage", ["short", "gone", "manifest", "version"])
def test_a_cache_that_is_not_whole_is_refused(cache, damage):
  path = os.path.join(cache.folder, "epoch-0001.bin")
  manifest = os.path.join(cache.folder, "manifest.json")
  if damage == "short":
    os.truncate(path, 10)
  elif damage == "gone":
    os.remove(path)
  else:
    with open(manifest, "w") as f:
      f.write("{" if damage == "manifest" else json.dumps(
          cache.manifest | dict(version=99)))
  with pytest.raises(UserError):
    teacher_cache.TeacherCache(cache.folder)


def test_a_word_costs_six_bytes_of_a_small_vocabulary():
  one, two = (teacher_records.Layout(20, k, 3, 30522).dtype.itemsize
              for k in (10, 11))
  assert two - one == 20 * 6
