"""From one project's weights to another's, checked on the way.

    read -> table of what was found -> trained? -> write -> read back -> equal?

The output appears under its name when all of that has passed.
"""

import os
import shutil
from typing import Callable

import safetensors
import tensorflow as tf

from official_style import files
from official_style.checkpoints import conversion_checks
from official_style.checkpoints import google_reader
from official_style.checkpoints import huggingface_reader
from official_style.checkpoints import huggingface_writer
from official_style.checkpoints import named_weights
from official_style.checkpoints import run_writer
from official_style.checkpoints import tensorflow2_reader
from official_style.checkpoints import tensorflow2_writer
from official_style.data import labelled_files
from official_style.data import vocabulary as vocabulary_lib
from official_style.errors import UserError
from official_style.training import checkpoints

TARGETS = ("run", "huggingface", "model_garden", "kerashub")
_PREFIX = "bert_model.ckpt"
# A pair of words between special tokens.
_SHORTEST = 5


def read(path: str) -> named_weights.NamedWeights:
  """Reads weights in whichever layout they are.

  Raises:
    UserError: if they are in none that is known, or damaged.
  """
  if not os.path.isdir(path):
    if os.path.isfile(path) and not path.endswith(".index"):
      raise UserError(f"--input={path}: a file, where a folder or the prefix "
                      "of a TensorFlow checkpoint is expected; archives and "
                      "pickles are not opened: unpack it where you trust it")
    return tensorflow2_reader.read(path)
  if google_reader.is_folder(path):
    return google_reader.read(path)
  if huggingface_reader.is_folder(path):
    return huggingface_reader.read(path)
  return tensorflow2_reader.read(path)


def convert(source: str, output: str, target: str, without_head: bool,
            allow_untrained: bool, say: Callable[[str], None],
            rows: run_writer.RunRows = run_writer.RunRows()):
  """Converts weights, and says what became of each.

  Args:
    source: a folder or prefix. output: a folder that doesn't exist yet.
    target: one of `TARGETS`.
    without_head: leaves the masked-LM head and a classifier out.
    allow_untrained: whether weights that look untrained are converted.
    say: takes lines.
    rows: that a run is for.

  Raises:
    UserError: for anything that is not as it has to be; nothing is left
      under `output` then.
  """
  if os.path.lexists(output):
    raise UserError(f"--output={output}: exists already: delete it or choose "
                    "another name")
  weights = read(source)
  _check_rows(rows, target, weights)
  dropped = _dropped(target, without_head)
  arrays = weights.read([name for name in weights.original
                         if not name.startswith(dropped)])
  for line in _table(weights, arrays):
    say(line)
  _refuse_gaps(weights)
  vocabulary = None
  if weights.vocab_file:
    vocabulary = vocabulary_lib.Vocabulary.load(
        weights.vocab_file, weights.lower_case)
  _refuse_target(target, weights, vocabulary)
  trained, lines = conversion_checks.trained(arrays, weights.sizes, vocabulary)
  for line in lines:
    say(line)
  if not trained and not allow_untrained:
    raise UserError(f"{weights.place}: these weights know no more than random "
                    "ones: give others, or convert them all the same with "
                    "--allow_untrained")
  back = _write_checked(output, target, arrays, weights, vocabulary, say,
                        rows)
  left_out = [name for name in weights.original
              if name not in back.original
              and name not in huggingface_writer.moved(target, arrays)]
  if left_out:
    say(f"left out: {', '.join(left_out)}")
  say(f"{output}: written, to be loaded {_how(target, output)}")


def _check_rows(rows, target, weights):
  """Refuses rows that are not of the target, or these weights can't read."""
  if rows != run_writer.RunRows() and target != "run":
    raise UserError(f"--to={target}: has no rows: leave --seq_length, "
                    "--text_columns and --label_column out, or give --to=run")
  most = weights.sizes.max_position_embeddings
  if rows.seq_length is not None and not (
      _SHORTEST <= rows.seq_length <= most):
    raise UserError(f"--seq_length={rows.seq_length}: must be {_SHORTEST} to "
                    f"{most}, the positions of these weights")
  labelled_files.layout_of(
      "", rows.text_columns, rows.label_column, "", None, False)


def _dropped(target, without_head) -> tuple[str, ...]:
  """What the names of arrays that are not converted begin with."""
  if without_head or target == "kerashub":
    return named_weights.HEAD, named_weights.CLASSIFIER
  # Nothing there says what its outputs mean.
  return (named_weights.CLASSIFIER,) if target == "model_garden" else ("-",)


def _table(weights, arrays) -> list[str]:
  """What was found, a line each."""
  missing = [name for name in weights.shapes()
             if name not in weights.original]
  count = sum(x.size for x in arrays.values())
  return [f"{weights.place}: {weights.sizes.describe()}",
          f"  loaded      {len(arrays)} arrays, {count:,} weights",
          f"  missing     {', '.join(missing) or 'none'}",
          f"  unexpected  {', '.join(weights.unused) or 'none'}",
          "  mismatched  none",
          *(f"  note: {note}" for note in weights.notes)]


def _refuse_gaps(weights):
  """Pooler and head may be missing, but only whole."""
  missing = [name for name in weights.shapes()
             if name not in weights.original]
  optional = tuple(part for part in (named_weights.POOLER, named_weights.HEAD)
                   if not weights.has(part))
  refused = [name for name in missing
             if not optional or not name.startswith(optional)]
  if refused:
    shown = ", ".join(refused[:5]) + (", ..." if len(refused) > 5 else "")
    raise UserError(f"{weights.place}: {len(refused)} arrays are missing: "
                    f"{shown}: these are not all of a BERT's")


def _refuse_target(target, weights, vocabulary):
  """What a layout can't hold."""
  if vocabulary is None:
    name = ("vocab.json and merges.txt" if weights.bpe_folder else
            "vocab.txt")
    if target != "model_garden":
      raise UserError(f"--to={target}: needs a vocabulary, and that of these "
                      f"weights ({name}) is not beside {weights.place}: put it "
                      "there, or choose --to=model_garden")
  elif vocabulary.is_byte_bpe and target == "kerashub":
    raise UserError("--to=kerashub: KerasHub's BERT has WordPieces, and these "
                    "weights are of a byte-level BPE: choose --to=huggingface")
  elif vocabulary.is_bytes and target in ("huggingface", "kerashub"):
    raise UserError(f"--to={target}: its tokenizers of BERT know no bytes, and "
                    "these weights are of the 256 bytes: choose --to=run or "
                    "--to=model_garden")
  if target != "kerashub":
    return
  for name, value in (("type_vocab_size", 2), ("norm_epsilon", 1e-12),
                      ("max_position_embeddings", 512)):
    if getattr(weights.sizes, name) != value:
      raise UserError(f"--to=kerashub: KerasHub's BERT has {name}={value}, and "
                      f"these weights {getattr(weights.sizes, name)}")
  if weights.sizes.hidden_activation == "relu":
    raise UserError("--to=kerashub: KerasHub's BERT computes a GELU, and these "
                    "weights were trained with a ReLU: choose another layout")
  if not weights.has(named_weights.POOLER):
    raise UserError("--to=kerashub: KerasHub's BERT has a pooler, and these "
                    "weights have none")


def _write_checked(output, target, arrays, weights, vocabulary, say,
                   rows):
  """Writes, reads back and compares; then the output gets its name.

  Returns:
    What was read back.
  """
  unfinished = f"{output.rstrip('/')}.tmp-{os.getpid()}"
  files.remove_leftovers(output)
  shutil.rmtree(unfinished, ignore_errors=True)
  try:
    os.makedirs(unfinished)
    _write(unfinished, target, arrays, weights, vocabulary, rows)
    back = _read_back(unfinished, target)
    for line in conversion_checks.equal(
        arrays, weights.sizes, back.read(list(back.original)), back.sizes):
      say(line)
    os.replace(unfinished, output)
    return back
  except (OSError, tf.errors.OpError, safetensors.SafetensorError) as error:
    if not checkpoints.is_disk_full(error):
      if not isinstance(error, OSError):
        raise
      raise UserError(f"--output={output}: can't be written "
                      f"({error.strerror}): choose another") from error
    raise UserError(f"--output={output}: no space left on the disk: make room, "
                    "and run the same command again") from error
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)


def _write(folder, target, arrays, weights, vocabulary, rows):
  classifier = weights.classifier if any(
      name.startswith(named_weights.CLASSIFIER) for name in arrays) else None
  if target == "run":
    run_writer.write(folder, arrays, weights.sizes, vocabulary,
                     weights.place, classifier, rows)
  elif target == "model_garden":
    tensorflow2_writer.write(os.path.join(folder, _PREFIX), arrays)
    if vocabulary is not None:
      vocabulary.save(os.path.join(folder, "vocab.txt"))
  else:
    huggingface_writer.write(folder, arrays, weights.sizes, vocabulary,
                             weights.bpe_folder, classifier)


def _read_back(folder, target) -> named_weights.NamedWeights:
  if target == "run":
    return tensorflow2_reader.read(folder)
  if target == "model_garden":
    return tensorflow2_reader.read(os.path.join(folder, _PREFIX))
  return huggingface_reader.read(folder)


def _how(target, output) -> str:
  return {
      "run": f"with --init_checkpoint={output}, or exported with "
             f"--model_dir={output}",
      "huggingface": f"with from_pretrained({output!r}), or --init_checkpoint",
      "model_garden": f"as {os.path.join(output, _PREFIX)}",
      "kerashub": f"with BertBackbone.from_preset({output!r}); KerasHub "
                  "computes GELU by a tanh, whatever the weights were trained "
                  "with, and its BertTokenizer keeps accents unless it is "
                  "given strip_accents=True"}[target]
