"""What a pretrained model would put where a text has a [MASK].

Axes: r texts, n tokens, p masks of a text, w words for each.
"""

import tensorflow as tf


def tokenize(texts, tokenizer, vocabulary):
  """Cuts texts, with the id of [MASK] where they say so.

  Args:
    texts: string[r]; the mask's name, as "[MASK]" or "<mask>", stands for it.
    tokenizer: of `graph_tokenizers`.
    vocabulary: the `Vocabulary`.

  Returns:
    Ragged int32[r (ids)].
  """
  parts = tf.strings.split(texts, vocabulary.tokens[vocabulary.mask_id])
  ids = tokenizer.tokenize(parts.flat_values)
  masks = tf.fill([tf.size(parts.flat_values), 1], vocabulary.mask_id)
  # A mask before each part, and the first of each text is taken off again.
  ids = tf.concat([tf.RaggedTensor.from_tensor(masks), ids], axis=1)
  joined = parts.with_values(ids).merge_dims(1, 2)
  return joined[:, 1:]


def answers(model, rows: dict, vocabulary, top_k: int,
            max_masks: int) -> dict:
  """The most probable words for each mask.

  Args:
    model: a `MaskedLMPretrainer`.
    rows: `input_word_ids`, `input_mask` and `input_type_ids`, int32[r n].
    vocabulary: the `Vocabulary`.
    top_k: w.
    max_masks: p; what more there are of a text is not answered.

  Returns:
    `words` string[r p w], the most probable first, `probabilities`
    float32[r p w], and `positions` int32[r p], of the masks in the row; where
    there are fewer, "", 0 and -1.
  """
  n = rows["input_word_ids"].shape[1]
  p = min(max_masks, n)
  is_mask = rows["input_word_ids"] == vocabulary.mask_id
  # The first masks are the largest numbers.
  scores = tf.where(is_mask, n - tf.range(n)[tf.newaxis], 0)
  found, positions = tf.math.top_k(scores, p)
  outputs = model(
      dict(rows, masked_lm_positions=positions), training=False)
  chances = tf.nn.softmax(tf.cast(outputs["mlm_logits"], tf.float32))
  best, ids = tf.math.top_k(chances, min(top_k, vocabulary.size))
  real = (found > 0)[:, :, tf.newaxis]
  words = tf.gather(tf.constant(vocabulary.tokens), ids)
  answered = dict(
      words=tf.where(real, words, ""),
      probabilities=tf.where(real, best, 0.0),
      positions=tf.where(found > 0, positions, -1))
  return {name: _padded(x, max_masks, padding) for (name, x), padding in zip(
      answered.items(), ("", 0.0, -1))}


def _padded(x, p: int, padding):
  """[r q ...] as [r p ...], so that every bucket gives one shape."""
  missing = p - x.shape[1]
  if not missing:
    return x
  return tf.pad(x, [[0, 0], [0, missing]] + [[0, 0]] * (x.shape.rank - 2),
                constant_values=padding)
