"""What is timed: shapes, mode, precision, execution. Without TensorFlow.

Letters: b rows, n tokens, p predictions a row, k tokens kept.
"""

import dataclasses

from official_style.modeling import cost_model
from official_style.modeling import token_schedule

MODES = ("forward", "train")
WORKLOADS = ("positions", "documents")
PRECISIONS = ("float32", "bfloat16")
EXECUTIONS = ("graph", "xla")
MODELS = {
    "tiny": dict(vocab_size=200, hidden_size=32, num_attention_heads=2,
                 inner_dim=64),
    # Of experiments/token_dropping.
    "mini": dict(vocab_size=8000, hidden_size=256, num_attention_heads=4,
                 inner_dim=1024),
    # all-MiniLM-L6-v2.
    "minilm": dict(vocab_size=30522, hidden_size=384, num_attention_heads=12,
                   inner_dim=1536),
    "base": dict(vocab_size=30522, hidden_size=768, num_attention_heads=12,
                 inner_dim=3072),
    "large": dict(vocab_size=30522, hidden_size=1024, num_attention_heads=16,
                  inner_dim=4096),
}
PUBLISHED_LAYERS = {"tiny": 2, "mini": 4, "minilm": 6, "base": 12, "large": 24}


@dataclasses.dataclass(frozen=True)
class Case:
  """One thing that every contender is timed on.

  Attributes:
    model: one of `MODELS`, the sizes of a block and the vocabulary.
    num_layers: blocks; the published model may have more.
    batch_size: b. seq_length: n.
    mode: `forward`, without dropout, or `train`: forward, backward, update.
    workload: `positions`, every row full; or `documents` of mixed length.
    precision: `float32` or `bfloat16`, mixed.
    execution: `graph`, or `xla` for what a framework's compiler makes of it.
    dropout: rate in training.
    keep_share: share of the tokens that dropping layers keep.
  """
  model: str = "base"
  num_layers: int = 6
  batch_size: int = 8
  seq_length: int = 128
  mode: str = "train"
  workload: str = "positions"
  precision: str = "float32"
  execution: str = "graph"
  dropout: float = 0.1
  keep_share: float = 0.5

  @property
  def sizes(self) -> cost_model.ModelSizes:
    return cost_model.ModelSizes(
        num_layers=self.num_layers,
        max_sequence_length=max(self.seq_length, 512), **MODELS[self.model])

  @property
  def num_predictions(self) -> int:
    """p: 15 % of the tokens."""
    return max(1, round(0.15 * self.seq_length))

  @property
  def keep_k(self) -> int:
    return token_schedule.keep_count(
        self.seq_length, token_keep_share=self.keep_share)

  @property
  def is_train(self) -> bool:
    return self.mode == "train"

  @property
  def is_packed_workload(self) -> bool:
    return self.workload == "documents"

  @property
  def shape(self) -> str:
    """For the heading of a table."""
    what = "" if self.workload == "positions" else f"{self.workload}, "
    return (f"{what}{self.mode}, {self.precision}: {self.model} blocks, "
            f"{self.num_layers} layers, {self.batch_size} x "
            f"{self.seq_length} positions, {self.num_predictions} predictions"
            + (f", dropout {self.dropout:g}" if self.is_train else ""))

  def plan(self, drops: bool) -> token_schedule.LayerPlan:
    """The roles of the layers."""
    return (token_schedule.token_drop_plan(self.num_layers) if drops
            else token_schedule.dense_plan(self.num_layers))

  def schedule(self, drops: bool, short_last: bool):
    """`(queries, keys)` of each layer.

    Args:
      drops: whether tokens are dropped.
      short_last: whether the last layer works on predicted positions only.
    """
    return self.plan(drops).token_schedule(
        self.seq_length, self.keep_k,
        self.num_predictions if short_last else None)

  def flops(self, drops: bool, short_last: bool = False) -> int:
    """Matrix-multiply FLOPs of one call: a batch forward, or a whole step."""
    arguments = (self.sizes, self.schedule(drops, short_last),
                 self.seq_length, self.num_predictions)
    if self.is_train:
      return cost_model.step_flops(*arguments, self.batch_size)
    return self.batch_size * cost_model.forward_flops(*arguments).total

  def memory(self, drops: bool) -> int:
    """Bytes a worker needs, about; the framework itself comes on top."""
    if not self.is_train:
      return 4 * cost_model.parameters(self.sizes)
    return cost_model.training_memory(
        self.sizes, self.schedule(drops, False), self.seq_length,
        self.num_predictions, self.batch_size)
