"""Converts BERT weights between projects; checks that they compute the same.

    python tools/convert_checkpoint.py --input=uncased_L-12_H-768_A-12 \\
        --output=bert_base --to=run

reads folders of Google's first BERT, Hugging Face (BERT, RoBERTa, Bort), Model
Garden's TensorFlow 2 checkpoints and runs of this project; writes folders that
train.py, transformers, Model Garden or KerasHub load. Nothing is unpickled, and
no archive but PyTorch's and no HDF5 file is opened. Every array is accounted
for, weights that look random are refused, and the output is read back and
compared before it gets its name.
"""

import os
import sys

from absl import flags
from absl import logging

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_INPUT = flags.DEFINE_string(
    "input", None, "folder of the weights, or prefix of a TensorFlow "
    "checkpoint", required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "folder to write; must not exist", required=True)
_TO = flags.DEFINE_enum(
    "to", "run", ("run", "huggingface", "model_garden", "kerashub"),
    "whose layout to write")
_WITHOUT_HEAD = flags.DEFINE_boolean(
    "without_head", False, "leave the masked-LM head out; in Hugging Face's "
    "layout a model with that head has no pooler")
_SEQ_LENGTH = flags.DEFINE_integer(
    "seq_length", None, "tokens of a row, of a run: what is longer is cut when "
    "it is served or searched with; by default all there are positions for")
_TEXT_COLUMNS = flags.DEFINE_string(
    "text_columns", "text", "of files with rows of a classifier that becomes a "
    "run; two for pairs")
_LABEL_COLUMN = flags.DEFINE_string(
    "label_column", "label", "of files with rows of such a classifier")
_ALLOW_UNTRAINED = flags.DEFINE_boolean(
    "allow_untrained", False, "convert weights that look random too")



def main(argv):
  """Returns the exit code: 0, or 2 after a mistake."""
  del argv
  from official_style import command_end
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  logging.set_verbosity(logging.WARNING)  # TensorFlow's notes on its files.
  return command_end.exit_code(_convert, resumes=False)


def _convert():
  from official_style.checkpoints import conversion
  from official_style.checkpoints import run_writer
  from official_style.errors import UserError
  try:
    conversion.convert(
        _INPUT.value, _OUTPUT.value, _TO.value, _WITHOUT_HEAD.value,
        _ALLOW_UNTRAINED.value, lambda line: print(line, flush=True),
        run_writer.RunRows(
            _SEQ_LENGTH.value, _TEXT_COLUMNS.value, _LABEL_COLUMN.value))
  except OSError as error:
    raise UserError(str(error)) from error


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
