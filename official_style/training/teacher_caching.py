"""What a run's teacher says of its rows, written to a cache for the run."""

import contextlib
import os
from typing import Callable

import numpy as np
import tensorflow as tf

from official_style.data import pretraining_data
from official_style.data import teacher_cache_writer
from official_style.data import teacher_records
from official_style.errors import UserError
from official_style.modeling.ops import truncated_distribution
from official_style.tasks import distillation
from official_style.training import machinery
from official_style.training import run_folder
from official_style.training import teacher as teacher_lib


def write(config, model_dir: str, output: str, k: int, epochs: int,
          batch_rows: int, say: Callable[[str], None],
          show: Callable[[str], None]):
  """Writes a cache; stopped at any moment, the same call goes on.

  Args:
    config: a `PretrainingConfig` that distils.
    model_dir: of the run; its data folder is made, if it isn't there.
    output: folder of the cache.
    k: words kept of each position.
    epochs: of masks; 0 is as many as the run goes through.
    batch_rows: rows the teacher works on at once.
    say: takes lines worth keeping. show: takes passing ones.

  Raises:
    UserError: for anything that is not as it has to be.
  """
  settings = config.task.distillation
  if not settings.needs_teacher:
    raise UserError("task.distillation.weight=0: such a run has no use for a "
                    "teacher")
  if not output:
    raise UserError("--output: names no folder to make: give one, as "
                    "runs/said")
  if os.path.exists(output):
    raise UserError(f"--output={output}: exists already: delete it or choose "
                    "another name")
  placement = machinery.place(config)
  folder = run_folder.RunFolder(model_dir)
  try:
    data = pretraining_data.prepare(
        config.task, folder.file("data"), config.trainer.seed, say, show)
  finally:
    folder.close()
  batches, v = data.train, data.vocabulary.size
  if not 1 <= k <= v:
    raise UserError(f"--top_k={k}: must lie in [1, {v}], the vocabulary's size")
  with placement.strategy.scope():
    teacher = teacher_lib.load(config.task, data.vocabulary)
  layout = teacher_records.Layout(
      _slots(batches, settings.positions), k,
      len(truncated_distribution.TEMPERATURES), v)
  manifest = dict(
      format=teacher_records.FORMAT, version=teacher_records.VERSION,
      layout=vars(layout), rows=batches.source.num_rows,
      epochs=epochs or batches.num_masked_epochs(config.trainer.train_steps),
      temperatures=list(truncated_distribution.TEMPERATURES),
      teacher=settings.teacher, teacher_digest=settings.teacher_digest,
      lower_case=config.task.lower_case,
      data=teacher_records.identity(
          batches, data.vocabulary, settings.positions))
  try:
    with contextlib.closing(teacher_cache_writer.TeacherCacheWriter(
        output, manifest)) as writer:
      if writer.done:
        say(f"going on after {writer.done:,} of {writer.total:,} rows")
      _fill(writer, layout, batches, _said(teacher, settings.positions, k),
            batch_rows, show)
      # A run that names no vocabulary takes this one.
      data.vocabulary.save(writer.file(teacher_records.VOCABULARY))
      writer.finish()
  except OSError as error:
    raise UserError(
        f"--output={output}: can't be written ({error.strerror or error}): "
        "free some space and run the same command again, which goes on, or "
        "choose another") from error
  size = writer.total * layout.dtype.itemsize
  positions = writer.total * layout.slots
  say(f"{output}: {writer.total:,} rows, {size / 1e6:,.1f} MB: "
      f"{size / positions:,.0f} bytes a position, "
      f"{size / (writer.total * batches.source.seq_length):,.1f} a token")


def _slots(batches, positions) -> int:
  name = "masked_lm_positions" if positions == "masked" else "input_mask"
  return batches.batch(0, 0, 1)[name].shape[1]


def _fill(writer, layout, batches, said, batch_rows, show):
  """Has the teacher work on all rows that are not done."""
  num_rows = batches.source.num_rows
  while writer.done < writer.total:
    epoch, first = divmod(writer.done, num_rows)
    rows = np.arange(first, min(first + batch_rows, num_rows))
    batch = batches.masked_rows(epoch, rows)
    # One shape, so one graph.
    padded = {name: tf.constant(np.pad(
        x, [(0, batch_rows - len(rows))] + [(0, 0)] * (x.ndim - 1), "edge"))
              for name, x in batch.items()}
    kept = [part.numpy()[:len(rows)] for part in said(padded)]
    writer.append(layout.records(batch, *kept))
    show(f"{writer.done:,} of {writer.total:,} rows")


def _said(teacher, positions, k):
  """batch -> a `Truncated` for each slot."""
  def said(batch):
    outputs = distillation.words(teacher, batch, positions, training=False)
    name = "all_logits" if positions == "all" else "mlm_logits"
    return truncated_distribution.truncate(outputs[name], k)

  return tf.function(said, autograph=False)
