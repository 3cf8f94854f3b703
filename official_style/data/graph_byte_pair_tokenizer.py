"""`BytePairTokenizer` inside a TensorFlow graph, for models that read text.

tensorflow-text has no byte-level BPE. KerasHub's is no substitute: by its
source (commit 166dace) it marks places with the letter U+096C and deletes it
again, knows four of Unicode's spaces besides ASCII's, and out of a graph cuts
text as Llama does.

Axes: b texts, r runs of a text, u different pieces, n ids of those.
"""

import tensorflow as tf
import tensorflow_text as tf_text

from official_style import vocabulary_files

# All of Unicode's; in RE2 `\s` is ASCII's, and without the vertical tab.
_SPACES = (r"\s\v\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}"
           r"\x{202f}\x{205f}\x{3000}")
_SPACE_RUN = f"[{_SPACES}]+"
# GPT-2's, but for spaces: there is no look-ahead in RE2.
_WORDS = (r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+"
          rf"| ?[^{_SPACES}\p{{L}}\p{{N}}]+")
_NO_RANK = tf.int32.max
# tensorflow-text's split ends at a NUL. So there stands, and for U+10FFFE with
# which it begins, another character behind it: neither letters, nor numbers,
# nor spaces, of which any count is one run.
_STAND_INS = (("\U0010fffe", "\U0010fffe\U0010ffff"),
              ("\0", "\U0010fffe\U0010fffd"))


class GraphBytePairTokenizer(tf.Module):
  """Cuts at spaces and kinds of characters, then merges bytes.

  Args:
    vocabulary: a `Vocabulary` with merges.

  Raises:
    ValueError: for one without.
  """

  def __init__(self, vocabulary, name=None):
    super().__init__(name=name)
    if not vocabulary.is_byte_bpe:
      raise ValueError(f"{vocabulary}: not a byte-level BPE")
    ids = {token: i for i, token in enumerate(vocabulary.tokens)}
    self._size = vocabulary.size
    # Constants of a graph, that a saved one keeps.
    self._of_bytes = [ids[c] for c in vocabulary_files.byte_characters()]
    self._merged = [ids[a + b] for a, b in vocabulary.merges] or [0]
    pairs = [ids[a] * vocabulary.size + ids[b] for a, b in vocabulary.merges]
    self._ranks = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(
            tf.constant(pairs, tf.int64), tf.range(len(pairs))), _NO_RANK)

  def tokenize(self, texts):
    """The ids of `BytePairTokenizer.encode_batch`, without special tokens.

    Args:
      texts: string[b], UTF-8; what is none is read as U+FFFD.

    Returns:
      Ragged int32[b (ids)].
    """
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8")
    for real, stand_in in _STAND_INS:
      texts = _replaced(texts, real, stand_in)
    pieces = _pieces(texts)
    different, index = tf.unique(pieces.flat_values)
    for real, stand_in in reversed(_STAND_INS):
      different = _replaced(different, stand_in, real)
    ids = tf.gather(self._encode(different), index)
    return tf.RaggedTensor.from_nested_row_splits(
        ids.flat_values, [pieces.row_splits, ids.row_splits]).merge_dims(1, 2)

  def _encode(self, pieces):
    """string[u] -> ragged int32[u (ids)]."""
    split = tf.strings.bytes_split(pieces)
    # Not [:, 0], which none of no bytes has.
    codes = tf.reshape(tf.io.decode_raw(split.flat_values, tf.uint8), [-1])
    values = tf.gather(tf.constant(self._of_bytes), tf.cast(codes, tf.int32))
    rows = tf.cast(split.value_rowids(), tf.int32)
    count = tf.size(pieces)
    unknown = tf.TensorShape([None])

    def body(values, rows, _):
      return self._merge_once(values, rows, count)

    values, rows, _ = tf.while_loop(
        lambda values, rows, more: more, body,
        [values, rows, tf.size(values) > 0],
        [unknown, unknown, tf.TensorShape([])])
    return tf.RaggedTensor.from_value_rowids(
        values, tf.cast(rows, tf.int64), tf.cast(count, tf.int64))

  def _merge_once(self, values, rows, count):
    """Merges the first pair of each piece wherever it is.

    Args:
      values: int32[n], ids of all pieces.
      rows: int32[n], which piece an id is of.
      count: int32[], u.

    Returns:
      What is left of `values` and `rows`, and whether anything was merged.
    """
    following = tf.concat([values[1:], [0]], 0)
    same = tf.concat([rows[1:], [-1]], 0) == rows
    ranks = tf.where(same, self._ranks.lookup(
        tf.cast(values, tf.int64) * self._size
        + tf.cast(following, tf.int64)), _NO_RANK)
    best = tf.gather(tf.math.unsorted_segment_min(ranks, rows, count), rows)
    found = (ranks == best) & (ranks < _NO_RANK)
    merges = found & _every_second(found)
    values = tf.where(merges, tf.gather(
        tf.constant(self._merged), tf.where(merges, ranks, 0)), values)
    stays = ~tf.concat([[False], merges[:-1]], 0)
    return (tf.boolean_mask(values, stays), tf.boolean_mask(rows, stays),
            tf.reduce_any(merges))


def _replaced(texts, old: str, new: str):
  pattern = "".join(f"\\x{{{ord(character):x}}}" for character in old)
  return tf.strings.regex_replace(texts, pattern, new)


def _every_second(found):
  """bool[n]: of each run of `found`, the first, third, ... of "aaaa"."""
  place = tf.range(tf.size(found))
  begins = found & ~tf.concat([[False], found[:-1]], 0)
  starts = tf.concat([[0], tf.boolean_mask(place, begins)], 0)
  run = tf.cumsum(tf.cast(begins, tf.int32))
  return (place - tf.gather(starts, run)) % 2 == 0


def _pieces(texts):
  """Ragged string[b (pieces)]: what bytes are merged inside of.

  Of a run of spaces the last one goes with the word behind it if it is a plain
  space, and is a piece of its own if it is another.
  """
  runs = tf_text.regex_split(texts, _SPACE_RUN, _SPACE_RUN)
  flat = runs.flat_values
  blank = tf.strings.regex_full_match(flat, _SPACE_RUN)
  rows = runs.value_rowids()
  is_last = tf.concat([rows[1:] != rows[:-1], [True]], 0)[:tf.size(rows)]
  last = tf.strings.regex_replace(flat, "(?s)^.*(.)$", r"\1")
  but_last = tf.strings.regex_replace(flat, "(?s)^(.*).$", r"\1")
  nothing = tf.fill(tf.shape(flat), "")
  head = tf.where(blank, tf.where(is_last, flat, but_last), nothing)
  tail = tf.where(blank & ~is_last & (last != " "), last, nothing)
  gives = blank & ~is_last & (last == " ")
  prefix = tf.where(tf.concat([[False], gives[:-1]], 0)[:tf.size(rows)],
                    tf.fill(tf.shape(flat), " "), nothing)
  words = tf_text.regex_split(
      tf.where(blank, nothing, prefix + flat), _WORDS, _WORDS)
  spaces = tf.stack([head, tail], axis=1)
  spaces = tf.ragged.boolean_mask(spaces, spaces != "")
  pieces = tf.concat([spaces, words], axis=1)
  return tf.RaggedTensor.from_nested_row_splits(
      pieces.flat_values, [runs.row_splits, pieces.row_splits]
      ).merge_dims(1, 2)
