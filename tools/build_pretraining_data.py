"""Text to packed TFRecord shards for masked language modelling.

    python tools/build_pretraining_data.py --input='corpus/*.txt.gz' \\
        --vocab_file=vocab.txt --output_dir=shards --seq_length=128

reads .txt (an empty line ends a document) and .jsonl files, or .gz of both,
and writes shards/train-00000.tfrecord ..., shards/eval-00000.tfrecord ...,
manifest.json (counts, digests, padding) and vocab.txt, with vocab.merges.txt
where --vocab_file is of a byte-level BPE. Then

    python train.py --experiment=token_drop_bert \\
        --vocab_file=shards/vocab.txt --gin_params='SEQ_LENGTH = 128' \\
        --train_data='shards/train-*' --eval_data='shards/eval-*'

The bytes depend on the text, the vocabulary and the flags on content, not on
--num_workers or --runner. Killed at any moment, the same command goes on:
finished shards are kept in shards.partial. The records hold input_word_ids
without masks (they are drawn anew in each epoch), input_mask, input_type_ids,
document_ids and position_ids, which keep attention inside a document.

Memory: about 50 MB, and for each worker at most 200 MB and 6 times
--shard_megabytes; the text of a .gz is held about twice more for each worker.
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
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", None, "a vocab.txt, one token a line, or the folder of a "
    "byte-level BPE's vocab.json and merges.txt", required=True)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "folder to make", required=True)
_SEQ_LENGTH = flags.DEFINE_integer("seq_length", 128, "positions of a row")
_LOWER_CASE = flags.DEFINE_enum(
    "lower_case", "auto", ["auto", "true", "false"],
    "lower-case the text and strip accents; auto: as the vocabulary is")
_PACK = flags.DEFINE_boolean(
    "pack", True, "put several short documents into a row")
_EVAL_SHARE = flags.DEFINE_float(
    "eval_share", 0.02, "share of the documents to hold out")
_TEXT_FIELD = flags.DEFINE_string(
    "text_field", "text", "key of the text in .jsonl files")
_SHARD_MEGABYTES = flags.DEFINE_float(
    "shard_megabytes", 32.0, "MB of text that go into a shard")
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", 0, "processes; 0: one for each core")
_RUNNER = flags.DEFINE_enum(
    "runner", "local", ["local", "beam"],
    "beam: on Apache Beam, which pip install 'official-style[beam]' brings")
_BEAM_ARGS = flags.DEFINE_multi_string(
    "beam_args", [], "options of the Beam pipeline, as --runner=FlinkRunner")



def build(say, show):
  """Builds what the flags ask for; returns the manifest."""
  from official_style.data import shard_builder
  from official_style.data import sharded_corpus
  from official_style.data import text_paths
  from official_style.data import vocabulary as vocabulary_lib

  lower_case = {"auto": None, "true": True, "false": False}[_LOWER_CASE.value]
  vocabulary = vocabulary_lib.Vocabulary.load(_VOCAB_FILE.value, lower_case)
  settings = shard_builder.ShardSettings(
      _SEQ_LENGTH.value, _PACK.value, _EVAL_SHARE.value, _TEXT_FIELD.value,
      int(_SHARD_MEGABYTES.value * 1e6))
  return sharded_corpus.build_shards(
      text_paths.expand_paths(_INPUT.value), vocabulary, settings,
      _OUTPUT_DIR.value, _runner(), keep_compressed=_RUNNER.value == "local",
      progress=show, say=say)


def _runner():
  """Returns what runs the blocks, see `sharded_corpus.build_shards`."""
  if _RUNNER.value == "beam":
    from official_style.data import beam_shards
    return lambda *args: beam_shards.build_blocks(*args, _BEAM_ARGS.value)
  from official_style.data import shard_workers
  cores = len(os.sched_getaffinity(0)) if hasattr(
      os, "sched_getaffinity") else os.cpu_count() or 1
  return lambda *args: shard_workers.build_blocks(
      *args, _NUM_WORKERS.value if _NUM_WORKERS.value > 0 else cores)


class _LiveLine:
  """Megabytes done, speed and time to go."""

  def __init__(self):
    self._progress = self._first = self._started = None

  def show(self, done, total):
    from official_style.training.progress import Progress
    if self._progress is None:
      # What is done at the first call cost an unknown time, or none at all.
      self._progress, self._first = Progress(total), done
      self._started = time.monotonic()
    text = f"{done / 1e6:,.0f} of {total / 1e6:,.0f} MB of files"
    if done > self._first:
      seconds = time.monotonic() - self._started
      text += f", {(done - self._first) / seconds / 1e6:.1f} MB/s"
    self._progress.show(done, text)

  def say(self, line):
    if sys.stderr.isatty():
      sys.stderr.write("\r\x1b[K")
    print(line, file=sys.stderr, flush=True)


def main(argv):
  """Returns the exit code: 0, 2 after a mistake, 130 after Ctrl-C."""
  del argv
  from official_style import command_end
  return command_end.exit_code(_build)


def _build():
  from official_style.data import sharded_corpus
  live = _LiveLine()
  started = time.monotonic()
  manifest = build(live.say, live.show)
  for line in sharded_corpus.describe(manifest):
    live.say(line)
  megabytes = sum(counts["text_bytes"] for counts in
                  manifest["splits"].values()) / 1e6
  live.say(f"{_OUTPUT_DIR.value}: {len(manifest['files'])} shards of "
           f"{megabytes:,.1f} MB of text, "
           f"{time.monotonic() - started:.1f} s")


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
