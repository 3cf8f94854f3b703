"""The sizes that a search chooses between, and what they cost.

Letters: D num_layers, A num_attention_heads, H hidden_size, I inner_dim,
n tokens. No TensorFlow.
"""

import dataclasses

from official_style.modeling import cost_model


@dataclasses.dataclass(frozen=True, order=True)
class Architecture:
  """One candidate.

  Attributes:
    num_layers: D.
    num_attention_heads: A, which divides H.
    hidden_size: H.
    inner_dim: I.
  """
  num_layers: int
  num_attention_heads: int
  hidden_size: int
  inner_dim: int

  def __post_init__(self):
    for field in dataclasses.fields(self):
      value = getattr(self, field.name)
      if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{field.name}={value!r}: a whole number from 1 up")
    if self.hidden_size % self.num_attention_heads:
      raise ValueError(
          f"hidden_size={self.hidden_size} does not divide by "
          f"num_attention_heads={self.num_attention_heads}")

  @classmethod
  def parse(cls, text: str) -> "Architecture":
    """Of `D,A,H,I` or `D-A-H-I`, the order in which Bort's paper names them.

    Raises:
      ValueError: if it is none.
    """
    parts = text.replace("-", ",").split(",")
    try:
      sizes = [int(part) for part in parts]
    except ValueError:
      sizes = []
    if len(sizes) != 4:
      raise ValueError("four whole numbers, as 4,8,1024,768 for layers, heads, "
                       "hidden size and inner size")
    return cls(*sizes)

  @property
  def name(self) -> str:
    return "-".join(map(str, dataclasses.astuple(self)))

  @property
  def leading_term(self) -> int:
    """D (4 H^2 + 2 H I): matrix weights of all blocks.

    It is the leading term of a model's parameters in the blocks, and of their
    multiplications for each token.
    """
    h = self.hidden_size
    return self.num_layers * (4 * h * h + 2 * h * self.inner_dim)

  def sizes(self, like: cost_model.ModelSizes) -> cost_model.ModelSizes:
    """Those of a model that is otherwise like another."""
    return dataclasses.replace(like, **dataclasses.asdict(self))

  def parameters(self, like: cost_model.ModelSizes) -> int:
    """Of the pretrained model: embeddings, blocks, pooler, masked-LM head."""
    return cost_model.parameters(self.sizes(like))

  def block_parameters(self, like: cost_model.ModelSizes) -> int:
    """Of the blocks alone."""
    sizes = self.sizes(like)
    without = dataclasses.replace(sizes, num_layers=0)
    return (cost_model.encoder_parameters(sizes)
            - cost_model.encoder_parameters(without))

  def macs(self, like: cost_model.ModelSizes, seq_length: int) -> int:
    """Multiply-adds of the encoder for a row: D (n (4H^2 + 2HI) + 2 n^2 H)."""
    schedule = [(seq_length, seq_length)] * self.num_layers
    return cost_model.forward_flops(
        self.sizes(like), schedule, seq_length, 0).encoder // 2
