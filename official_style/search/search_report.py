"""What a search has found: for the file, and for a terminal."""

import dataclasses
from typing import Any, Mapping, Optional, Sequence

from official_style import command_words
from official_style.configs import pyramid_command
from official_style.configs import schedule_file
from official_style.modeling import retention_schedule
from official_style.search import budgets
from official_style.search import schedule_search

# Beside the output: the latency table.
LATENCY = "latency.json"

_TITLES = dict(dense="all tokens", found="found",
               exponential="best exponential", uniform="the same in all layers")
# Of the command a run was trained with, what another run's does not take over.
_NOT_TAKEN = ("model_dir", "restart", "mode", "dry_run",
              "allow_config_change", "init_checkpoint")


@dataclasses.dataclass(frozen=True)
class Row:
  """One list of the report.

  Attributes:
    lengths: tokens each layer keeps.
    on_search: quality on the rows that were searched on.
    on_dev: on the evaluation rows.
    measured: `median`, `min`, `max` in milliseconds, and `speedup`.
    predicted: milliseconds, where there is a latency table.
  """
  lengths: tuple[int, ...]
  on_search: Mapping[str, float]
  on_dev: Mapping[str, float]
  measured: Mapping[str, float]
  predicted: Optional[float]


@dataclasses.dataclass(frozen=True)
class SearchReport:
  """All there is to tell.

  Attributes:
    options: the `SearchOptions`.
    run: the `FineTunedRun`.
    place, selection: of the tokens.
    budget: the `Budget`.
    rows: `dense`, `found`, `exponential` and `uniform`.
    evaluated: everything that was.
    imitated: the list whose predictions `kl` is from.
    num_search_rows, num_dev_rows: how many.
    num_questions: that the former are all candidates of; 0 where there are no
      questions.
    fingerprint: of the evaluations.
  """
  options: Any
  run: Any
  place: str
  selection: Mapping[str, Any]
  budget: budgets.Budget
  rows: Mapping[str, Row]
  evaluated: Sequence[schedule_search.Evaluated]
  imitated: tuple[int, ...]
  num_search_rows: int
  num_dev_rows: int
  num_questions: int
  fingerprint: Mapping[str, Any]

  def details(self) -> dict:
    """For the file."""
    options = self.options
    described = {name: self._describe(row) for name, row in self.rows.items()}
    return dict(
        budget={self.budget.kind: self.budget.target},
        **described.pop("found"), baselines=described, front=self.front(),
        search=dict(
            strategy=options.plan.strategy, seed=options.plan.seed,
            evaluations=len(self.evaluated), fitness=options.fitness,
            metric=self.run.metric, rows=self.num_search_rows,
            dev_rows=self.num_dev_rows, kl_from=list(self.imitated),
            **(dict(questions=self.num_questions) if self.num_questions
               else {})),
        latency_conditions=dict(
            batch_size=options.batch_size, threads=options.threads,
            num_choices=self.run.labels.num_choices,
            rounds=options.timing.rounds),
        provenance=dict(options.provenance) | dict(
            run=dict(folder=self.run.folder, step=self.run.step,
                     sha256=dict(self.run.digests))))

  def _describe(self, row: Row) -> dict:
    n = self.run.seq_length
    return dict(
        token_schedule=list(row.lengths),
        flops_speedup=self._flops(row.lengths),
        memory_share=retention_schedule.memory_share(
            self.run.sizes, row.lengths, n, self.place),
        latency_ms=dict(predicted=row.predicted, measured=dict(row.measured)),
        quality=dict(search=dict(row.on_search), dev=dict(row.on_dev)))

  def _flops(self, lengths) -> float:
    return retention_schedule.flops_speedup(
        self.run.sizes, lengths, self.run.seq_length, self.place)

  def front(self) -> list[dict]:
    """Lists that no other beats in both cost and fitness, cheapest first."""
    kept, highest = [], None
    for one in sorted(self.evaluated, key=lambda one: (
        self.budget.cost(one.lengths), [-x for x in one.fitness])):
      if highest is None or one.fitness > highest:
        highest = one.fitness
        kept.append(dict(
            token_schedule=list(one.lengths), origin=one.origin,
            cost=self.budget.cost(one.lengths),
            flops_speedup=self._flops(one.lengths), quality=dict(one.quality)))
    return kept

  def text(self) -> str:
    """For a terminal."""
    options, metric = self.options, self.run.metric
    target = {
        "speedup": f"{options.target:g} times faster, by the latency table",
        "latency_ms": f"at most {options.target:g} ms a batch, by the latency "
                      "table",
        "memory_share": f"{options.target:.0%} of the activation memory of "
                        "training",
        "flops_speedup": f"{options.target:g} times fewer FLOPs"}[options.kind]
    width = max(len(_list(row.lengths)) for row in self.rows.values()) + 2
    header = (f"{'':<24}{'tokens kept':<{width}}{'FLOPs':>8}{'memory':>8}"
              f"{'predicted':>11}{'measured':>10}{'times':>7}"
              f"{'KL':>9}{_short(metric):>10}{'dev':>8}")
    lines = ["", f"{self.run.folder}: {target}", "", header]
    for name, row in self.rows.items():
      predicted = "" if row.predicted is None else f"{row.predicted:.1f} ms"
      measured = f"{row.measured['median']:.1f} ms"
      share = retention_schedule.memory_share(
          self.run.sizes, row.lengths, self.run.seq_length, self.place)
      lines.append(
          f"{_TITLES[name]:<24}{_list(row.lengths):<{width}}"
          f"{self._flops(row.lengths):7.2f}x{share:8.0%}{predicted:>11}"
          f"{measured:>10}{row.measured['speedup']:6.2f}x"
          f"{row.on_search['kl']:9.4f}{row.on_search[metric]:10.4f}"
          f"{row.on_dev[metric]:8.4f}")
    return "\n".join(lines + [""] + self._notes() + self._next())

  def _notes(self) -> list[str]:
    options, plan = self.options, self.options.plan
    metric = self.run.metric.replace("_", " ")
    judged = dict(kl="KL", metric=metric, loss="loss")[options.fitness]
    found, file = self.rows["found"], self.run.rows_file
    lines = [
        f"times        of a batch of {options.batch_size} rows of "
        f"{self.run.seq_length} tokens, {options.threads} thread"
        f"{'s' * (options.threads > 1)}; measured side by side, median",
        "FLOPs        and memory of training's activations: relative to all "
        "tokens",
        "KL           from the predictions "
        + ("with all tokens" if len(set(self.imitated)) == 1
           and self.imitated[0] == self.run.seq_length else "of the run")
        + f", and {metric}: on {self.num_search_rows:,} "
        + (f"rows of {file}" if file else "training rows")
        + (f", of {self.num_questions:,} questions" if self.num_questions
           else ""),
        f"dev          {metric} on {self.num_dev_rows:,} "
        + ("others of them" if file else "evaluation rows")
        + ", which the search did not see",
        f"search       {plan.strategy}, {len(self.evaluated)} lists, the best "
        f"by {judged}; nothing was trained"]
    if self.run.replaced_metric:
      lines.append(f"NOTE         nothing says {self.run.replaced_metric} of a "
                   f"list: {metric} stands in for it")
    lines += self._missed()
    others = [name for name in ("exponential", "uniform")
              if name in self.rows and self._worse_on_dev(
                  found, self.rows[name])]
    if others:
      names = " and ".join(_TITLES[name] for name in others)
      lines.append(f"NOTE         better on the rows of dev: {names}; "
                   "compare them after training")
    return lines

  def _missed(self) -> list[str]:
    """Where whole models are slower than the table says."""
    options, measured = self.options, self.rows["found"].measured
    if (options.kind == "speedup" and measured["speedup"] < options.target):
      reached = f"{measured['speedup']:.2f} times"
    elif (options.kind == "latency_ms" and measured["median"] > options.target):
      reached = f"{measured['median']:.1f} ms"
    else:
      return []
    return [f"NOTE         {reached} measured, for --{options.kind}="
            f"{options.target:g}: ask for more, or delete",
            f"             {options.latency_table or options.beside(LATENCY)} "
            "and run the same command on a quieter machine"]

  def _worse_on_dev(self, row, other) -> bool:
    a, b = row.on_dev[self.run.metric], other.on_dev[self.run.metric]
    return a < b if self.run.higher_is_better else a > b

  def _next(self) -> list[str]:
    command = ["python", "train.py", *pyramid_command.following(
        self.run.command or (), self.options.output, self.run.config.task,
        _NOT_TAKEN), *self._selection_flags(),
               # From its weights less is lost than from what it began with.
               f"--init_checkpoint={self.options.model_dir}"]
    # A converted run has no command that would say which rows.
    if self.run.rows_file and not self.run.command:
      command.append(f"--train_data={self.run.rows_file}")
    untrained = [
        "python", "tools/export_savedmodel.py",
        f"--model_dir={self.options.model_dir}",
        f"--token_schedule_file={self.options.output}",
        "--output=exports/untrained", "--verify"]
    return ["", f"written to   {self.options.output}", "",
            "What to run next, to train with it:",
            f"  {command_words.line(command)}",
            "or to serve it as it is, untrained:",
            f"  {command_words.line(untrained)}"]

  def _selection_flags(self) -> list[str]:
    """What the list was searched for, where it isn't what a run has anyway."""
    prefix = "--params_override=task.model.encoder.any."
    default = schedule_file.selection_by("coreset")
    given = {k: v for k, v in self.selection.items() if v != default[k]}
    if self.place != "post_attention" and (
        self.selection["token_selector"] != "input_first_k"):
      given["selection_place"] = self.place
    return [] if self.run.is_pyramid else [
        f"{prefix}{name}={str(value).lower() if value is True else value}"
        for name, value in given.items()]


def _short(metric: str) -> str:
  return metric if len(metric) < 10 else metric[:8] + "."


def _list(lengths: Sequence[int]) -> str:
  """Equal neighbours as one."""
  if len(lengths) <= 6:
    return " ".join(map(str, lengths))
  parts, i = [], 0
  while i < len(lengths):
    j = i
    while j < len(lengths) and lengths[j] == lengths[i]:
      j += 1
    parts.append(str(lengths[i]) + (f"x{j - i}" if j - i > 1 else ""))
    i = j
  return " ".join(parts)
