"""Learns a WordPiece vocabulary for any language from text.

    python tools/build_vocab.py --input='corpus/*.jsonl.gz' \\
        --output=vocab.txt --size=32000 --lower_case=false

reads what `build_pretraining_data.py` reads. All text is read, but of large
corpora only a sample of documents is learned from, drawn by the hash of their
text: the same text gives the same file, in whatever order. Memory is about 100
MB and 3 bytes for each of --sample_characters, 6 in scripts other than Latin.
"""

import os
import sys
import time

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_INPUT = flags.DEFINE_string(
    "input", None, "text files, globs and directories, separated by commas",
    required=True)
_OUTPUT = flags.DEFINE_string(
    "output", None, "the vocab.txt to write", required=True)
_SIZE = flags.DEFINE_integer(
    "size", 30_000, "number of tokens, the five special ones included")
_LOWER_CASES = {"auto": None, "true": True, "false": False}
_LOWER_CASE = flags.DEFINE_enum(
    "lower_case", "auto", list(_LOWER_CASES),
    "lower-case the text and strip its accents; auto: unless they are a part "
    "of its letters, as in Hindi or Thai")
_MIN_FREQUENCY = flags.DEFINE_integer(
    "min_frequency", 2, "how often a piece must occur in the sample")
_SAMPLE_CHARACTERS = flags.DEFINE_integer(
    "sample_characters", 100_000_000, "most characters to learn from")
_TEXT_FIELD = flags.DEFINE_string(
    "text_field", "text", "key of the text in .jsonl files")
_ALLOW_SMALLER = flags.DEFINE_boolean(
    "allow_smaller", False, "be content with fewer tokens than --size")


def build(say):
  """Learns and writes the vocabulary that the flags ask for."""
  from official_style import files
  from official_style.data import document_sample
  from official_style.data import text_files
  from official_style.data import text_report
  from official_style.data import vocabulary_training
  from official_style.errors import UserError

  for name, flag in (("min_frequency", _MIN_FREQUENCY),
                     ("sample_characters", _SAMPLE_CHARACTERS)):
    if flag.value < 1:
      raise UserError(f"--{name}={flag.value}: give at least 1")
  if os.path.exists(_OUTPUT.value):
    raise UserError(f"{_OUTPUT.value}: exists already; delete it or choose "
                    "another --output")
  files.check_writable(_OUTPUT.value)
  report = text_report.TextReport()
  paths = text_files.expand_paths(_INPUT.value, report)
  sample, (_, total) = document_sample.sample_documents(
      text_files.iter_documents(paths, report, _TEXT_FIELD.value),
      _SAMPLE_CHARACTERS.value)
  say(f"text: {report.describe()}")
  used = sum(map(len, sample))
  if used < total:
    say(f"sample: {len(sample):,} documents, {used / 1e6:.1f} M characters")
  vocabulary = vocabulary_training.train_vocabulary(
      sample, _SIZE.value, _LOWER_CASES[_LOWER_CASE.value],
      _ALLOW_SMALLER.value, _SAMPLE_CHARACTERS.value, _MIN_FREQUENCY.value,
      setting="--size")
  vocabulary.save(_OUTPUT.value)
  return vocabulary


def describe(vocabulary):
  """Returns a line about the vocabulary, for a human."""
  words = [token for token in vocabulary.tokens[len(vocabulary.special_ids):]
           if not token.startswith("##")]
  characters = sum(len(word) == 1 for word in words)
  longest = max(words, key=len)
  return (f"{vocabulary.size:,} tokens, "
          f"{vocabulary.case}: {characters:,} "
          f"characters, {len(words) - characters:,} longer beginnings of words "
          f"(the longest {longest!r}), "
          f"{int(vocabulary.is_continuation.sum()):,} continuations; sha256 "
          f"{vocabulary.sha256[:12]}")


def main(argv):
  """Returns the exit code: 0, or 2 after a mistake."""
  del argv
  from official_style import command_end
  return command_end.exit_code(_build, resumes=False)


def _build():
  started = time.monotonic()
  say = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
  vocabulary = build(say)
  say(f"{_OUTPUT.value}: {describe(vocabulary)}; "
      f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
