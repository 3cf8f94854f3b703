"""The ids in a graph are those of the host, whatever the text."""

import pytest
import tensorflow as tf

from official_style.data import tokenizer
from official_style.data import vocabulary
from official_style.serving import graph_tokenizers
from official_style.serving import masked_words
from official_style.serving import verification_cases
from tests.reference import byte_pairs
from tests.reference import tiny_finished_run

VOCABULARIES = {
    "uncased": tiny_finished_run.vocab(),
    "cased": vocabulary.Vocabulary(
        [*vocabulary.BERT_SPECIAL_TOKENS, *"aAbBéß.漢", "##a", "##b", "good"],
        lower_case=False),
    "bytes": vocabulary.of_bytes(),
    "pairs": vocabulary.Vocabulary(
        byte_pairs.TINY[0], merges=byte_pairs.TINY[1])}


@pytest.mark.parametrize("name", VOCABULARIES)
def test_nasty_texts_have_the_ids_of_the_host(name):
  words = VOCABULARIES[name]
  texts = [*verification_cases.NASTY, *(
      text.encode() for text in verification_cases.PLAIN)]
  graph = tf.function(graph_tokenizers.of(words).tokenize, autograph=False)
  found = graph(tf.constant(texts)).to_list()
  host = tokenizer.tokenizer_of(words).encode_batch(texts)
  for text, ids, wanted in zip(texts, found, host, strict=True):
    assert ids == wanted.tolist(), text[:40]


@pytest.mark.parametrize("name", VOCABULARIES)
def test_no_bytes_at_all_are_an_error(name):
  graph = graph_tokenizers.of(VOCABULARIES[name])
  texts = [*verification_cases.NASTY, *(bytes([i]) for i in range(256))]
  assert graph.tokenize(tf.constant(texts)).shape[0] == len(texts)
  assert graph.tokenize(tf.constant([], tf.string)).shape[0] == 0


def test_a_mask_is_its_id_wherever_it_stands():
  words = VOCABULARIES["uncased"]
  graph = graph_tokenizers.of(words)
  ids = masked_words.tokenize(
      tf.constant(["a [MASK] film", "[MASK][MASK]", "", "good"]), graph, words)
  word = words.tokens.index
  assert ids.to_list() == [
      [word("a"), words.mask_id, word("film")], [words.mask_id] * 2, [],
      [word("good")]]
