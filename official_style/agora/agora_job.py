"""From labelled rows and hyperparameter sets to the best fine-tuned run."""

import functools
import hashlib
import os
import time

import numpy as np

from official_style import files
from official_style.agora import agora_folder
from official_style.agora import agora_loop
from official_style.agora import agora_options
from official_style.agora import agora_report
from official_style.agora import agora_rows
from official_style.agora import fine_tuning_learner
from official_style.agora import first_round
from official_style.agora import generators
from official_style.agora import helper_labels
from official_style.agora import hyperparameter_sets
from official_style.agora import masked_words
from official_style.agora import pruners
from official_style.checkpoints import weight_files
from official_style.configs import resolve
from official_style.data import classification_data
from official_style.data import vocabulary_training
from official_style.errors import UserError
from official_style.tasks import sentence_metrics
from official_style.training import machinery
from official_style.training import predictions
from official_style.training import progress as progress_lib
from official_style.training import run_frame

# What may change when an Agora goes on: neither results nor data hang on it.
_FREE = ("runtime.", "trainer.checkpoint_interval", "trainer.max_to_keep",
         "trainer.summary_interval", "trainer.steps_per_loop")
_BOUND = ("runtime.mixed_precision_dtype",)


def run(config, options, asked: agora_options.AgoraOptions) -> int:
  """Does it all, prints the report, and returns an exit code.

  Args:
    config: a resolved `FineTuningConfig`.
    options: a `command_line.Options`; its `model_dir` is Agora's folder.
    asked: what is asked for.

  Raises:
    UserError: for anything the user can mend.
  """
  asked.check()
  _check(config, options)
  return run_frame.guarded(
      functools.partial(_work, asked=asked), config, options)


def _check(config, options):
  if not resolve.is_fine_tuning(config):
    raise UserError("Agora is for fine-tuning: give an experiment like "
                    "bert/sentence_prediction")
  for name, given in (("seeds", options.seeds), ("folds", options.folds),
                      ("test_data", options.test_data),
                      ("dry_run", options.dry_run),
                      ("mode", options.mode != "train_and_eval")):
    if given:
      raise UserError(f"--{name}: has no meaning here: leave it out, or give "
                      "it to train.py")
  for name in ("num_folds", "soft_label_column"):
    if getattr(config.task, name):
      raise UserError(f"task.{name}: has no meaning here: leave it out")
  if config.task.distillation.teacher:
    raise UserError("--teacher: has no meaning here, where --helper says "
                    "what is learnt besides labels: leave it out")


def _work(config, options, interruption, asked) -> int:
  progress = progress_lib.Progress(asked.budget)
  progress.show(None, "reading labelled rows")
  rows = agora_rows.open_rows(config.task, asked.agora_dev_share)
  sets = asked.sets
  if asked.random_search:
    sets = hyperparameter_sets.random_search(sets, asked.budget, asked.seed)
  for one in sets:  # Before any of them is trained.
    fine_tuning_learner.with_set(config, one, len(rows.train))
  folder = agora_folder.AgoraFolder(
      options.model_dir, _settings(config, rows, asked))
  try:
    print(_Job(config, options, interruption, asked, rows, sets, folder,
               progress).run())
    return 0
  finally:
    folder.close()


def _settings(config, rows, asked) -> dict:
  """What the state depends on."""
  flat = {key: value for key, value in resolve.flatten(config).items()
          if not key.startswith(_FREE) or key in _BOUND}
  return flat | {f"agora.{key}": value
                 for key, value in asked.settings().items()} | {
      f"rows.{part}": _digest(getattr(rows, part))
      for part in ("train", "agora_dev")} | {
      "rows.report_dev": classification_data.rows_digest(rows.report_dev)} | {
      f"agora.{name}.weights": weight_files.digest(
          getattr(asked, name), f"--{name}")
      for name in ("helper", "masked_lm") if getattr(asked, name)}


def _digest(examples) -> str:
  digest = hashlib.sha256()
  for one in examples:
    digest.update(repr((one.inputs, one.label)).encode() + b"\n")
  return digest.hexdigest()


class _Job:
  """The parts of one Agora, each made once."""

  def __init__(self, config, options, interruption, asked, rows, sets, folder,
               progress):
    self._options, self._asked, self._rows = options, asked, rows
    self._sets, self._folder, self._progress = sets, folder, progress
    self._placement = machinery.place(config)
    if not self._placement.is_chief:
      raise UserError("several workers: Agora runs on one; it may have several "
                      "replicas")
    self._helper = None
    if options.restart:
      self._restart(config, interruption)
    self._state = folder.load()
    self._known = agora_loop.num_trainings(self._state) if self._state else 0
    self._start = time.monotonic()
    for line in rows.lines:
      progress.say(line)
    self._learner = fine_tuning_learner.FineTuningLearner(
        config, options, interruption, self._placement, rows,
        self._vocabulary(config.task), asked.soft_labels)
    self._learn = self._learner
    if asked.first_round and len((self._state or {}).get("rounds", ())) < 2:
      self._learn = first_round.FirstRound(
          self._learner, asked.first_round, folder.settings, progress.say)

  def _restart(self, config, interruption):
    """Clears the folder, once nothing that is given is refused any more."""
    asked = self._asked
    if asked.first_round:
      first_round.trainings_of(asked.first_round, self._folder.settings)
    self._helper = self._check_helper()
    self._folder.clear(resolve.paths(config) + [
        (f"--{name}", getattr(asked, name)) for name in (
            "helper", "masked_lm", "first_round") if getattr(asked, name)])
    interruption.restarted = True

  def _vocabulary(self, task) -> str:
    """One for all fine-tunings, which learn from different rows."""
    if task.vocab_file or task.tokenizer == "bytes":
      return task.vocab_file
    path = self._folder.file("data", "vocab.txt")
    if not os.path.exists(path):
      os.makedirs(self._folder.file("data"), exist_ok=True)
      vocabulary_training.load_or_train(
          task, lambda: (text for one in self._rows.train
                         for text in one.inputs), "the training rows",
          self._progress.say, lambda text: self._progress.show(None, text)
      ).save(path)
    return path

  def run(self) -> str:
    state = self._state or {}
    helper = state.get("helper") or self._helper or self._check_helper()
    if helper:
      for line in helper["warnings"]:
        self._progress.say(f"warning: {line}")
    if not state.get("ended") or state["ended"] == agora_loop.BUDGET_SPENT:
      state["ended"] = ""  # More may have been granted.
      state = agora_loop.run(
          self._parts(), state if "rounds" in state else None,
          lambda state: self._folder.save(state | dict(helper=helper)),
          self._tell)
      state["helper"] = helper
    if state["best"] is None:
      raise UserError("every fine-tuning failed: give lower learning rates")
    best = agora_loop.name_of(state["best"]["round"], state["best"]["set"])
    if state.get("report", {}).get("run") != best:
      state["report"] = self._report_dev(best) | dict(run=best)
    # There may be more rounds by now, with the same best.
    state["report"]["generated_in_report_dev"] = self._leaked(state)
    self._folder.save(state)
    text = agora_report.text(state, self._asked, self._sets, self._rows,
                             self._folder.path)
    files.write(self._folder.file("report.md"), text + "\n")
    return text

  def _check_helper(self):
    if not self._asked.makes_points:
      return None
    self._progress.show(None, "asking the helper about the agora-dev rows")
    if "masked_words" in self._asked.generator_names:
      self._masked_words([], 0, 0)  # Wrong ones are told now.
    return helper_labels.HelperLabels(
        self._asked.helper, self._rows.labels.names).check(self._rows)

  def _parts(self) -> agora_loop.AgoraParts:
    asked = self._asked
    made = generators.of_spans(asked.seed) | dict(
        masked_words=self._masked_words)
    return agora_loop.AgoraParts(
        sets=self._sets, train=self._rows.train, dev=self._rows.agora_dev,
        learn=self._learn,
        generate=generators.TakingTurns(made, asked.generator_names),
        label=helper_labels.HelperLabels(
            asked.helper, self._rows.labels.names),
        prune=pruners.PRUNERS[asked.pruner], budget=asked.budget,
        replay=asked.replay, points="none" if asked.random_search
        else asked.points, points_per_row=asked.points_per_row,
        seed=asked.seed)

  def _masked_words(self, examples, round_number, copy):
    self._progress.show(None, "replacing words")
    with helper_labels.loaded(self._asked.masked_lm, "--masked_lm") as run:
      return masked_words.MaskedWords(
          run, self._asked.seed, self._asked.mask_share, self._asked.top_k)(
              examples, round_number, copy)

  def _tell(self, state):
    """A line for each fine-tuning or round, and what is no more needed."""
    self._forget(state)
    done = agora_loop.num_trainings(state)
    current = state["rounds"][-1]
    if state["ended"]:
      self._progress.say(f"ended: {state['ended']}")
      return
    if not current["trainings"]:
      closed = state["rounds"][-2]
      self._progress.say(
          f"round {len(state['rounds']) - 2}: {len(closed['sources'])} rows "
          f"lead to {len(closed['points'])} new ones ({closed['rejected']} "
          f"were known or unchanged); {len(closed['dropped'])} sets dropped, "
          f"{len(current['sets'])} left")
      return
    last = current["trainings"][-1]
    score = ("failed" if last["score"] is None else
             f"{last['details']['metric'].replace('_', ' ')} "
             f"{agora_report.value_of(last['details']):.4f}")
    best = agora_report.value_of(agora_report.details_of_best(
        state)) if state["best"] else None
    left = self._at_most_left(state)
    self._progress.say(
        f"fine-tuning {done}, at most {left} to go: round "
        f"{len(state['rounds']) - 1}, set {last['set']} "
        f"({self._sets[last['set']].describe()}): {score}"
        + ("" if best is None else f", best {best:.4f}")
        + self._eta(state, left))

  def _eta(self, state, left: int) -> str:
    """By what was fine-tuned in this call; others took no time."""
    new = [one for each in state["rounds"]
           for one in each["trainings"]][self._known:]
    timed = sum("taken_from" not in one["details"] for one in new)
    seconds = (time.monotonic() - self._start) / max(1, timed) * left
    return (f"  ETA at most {progress_lib.duration(seconds)}"
            if timed and left else "")

  def _at_most_left(self, state) -> int:
    """Fine-tunings to go if each round drops one set."""
    current = state["rounds"][-1]
    sets, rounds = len(current["sets"]), 1 + self._asked.replay
    left = sets * (rounds - current["pass"]) - len(current["trainings"])
    if self._asked.makes_points:
      left += rounds * sets * (sets - 1) // 2
    elif not self._asked.random_search:
      left = sets - len(current["trainings"])
    return min(left, self._asked.budget - agora_loop.num_trainings(state))

  def _forget(self, state):
    """Weights take room; those of the best fine-tuning are enough."""
    if self._asked.keep_all or state["best"] is None:
      return
    best = (state["best"]["round"], state["best"]["set"])
    for number, one in enumerate(state["rounds"]):
      for training in one["trainings"]:
        if (number, training["set"]) != best:
          self._learner.forget_weights(
              agora_loop.name_of(number, training["set"]))

  def _report_dev(self, best: str) -> dict:
    """The one look at the report-dev rows, with the best weights."""
    self._progress.show(None, "evaluating the report-dev rows")
    rows, labels = self._rows.report_dev, self._rows.labels
    with helper_labels.loaded(self._learner.folder_of(best)) as run:
      logits = run.predict([row.inputs for row in rows])
    predictions.write(
        self._folder.file("predictions.tsv"), labels,
        predictions.lines(rows, labels, logits))
    truth = np.array([labels.encode(row.label) for row in rows])
    metrics = sentence_metrics.of_classes(
        truth, logits.argmax(axis=1), len(labels.names))
    if labels.of_candidates:
      metrics |= sentence_metrics.of_questions(
          [row.question for row in rows], truth, logits,
          classification_data.overlaps_of(rows))
    return dict(rows=len(rows), baseline=self._rows.baseline, metrics=metrics)

  def _leaked(self, state) -> int:
    """Generated points that are, by accident, texts of report-dev rows."""
    theirs = {row.inputs[0] for row in self._rows.report_dev}
    return sum(tuple(point["inputs"]) in theirs for one in state["rounds"]
               for point in one.get("points", ()))
