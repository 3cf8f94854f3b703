"""Files of texts to files of predictions: the whole of it."""

import dataclasses
import importlib.metadata
import os
import threading
from typing import Callable, Optional

from official_style import tensorflow_environment
from official_style.errors import UserError
from official_style.serving.scoring import answer_rows
from official_style.serving.scoring import part_plan
from official_style.serving.scoring import scored_export
from official_style.serving.scoring import scoring_folder
from official_style.serving.scoring import scoring_job

LOCAL, SPARK, BEAM = "local", "spark", "beam"
RUNNERS = (LOCAL, SPARK, BEAM)
_POLL_SECONDS = 1.0


@dataclasses.dataclass(frozen=True)
class ScoringOptions:
  """What to score, and how.

  Attributes:
    paths: files, in order.
    export: folder of a version.
    output_dir: folder to make, or to go on with.
    signature: one of ids.
    text_columns: as --text_columns.
    form, embedding, decimals: see `answer_rows.of`.
    rows_per_part: rows of each part but the last.
    batch_tokens, max_batch_rows: of a batch.
    runner: one of `RUNNERS`.
    num_workers: batches at a time; of Spark and Beam parts.
    runner_args: of Spark or Beam.
    servers, server_model, server_options: see `ScoringJob`.
  """
  paths: tuple
  export: str
  output_dir: str
  signature: str = "ids"
  text_columns: str = ""
  form: Optional[str] = None
  embedding: Optional[str] = None
  decimals: int = 5
  rows_per_part: int = 1000
  batch_tokens: int = 4096
  max_batch_rows: int = 128
  runner: str = LOCAL
  num_workers: int = 1
  runner_args: tuple = ()
  servers: tuple = ()
  server_model: str = ""
  server_options: tuple = ()


def score(options: ScoringOptions,
          show: Callable[[int, int], None] = lambda done, total: None,
          say: Callable[[str], None] = lambda line: None) -> dict:
  """Scores what is missing.

  Args:
    options: what and how.
    show: takes rows done and rows in all, now and then.
    say: takes a line now and then.

  Returns:
    Of `ScoringFolder.finish`; and `new_rows`, of parts that were missing.

  Raises:
    UserError: for a mistake in the options, the files, or the export.
  """
  tensorflow_environment.prepare()
  _check(options)
  export = scored_export.ScoredExport(options.export, options.signature)
  answer_format = answer_rows.of(
      export, options.form, options.embedding, options.decimals)
  if export.num_texts == 2 and options.text_columns.count(",") == 0 and (
      options.text_columns):
    raise UserError(f"--text_columns={options.text_columns}: "
                    f"{options.export} reads pairs of texts: give two columns")
  plan = part_plan.of(options.paths, options.text_columns,
                      options.rows_per_part, say)
  for file in plan.files:
    if len(file.columns) != export.num_texts:
      raise UserError(
          f"{file.path}: {len(file.columns)} texts a row, and {options.export} "
          f"reads {export.num_texts}: give --text_columns")
  job = scoring_job.ScoringJob(
      os.path.abspath(options.output_dir), os.path.abspath(options.export),
      options.signature, answer_format, options.batch_tokens,
      options.max_batch_rows, options.servers, options.server_model,
      options.server_options, tuple(tensorflow_environment.settings().items()))
  folder = scoring_folder.ScoringFolder(options.output_dir)
  with folder.begin(_settings(options, export, plan, answer_format), plan):
    folder.remove_unfinished()
    folder.raise_errors(remove=True)
    missing = [n for n in range(len(plan.parts)) if not folder.is_whole(n)]
    for number in missing:
      folder.forget(number)
    new_rows = sum(map(plan.num_rows_of, missing))
    if missing and new_rows < plan.num_rows:
      say(f"{options.output_dir}: goes on, {plan.num_rows - new_rows:,} of "
          f"{plan.num_rows:,} rows are there")
    if missing:
      _run(options, job, plan, folder, missing, show)
    return folder.finish(plan) | dict(new_rows=new_rows)


def _check(options):
  if not options.output_dir:
    raise UserError("--output_dir: is empty: give a folder")
  for name, least in (("rows_per_part", 1), ("batch_tokens", 1),
                      ("max_batch_rows", 1), ("num_workers", 1)):
    value = getattr(options, name)
    if value < least:
      raise UserError(f"--{name}={value}: must be at least {least}")


def _settings(options, export, plan, answer_format) -> dict:
  """All that decides the bytes, and nothing else."""
  settings = {
      "model": dict(sha256=export.digest, signature=options.signature),
      "input": {file.path: digest for file, digest in zip(
          plan.files, plan.sha256)},
      "columns": {file.path: list(file.columns) for file in plan.files},
      "--rows_per_part": options.rows_per_part,
      "--batch_tokens": options.batch_tokens,
      "--max_batch_rows": options.max_batch_rows,
      "format": dataclasses.asdict(answer_format),
      "backend": "server" if options.servers else "in this process"}
  if not options.servers:
    settings["tensorflow"] = dict(
        version=importlib.metadata.version("tensorflow"),
        **tensorflow_environment.settings())
  return settings


def _run(options, job, plan, folder, missing, show):
  """Scores parts that are missing, and shows how far it is."""
  total = plan.num_rows
  done = total - sum(map(plan.num_rows_of, missing))
  if options.runner == LOCAL:
    from official_style.serving.scoring import local_runner
    from official_style.serving.scoring import part_scorer
    # Loading takes as long for few rows as for many: time runs from here.
    predictor, counted = job.open_predictor(options.num_workers), [done]
    show(done, total)

    def answered(rows):
      counted[0] += rows
      show(counted[0], total)
    local_runner.run(
        part_scorer.PartScorer(job, plan, predictor), missing,
        options.num_workers, answered)
    return
  show(done, total)
  if options.runner == SPARK:
    from official_style.serving.scoring import spark_runner as runner
  else:
    from official_style.serving.scoring import beam_runner as runner
  with _Watched(plan, folder, missing, done, show):
    runner.run(job, missing, options.num_workers, options.runner_args)
  folder.raise_errors()
  lost = [n for n in missing if folder.facts(n) is None]
  if lost:
    raise UserError(
        f"--runner={options.runner}: {len(lost)} parts are not in "
        f"{options.output_dir}: is it under that path on all workers?")


class _Watched:
  """Shows how many rows are done, by what appears in the folder."""

  def __init__(self, plan, folder, missing, done, show):
    self._left, self._done = set(missing), done
    self._plan, self._folder, self._show = plan, folder, show
    self._stop = threading.Event()
    self._thread = threading.Thread(target=self._watch, daemon=True)

  def __enter__(self):
    self._thread.start()

  def __exit__(self, *unused):
    self._stop.set()
    self._thread.join()

  def _watch(self):
    while not self._stop.wait(_POLL_SECONDS):
      for number in sorted(self._left):
        if self._folder.is_done(number):
          self._left.discard(number)
          self._done += self._plan.num_rows_of(number)
      self._show(self._done, self._plan.num_rows)
