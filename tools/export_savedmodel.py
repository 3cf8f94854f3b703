"""Writes a run as a folder that TensorFlow Serving loads, and verifies it.

    python tools/export_savedmodel.py --model_dir=runs/pyramid_bert \\
        --output=exports/pyramid_bert --verify

A classifier reads text and answers labels, probabilities and logits; a
pretrained encoder gives embeddings and words for [MASK]. Tokenizer and
vocabulary are inside. --verify copies the folder elsewhere, makes it read-only
and loads it in processes that can't import this program, in Python and through
TensorFlow's C API, compares what it answers with the checkpoint, and times it.
The version gets its number after that, and is not_verified-N where it fails.
"""

import os
import sys

from absl import flags
from absl import logging

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_MODEL_DIR = flags.DEFINE_string(
    "model_dir", None, "folder of a run", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "folder of the model; each version is a numbered folder in "
    "it", required=True)
_VERSION = flags.DEFINE_integer(
    "version", None, "number of the version; by default the next free one")
_STEP = flags.DEFINE_integer(
    "step", None, "whose weights; the best by default")
_BUCKETS = flags.DEFINE_list(
    "buckets", None, "lengths that requests are padded to, besides the run's; "
    "by default 32,64,128,...")
_PAIR = flags.DEFINE_boolean(
    "pair", None, "whether texts come in pairs; by default as in training")
_TOP_K = flags.DEFINE_integer(
    "top_k", 5, "words for each [MASK], of pretrained models")
_LITERT = flags.DEFINE_boolean(
    "litert", False, "also LiteRT files, one row of each bucket")
_LITERT_INT8 = flags.DEFINE_boolean(
    "litert_int8", False, "also LiteRT files with int8 weights")
_EMBEDDINGS = flags.DEFINE_boolean(
    "embeddings", False, "also a signature with a fine-tuned encoder's "
    "embeddings of texts")
_ONNX = flags.DEFINE_boolean(
    "onnx", False, "also ONNX files, any number of rows of each bucket")
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16"],
    "of products with weights; bfloat16 is for processors with AMX or AVX-512 "
    "BF16, and answers a little otherwise")
_TOKEN_SCHEDULE_FILE = flags.DEFINE_string(
    "token_schedule_file", None, "list of tokens that tools/search_schedule.py "
    "found: a plain BERT becomes a pyramid without training")
_VERIFY = flags.DEFINE_boolean(
    "verify", False, "load it elsewhere and compare; writes verify.json")
_FILE = flags.DEFINE_string(
    "file", None, "rows for --verify: a .txt with a text a line, or labelled "
    "rows; by default some that the run was evaluated on")
_LIMIT = flags.DEFINE_integer("limit", 64, "rows of --file or of the run")

_NOT_VERIFIED = 1


def _verifier(run, reports, show):
  """What says of a folder whether it passes, and adds its report to a list."""
  from official_style.serving import savedmodel_export
  from official_style.serving import verification
  from official_style.serving import verification_cases
  # Read before the export, which would be in vain.
  rows = verification_cases.rows_of(
      run, _FILE.value, _LIMIT.value,
      savedmodel_export.is_pair_of(run, _PAIR.value))

  def passes(folder):
    reports.append(verification.verify(folder, run, rows, show))
    return reports[-1].passed
  return passes


def _export(show) -> int:
  """Exports as the flags ask; returns the exit code."""
  from official_style.errors import UserError
  from official_style.serving import export_manifest
  from official_style.serving import file_answers
  from official_style.serving import savedmodel_export
  from official_style.training import finished_run
  from official_style.training import untrained_schedule
  buckets = None
  if _BUCKETS.value is not None:
    try:
      buckets = tuple(int(n) for n in _BUCKETS.value)
    except ValueError as error:
      raise UserError(f"--buckets={','.join(_BUCKETS.value)}: must be whole "
                      "numbers, as 32,64,128") from error
  if _TOP_K.value < 1:
    raise UserError(f"--top_k={_TOP_K.value}: must be at least 1")
  run = finished_run.load(_MODEL_DIR.value, _STEP.value)
  if _TOKEN_SCHEDULE_FILE.value is not None:
    run = untrained_schedule.with_schedule(run, _TOKEN_SCHEDULE_FILE.value)
  litert = [kind for kind, flag in (
      ("float32", _LITERT), ("int8", _LITERT_INT8)) if flag.value]
  options = savedmodel_export.ExportOptions(
      _OUTPUT.value, _VERSION.value, buckets, _PAIR.value, _TOP_K.value,
      tuple(litert), _ONNX.value, _EMBEDDINGS.value, _PRECISION.value)
  reports = []
  folder = savedmodel_export.export(
      run, options, show, *([_verifier(run, reports, show)]
                            if _VERIFY.value else []))
  show("")
  print(f"{folder}: {run.title}")
  facts = export_manifest.read(folder)
  for name in ("litert", "onnx"):
    for file in facts.get(name, ()):
      print(f"  {file_answers.line(file)}")
  for report in reports:
    print("\n".join(report.lines()))
  return 0 if all(report.passed for report in reports) else _NOT_VERIFIED


def main(argv):
  """Returns the exit code: 0, 1 if it answers otherwise, 2 after a mistake."""
  del argv
  from official_style import command_end
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  logging.set_verbosity(logging.WARNING)
  is_terminal = sys.stderr.isatty()

  def show(line):
    if is_terminal:
      print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)

  return command_end.exit_code(lambda: _export(show), resumes=False)


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
