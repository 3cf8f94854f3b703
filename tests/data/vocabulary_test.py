"""Tests of the vocabulary file and of what it refuses."""

import hashlib

import pytest

from official_style.data.vocabulary import Vocabulary
from official_style.errors import UserError

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
TOKENS = ["a", *SPECIAL[::-1], "b", "##b", "##", "[unused7]"]


def write(tmp_path, content):
  path = tmp_path / "vocab.txt"
  path.write_bytes(content)
  return str(path)


def test_special_tokens_are_found_by_name():
  vocabulary = Vocabulary(TOKENS)
  assert vocabulary.special_ids == (5, 4, 3, 2, 1)
  assert (vocabulary.pad_id, vocabulary.unk_id, vocabulary.cls_id,
          vocabulary.sep_id, vocabulary.mask_id) == (5, 4, 3, 2, 1)


def test_angle_bracket_names_are_special_too():
  vocabulary = Vocabulary(["<s>", "<pad>", "</s>", "<unk>", "x", "<mask>"])
  assert vocabulary.special_ids == (1, 3, 0, 2, 5)


def test_only_hashes_followed_by_text_continue_a_word():
  vocabulary = Vocabulary(TOKENS)
  assert vocabulary.is_continuation.tolist() == [
      token == "##b" for token in TOKENS]


@pytest.mark.parametrize("token, lower_case", [
    ("z", True), ("Z", False), ("##É", False), ("[Name]", True),
    ("\u211d", True), ("東", True),
    # Stripped of "accents" these are other words: Hindi, Thai, Korean.
    ("बहुत", False), ("##\u0e48", False), ("한국", False)])
def test_case_is_read_off_the_tokens(token, lower_case):
  assert Vocabulary([*TOKENS, token]).lower_case is lower_case
  assert Vocabulary([*TOKENS, token], lower_case=False).lower_case is False


def test_lower_case_with_accents_is_for_the_user_to_settle():
  with pytest.raises(UserError, match="'für' has an accent.*lower_case=false"):
    Vocabulary([*TOKENS, "für"])
  assert not Vocabulary([*TOKENS, "für"], lower_case=False).lower_case
  assert not Vocabulary([*TOKENS, "für", "Ü"]).lower_case


@pytest.mark.parametrize("content", [
    "\n".join(TOKENS), "\n".join(TOKENS) + "\n", "\r\n".join(TOKENS) + "\r\n",
    "\ufeff" + "\n".join(TOKENS) + "\n\n\n"])
def test_line_ends_and_byte_order_mark_do_not_matter(tmp_path, content):
  vocabulary = Vocabulary.load(write(tmp_path, content.encode()))
  assert vocabulary.tokens == tuple(TOKENS)
  assert vocabulary.sha256 == Vocabulary(TOKENS).sha256


def test_unicode_line_breaks_are_tokens(tmp_path):
  tokens = [*TOKENS, "\u2028", "\x85"]
  path = write(tmp_path, "\n".join(tokens).encode())
  assert Vocabulary.load(path).tokens == tuple(tokens)


def test_saving_and_loading_keeps_everything(tmp_path):
  path = tmp_path / "saved.txt"
  vocabulary = Vocabulary([*TOKENS, "ﬁ", "Z"])
  vocabulary.save(path)
  loaded = Vocabulary.load(path)
  assert loaded.tokens == vocabulary.tokens
  digest = hashlib.sha256(path.read_bytes()).hexdigest()
  assert digest == loaded.sha256 == vocabulary.sha256
  assert [p.name for p in tmp_path.iterdir()] == ["saved.txt"]


def test_order_changes_the_digest():
  assert Vocabulary(TOKENS).sha256 != Vocabulary(TOKENS[::-1]).sha256


@pytest.mark.parametrize("content, where, what", [
    (b"", "vocab.txt", "empty"),
    (b"\n\r\n", "vocab.txt", "empty"),
    (b"a\n\nb\n", "vocab.txt:2", "blank"),
    (b"a\n \t\nb\n", "vocab.txt:2", "blank"),
    (b"a\nb\nc\nb\n", "vocab.txt:4", "already on line 2"),
    (b"a\nb \n", "vocab.txt:2", "white space"),
    (b"a\nb\n\xff\n", "vocab.txt:3", "not UTF-8"),
    ("\n".join(["x", *SPECIAL[:4]]).encode(), "vocab.txt", "no [MASK] "),
    (b"<s>\n</s>\n<pad>\n<unk>\n", "vocab.txt", "no <mask> "),
])
def test_a_bad_file_is_refused_in_one_line(tmp_path, content, where, what):
  with pytest.raises(UserError) as error:
    Vocabulary.load(write(tmp_path, content))
  message = str(error.value)
  assert f"{where}:" in message and what in message and "\n" not in message


def test_a_missing_file_is_named(tmp_path):
  with pytest.raises(UserError, match="nowhere.txt: cannot read"):
    Vocabulary.load(tmp_path / "nowhere.txt")
  with pytest.raises(UserError, match="a folder with neither vocab.txt nor"):
    Vocabulary.load(tmp_path)


def test_saving_into_no_folder_is_a_user_error(tmp_path):
  with pytest.raises(UserError, match="cannot write"):
    Vocabulary(TOKENS).save(tmp_path / "no" / "vocab.txt")
