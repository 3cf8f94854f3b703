"""Writes a finished run as a folder that TensorFlow Serving loads.

    <output>/<version>/saved_model.pb  variables/  assets/
                       assets.extra/   vocabulary, warm-up requests
                       batching_parameters.txt  manifest.json

The folder gets its number when it is whole and, where that is asked for,
verified. Until then its name is no number, and a server that watches `<output>`
passes it over.
"""

import dataclasses
import errno
import os
import re
import shutil
from typing import Callable, Optional

import tensorflow as tf

from official_style import files
from official_style.data import labelled_tasks
from official_style.errors import UserError
from official_style.errors import first_line
from official_style.modeling.networks import pyramid_bert_encoder
from official_style.serving import export_manifest
from official_style.serving import length_buckets
from official_style.serving import serving_model
from official_style.serving import warm_up
from official_style.training import checkpoints
from official_style.training import finished_run
from official_style.training import run_folder

_UNFINISHED = "unfinished"
# Rows of a batch that a server is told to make, and to warm up with.
_BATCH_SIZES = (1, 32)
# Names of a batching file: tensorflow_serving/servables/tensorflow/
# session_bundle_config.proto, message BatchingParameters.
_BATCHING = """\
# For tensorflow_model_server --enable_batching --batching_parameters_file=...
max_batch_size {{ value: {batch_size} }}
batch_timeout_micros {{ value: 2000 }}
max_enqueued_batches {{ value: 100 }}
# About as many as the machine has cores.
num_batch_threads {{ value: 4 }}
# Texts need none. Who sends ids pads them all to the longest bucket, of which
# the model cuts off what no row needs: requests of other lengths can't be
# joined, and the server would pad the mask with ones.
pad_variable_length_inputs: false
"""


@dataclasses.dataclass(frozen=True)
class ExportOptions:
  """How to export.

  Attributes:
    output: the folder of the model, which holds a folder for each version.
    version: None is one more than the highest there is.
    buckets: lengths besides the run's own; see `length_buckets`.
    is_pair: whether texts come in pairs; None asks the run's data.
    top_k: words for each [MASK] of a pretrained model.
    litert: kinds of LiteRT files to add, of `litert_export.KINDS`.
    onnx: whether to add ONNX files; see `onnx_export`.
    embeddings: whether a classifier has that signature too.
    precision: of `serving_model.PRECISIONS`.
  """
  output: str
  version: Optional[int] = None
  buckets: Optional[tuple] = None
  is_pair: Optional[bool] = None
  top_k: int = 5
  litert: tuple = ()
  onnx: bool = False
  embeddings: bool = False
  precision: str = serving_model.FLOAT32


def export(run: finished_run.FinishedRun, options: ExportOptions,
           show: Callable[[str], None] = lambda line: None,
           passes: Callable[[str], bool] = lambda folder: True) -> str:
  """Exports; returns the folder of the version.

  Args:
    run: what to export.
    options: how.
    show: is told what is being done.
    passes: asked of the whole folder before it has its number, as
      `verification.verify` is. Where it says no or raises UserError, the folder
      is `not_verified-N` instead, which no server takes up.

  Raises:
    UserError: if the version is there already, or can't be written; and what
      `passes` raises, with the folder's name.
  """
  if options.version is not None and options.version < 0:
    raise UserError(f"--version={options.version}: must be 0 or more")
  buckets = length_buckets.of(run.seq_length, options.buckets)
  is_pair = is_pair_of(run, options.is_pair)
  if options.version is not None:
    _refuse_existing(os.path.join(options.output, str(options.version)))
  show("building the graph")
  model = serving_model.ServingModel(
      run, buckets, is_pair, options.top_k, embeddings=options.embeddings,
      precision=options.precision)
  unfinished = os.path.join(options.output, f"{_UNFINISHED}.tmp-{os.getpid()}")
  try:
    os.makedirs(options.output, exist_ok=True)
    files.remove_leftovers(os.path.join(options.output, _UNFINISHED))
    show("writing")
    _write(unfinished, run, model, buckets, is_pair, options)
    return _named(unfinished, options, passes)
  except (OSError, tf.errors.OpError) as error:
    if not isinstance(error, OSError) and not checkpoints.is_disk_full(error):
      raise
    said = ((error.strerror or first_line(error))
            if isinstance(error, OSError) else "No space left on the disk")
    raise UserError(f"--output={options.output}: can't be written ({said}): "
                    "choose another, or make room") from error
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)


def is_pair_of(run: finished_run.FinishedRun, given: Optional[bool]) -> bool:
  """Whether the rows a run was trained on are pairs of texts.

  Raises:
    UserError: if nothing says so.
  """
  if run.labels is None or given is not None:
    return bool(given)
  task = run.config.task
  if task.choice_columns:
    columns = task.text_columns.split(",") if task.text_columns else []
    return bool([c for c in columns if c.strip()])
  if task.text_columns:
    return len([c for c in task.text_columns.split(",") if c.strip()]) == 2
  named = labelled_tasks.find(task.task_name) if task.task_name else None
  if named is not None and named.texts:
    return len(named.texts) == 2
  try:
    row = run.evaluation_rows()[0]
  except UserError as error:
    raise UserError(
        "whether texts come in pairs can't be told, as the run's data is gone: "
        "give --pair or --nopair") from error
  return len(row.inputs[0]) == 2


def schedules_of(encoder) -> dict:
  """Tokens each layer keeps: of an encoder's own list, and of each budget."""
  found = {}
  if isinstance(encoder, pyramid_bert_encoder.PyramidBertEncoder):
    found["own"] = list(encoder.token_schedule)
    found |= {f"{budget:g}x": list(lengths)
              for budget, lengths in encoder.budget_schedules.items()}
  return found


def _write(folder, run, model, buckets, is_pair, options):
  """Everything of a version but its name."""
  tf.saved_model.save(model, folder, signatures=model.concrete)
  os.makedirs(os.path.join(folder, "assets"), exist_ok=True)
  extra = os.path.join(folder, "assets.extra")
  os.makedirs(extra, exist_ok=True)
  # For people and clients; the graph has it inside.
  run.vocabulary.save(os.path.join(extra, "vocab.txt"))
  warm_up.write(folder, _requests(run, model, buckets))
  with open(os.path.join(folder, "batching_parameters.txt"), "w",
            encoding="utf-8") as f:
    f.write(_BATCHING.format(batch_size=_BATCH_SIZES[-1]))
  facts = _facts(run, model, buckets, is_pair) | dict(
      precision=options.precision)
  if options.litert:
    from official_style.serving import litert_export
    facts["litert"] = litert_export.write(
        folder, run, buckets, options.litert, is_pair)
  if options.onnx:
    from official_style.serving import onnx_export
    facts["onnx"] = onnx_export.write(folder, run, buckets, is_pair)
  export_manifest.write(folder, facts)
  _sync(folder)


def _facts(run, model, buckets, is_pair) -> dict:
  """What a manifest says besides the files."""
  return dict(
      source=dict(run=run.path, step=run.step, is_best=run.is_best,
                  untrained_schedule=run.untrained_schedule),
      labels=None if run.labels is None else run.labels.to_dict(),
      is_pair=is_pair, seq_length=run.seq_length, buckets=list(buckets),
      token_schedules=schedules_of(run.encoder),
      signatures={name: signature_facts(function)
                  for name, function in model.concrete.items()},
      vocabulary=dict(sha256=run.vocabulary.sha256, size=run.vocabulary.size,
                      lower_case=run.vocabulary.lower_case,
                      pair_separators=run.pair_separators),
      parameters=model.num_parameters,
      versions=run_folder.versions(), revision=run_folder.git_revision())


def signature_facts(function) -> dict:
  """Types and shapes of what a concrete function takes and gives."""
  def listed(specs):
    return {name: dict(dtype=spec.dtype.name, shape=spec.shape.as_list())
            for name, spec in specs}
  return dict(
      inputs=listed(sorted((spec.name, spec) for spec in tf.nest.flatten(
          function.structured_input_signature))),
      outputs=listed(sorted(function.structured_outputs.items())))


def _requests(run, model, buckets):
  """Yields a request for each signature of text, bucket and batch size."""
  for name, function in model.concrete.items():
    names = [spec.name for spec in tf.nest.flatten(
        function.structured_input_signature) if spec.dtype == tf.string]
    for n in buckets if names else ():
      # Halves of a pair; special tokens leave room for a few less.
      text = warm_up.text_of(run.tokenizer, (n - 4) // len(names))
      for b in _BATCH_SIZES:
        shape = [b] if run.num_choices == 1 else [b, run.num_choices]
        yield name, {name: tf.fill(shape, text) for name in names}


def _refuse_existing(path):
  if os.path.lexists(path):
    raise UserError(f"{path}: is there already, and a version is never "
                    "changed: leave --version out for the next number")


def _next_version(output: str) -> int:
  return 1 + max([int(name) for name in os.listdir(output)
                  if re.fullmatch(r"\d+", name)], default=0)


def _named(unfinished, options, passes) -> str:
  """Renames a whole folder, by whether it passes."""
  try:
    passed = passes(unfinished)
  except UserError as error:
    raise UserError(f"{_set_aside(unfinished, options)}: {error}") from error
  if not passed:
    return _set_aside(unfinished, options)
  _sync_folder(unfinished)  # Which may have got a report.
  return _give_name(unfinished, options)


def _set_aside(unfinished, options) -> str:
  version = options.version
  if version is None:
    version = _next_version(options.output)
  path = os.path.join(options.output, f"not_verified-{version}")
  shutil.rmtree(path, ignore_errors=True)
  os.rename(unfinished, path)
  return path


def _give_name(unfinished, options) -> str:
  """Renames a whole folder to its version."""
  while True:
    version = options.version
    if version is None:
      version = _next_version(options.output)
    path = os.path.join(options.output, str(version))
    try:
      # Not over an empty folder, which a rename would replace.
      _refuse_existing(path)
      os.rename(unfinished, path)
    except OSError as error:
      if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
        raise
      if options.version is not None:
        _refuse_existing(path)
      continue  # Another export was faster.
    _sync_folder(options.output)
    return path


def _sync(folder):
  """Leaves nothing of a folder in memory only."""
  for where, _, names in os.walk(folder):
    for name in names:
      descriptor = os.open(os.path.join(where, name), os.O_RDONLY)
      os.fsync(descriptor)
      os.close(descriptor)
    _sync_folder(where)


def _sync_folder(path):
  descriptor = os.open(path, os.O_RDONLY)
  os.fsync(descriptor)
  os.close(descriptor)
