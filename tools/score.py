"""Files of texts to files of predictions.

    python tools/score.py --input='texts/*.tsv.gz' --model=exports/bert \\
        --output_dir=scores

reads .txt (a text a line), .tsv, .csv and .jsonl files, or .gz of these, and
writes scores/part-00000.tsv, ...: file, row, label and probabilities; of a
pretrained model embeddings. Rows that can't be scored are in bad_rows.tsv with
the reason, digests of all files in manifest.json. Rows keep the order of the
files, which are sorted by name.

Killed at any moment, the same command goes on with the parts that are missing.
If the texts, the model or a setting that decides the bytes has changed, it says
which. The bytes do not depend on --num_workers or --runner, on machines of one
kind.

Memory: the model, and two parts of --rows_per_part rows of ids (4 MB of 1000
rows of 512 tokens) and their answers, --num_workers batches of --batch_tokens
in the model, and one text of at most 8 MB.

--runner=spark and --runner=beam, with their extras, need the folders under the
same path on all machines, and official-style installed there.
"""

import os
import sys
import time

from absl import flags

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

_INPUT = flags.DEFINE_string(
    "input", None, "files, globs and folders, separated by commas",
    required=True)
_MODEL = flags.DEFINE_string(
    "model", None, "folder of an export, or of one of its versions; else the "
    "newest is taken", required=True)
_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", None, "folder to make", required=True)
_TEXT_COLUMNS = flags.DEFINE_string(
    "text_columns", "", "one or two columns of TSV, CSV or JSONL files, by name"
    " or by number from 0 where there is no header; by default a usual name")
_SIGNATURE = flags.DEFINE_string(
    "signature", "ids", "one that takes ids; ids_2x, say, of a pyramid that "
    "was trained for several budgets")
_FORMAT = flags.DEFINE_enum(
    "format", None, ["tsv", "jsonl", "npy"], "of the parts; by default tsv, of "
    "embeddings jsonl. npy: float32, and a .tsv that says which rows")
_EMBEDDING = flags.DEFINE_enum(
    "embedding", None, ["mean", "cls", "pooled"], "of a pretrained model; by "
    "default mean")
_DECIMALS = flags.DEFINE_integer(
    "decimals", 5, "digits after the point, 1 to 9")
_ROWS_PER_PART = flags.DEFINE_integer(
    "rows_per_part", 1000, "rows of each file that is written")
_BATCH_TOKENS = flags.DEFINE_integer(
    "batch_tokens", 4096, "tokens of a batch, padding included")
_MAX_BATCH_ROWS = flags.DEFINE_integer(
    "max_batch_rows", 128, "rows of a batch")
_NUM_WORKERS = flags.DEFINE_integer(
    "num_workers", 0, "batches at a time, of Spark and Beam parts; 0: one for "
    "each core, and 8 with --server")
_SERVER = flags.DEFINE_list(
    "server", [], "host:port of servers of the export, instead of loading it; "
    "a name stands for all addresses behind it. --model is still read, for "
    "vocabulary and labels, and must be what is served")
_SERVER_MODEL = flags.DEFINE_string(
    "server_model", None, "name of the model there; by default that of the "
    "folder of --model")
_TRANSPORT = flags.DEFINE_enum(
    "transport", "grpc", ["grpc", "rest"], "to the servers")
_TIMEOUT = flags.DEFINE_float(
    "timeout_s", 60.0, "of one try at a batch, of a server")
_DEADLINE = flags.DEFINE_float(
    "deadline_s", 600.0, "of a batch, all tries and pauses, of a server")
_RUNNER = flags.DEFINE_enum(
    "runner", "local", ["local", "spark", "beam"], "spark and beam need their "
    "extra: pip install 'official-style[spark]'")
_SPARK_ARGS = flags.DEFINE_multi_string(
    "spark_args", [], "configuration of Spark, as spark.master=yarn; "
    "repeatable")
_BEAM_ARGS = flags.DEFINE_multi_string(
    "beam_args", [], "options of the Beam pipeline, as --runner=FlinkRunner; "
    "repeatable")


# Rows of a batch that an export tells a server to take.
_SERVER_ROWS = 32


def _server_options(export):
  """Name and settings of the client, of `ScoringOptions`."""
  folder, version = os.path.abspath(export), None
  if os.path.basename(folder).isdigit():
    # No other answers, should the server take up a newer one on the way.
    folder, version = os.path.split(folder)
  return dict(
      servers=tuple(_SERVER.value),
      server_model=_SERVER_MODEL.value or os.path.basename(folder),
      server_options=(
          ("transport", _TRANSPORT.value), ("timeout_s", _TIMEOUT.value),
          ("deadline_s", _DEADLINE.value), ("rows_per_request", _SERVER_ROWS),
          ("version", version and int(version))))


def _options():
  from official_style.data import text_paths
  from official_style.serving import export_manifest
  from official_style.serving.scoring import input_file
  from official_style.serving.scoring import scoring
  from official_style.serving.scoring import scoring_job
  cores = len(os.sched_getaffinity(0)) if hasattr(
      os, "sched_getaffinity") else os.cpu_count() or 1
  runner_args = {"local": (), "spark": _SPARK_ARGS.value,
                 "beam": _BEAM_ARGS.value}[_RUNNER.value]
  if _SERVER.value:
    cores = scoring_job.ASKED_AT_A_TIME
  export = export_manifest.newest(_MODEL.value, "--model")
  paths = text_paths.expand_paths(
      _INPUT.value, extensions=input_file.EXTENSIONS)
  # A folder of texts may hold that of the answers, of which none is a text when
  # the same command goes on.
  made = os.path.join(os.path.realpath(_OUTPUT_DIR.value), "")
  paths = [path for path in paths
           if not os.path.realpath(path).startswith(made)] or paths
  return scoring.ScoringOptions(
      paths=tuple(paths),
      export=export, output_dir=_OUTPUT_DIR.value, signature=_SIGNATURE.value,
      text_columns=_TEXT_COLUMNS.value, form=_FORMAT.value,
      embedding=_EMBEDDING.value, decimals=_DECIMALS.value,
      rows_per_part=_ROWS_PER_PART.value, batch_tokens=_BATCH_TOKENS.value,
      max_batch_rows=_MAX_BATCH_ROWS.value, runner=_RUNNER.value,
      num_workers=_NUM_WORKERS.value or cores,
      runner_args=tuple(runner_args), **_server_options(export))


class _LiveLine:
  """Rows done, rows a second and time to go."""

  def __init__(self):
    self._progress = self._first = self._started = None

  def show(self, done, total):
    from official_style.training.progress import Progress
    if self._progress is None:
      # What is done at the first call is an earlier process's.
      self._progress, self._first = Progress(total, done), done
      self._started = time.monotonic()
    text = f"{done:,} of {total:,} rows"
    if done > self._first:
      seconds = max(time.monotonic() - self._started, 1e-9)
      text += f", {(done - self._first) / seconds:.1f} rows/s"
    self._progress.show(done, text)

  def say(self, line):
    if sys.stderr.isatty():
      sys.stderr.write("\r\x1b[K")
    print(line, file=sys.stderr, flush=True)


def _score():
  from official_style import tensorflow_environment
  from official_style.serving.scoring import scoring
  tensorflow_environment.prepare()
  live, started = _LiveLine(), time.monotonic()
  options = _options()
  counts = scoring.score(options, live.show, live.say)
  seconds = time.monotonic() - started
  bad = os.path.join(options.output_dir, "bad_rows.tsv")
  line = f"{counts['rows']:,} rows: {counts['scored']:,} scored, "
  line += f"{counts['bad_rows']:,} bad"
  if counts["bad_rows"]:
    line += f" ({bad})"
  live.say(line)
  if counts["new_rows"]:
    live.say(f"{counts['new_rows']:,} rows in {seconds:.1f} s, "
             f"{counts['new_rows'] / seconds:.1f} rows/s, loading included")
  live.say(f"{options.output_dir}: {counts['parts']:,} parts and "
           "manifest.json")


def main(argv):
  """Returns the exit code: 0, 2 after a mistake, 130 after Ctrl-C."""
  del argv
  from official_style import command_end
  return command_end.exit_code(_score)


if __name__ == "__main__":
  from official_style import tool_flags
  tool_flags.run(main)
