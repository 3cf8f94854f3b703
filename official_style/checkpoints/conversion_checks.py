"""What a conversion has to show before its output gets its name."""

import dataclasses

import numpy as np

from official_style.checkpoints import fingerprint
from official_style.checkpoints import named_weights
from official_style.checkpoints import numpy_encoder
from official_style.data import embedded_corpus
from official_style.data import tokenizer as tokenizer_lib
from official_style.errors import UserError

_ROWS, _LENGTH = 8, 32
# Of which so many have to be masked ones that the vocabulary has.
_WORDS = 8
_TOLERANCE = 1e-4


def trained(arrays, sizes, vocabulary) -> tuple[bool, list[str]]:
  """Whether weights know more than shuffled ones, and lines that say so.

  Args:
    arrays: by our names. sizes: `EncoderSizes`.
    vocabulary: a `Vocabulary`, or None.
  """
  # Of a classifier's few columns, shuffled ones stretch as far.
  stretches = fingerprint.stretches({
      name: x for name, x in arrays.items()
      if not name.startswith(named_weights.CLASSIFIER)})
  flat = [name for name, x in stretches.items() if x < fingerprint.STRETCH]
  middle = float(np.median(list(stretches.values())))
  verdict = middle >= fingerprint.STRETCH
  lines = [f"  trained?    {len(stretches) - len(flat)} of {len(stretches)} "
           "kernels stretch some direction at least "
           f"{fingerprint.STRETCH} times as far as with their entries "
           f"shuffled (median {middle:.2f})"]
  if flat and verdict:
    shown = ", ".join(flat[:6]) + (", ..." if len(flat) > 6 else "")
    lines.append(f"              hardly told from random: {shown}")
  has_head = any(name.startswith(named_weights.HEAD) for name in arrays)
  problem = ("no masked-LM head" if not has_head else
             "no vocabulary" if vocabulary is None else "")
  if not problem:
    ids, mask = _rows(vocabulary, sizes)
    places = fingerprint.masked_places(ids, mask, vocabulary.unk_id)
    if places.sum() < _WORDS:
      problem = "the vocabulary has too few of English text"
  if problem:
    return verdict, lines + [
        f"              masked words can't be tried: {problem}"]
  loss, *others = [
      fingerprint.masked_lm_loss(
          x, sizes, ids, mask, places, vocabulary.mask_id)
      for x in (arrays, *(fingerprint.shuffled(arrays, i) for i in (1, 2)))]
  lines.append(f"              masked words: {loss:.2f} nats each, and "
               f"{min(others):.2f} with all weights shuffled")
  return loss < min(others) - fingerprint.MARGIN, lines


def _rows(vocabulary, sizes):
  """int32[b n] ids and mask of embedded sentences."""
  n = min(_LENGTH, sizes.max_position_embeddings)
  tokenizer = tokenizer_lib.tokenizer_of(vocabulary)
  corpus = embedded_corpus.embedded_documents(20_000)
  ids = np.full((_ROWS, n), vocabulary.pad_id, np.int32)
  mask = np.zeros((_ROWS, n), np.int32)
  texts = [line for document in corpus.documents
           for line in document.split("\n") if len(line.split()) > 8][:_ROWS]
  for row, pieces in enumerate(tokenizer.encode_batch(texts)):
    row_ids = [vocabulary.cls_id, *pieces[:n - 2], vocabulary.sep_id]
    ids[row, :len(row_ids)], mask[row, :len(row_ids)] = row_ids, 1
  return ids[:len(texts)], mask[:len(texts)]


def equal(arrays, sizes, others, other_sizes) -> list[str]:
  """Compares what two sets of weights compute; lines that say so.

  Args:
    arrays, others: by our names, read from input and from output.
    sizes, other_sizes: `EncoderSizes` of each.

  Raises:
    UserError: if hidden states or logits differ by more than rounding, and
      not because the output's layout has another activation or epsilon.
  """
  # What the layout can't say is told apart from what the converter spoils.
  layout = {name: (getattr(sizes, name), getattr(other_sizes, name))
            for name in ("hidden_activation", "mlm_activation", "norm_epsilon",
                         "mlm_norm_epsilon")
            if getattr(sizes, name) != getattr(other_sizes, name)}
  same = dataclasses.replace(
      other_sizes, **{name: pair[0] for name, pair in layout.items()})
  states, head = _differences(arrays, sizes, others, same)
  if not max(states, head or 0.0) <= _TOLERANCE:
    raise UserError("the output computes something else than the input, by "
                    f"{max(states, head or 0.0):.1e}: this is a defect of the "
                    "converter, please report it")
  lines = [f"  output      read back; hidden states of {sizes.num_layers} "
           f"layers differ from the input's by {states:.1e} at most"
           + ("" if head is None else f", logits by {head:.1e}")]
  if layout:
    states, head = _differences(arrays, sizes, others, other_sizes)
    changes = ", ".join(f"{name} {theirs} where these weights have {ours}"
                        for name, (ours, theirs) in layout.items())
    lines.append(f"              but that layout has {changes}: as it stands, "
                 f"hidden states differ by {states:.1e}"
                 + ("" if head is None else f", logits by {head:.1e}"))
  return lines


def _differences(arrays, sizes, others, other_sizes):
  """Largest differences of hidden states, and of logits of heads both have."""
  rng = np.random.default_rng(0)
  n = min(_LENGTH, sizes.max_position_embeddings)
  ids = rng.integers(0, sizes.vocab_size, (2, n))
  mask = (np.arange(n) < [[n], [max(1, n - 5)]]).astype(np.int32)
  types = rng.integers(0, sizes.type_vocab_size, (2, n))
  states, back = (numpy_encoder.hidden_states(x, s, ids, mask, types)
                  for x, s in ((arrays, sizes), (others, other_sizes)))
  difference = max(float(np.abs(a - b).max()) for a, b in zip(states, back))
  heads = []
  if _both_have(named_weights.HEAD, arrays, others):
    heads.append(numpy_encoder.logits(arrays, sizes, states[-1])
                 - numpy_encoder.logits(others, other_sizes, back[-1]))
  if _both_have(named_weights.CLASSIFIER, arrays, others):
    heads.append(numpy_encoder.class_logits(arrays, states[-1])
                 - numpy_encoder.class_logits(others, back[-1]))
  return difference, max(
      (float(np.abs(x).max()) for x in heads), default=None)


def _both_have(part, *several) -> bool:
  return all(any(name.startswith(part) for name in arrays)
             for arrays in several)
