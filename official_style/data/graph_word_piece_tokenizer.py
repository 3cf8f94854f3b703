"""`WordPieceTokenizer` inside a TensorFlow graph, for models that read text.

tensorflow-text's `FastBertTokenizer` folds as Unicode's NFKC_Casefold has it,
makes spaces of control characters and counts bytes of a word: not what BERT was
trained with. So characters are looked up in a table here, and words cut into
pieces by tensorflow-text (Song et al., 2021, "Fast WordPiece Tokenization",
https://arxiv.org/abs/2012.15524).

Axes: b texts, c characters of all texts, w words of all texts, x characters
that become of one.
"""

import tensorflow as tf
import tensorflow_text as tf_text

from official_style.data import character_table
from official_style.data import tokenizer

# In UTF-8.
_MAX_WORD_BYTES = 4 * tokenizer.MAX_WORD_CHARACTERS
_UNKNOWN = "x" * (_MAX_WORD_BYTES + 1)


class GraphWordPieceTokenizer(tf.Module):
  """Cleans, lower-cases, splits, and cuts words: longest match first.

  Args:
    vocabulary: a `Vocabulary` of WordPieces.

  Raises:
    ValueError: for another.
  """

  def __init__(self, vocabulary, name=None):
    super().__init__(name=name)
    if vocabulary.is_byte_bpe or vocabulary.is_bytes:
      raise ValueError(f"{vocabulary}: has no WordPieces")
    # Constants of a graph, that a saved one keeps.
    self._characters = character_table.of(vocabulary.lower_case)
    self._tokenizer = tf_text.FastWordpieceTokenizer(
        list(vocabulary.tokens), max_bytes_per_word=_MAX_WORD_BYTES,
        unknown_token=vocabulary.tokens[vocabulary.unk_id],
        token_out_type=tf.int32, no_pretokenization=True)

  def tokenize(self, texts):
    """The ids of `WordPieceTokenizer.encode_batch`, without special tokens.

    Args:
      texts: string[b], UTF-8; bytes that are none are deleted.

    Returns:
      Ragged int32[b (ids)].
    """
    words = tf.strings.split(self._cleaned(texts))
    flat = words.flat_values
    flat = tf.where(
        tf.strings.length(flat, "UTF8_CHAR") > tokenizer.MAX_WORD_CHARACTERS,
        _UNKNOWN, flat)
    ids = self._tokenizer.tokenize(flat)
    return tf.RaggedTensor.from_nested_row_splits(
        ids.flat_values, [words.row_splits, ids.row_splits]).merge_dims(1, 2)

  def _cleaned(self, texts):
    """string[b] -> string[b], with spaces around punctuation."""
    table = self._characters
    codes = tf.strings.unicode_decode(texts, "UTF-8", errors="ignore")
    flat = codes.flat_values
    page = tf.gather(tf.constant(table.pages), flat // character_table.PAGE)
    entry = tf.gather(
        tf.constant(table.entries),
        page * character_table.PAGE + flat % character_table.PAGE)
    kind, value = entry % 4, entry // 4
    none, space = tf.fill(tf.shape(flat), -1), tf.fill(tf.shape(flat), 32)
    spaced, expanded = (kind == k for k in (
        character_table.SPACED, character_table.EXPANDED))
    # int32[c x]
    found = tf.where(
        expanded[:, tf.newaxis],
        tf.gather(tf.constant(table.expansions), tf.where(expanded, value, 0)),
        tf.stack([tf.where(spaced, space, none),
                  flat + value,
                  tf.where(spaced, space, none)], axis=1))
    there = found >= 0
    ends = tf.concat([[0], tf.cumsum(tf.reduce_sum(
        tf.cast(there, tf.int64), axis=1))], 0)
    return tf.strings.unicode_encode(tf.RaggedTensor.from_row_splits(
        tf.boolean_mask(found, there), tf.gather(ends, codes.row_splits)),
                                     "UTF-8")
