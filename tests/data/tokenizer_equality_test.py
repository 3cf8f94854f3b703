"""Ours, on the host and in a graph, against Hugging Face's tokenizer."""

import random
import unicodedata

import pytest
import tensorflow as tf
import tokenizers

from official_style.data import character_table
from official_style.data import tokenizer as tokenizer_lib
from official_style.data.character_map import CharacterMap
from official_style.data.graph_word_piece_tokenizer import (
  GraphWordPieceTokenizer,
)
from official_style.data.tokenizer import WordPieceTokenizer
from official_style.data.vocabulary import Vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# What has a rule of its own, and what is like something that has.
ODD = ("abcABC  \t\n\r.,'#[]-$^`~éÉßﬁ…²½東京あアｱ한글İıΣς\u0301\u0308"
       "\u200b\u00ad\u2028\x85\x00\x0b\x1c\ufeff🙂👍🏽\u0345ǅaaa bbb#")
# Planes of letters and signs; what is left is mostly unassigned or Chinese.
VARIED = [*range(0x3400), *range(0xa000, 0xac00), *range(0xd7a4, 0xd800),
          *range(0xf900, 0x12000), *range(0x13400, 0x13480),
          *range(0x16100, 0x16e00), *range(0x1bc00, 0x1d200),
          *range(0x1e000, 0x1fc00), *range(0x2f7f0, 0x2fa30),
          *range(0xe0000, 0xe0200)]


def theirs(vocabulary):
  """Hugging Face's, for which names of special tokens are text too."""
  tokenizer = tokenizers.Tokenizer(tokenizers.models.WordPiece(
      {token: i for i, token in enumerate(vocabulary.tokens)},
      unk_token="[UNK]"))
  tokenizer.normalizer = tokenizers.normalizers.BertNormalizer(
      lowercase=vocabulary.lower_case)
  tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
  return lambda texts: [x.ids for x in tokenizer.encode_batch_fast(texts)]


def assert_same(vocabulary, texts):
  """Host, graph and Hugging Face."""
  wanted = theirs(vocabulary)(texts)
  host = WordPieceTokenizer(vocabulary).encode_batch(texts)
  graph = GraphWordPieceTokenizer(vocabulary).tokenize(tf.constant(
      [text.encode() for text in texts])).to_list()
  for text, ids, mine, served in zip(texts, wanted, host, graph, strict=True):
    assert mine.tolist() == ids, ascii(text)
    assert served == ids, ascii(text)


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
def test_characters_are_treated_as_hugging_face_does(lower_case):
  assert_same(everything(lower_case), surrounded(VARIED))


@pytest.mark.slow
@pytest.mark.parametrize("lower_case", [True, False])
def test_all_characters_are_treated_as_hugging_face_does(lower_case):
  assert_same(everything(lower_case), surrounded(range(0x110000)))


@pytest.mark.parametrize("seed", range(10))
def test_any_text_and_vocabulary_give_hugging_faces_ids(seed, monkeypatch):
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


def test_words_of_100_characters_are_the_longest():
  texts = ["a" * 100, "a" * 101, "é" * 100, "é" * 101, "東" * 200, "." * 300,
           "\u0301" * 300 + "b", "É" * 101, "\U00010400" * 100, "한" * 34]
  for lower_case in (True, False):
    assert_same(everything(lower_case), texts)


def test_arrays_of_all_characters_are_what_the_map_says():
  for lower_case in (True, False):
    table = character_table.of(lower_case)
    characters = CharacterMap(lower_case)
    draw = random.Random(0)
    for code in [*draw.choices(VARIED, k=2000),
                 *draw.choices(range(0x110000), k=2000)]:
      if 0xd800 <= code < 0xe000:
        continue
      value, kind = divmod(int(table.entries[
          table.pages[code // 256] * 256 + code % 256]), 4)
      assert characters[code] == (
          chr(code + value), f" {chr(code)} ",
          "".join(chr(c) for c in table.expansions[value] if c >= 0)
          if kind == 2 else "")[kind], hex(code)
