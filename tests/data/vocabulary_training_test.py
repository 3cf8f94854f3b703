"""Tests of vocabulary training: what comes out, and that it is always that."""

import os
import subprocess
import sys
import types

import pytest

from official_style.data import vocabulary_training
from official_style.data.tokenizer import WordPieceTokenizer
from official_style.data.vocabulary import Vocabulary
from official_style.data.vocabulary_training import train_vocabulary
from official_style.errors import UserError

# Many words of equal frequency: where an unstable order would show.
WORDS = [a + b + c for a in "bdfgkl" for b in "aeiou" for c in "mnprst"]
TEXTS = [" ".join(WORDS[i:] + WORDS[:i]) + ", Élan!" for i in range(3)]
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def test_vocabulary_has_the_size_asked_for():
  vocabulary = train_vocabulary(TEXTS, 120)
  assert vocabulary.size == 120
  assert vocabulary.tokens[:5] == SPECIAL
  assert vocabulary.lower_case


def test_frequent_words_are_whole_tokens():
  assert "kite" in train_vocabulary(["kite fly " * 50, *TEXTS], 90).tokens


@pytest.mark.parametrize("lower_case, present, absent", [
    (True, "e", "É"), (False, "É", "é")])
def test_case_and_accents_follow_lower_case(lower_case, present, absent):
  vocabulary = train_vocabulary(TEXTS, 120, lower_case=lower_case)
  assert present in vocabulary.tokens and absent not in vocabulary.tokens
  assert vocabulary.lower_case is lower_case


@pytest.mark.parametrize("text, lower_case", [
    ("Der Käse für Élan", True), ("чай Чай", True), ("東京 und Tokyo", True),
    ("बहुत अच्छी फिल्म, very good", False), ("ภาษาไทยดีมากที่สุด", False),
    ("とても面白いがざ", False), ("아주 좋은 영화", False)])
def test_marks_that_are_letters_are_kept_unless_told_otherwise(
    text, lower_case):
  vocabulary = train_vocabulary([text] * 9, 150, allow_smaller=True)
  assert vocabulary.lower_case is lower_case
  # And so says a file without a word on it.
  assert Vocabulary(vocabulary.tokens).lower_case is lower_case
  ids, _ = WordPieceTokenizer(vocabulary).encode_flat([text.lower()])
  assert vocabulary.unk_id not in ids
  # Whatever is said, the file tells.
  stripped = train_vocabulary([text] * 9, 150, True, allow_smaller=True)
  assert Vocabulary(stripped.tokens).lower_case


def test_a_language_that_comes_late_keeps_its_letters():
  # One file a language: which comes first, its name decides.
  languages = ["Der Käse für Élan " * 120_000, "बहुत अच्छी फिल्म " * 60_000]
  made = [train_vocabulary(texts, 150, allow_smaller=True)
          for texts in (languages, languages[::-1])]
  assert made[0].tokens == made[1].tokens
  assert not made[0].lower_case and "फिल्म" in made[0].tokens


def test_a_run_learns_from_a_sample_of_all_texts(monkeypatch):
  monkeypatch.setattr(vocabulary_training, "_MAX_CHARACTERS", 20_000)
  task = types.SimpleNamespace(
      vocab_file="", tokenizer="wordpiece", lower_case=None,
      trained_vocab_size=150)
  texts = [*(f"der Käse {i}" for i in range(5000)),
           *(f"чай хлеб {i}" for i in range(5000))]
  made = [vocabulary_training.load_or_train(
      task, lambda order=order: iter(texts[::order]), "the text",
      lambda line: None, lambda line: None).tokens for order in (1, -1)]
  assert made[0] == made[1] and {"der", "хлеб"} <= set(made[0])


def test_punctuation_and_space_never_continue_a_word():
  tokens = train_vocabulary(TEXTS, 120).tokens
  assert "," in tokens and "##," not in tokens
  assert not any(" " in token for token in tokens)


def test_rare_characters_give_way_to_pieces():
  rare = "".join(map(chr, range(0x4e00, 0x4e00 + 2000)))
  tokens = train_vocabulary([rare, *TEXTS * 3], 300).tokens
  assert sum(len(t.removeprefix("##")) > 1 for t in tokens[5:]) >= 50
  assert "a" in tokens


def _chinese(characters=2500):
  """Texts in which the n-th character is seen 2500 / n times."""
  text = "".join(chr(0x4e00 + i) * (2500 // (i + 1)) for i in range(characters))
  return [text[i::50] for i in range(50)]


def test_all_characters_that_are_words_get_a_token_where_there_is_room():
  with pytest.raises(UserError, match="yield only") as error:
    train_vocabulary(_chinese(), 8000)
  tokens = train_vocabulary(_chinese(), 8000, allow_smaller=True).tokens
  # But for the last 0.05 %; none of them is ever a part of a word.
  assert len(tokens) > 2400 and not any(t.startswith("##") for t in tokens)
  assert f"size={len(tokens)} is the most" in str(error.value)
  assert train_vocabulary(_chinese(), len(tokens)).tokens == tokens


def test_what_a_text_yields_can_be_asked_for_however_short_it_is():
  text = ["abcdefghijklmnopqrstuvwxyz " * 2]
  yielded = train_vocabulary(text, 500, allow_smaller=True).size
  assert train_vocabulary(text, yielded).size == yielded
  with pytest.raises(UserError, match="only 11 tokens; give more text"):
    train_vocabulary(["a bc"], 60)


def test_a_few_characters_of_another_script_take_no_place():
  english = [" ".join(WORDS * 15)] * 200
  some = "".join(map(chr, range(0x4e00, 0x4e00 + 1500)))
  tokens = train_vocabulary([*english, some], 4000,
                            allow_smaller=True).tokens
  assert set(WORDS) <= set(tokens)
  assert sum("\u4e00" <= t <= "\u9fff" for t in tokens) < 1000


def test_too_little_text_is_refused_with_what_it_yields():
  with pytest.raises(UserError, match="yield only") as error:
    train_vocabulary(TEXTS, 5000)
  smaller = train_vocabulary(TEXTS, 5000, allow_smaller=True)
  assert f"size={smaller.size} is the most" in str(error.value)
  assert train_vocabulary(TEXTS, smaller.size).size == smaller.size


@pytest.mark.parametrize("texts", [[], ["", " \n\x00"]])
def test_no_words_are_refused(texts):
  with pytest.raises(UserError, match="no words"):
    train_vocabulary(texts, 1000)


def test_a_tiny_size_is_refused():
  with pytest.raises(UserError, match="size=7"):
    train_vocabulary(TEXTS, 7)


def test_texts_after_the_limit_are_not_read():
  def texts():
    yield TEXTS[0]
    yield TEXTS[1]
    raise AssertionError("read too much")
  limit = len(TEXTS[0]) + 10
  assert (train_vocabulary(texts(), 60, max_characters=limit).tokens
          == train_vocabulary([TEXTS[0], TEXTS[1][:10]], 60).tokens)


def test_every_process_learns_the_same_bytes():
  program = ("from official_style.data.vocabulary_training import *\n"
             f"print(train_vocabulary({TEXTS!r}, 120).sha256)\n")
  digests = set()
  for hash_seed, threads in ((0, 1), (1, 2), (2, 4), (3, 3)):
    environment = dict(os.environ, PYTHONHASHSEED=str(hash_seed),
                       RAYON_NUM_THREADS=str(threads))
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    digests.add(subprocess.run(
        [sys.executable, "-c", program], env=environment, check=True,
        capture_output=True, text=True).stdout)
  assert digests == {train_vocabulary(TEXTS, 120).sha256 + "\n"}
