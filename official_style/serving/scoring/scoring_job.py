"""All that a worker needs to know to score a part, wherever it runs."""

import dataclasses
import os
from typing import Callable

from official_style.serving.scoring import answer_rows
from official_style.serving.scoring import scored_export

# Batches that servers are asked for at a time.
ASKED_AT_A_TIME = 8


@dataclasses.dataclass(frozen=True)
class ScoringJob:
  """Plain values, which travel to other processes and machines.

  Attributes:
    output_dir: folder of the parts; one path on all machines.
    export: folder of a version; the same.
    signature: one of ids.
    answer_format: an `AnswerFormat`.
    batch_tokens, max_batch_rows: of a batch, see `length_batches`.
    servers: `host:port` of servers of the export; none is in this process.
    server_model: its name there.
    server_options: fields of `ClientOptions`, as (name, value) pairs.
    environment: variables that TensorFlow reads, as (name, value) pairs; the
      driver's, as they decide the last bits.
  """
  output_dir: str
  export: str
  signature: str
  answer_format: answer_rows.AnswerFormat
  batch_tokens: int
  max_batch_rows: int
  servers: tuple = ()
  server_model: str = ""
  server_options: tuple = ()
  environment: tuple = ()

  @property
  def batches_at_a_time(self) -> int:
    """Of a part on a cluster: a server waits for more, a core for none."""
    return ASKED_AT_A_TIME if self.servers else 1

  def open_export(self) -> scored_export.ScoredExport:
    # The driver has compared its files with the manifest.
    return scored_export.ScoredExport(self.export, self.signature, check=False)

  def open_predictor(self, num_threads: int = 1) -> Callable[[dict], dict]:
    """What takes arrays by name and gives arrays by name.

    Args:
      num_threads: calls that are made at a time.
    """
    if self.servers:
      from official_style.serving.scoring import server_predictor
      return server_predictor.ServerPredictor(
          self.servers, self.server_model, self.signature, num_threads,
          **dict(self.server_options))
    os.environ.update(self.environment)
    from official_style.serving.scoring import saved_model_predictor
    return saved_model_predictor.SavedModelPredictor(
        self.export, self.signature, num_threads)
