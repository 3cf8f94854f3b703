"""From a fine-tuned run and a target to a file with a token schedule."""

import dataclasses
import os
import time
from typing import Any, Mapping, Sequence

import numpy as np
import tensorflow as tf

from official_style import files
from official_style.configs import schedule_file
from official_style.errors import UserError
from official_style.modeling.layers import token_selector
from official_style.search import budgets
from official_style.search import evaluation_log
from official_style.search import fine_tuned_run
from official_style.search import latency_measuring
from official_style.search import latency_table
from official_style.search import list_space
from official_style.search import prefix_evaluator
from official_style.search import quality
from official_style.search import row_set
from official_style.search import schedule_search
from official_style.search import search_report
from official_style.training import progress as progress_lib


@dataclasses.dataclass(frozen=True)
class SearchOptions:
  """What one search is asked for.

  Attributes:
    model_dir: of the run.
    output: the file to write; what is kept on the way lies beside it.
    kind, target: of the budget, `budgets.KINDS`.
    plan: how to search.
    fitness: one of `quality.FITNESSES`.
    search_rows: training rows that lists are compared on.
    rows_file: labelled rows instead of the run's; see `fine_tuned_run`.
    multiple: lengths are multiples of it.
    batch_size: rows whose latency counts.
    threads: the process has, for TensorFlow.
    latency_table: a file measured before; empty measures.
    selection: settings of the selection that were given.
    timing: how to measure latencies.
    restart: whether to forget what an earlier search has found out.
    provenance: command, machine, versions and revision.
  """
  model_dir: str
  output: str
  kind: str
  target: float
  plan: schedule_search.SearchPlan = schedule_search.SearchPlan()
  fitness: str = "kl"
  search_rows: int = 1000
  rows_file: str = ""
  multiple: int = 1
  batch_size: int = 32
  threads: int = 1
  latency_table: str = ""
  selection: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  timing: latency_measuring.Timing = latency_measuring.Timing()
  restart: bool = False
  provenance: Mapping[str, Any] = dataclasses.field(default_factory=dict)

  def beside(self, name: str) -> str:
    """The path of a file that belongs to the output."""
    stem = self.output.removesuffix(".json")
    return f"{stem}.{name}"


def run(options: SearchOptions) -> str:
  """Searches, writes the file, and returns the report.

  Raises:
    UserError: for anything the user can mend.
  """
  _check(options)
  progress = progress_lib.Progress(options.plan.evaluations)
  found = fine_tuned_run.open_run(
      options.model_dir, progress.say,
      lambda text: progress.show(None, text), options.rows_file)
  return _Search(options, found, progress).run()


def _check(options: SearchOptions):
  budgets.check_target(options.kind, options.target)
  for name, value in (
      ("evaluations", options.plan.evaluations),
      ("population", options.plan.population),
      ("search_rows", options.search_rows), ("multiple", options.multiple),
      ("batch_size", options.batch_size), ("rounds", options.timing.rounds)):
    if value < 1:
      raise UserError(f"--{name}={value}: must be at least 1")
  files.check_writable(options.output)
  if os.path.exists(options.output):
    try:
      schedule_file.read(options.output)
    except UserError as error:
      raise UserError(
          f"--output={options.output}: there is another file, which holds no "
          "token schedule: choose another name") from error


class _Search:
  """The parts of one search, each made once."""

  def __init__(self, options, found, progress):
    self._options, self._run, self._progress = options, found, progress
    self._n, self._num_layers = found.seq_length, found.num_layers
    self._dense = (self._n,) * self._num_layers
    self._place, self._selection = found.selection(options.selection)
    self._selector = token_selector.TokenSelector(
        self._selection["token_selector"], self._selection["coreset_m"],
        self._selection["coreset_metric"], self._selection["merge_tokens"],
        self._selection["proportional_attention"])
    self._classifier = self._model(self._dense)
    self._evaluator = prefix_evaluator.PrefixEvaluator(
        self._classifier, self._place)
    train = found.data.train
    how_many = options.search_rows, options.plan.seed
    self._indices = (
        row_set.draw(train.num_rows, *how_many) if train.questions is None
        else row_set.draw_questions(train.questions, *how_many))
    self._rows = row_set.RowSet(train, self._indices)
    self._fitness = quality.fitness_of(
        options.fitness, found.metric, found.higher_is_better)
    self._table, self._log = None, None
    self._reference, self._imitated = None, self._dense
    self._asked, self._best = 0, None

  def _model(self, lengths):
    return self._run.classifier(lengths, self._place, self._selection)

  def run(self) -> str:
    # First of all: two searches at a time disturb each other's latencies.
    self._log = evaluation_log.EvaluationLog(
        self._options.beside("evaluations.jsonl"))
    try:
      return self._run_alone()
    finally:
      self._log.close()

  def _run_alone(self) -> str:
    options = self._options
    if options.kind in budgets.TIMED or options.latency_table:
      self._table = self._latency_table()
    budget = budgets.build(
        options.kind, options.target, self._run.sizes, self._n, self._place,
        self._table.milliseconds if self._table else lambda lengths: 0.0)
    last_counts = self._place == "pre_layer"
    if self._num_layers < 2:
      raise UserError(f"{self._run.folder}: has {self._num_layers} layer, and "
                      "the last one works on [CLS] only: nothing to search")
    space = list_space.ListSpace(
        self._n, self._num_layers, budget.allows, self._selector.least,
        options.multiple, last_counts)
    budget.check(self._dense, space.shortest)
    self._log.begin(self._fingerprint(), options.restart)
    dense = self._set_reference()
    start, known = time.monotonic(), len(self._log)
    evaluated = schedule_search.search(
        space, options.plan, self._evaluate, self._fitness)
    self._progress.say(
        f"{len(evaluated)} lists, {len(self._log) - known} of them evaluated "
        f"now in {progress_lib.duration(time.monotonic() - start)}")
    return self._finish(budget, dense, evaluated)

  def _latency_settings(self) -> dict:
    sizes = dataclasses.asdict(self._run.sizes)
    del sizes["vocab_size"]  # What is looked up takes as long in any table.
    return dict(
        sizes=sizes, seq_length=self._n, place=self._place,
        selection=self._selection,
        batch_size=self._options.batch_size * self._run.labels.num_choices,
        threads=self._options.threads,
        device="gpu" if tf.config.list_physical_devices("GPU") else "cpu",
        precision=self._run.config.runtime.mixed_precision_dtype or "float32")

  def _latency_table(self) -> latency_table.LatencyTable:
    """Read, or measured and kept for the next start of this search."""
    options, settings = self._options, self._latency_settings()
    own = options.beside(search_report.LATENCY)
    path = options.latency_table or own
    if options.latency_table or (os.path.exists(own) and not options.restart):
      table = latency_table.load(path, is_own=not options.latency_table)
      table.check_fits(path, settings)
      elsewhere = self._measured_elsewhere(table)
      self._progress.say(f"{path}: latencies measured before" + (
          f", on another machine ({elsewhere})" if elsewhere else ""))
      return table
    table = latency_measuring.measure_table(
        self._classifier, settings, options.provenance, options.timing,
        self._selector.least,
        lambda text: self._progress.show(None, f"latencies: {text}"))
    table.save(path)
    self._progress.say(f"{path}: latencies of a layer and of the rest, "
                       f"{len(table.details['measured']) + 1} points")
    return table

  def _measured_elsewhere(self, table) -> str:
    ours, theirs = (details.get("machine", {}).get("processor", "")
                    for details in (self._options.provenance, table.details))
    return theirs if ours != theirs else ""

  def _fingerprint(self) -> dict:
    """What the quality of a list depends on."""
    found = dict(
        run=self._run.digests, step=self._run.step, place=self._place,
        selection=self._selection, seq_length=self._n,
        rows=len(self._indices), seed=self._options.plan.seed)
    # Searches of before, where there are none, are those of now.
    questions = self._rows.num_questions
    return found | (dict(questions=questions) if questions else {})

  def _set_reference(self) -> dict:
    """What lists are to imitate, and the quality with all tokens.

    A run that was trained with a list has learnt to see with that, and may do
    worse with all tokens.
    """
    lists = [self._dense]
    if self._run.is_pyramid:
      lists.append(tuple(self._run.encoder.token_schedule))
    self._progress.show(None, "evaluating with all tokens")
    said = self._evaluator.logits(self._rows, lists)
    measured = [self._quality(self._rows, logits) for logits in said]
    least = int(np.argmin([one["loss"] for one in measured]))
    self._reference = said[least]
    self._imitated = lists[least]
    return self._quality(self._rows, said[0], self._reference)

  def _quality(self, rows, logits, reference=None) -> dict:
    return quality.measure(
        self._run.task, logits, rows.targets, reference, rows.questions,
        rows.overlaps)

  def _evaluate(self, lists: Sequence[tuple[int, ...]]) -> list[Mapping]:
    """Of lists that are not known yet, and of known ones."""
    new = [lengths for lengths in lists if self._log.get(lengths) is None]
    if new:
      done = self._asked + len(lists) - len(new)
      said = self._evaluator.logits(
          self._rows, new, lambda share: self._progress.show(
              done + share * len(new),
              f"list {done + int(share * len(new))}/"
              f"{self._options.plan.evaluations}{self._so_far()}"))
      for lengths, logits in zip(new, said):
        self._log.add(lengths, self._quality(
            self._rows, logits, self._reference))
      self._log.sync()
    qualities = [self._log.get(lengths) for lengths in lists]
    self._asked += len(lists)
    known = qualities + ([self._best] if self._best else [])
    self._best = max(known, key=self._fitness)
    return qualities

  def _so_far(self) -> str:
    if self._best is None:
      return ""
    name = self._options.fitness
    name = self._run.metric if name == "metric" else name
    return f"  best {name.replace('_', ' ')} {self._best[name]:.4f}"

  def _finish(self, budget, dense, evaluated) -> str:
    options = self._options
    winner = schedule_search.best(evaluated)
    lists = dict(dense=self._dense, found=winner.lengths)
    for name, origin in (("exponential", "family"), ("uniform", "uniform")):
      members = [one for one in evaluated if one.origin == origin]
      if members:
        lists[name] = schedule_search.best(members).lengths
    num_rows = self._run.data.eval.num_rows
    dev = row_set.RowSet(self._run.data.eval, np.arange(num_rows))
    judging = progress_lib.Progress(num_rows)
    *said, imitated = self._evaluator.logits(
        dev, [*lists.values(), self._imitated], lambda share: judging.show(
            round(share * num_rows), f"evaluation rows: {share:.0%}"))
    on_dev = dict(zip(lists, [
        self._quality(dev, logits, imitated) for logits in said]))
    measured = latency_measuring.measure_models(
        {name: self._model(lengths) for name, lengths in lists.items()},
        self._latency_settings()["batch_size"], self._n, options.timing,
        lambda text: self._progress.show(None, f"whole models: {text}"))
    by_list = {one.lengths: one.quality for one in evaluated} | {
        self._dense: dense}
    rows = {name: search_report.Row(
        lengths=lengths, on_search=by_list[lengths], on_dev=on_dev[name],
        measured=measured[name],
        predicted=self._table.milliseconds(lengths) if self._table else None)
            for name, lengths in lists.items()}
    report = search_report.SearchReport(
        options=options, run=self._run, place=self._place,
        selection=self._selection, budget=budget, rows=rows,
        evaluated=evaluated, imitated=self._imitated,
        num_search_rows=self._rows.num_rows, num_dev_rows=dev.num_rows,
        num_questions=self._rows.num_questions,
        fingerprint=self._fingerprint())
    schedule_file.write(
        options.output, winner.lengths, self._n, self._place, self._selection,
        report.details(), self._run.encoder.attention)
    return report.text()
