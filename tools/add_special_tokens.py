"""Gives GPT-2's byte-level BPE the special tokens that RoBERTa has.

    python tools/add_special_tokens.py --vocab_file=gpt2 --output=gpt2_special

reads encoder.json and vocab.bpe (or vocab.json and merges.txt) of the folder
gpt2 and writes gpt2_special/vocab.json and gpt2_special/merges.txt, which
--vocab_file takes everywhere. <s>, <pad>, </s> and <unk> are 0 to 3 and <mask>
is the last. RoBERTa itself has the same tokens under other ids, so this is for
models that are trained from the start: its weights, and Bort's, need its files.
"""

import os
import shutil
import sys

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", None, "the folder of a byte-level BPE without special tokens",
    required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "the folder to make", required=True)


def add():
  """Writes the folder; returns the `Vocabulary`."""
  from official_style import vocabulary_files
  from official_style.data import vocabulary as vocabulary_lib
  from official_style.errors import UserError

  if not os.path.exists(_VOCAB_FILE.value):
    raise UserError(f"--vocab_file={_VOCAB_FILE.value}: no such folder: give "
                    "that of vocab.json and merges.txt")
  path, merges_path = vocabulary_files.find(_VOCAB_FILE.value)
  if merges_path is None:
    raise UserError(f"--vocab_file={_VOCAB_FILE.value}: of WordPieces, which "
                    "have their special tokens: give a byte-level BPE")
  if os.path.lexists(_OUTPUT.value):
    raise UserError(f"--output={_OUTPUT.value}: exists already: delete it or "
                    "choose another name")
  vocabulary = vocabulary_lib.with_special_tokens(
      *vocabulary_files.read_byte_pairs(path, merges_path), path)
  unfinished = f"{_OUTPUT.value.rstrip('/')}.tmp-{os.getpid()}"
  try:
    os.makedirs(unfinished)
    vocabulary_files.write_byte_pairs(
        unfinished, vocabulary.tokens, vocabulary.merges)
    os.replace(unfinished, _OUTPUT.value)
  except OSError as error:
    raise UserError(f"--output={_OUTPUT.value}: cannot write "
                    f"({error.strerror}): check the folder") from error
  finally:
    shutil.rmtree(unfinished, ignore_errors=True)
  return vocabulary


def main(argv):
  """Returns the exit code: 0, or 2 after a mistake."""
  del argv
  from official_style import command_end
  return command_end.exit_code(_add, resumes=False)


def _add():
  vocabulary = add()
  named = ", ".join(f"{vocabulary.tokens[i]} {i}"
                    for i in sorted(vocabulary.special_ids))
  print(f"{_OUTPUT.value}: {vocabulary.size:,} tokens, {named}",
        file=sys.stderr)


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
