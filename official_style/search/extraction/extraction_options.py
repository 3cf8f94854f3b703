"""What one extraction is asked for."""

import dataclasses
import math
import os
from typing import Any, Mapping

from official_style.errors import UserError
from official_style.search import latency_measuring
from official_style.search.extraction import architecture_space
from official_style.search.extraction import device_latency
from official_style.search.extraction import extraction_results
from official_style.search.extraction.architecture import Architecture


@dataclasses.dataclass(frozen=True)
class ExtractionOptions:
  """See tools/extract_subarchitecture.py for what each means.

  Attributes:
    output: folder of everything.
    space: of candidates.
    reference: the maximum point, where it is to be trained.
    reference_run: folder of a run that is it; empty trains `reference`.
    reference_steps, reference_learning_rate: of that training.
    train_data, vocab_file, vocab_size, embedded_megabytes, seq_length,
      batch_size: of all trainings, where there is no `reference_run`.
    steps: s. learning_rates, seeds: each candidate is trained with.
    warmup_steps: of a candidate's learning rate.
    clip_weights: bound on weights; 0 is none.
    eval_batches: that errors are told on, at most.
    eps: one of so many candidates is trained.
    error, inference: names of the objectives.
    backend, lengths, timing: of latencies.
    long_candidates, long_factor: that train so many times longer, to compare.
    workers: processes that train.
    seed: of data order, where there is no `reference_run`, and of random
      comparisons.
    restart: whether to forget what an earlier extraction found out.
    provenance: command, machine, versions and revision.
  """
  output: str
  space: architecture_space.ArchitectureSpace
  reference: Architecture
  reference_run: str = ""
  reference_steps: int = 1500
  reference_learning_rate: float = 2e-3
  train_data: str = ""
  vocab_file: str = ""
  vocab_size: int = 4000
  embedded_megabytes: float = 4.0
  seq_length: int = 128
  batch_size: int = 16
  steps: int = 200
  learning_rates: tuple[float, ...] = (2e-3,)
  seeds: int = 3
  warmup_steps: int = 20
  clip_weights: float = 0.0
  eval_batches: int = 16
  eps: int = 1
  error: str = extraction_results.ERRORS[0]
  inference: str = extraction_results.INFERENCES[0]
  backend: str = device_latency.BACKENDS[0]
  lengths: tuple[int, ...] = (128,)
  timing: latency_measuring.Timing = latency_measuring.Timing(30, 5)
  long_candidates: int = 0
  long_factor: int = 20
  workers: int = 1
  seed: int = 0
  restart: bool = False
  provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def path(self, *names: str) -> str:
    return os.path.join(self.output, *names)

  def reference_command(self) -> list[str]:
    """What the maximum point is trained with: arguments of train.py."""
    top, steps = self.reference, self.reference_steps
    macros = dict(
        NUM_LAYERS=top.num_layers, NUM_ATTENTION_HEADS=top.num_attention_heads,
        HIDDEN_SIZE=top.hidden_size, INNER_DIM=top.inner_dim,
        TRAIN_STEPS=steps, INTERVAL=max(1, steps // 10),
        LEARNING_RATE=self.reference_learning_rate,
        BATCH_SIZE=self.batch_size, SEQ_LENGTH=self.seq_length,
        TRAINED_VOCAB_SIZE=self.vocab_size, SEED=self.seed)
    files = dict(train_data=self.train_data, vocab_file=self.vocab_file)
    return [
        "train.py", "--experiment=bert",
        f"--model_dir={self.path('reference')}",
        *(f"--gin_params={name} = {value!r}" for name, value in macros.items()),
        *(f"--{name}={value}" for name, value in files.items() if value),
        "--params_override=task.train_data.embedded_megabytes="
        f"{self.embedded_megabytes}"] + ["--restart"] * self.restart

  def check(self):
    """Refuses what makes no sense, before anything is begun.

    Raises:
      UserError: naming the flag.
    """
    for name in ("reference_steps", "vocab_size", "seq_length", "batch_size",
                 "steps", "seeds", "warmup_steps", "eval_batches", "eps",
                 "workers"):
      if getattr(self, name) < 1:
        raise UserError(f"--{name}={getattr(self, name)}: must be at least 1")
    if self.timing.rounds < 1:
      raise UserError(f"--rounds={self.timing.rounds}: must be at least 1")
    if self.long_candidates and self.long_factor < 2:
      raise UserError(f"--long_factor={self.long_factor}: at least 2 times as "
                      "long")
    if self.long_candidates < 0 or self.long_candidates == 1:
      raise UserError(f"--long_candidates={self.long_candidates}: 0, or at "
                      "least 2 to compare")
    if not 0 <= self.clip_weights < math.inf:
      raise UserError(f"--clip_weights={self.clip_weights}: from 0 up")
    rate = self.reference_learning_rate
    if not 0 < rate < math.inf:
      raise UserError(f"--reference_learning_rate={rate}: a number above 0")
    if not self.output:
      raise UserError("--output=: give a folder")
    for name in ("learning_rates", "lengths"):
      values = getattr(self, name)
      if not values or len(set(values)) < len(values) or not all(
          0 < value < math.inf for value in values):
        raise UserError(f"--{name}={','.join(map(str, values))}: different "
                        "numbers above 0")
    candidates = self.space.candidates()
    if self.eps > len(candidates):
      raise UserError(f"--eps={self.eps}: from 1 to the {len(candidates)} "
                      "candidates there are")
    # Others are known to be larger once there is a vocabulary.
    larger = [one for one in candidates if _exceeds(one, self.reference)]
    if larger and not self.reference_run:
      raise UserError(
          f"--reference={self.reference.name}: is smaller than the candidate "
          f"{larger[0].name}: give a larger one, or a smaller --space")
    device_latency.check_backend(self.backend)
    if os.path.exists(self.output) and not os.path.isdir(self.output):
      raise UserError(f"--output={self.output}: is a file: give a folder")


def _exceeds(one: Architecture, other: Architecture) -> bool:
  """Whether it is larger somewhere and nowhere smaller."""
  one, other = ((x.num_layers, x.hidden_size, x.inner_dim)
                for x in (one, other))
  return one != other and all(a >= b for a, b in zip(one, other))
