"""Weights of an encoder and its masked-LM head, wherever they come from."""

import dataclasses
from typing import Callable, Optional

import numpy as np

from official_style.checkpoints import named_classifier
from official_style.errors import UserError

# Parts that other projects' models may lack as a whole.
POOLER, HEAD = "encoder/_pooler_layer/", "masked_lm/"
CLASSIFIER = "classifier/"


@dataclasses.dataclass(frozen=True)
class EncoderSizes:
  """What an encoder is; the names are those of its configuration.

  Those of the masked-LM head begin with `mlm_`; a `mlm_norm_epsilon` of None
  is the encoder's.
  """
  vocab_size: int
  hidden_size: int
  num_layers: int
  num_attention_heads: int
  intermediate_size: int
  max_position_embeddings: int
  type_vocab_size: int
  norm_epsilon: float = 1e-12
  hidden_activation: str = "gelu"
  mlm_activation: str = "gelu_exact"
  initializer_range: float = 0.02
  norm_first: bool = False
  use_type_embeddings: bool = True
  use_pooler: bool = True
  embedding_dropout_first: bool = False
  mlm_norm_epsilon: Optional[float] = None

  def describe(self) -> str:
    return (f"{self.num_layers} layers of {self.hidden_size}, "
            f"{self.num_attention_heads} heads, inner "
            f"{self.intermediate_size}, "
            f"{self.vocab_size:,} tokens, {self.max_position_embeddings} "
            f"positions, {self.hidden_activation}, epsilon "
            f"{self.norm_epsilon:g}")

  def shapes(self) -> dict[str, tuple]:
    """Our name -> shape, of every variable an encoder of this size has."""
    d, f = self.hidden_size, self.intermediate_size
    h = self.num_attention_heads
    c = d // h
    norm = dict(gamma=(d,), beta=(d,))
    parts = {
        "encoder/_embedding_layer": dict(embeddings=(self.vocab_size, d)),
        "encoder/_position_embedding_layer": dict(
            _position_embeddings=(self.max_position_embeddings, d)),
        "encoder/_embedding_norm_layer": norm}
    if self.use_type_embeddings:
      parts["encoder/_type_embedding_layer"] = dict(
          embeddings=(self.type_vocab_size, d))
    for i in range(self.num_layers):
      block = f"encoder/_transformer_layers/{i}"
      for name in ("query", "key", "value"):
        parts[f"{block}/_attention_layer/_{name}_dense"] = dict(
            kernel=(d, h, c), bias=(h, c))
      parts |= {
          f"{block}/_attention_layer/_output_dense": dict(
              kernel=(h, c, d), bias=(d,)),
          f"{block}/_attention_layer_norm": norm,
          f"{block}/_intermediate_dense": dict(kernel=(d, f), bias=(f,)),
          f"{block}/_output_dense": dict(kernel=(f, d), bias=(d,)),
          f"{block}/_output_layer_norm": norm}
    dense = dict(kernel=(d, d), bias=(d,))
    if self.use_pooler:
      parts[POOLER[:-1]] = dense
    parts |= {"masked_lm/dense": dense, "masked_lm/layer_norm": norm,
              "masked_lm": dict(bias=(self.vocab_size,))}
    return {f"{part}/{name}": shape for part, names in parts.items()
            for name, shape in names.items()}


def check_shapes(place: str, said_by: str, pairs: dict):
  """Refuses what is of another shape than it should be.

  Args:
    place: the file. said_by: what asks for the shapes.
    pairs: name there -> (its shape, the shape asked for).

  Raises:
    UserError: that names the first three of them.
  """
  odd = [f"{name} is {list(found)} and not {list(wanted)}"
         for name, (found, wanted) in pairs.items()
         if tuple(found) != tuple(wanted)]
  if odd:
    more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
    raise UserError(f"{place}: mismatched: {'; '.join(odd[:3])}{more}: not of "
                    f"the model that {said_by} describes")


def refuse_more(place: str, said_by: str, more: list):
  """Refuses an encoder with more than ours, which computes something else.

  Args:
    place: the file. said_by: what says how many layers there are.
    more: names there of an encoder's arrays that nothing of ours has.

  Raises:
    UserError: that names one of them.
  """
  if more:
    raise UserError(f"{place}: its encoder has {len(more)} tensors that "
                    f"{said_by} doesn't tell of, as {more[0]:.80}: not of "
                    f"the model that {said_by} describes")


@dataclasses.dataclass(frozen=True)
class NamedWeights:
  """What a reader found.

  Attributes:
    place: the file, for messages.
    sizes: of the encoder.
    original: our name -> the name there, of what is there.
    read: called with our names; float32 arrays by our name.
    unused: names there that nothing of ours has.
    vocab_file: a vocabulary, as `--vocab_file` takes it; None if there is
      none.
    lower_case: of its text; None is not said.
    bpe_folder: where files of a byte-level BPE are, or should be; None of
      WordPieces.
    notes: what a user has to know, a line each.
    classifier: what is known of a classifier's head; None if there is none.
  """
  place: str
  sizes: EncoderSizes
  original: dict[str, str]
  read: Callable[[list], dict[str, np.ndarray]]
  unused: tuple[str, ...] = ()
  vocab_file: Optional[str] = None
  lower_case: Optional[bool] = None
  bpe_folder: Optional[str] = None
  notes: tuple[str, ...] = ()
  classifier: Optional[named_classifier.NamedClassifier] = None

  def shapes(self) -> dict[str, tuple]:
    """Our name -> shape, of every variable such weights have."""
    return self.sizes.shapes() | (self.classifier.shapes(
        self.sizes.hidden_size) if self.classifier else {})

  def has(self, part: str) -> bool:
    """Whether any variable of a part is there, as of `POOLER` or `HEAD`."""
    return any(name.startswith(part) for name in self.original)
