"""The maximum point: trained like any run, and what it gives its candidates.

Axes: b rows, p predictions a row, t hidden_size, v vocabulary.
"""

import dataclasses
import os
from typing import Callable

import numpy as np
import tensorflow as tf

from official_style import files
from official_style.configs import resolve
from official_style.data import pretraining_data
from official_style.errors import UserError
from official_style.search.extraction import candidate_model
from official_style.search.extraction.architecture import Architecture
from official_style.training import finished_run


@dataclasses.dataclass(frozen=True)
class ReferenceModel:
  """A finished pretraining run.

  Attributes:
    run: the `FinishedRun`.
    data: its `PretrainingData`.
  """
  run: finished_run.FinishedRun
  data: pretraining_data.PretrainingData

  @classmethod
  def open(cls, folder: str, say: Callable[[str], None] = lambda line: None,
           show: Callable[[str], None] = lambda line: None):
    """Loads it from a run's folder.

    Raises:
      UserError: if that is no dense pretraining run with evaluation text.
    """
    run = finished_run.load(folder, flag="--reference_run")
    if resolve.is_fine_tuning(run.config):
      raise UserError(f"--reference_run={folder}: was fine-tuned: give a "
                      "pretraining run, as of --experiment=bert")
    if not run.says_words:
      raise UserError(f"--reference_run={folder}: was converted without a "
                      "masked-LM head: give one with it")
    if getattr(run.encoder, "plan", None) is not None:
      raise UserError(f"--reference_run={folder}: drops tokens: give a dense "
                      "run, as of --experiment=bert")
    data = pretraining_data.prepare(
        run.config.task, os.path.join(folder, "data"),
        run.config.trainer.seed, say, show)
    if data.eval is None:
      raise UserError(f"--reference_run={folder}: has no evaluation text, "
                      "which errors are told on: give more text")
    return cls(run, data)

  @property
  def encoder_config(self):
    return self.run.config.task.model.encoder.get()

  @property
  def architecture(self) -> Architecture:
    return candidate_model.architecture_of(self.encoder_config)

  @property
  def digest(self) -> str:
    """Of its weights' record: SHA-256."""
    return files.sha256(os.path.join(
        self.run.path, "checkpoints", f"ckpt-{self.run.step}", "commit.json"))

  def batches(self, split: str):
    return self.data.train if split == "train" else self.data.eval

  def forward(self, split: str) -> Callable[[int], np.ndarray]:
    """step -> float32[b p t], its last states at the predicted positions."""
    model, batches = self.run.model, self.batches(split)
    states = tf.function(
        lambda batch: model(batch, training=False)["sequence_output"],
        autograph=False)
    return lambda step: states(tensors(batches.batch(step))).numpy()

  def head(self, states: tf.Tensor) -> tf.Tensor:
    """Its logits, float32[b p v], of float32[b p t]."""
    slots = tf.broadcast_to(tf.range(tf.shape(states)[1])[tf.newaxis],
                            tf.shape(states)[:2])
    return tf.cast(
        self.run.model.masked_lm(states, masked_positions=slots), tf.float32)


def tensors(batch) -> dict:
  return {name: tf.convert_to_tensor(x) for name, x in batch.items()}
