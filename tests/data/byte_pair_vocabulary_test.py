"""Files of a byte-level BPE: read, refused, saved; and what masking makes."""

import json
import os
import pathlib
import resource
import subprocess
import sys

import numpy as np
import pytest

from official_style import vocabulary_files
from official_style.data import masking
from official_style.data import packed_rows
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError
from tests.reference import byte_pairs

ROOT = pathlib.Path(__file__).resolve().parents[2]
TOKENS, MERGES = byte_pairs.made_of(["the", "hat"])
BARE = TOKENS[4:-1]


def test_bytes_are_written_as_gpt2_writes_them():
  characters = vocabulary_files.byte_characters()
  assert len(set(characters)) == 256
  assert "".join(characters[i] for i in b" \n\t!~\x7f\xa0\xa1\xad\xff") == (
      "\u0120\u010a\u0109!~\u0121\u0142\u00a1\u0143\u00ff")


def test_special_tokens_are_where_roberta_has_them(tmp_path):
  vocabulary = vocabulary_lib.Vocabulary.load(
      byte_pairs.write(tmp_path, TOKENS, MERGES))
  assert (vocabulary.cls_id, vocabulary.pad_id, vocabulary.sep_id,
          vocabulary.unk_id) == (0, 1, 2, 3)
  assert vocabulary.mask_id == vocabulary.size - 1 == len(TOKENS) - 1
  assert vocabulary.is_byte_bpe and not vocabulary.is_bytes
  assert not vocabulary.lower_case


def test_all_layouts_are_the_same_vocabulary(tmp_path):
  hugging_face = byte_pairs.write(tmp_path / "a", TOKENS, MERGES)
  gpt2 = byte_pairs.write(tmp_path / "b", TOKENS, MERGES,
                          ("encoder.json", "vocab.bpe"))
  vocabulary = vocabulary_lib.Vocabulary.load(hugging_face)
  os.mkdir(tmp_path / "c")
  ours = str(tmp_path / "c" / "vocab.txt")
  vocabulary.save(ours)
  for path in (f"{hugging_face}/vocab.json", gpt2, f"{gpt2}/encoder.json",
               ours, str(tmp_path / "c")):
    again = vocabulary_lib.Vocabulary.load(path)
    assert (again.tokens, again.merges) == (TOKENS, MERGES)
    assert again.sha256 == vocabulary.sha256 == vocabulary_files.digest(path)
    assert vocabulary_files.is_byte_bpe(path)
  other = vocabulary_lib.Vocabulary(TOKENS, merges=MERGES[:-1])
  assert other.sha256 != vocabulary.sha256


def _tool(folder, output, before=None):
  """Exit code and standard error of the command."""
  done = subprocess.run(
      [sys.executable, ROOT / "tools" / "add_special_tokens.py",
       f"--vocab_file={folder}", f"--output={output}"],
      capture_output=True, text=True, check=False, preexec_fn=before)
  return done.returncode, done.stderr


def test_a_disk_that_is_full_leaves_no_half_of_them(tmp_path):
  folder = byte_pairs.write(tmp_path / "gpt2", BARE, MERGES)
  full = lambda: resource.setrlimit(  # noqa: E731
      resource.RLIMIT_FSIZE, (1000, 1000))
  code, said = _tool(folder, tmp_path / "new", full)
  assert code == 2 and "cannot write (File too large)" in said
  assert [path.name for path in tmp_path.iterdir()] == ["gpt2"]


def test_gpt2s_files_get_special_tokens_by_a_command(tmp_path):
  folder = byte_pairs.write(tmp_path / "gpt2", BARE, MERGES)
  with pytest.raises(UserError, match="add_special_tokens.py") as error:
    vocabulary_lib.Vocabulary.load(folder)
  assert "\n" not in str(error.value) and "<mask>" in str(error.value)
  new, newer = tmp_path / "new", tmp_path / "newer"
  code, said = _tool(folder, new)
  assert code == 0 and f"<mask> {len(TOKENS) - 1}" in said
  assert vocabulary_lib.Vocabulary.load(new).tokens == TOKENS
  for arguments, words in (((folder, new), "exists already"),
                           ((new, newer), "<mask> already"),
                           ((tmp_path / "gone", newer), "no such folder")):
    code, said = _tool(*arguments)
    assert code == 2 and words in said and said.count("\n") == 1


def _spoilt(folder, what):
  tokens = {token: i for i, token in enumerate(TOKENS)}
  merges = "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in MERGES)
  if what == "hole":
    tokens["<mask>"] += 1
  elif what == "word":
    tokens["the"] = "5"
  elif what == "byte":
    tokens["zz"] = tokens.pop("z")
  elif what == "half":
    tokens["x\ud800"] = len(tokens)
  elif what == "line":
    merges += "t h e\n"
  elif what == "unknown":
    merges += "q q\n"
  byte_pairs.write(folder, (), ())
  (folder / "vocab.json").write_text(
      {"list": "[]", "json": "{"}.get(what) or json.dumps(tokens))
  (folder / "merges.txt").write_bytes(
      merges.encode() + (b"\xff" if what == "utf-8" else b""))
  if what == "merges":
    os.remove(folder / "merges.txt")
  if what == "tokens":
    os.remove(folder / "vocab.json")
  return folder


@pytest.mark.parametrize("what, words", [
    ("hole", "ids of its"), ("word", "the id of 'the'"), ("byte", "0x7A"),
    ("line", "not two tokens"), ("unknown", "'qq' is no token"),
    ("list", "no JSON of tokens"), ("json", "no JSON of tokens"),
    ("utf-8", "not UTF-8"), ("half", "half a character"),
    ("merges", "no merges.txt beside"), ("tokens", "a folder with neither")])
def test_damaged_files_are_told_in_one_line(tmp_path, what, words):
  with pytest.raises(UserError, match=words) as error:
    vocabulary_lib.Vocabulary.load(_spoilt(tmp_path, what))
  assert "\n" not in str(error.value) and str(tmp_path) in str(error.value)


def test_a_copy_without_its_merges_is_no_word_pieces(tmp_path):
  path = tmp_path / "vocab.txt"
  vocabulary_lib.Vocabulary(TOKENS, merges=MERGES).save(path)
  os.remove(tmp_path / "vocab.merges.txt")
  with pytest.raises(UserError, match="put vocab.merges.txt beside it"):
    vocabulary_lib.Vocabulary.load(path)


def test_bytes_have_no_case(tmp_path):
  with pytest.raises(UserError, match="lower_case=true"):
    vocabulary_lib.Vocabulary.load(
        byte_pairs.write(tmp_path, TOKENS, MERGES), lower_case=True)


# ---------------------------------------------------------------------------
# Rows
# ---------------------------------------------------------------------------


def _rows(text, n=24):
  vocabulary = vocabulary_lib.Vocabulary(TOKENS, merges=MERGES)
  ids, offsets = tokenizer_lib.tokenizer_of(vocabulary).encode_flat([text])
  return vocabulary, packed_rows.PackedRows(
      ids, offsets, vocabulary, n).rows([0])


def test_rows_are_padded_with_1_between_0_and_2():
  _, rows = _rows("the hat")
  place = TOKENS.index
  assert rows["input_word_ids"][0].tolist() == [
      0, place("the"), place("\u0120hat"), 2] + [1] * 20


def test_masking_never_takes_special_tokens_or_padding():
  vocabulary, rows = _rows("the hat the hat the hat")
  for seed in range(20):
    batch = masking.mask_tokens(
        rows, vocabulary, [1], rate=0.9, max_predictions=20, strategy="token",
        seed=seed)
    used = batch["masked_lm_weights"][0] > 0
    assert used.sum() == 5  # Of six.
    assert not set(batch["masked_lm_ids"][0][used]) & {0, 1, 2, 3}
    changed = batch["input_word_ids"][0] != rows["input_word_ids"][0]
    assert not changed[0] and not changed[7:].any()
    assert vocabulary.mask_id in batch["input_word_ids"][0]
    assert not set(batch["input_word_ids"][0][changed]) & {0, 1, 2, 3}


def test_a_whole_word_goes_from_space_to_space():
  # "zzz", "Ġ" "zz" and "Ċ" "zz": no merges, so a byte each.
  vocabulary, rows = _rows("zzz zz\nzz")
  starts = ~vocabulary.is_continuation[rows["input_word_ids"][0]]
  assert np.flatnonzero(starts[1:10]).tolist() == [3, 6]
  words = [range(1, 4), range(4, 7), range(7, 10)]
  seen = set()
  for seed in range(40):
    batch = masking.mask_tokens(
        rows, vocabulary, [1], rate=0.34, max_predictions=9,
        strategy="whole_word", seed=seed)
    chosen = batch["masked_lm_positions"][0][
        batch["masked_lm_weights"][0] > 0].tolist()
    assert chosen in [list(word) for word in words]
    seen.add(tuple(chosen))
  assert len(seen) == 3
