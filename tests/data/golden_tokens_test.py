"""Training, serving and Hugging Face give nasty strings the same ids.

The page experiments/serving/tokenization.md lists those that they don't.
"""

import functools
import os

import pytest
import tensorflow as tf
import tokenizers

from official_style.data import tokenizer as tokenizer_lib
from official_style.data import vocabulary as vocabulary_lib
from official_style.serving import graph_tokenizers
from tests.reference import golden_differences
from tests.reference import golden_texts
from tests.reference import golden_tokens

GOLDEN = golden_tokens.read()
PATH_OF_PAGE = os.path.join(
    os.path.dirname(golden_tokens.PATH), "..", "..", "experiments", "serving",
    "tokenization.md")


@functools.cache
def _ids(place, kind):
  """Of all golden texts."""
  return (_host if place == "host" else _graph)(
      GOLDEN.vocabularies[kind], GOLDEN.texts)


def _host(vocabulary, texts):
  return [ids.tolist() for ids in tokenizer_lib.tokenizer_of(
      vocabulary).encode_batch(texts)]


def _graph(vocabulary, texts):
  encoded = [text if isinstance(text, bytes) else
             text.encode("utf-8", "replace") for text in texts]
  call = tf.function(graph_tokenizers.of(vocabulary).tokenize, autograph=False)
  return call(tf.constant(encoded)).to_list()


def test_there_are_as_many_as_promised():
  assert GOLDEN.texts == [*golden_texts.TEXTS, *golden_texts.BYTES]
  assert len(set(GOLDEN.texts)) == len(GOLDEN.texts) > 450
  for kind in golden_tokens.KINDS:
    # Strings that differ nearly always have ids that differ.
    assert len({str(ids) for ids in GOLDEN.ids[kind]}) > 290


@pytest.mark.parametrize("kind", golden_tokens.KINDS)
@pytest.mark.parametrize("place", ["host", "graph"])
def test_ids_are_hugging_faces_but_for_those_listed(kind, place):
  found = _ids(place, kind)
  other = {text for text, ids, wanted in zip(
      GOLDEN.texts, found, GOLDEN.ids[kind], strict=True) if ids != wanted}
  listed = golden_differences.of(kind, place)
  assert sorted(map(ascii, other)) == sorted(map(ascii, listed))


@pytest.mark.parametrize("kind", golden_tokens.KINDS)
def test_serving_reads_as_training(kind):
  host, graph = _ids("host", kind), _ids("graph", kind)
  other = {text for text, a, b in zip(GOLDEN.texts, host, graph) if a != b}
  listed = golden_differences.of(kind, "graph") ^ golden_differences.of(
      kind, "host")
  assert other == listed


def test_the_page_lists_what_differs():
  with open(PATH_OF_PAGE, encoding="utf-8") as f:
    page = f.read()
  assert golden_differences.table() in page
  assert f"{len(GOLDEN.texts)} strings" in page


def test_a_published_vocabulary():
  path = os.environ.get("OFFICIAL_STYLE_BERT_VOCAB")
  if not path:
    pytest.skip("OFFICIAL_STYLE_BERT_VOCAB names no vocab.txt")
  vocabulary = vocabulary_lib.Vocabulary.load(path)
  theirs = tokenizers.BertWordPieceTokenizer(
      path, lowercase=vocabulary.lower_case)
  listed = golden_differences.of("uncased", "host")
  texts = [text for text in golden_texts.TEXTS if text not in listed]
  wanted = [encoding.ids for encoding in theirs.encode_batch(
      texts, add_special_tokens=False)]
  for found in (_host(vocabulary, texts), _graph(vocabulary, texts)):
    for text, ids, expected in zip(texts, found, wanted, strict=True):
      assert ids == expected, ascii(text)
