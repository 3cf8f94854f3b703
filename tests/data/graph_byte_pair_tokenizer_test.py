"""The ids in a graph are those of the host."""

import os
import random

import pytest
import tensorflow as tf

from official_style import vocabulary_files
from official_style.data import graph_byte_pair_tokenizer
from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from tests.reference import byte_pairs

VOCABULARY = vocabulary_lib.Vocabulary(
    byte_pairs.TINY[0], merges=byte_pairs.TINY[1])
HOST = tokenizer_lib.tokenizer_of(VOCABULARY)
TOKENIZER = graph_byte_pair_tokenizer.GraphBytePairTokenizer(VOCABULARY)


def _assert_same(graph, tokenizer, texts):
  found = graph.tokenize(tf.constant([t.encode() for t in texts])).to_list()
  for text, ids, wanted in zip(
      texts, found, tokenizer.encode_batch(texts), strict=True):
    assert ids == wanted.tolist(), ascii(text)


def test_nasty_texts():
  _assert_same(TOKENIZER, HOST, [*byte_pairs.NASTY, "\u096c a"])


def test_a_nul_and_what_stands_for_it_are_characters_like_others():
  stand_ins = "\U0010fffd\U0010fffe\U0010ffff\0"
  _assert_same(TOKENIZER, HOST, [
      "the\0 hat", "\0a", " \0\0  \0", "a\0'the\0's", stand_ins,
      *(f"a{one}{other} {other}{one}the" for one in stand_ins
        for other in stand_ins)])


def test_batches_without_any_byte():
  for texts in ([], [b""], [b"", b""]):
    ids = TOKENIZER.tokenize(tf.constant(texts, tf.string)).to_list()
    assert ids == [[] for _ in texts]


def _random_texts(count, seed=0):
  draw = random.Random(seed)
  parts = [*" \t\n\v\x1c\x85\xa0\u2003\u3000'.,aA1\u00e9\u5b57\u0661\u0301",
           "  ", "'s", "'re", "the", "there", "hat", "aaa", "\U0001f600",
           "\u200d", "\u096c"]
  return ["".join(draw.choice(parts) for _ in range(draw.randrange(14)))
          for _ in range(count)]


def test_random_texts():
  _assert_same(TOKENIZER, HOST, _random_texts(500))


def test_every_character_that_is_a_letter_a_number_or_a_space_of_old():
  # Later versions of Unicode, which the two libraries may differ in, aside.
  texts = [f"a{chr(i)}1{chr(i)} {chr(i)}" for i in range(1, 0x3400)
           if not 0x870 <= i < 0x8a0]
  _assert_same(TOKENIZER, HOST, texts)


def test_a_saved_graph_needs_nothing_else(tmp_path):
  module = tf.Module()
  module.tokenizer = graph_byte_pair_tokenizer.GraphBytePairTokenizer(
      VOCABULARY)

  def ids_of(texts):
    return module.tokenizer.tokenize(texts).to_tensor(VOCABULARY.pad_id)

  module.ids = tf.function(ids_of, [tf.TensorSpec([None], tf.string)])
  tf.saved_model.save(module, str(tmp_path))
  again = tf.saved_model.load(str(tmp_path))
  ids = again.ids(tf.constant(["the hat", "", "aaaaa"])).numpy()
  for row, text in zip(ids, ["the hat", "", "aaaaa"]):
    wanted = HOST.encode_batch([text])[0].tolist()
    assert row.tolist() == wanted + [1] * (len(row) - len(wanted))


def test_another_vocabulary_is_refused():
  with pytest.raises(ValueError, match="not a byte-level BPE"):
    graph_byte_pair_tokenizer.GraphBytePairTokenizer(vocabulary_lib.of_bytes())


def test_gpt2s_vocabulary():
  folder = os.environ.get("OFFICIAL_STYLE_GPT2_FOLDER")
  if not folder:
    pytest.skip("OFFICIAL_STYLE_GPT2_FOLDER names no folder")
  vocabulary = vocabulary_lib.with_special_tokens(
      *vocabulary_files.read_byte_pairs(*vocabulary_files.find(folder)), folder)
  _assert_same(
      graph_byte_pair_tokenizer.GraphBytePairTokenizer(vocabulary),
      tokenizer_lib.tokenizer_of(vocabulary),
      [*byte_pairs.GOLDEN, *byte_pairs.NASTY, *_random_texts(200)])
