"""Ours against tensorflow-text's and Hugging Face's tokenizers."""

import random
import unicodedata

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text as tf_text
import tokenizers

from official_style.data import tokenizer as tokenizer_lib
from official_style.data.character_map import CharacterMap
from official_style.data.tokenizer import WordPieceTokenizer
from official_style.data.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# What has a rule of its own, and what is like something that has.
ODD = ("abcABC  \t\n\r.,'#[]-$^`~éÉßﬁ…²½東京あアｱ한글İıΣς\u0301\u0308"
       "\u200b\u00ad\u2028\x85\x00\x0b\x1c\ufeff🙂👍🏽\u0345ǅaaa bbb#")
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
# Planes of letters and signs; what is left is mostly unassigned or Chinese.
VARIED = [*range(0x3400), *range(0xa000, 0xac00), *range(0xd7a4, 0xd800),
          *range(0xf900, 0x12000), *range(0x13400, 0x13480),
          *range(0x16100, 0x16e00), *range(0x1bc00, 0x1d200),
          *range(0x1e000, 0x1fc00), *range(0x2f7f0, 0x2fa30),
          *range(0xe0000, 0xe0200)]


def theirs(vocabulary):
  tokenizer = tf_text.FastBertTokenizer(
      list(vocabulary.tokens), unknown_token="[UNK]", token_out_type=tf.int32,
      lower_case_nfd_strip_accents=vocabulary.lower_case)

  def encode(texts):
    # What BERT's own cleaning deletes, and tensorflow-text makes [UNK].
    ragged = tokenizer.tokenize(tf.constant(
        [text.replace("\ufffd", "").encode() for text in texts]))
    return ragged.flat_values.numpy(), ragged.row_splits.numpy()
  return encode


def assert_same(vocabulary, texts):
  wanted, wanted_offsets = theirs(vocabulary)(texts)
  ids, offsets = WordPieceTokenizer(vocabulary).encode_flat(texts)
  if not np.array_equal(offsets, wanted_offsets) or (
      not np.array_equal(ids, wanted)):
    for i, text in enumerate(texts):
      assert ids[offsets[i]:offsets[i + 1]].tolist() == wanted[
          wanted_offsets[i]:wanted_offsets[i + 1]].tolist(), ascii(text)


def everything(lower_case):
  """A vocabulary in which most characters are pieces."""
  letters = [chr(code) for code in range(33, 0x600)]
  letters = [c for c in letters if not c.isspace() and c.isprintable()]
  return Vocabulary(SPECIAL + letters + [f"##{c}" for c in letters] + ["ab"],
                    lower_case=lower_case)


def surrounded(codes):
  return [f"a{chr(code)}a {chr(code)}" for code in codes
          if not 0xd800 <= code < 0xe000]


@pytest.mark.parametrize("lower_case", [True, False])
def test_characters_are_treated_as_tensorflow_text_does(lower_case):
  assert_same(everything(lower_case), surrounded(VARIED))


@pytest.mark.slow
@pytest.mark.parametrize("lower_case", [True, False])
def test_all_characters_are_treated_as_tensorflow_text_does(lower_case):
  assert_same(everything(lower_case), surrounded(range(0x110000)))


@pytest.mark.parametrize("seed", range(10))
def test_any_text_and_vocabulary_give_tensorflow_texts_ids(seed, monkeypatch):
  # So small that it is emptied again and again.
  monkeypatch.setattr(tokenizer_lib, "_MAX_ENTRIES", 5 + 2 * seed)
  draw = random.Random(seed)

  def string(length):
    return "".join(draw.choice(ODD) if draw.random() < 0.9 else
                   chr(draw.choice(VARIED)) for _ in range(length))

  tokens = {"a", "##a"}
  while len(tokens) < draw.choice([20, 300]):
    token = string(draw.randint(1, 4))
    # A token with white space in it can never match.
    if not any(c.isspace() or unicodedata.category(c) in ("Cc", "Cf")
               or c == "\ufffd" for c in token):
      tokens.add(token if draw.random() < 0.5 else f"##{token}")
  vocabulary = Vocabulary(SPECIAL + sorted(tokens), lower_case=seed % 2 == 0)
  texts = [string(draw.randint(0, 80)) for _ in range(300)]
  assert_same(vocabulary, texts + [string(400).replace(" ", "")])


def test_words_of_100_bytes_are_the_longest():
  texts = ["a" * 100, "a" * 101, "é" * 50, "é" * 51, "東" * 200, "." * 300,
           "\u0301" * 300 + "b", "É" * 101]
  for lower_case in (True, False):
    assert_same(everything(lower_case), texts)


def hugging_face(vocabulary):
  return tokenizers.BertWordPieceTokenizer(
      {token: i for i, token in enumerate(vocabulary.tokens)},
      lowercase=vocabulary.lower_case)


@pytest.mark.parametrize("lower_case", [True, False])
def test_text_of_many_languages_gives_hugging_faces_ids(lower_case):
  draw = random.Random(0)
  # Left out: what NFKC_Casefold changes and BERT's own folding does not
  # (German sharp s, ligatures, ellipsis, ...), and what is white space to the
  # one and deleted by the other (control and format characters). Words are
  # short: there the limit is 100 characters, here 100 bytes.
  characters = [c for c in map(chr, [*range(32, 0x500), *range(0x3041, 0x30ff),
                                     *range(0x4e00, 0x4f00)])
                if same_folding(c, lower_case)]
  letters = [c for c in characters if not c.isspace()]
  vocabulary = Vocabulary(
      SPECIAL + letters + [f"##{c}" for c in letters[::2]]
      + [a + b for a in LETTERS for b in LETTERS], lower_case=lower_case)
  texts = ["".join(draw.choice(characters + [" "] * 900 + list(LETTERS) * 20)
                   for _ in range(200)) for _ in range(300)]
  wanted = hugging_face(vocabulary).encode_batch(
      texts, add_special_tokens=False)
  ids = WordPieceTokenizer(vocabulary).encode_batch(texts)
  for mine, encoding, text in zip(ids, wanted, texts):
    assert mine.tolist() == encoding.ids, text


def same_folding(character, lower_case):
  if unicodedata.category(character) in ("Cc", "Cf"):
    return False
  normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lower_case)
  return " ".join(normalizer.normalize_str(character).split()) == "".join(
      character.translate(CharacterMap(lower_case)).split())
