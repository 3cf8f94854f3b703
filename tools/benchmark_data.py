"""Times the way from text to batches beside Hugging Face's `tokenizers`.

    python tools/benchmark_data.py --input=corpus.txt.gz --vocab_file=vocab.txt

In turns, round by round, each on one core: `encode_batch` of a
`BertWordPieceTokenizer` on documents in memory (its fast form too), our
tokenizer on the same, and the whole of `build_pretraining_data.py` from the
text file to finished shards, starting with empty tables each time. Then tokens
a second of batches (reading, packing, masking) from the token store and from
the shards. Prints medians over the rounds, and ratios of each round's times.
"""

import os
import statistics
import sys
import tempfile
import time

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_INPUT = flags.DEFINE_string("input", None, "text files", required=True)
_VOCAB_FILE = flags.DEFINE_string(
    "vocab_file", None, "a vocab.txt", required=True)
_MEGABYTES = flags.DEFINE_float("megabytes", 20.0, "MB of text to take")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "rounds", lower_bound=1)
_SEQ_LENGTH = flags.DEFINE_integer("seq_length", 128, "positions of a row")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 64, "rows of a batch")

_BASELINE = "tokenizers encode_batch"
_BATCHES = 50


def take_documents(path, megabytes):
  """Returns documents of the text, at least so many MB of them."""
  from official_style.data import text_files
  documents, size = [], 0
  for document in text_files.iter_documents(text_files.expand_paths(path)):
    documents.append(document)
    size += len(document.encode("utf-8"))
    if size >= megabytes * 1e6:
      break
  return documents, size


def contenders(documents, vocabulary, folder):
  """Returns dict name -> function that does the work once."""
  import tokenizers

  from official_style.data import shard_builder
  from official_style.data import shard_workers
  from official_style.data import sharded_corpus
  from official_style.data import tokenizer as tokenizer_lib

  theirs = tokenizers.BertWordPieceTokenizer(
      {token: i for i, token in enumerate(vocabulary.tokens)},
      lowercase=vocabulary.lower_case)
  text = os.path.join(folder, "text.txt")
  with open(text, "w", encoding="utf-8") as file:
    file.write("\n\n".join(documents))
  settings = shard_builder.ShardSettings(_SEQ_LENGTH.value)
  made = []

  def pipeline():
    made.append(os.path.join(folder, f"shards{len(made)}"))
    sharded_corpus.build_shards(
        [text], vocabulary, settings, made[-1],
        lambda *args: shard_workers.build_blocks(*args, num_workers=1))

  return {
      _BASELINE: lambda: theirs.encode_batch(
          documents, add_special_tokens=False),
      "tokenizers encode_batch_fast": lambda: (
          theirs._tokenizer.encode_batch_fast(
              documents, add_special_tokens=False)),
      "our tokenizer": lambda: tokenizer_lib.WordPieceTokenizer(
          vocabulary).encode_flat(documents),
      "text file to shards": pipeline,
  }


def take_turns(functions, rounds):
  """Returns dict name -> seconds of each round."""
  seconds = {name: [] for name in functions}
  for _ in range(rounds):
    for name, function in functions.items():
      started = time.perf_counter()
      function()
      seconds[name].append(time.perf_counter() - started)
  return seconds


def tokens_a_second(source, vocabulary):
  """Median over batches of shuffled, masked tokens a second."""
  from official_style.data import pretraining_batches
  batches = pretraining_batches.PretrainingBatches(
      source, vocabulary, global_batch_size=_BATCH_SIZE.value, seed=0,
      max_predictions=max(1, round(0.15 * _SEQ_LENGTH.value)))
  speeds = []
  for step in range(_BATCHES):
    started = time.perf_counter()
    batch = batches.batch(step)
    speeds.append(batch["input_mask"].sum() / (time.perf_counter() - started))
  return statistics.median(speeds)


def batch_sources(documents, vocabulary, folder):
  """Yields name and row source, from the same documents."""
  from official_style.data import packed_rows
  from official_style.data import token_store
  from official_style.data import token_store_building
  from official_style.data import tokenizer as tokenizer_lib
  path = os.path.join(folder, "store")
  token_store_building.build_token_store(
      documents, tokenizer_lib.WordPieceTokenizer(vocabulary), path)
  store = token_store.open_token_store(path, "train", vocabulary)
  yield "token store", packed_rows.PackedRows(
      store.tokens, store.offsets, vocabulary, _SEQ_LENGTH.value)
  from official_style.data import tfrecord_rows  # loads TensorFlow
  yield "shards", tfrecord_rows.TFRecordRows(
      os.path.join(folder, "shards0", "train-*"), _SEQ_LENGTH.value,
      vocabulary)


def main(argv):
  """Prints the tables."""
  del argv
  # One thread, as everything else here; read when the library first works.
  os.environ["TOKENIZERS_PARALLELISM"] = "false"
  os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
  from official_style.data import vocabulary as vocabulary_lib
  vocabulary = vocabulary_lib.Vocabulary.load(_VOCAB_FILE.value)
  documents, size = take_documents(_INPUT.value, _MEGABYTES.value)
  print(f"{len(documents)} documents, {size / 1e6:.1f} MB of text; "
        f"{_ROUNDS.value} rounds in turns; MB/s, median (least to most), and "
        f"median ratio to {_BASELINE}")
  with tempfile.TemporaryDirectory() as folder:
    seconds = take_turns(
        contenders(documents, vocabulary, folder), _ROUNDS.value)
    for name, times in seconds.items():
      speeds = [size / 1e6 / t for t in times]
      ratio = statistics.median(
          theirs / t for theirs, t in zip(seconds[_BASELINE], times))
      print(f"{name:30} {statistics.median(speeds):7.2f} "
            f"({min(speeds):.2f} to {max(speeds):.2f})  {ratio:6.2f}x")
    for name, source in batch_sources(documents, vocabulary, folder):
      speed = tokens_a_second(source, vocabulary)
      print(f"batches from {name:17} {speed / 1e6:7.2f} M tokens/s "
            f"({_BATCH_SIZE.value} rows of {_SEQ_LENGTH.value}, masked)")


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
