"""From a space of architectures to the one that is found in it.

    reference/          the maximum point's run, unless another one is given
    states/             what it says of the text
    latency.jsonl       measured on this machine
    trainings.jsonl     errors of each candidate
    phases.jsonl        processor time of everything else
    candidates.csv  results.json  found.gin  extraction.png

The first five are kept as they grow; the same command goes on.
"""

import contextlib
import io
import os
import time

import tf_keras

from official_style import command_words
from official_style import files
from official_style.errors import UserError
from official_style.search import evaluation_log
from official_style.search.extraction import candidate_model
from official_style.search.extraction import device_latency
from official_style.search.extraction import extraction_files
from official_style.search.extraction import extraction_options
from official_style.search.extraction import extraction_results
from official_style.search.extraction import reference_model
from official_style.search.extraction import reference_states
from official_style.search.extraction import strided_search
from official_style.search.extraction import training_pool
from official_style.training import progress as progress_lib

# Besides phases.jsonl, which is there from the beginning.
_WRITTEN = ("reference", "states", "latency.jsonl", "trainings.jsonl",
            "candidates.csv", "results.json", "found.gin", "extraction.png")


def run(options: extraction_options.ExtractionOptions) -> str:
  """Extracts, writes the files, and returns the report.

  Raises:
    UserError: for anything the user can mend.
    SystemExit: if training the maximum point was stopped.
  """
  options.check()
  _prepare(options)
  with contextlib.ExitStack() as logs:
    return _Extraction(options, logs).run()


def _prepare(options):
  """Makes the folder; refuses one in which others' files would be lost."""
  try:
    os.makedirs(options.output, exist_ok=True)
    there = os.listdir(options.output)
  except OSError as error:
    raise UserError(f"--output={options.output}: can't be used "
                    f"({error.strerror}): choose another folder") from error
  if "phases.jsonl" not in there:
    for name in _WRITTEN:
      if name in there:
        raise UserError(f"{options.path(name)}: is of no extraction: move it "
                        "away, or choose another --output")


class _Extraction:
  """The parts of one extraction, each made once."""

  def __init__(self, options: extraction_options.ExtractionOptions,
               logs: contextlib.ExitStack):
    self._options, self._logs = options, logs
    self._progress = progress_lib.Progress(1)
    self._phases = self._log("phases", {}, ("phase", "used"))
    self._order = strided_search.ordered(options.space.candidates())
    self._taken = strided_search.strided(self._order, options.eps)
    self._seeds = tuple(range(options.seeds))
    self._looks = strided_search.rung_steps(options.steps)
    self._long_steps = options.steps * options.long_factor
    self._reference, self._latency, self._trainings = None, None, None
    self._states = None

  def _log(self, name, fingerprint, names):
    log = evaluation_log.EvaluationLog(
        self._options.path(f"{name}.jsonl"), names)
    self._logs.callback(log.close)
    log.begin(fingerprint, self._options.restart)
    return log

  def run(self) -> str:
    options = self._options
    self._phase("reference", self._train_reference)
    folder = options.reference_run or options.path("reference")
    self._reference = reference_model.ReferenceModel.open(
        folder, self._progress.say,
        lambda text: self._progress.show(None, text))
    self._check_reference()
    if options.inference == "latency":
      self._phase("latency", self._measure)
    self._phase("states", self._fill_states)
    self._trainings = self._log(
        "trainings", self._fingerprint(), ("training", "result"))
    self._train([self._work(one, options.learning_rates, self._seeds,
                            self._looks) for one in self._taken])
    results = self._results()
    chosen = results.long_choice(options.long_candidates)
    self._train([self._work(
        one, [results.best_rate(one, options.steps)], self._seeds[:1],
        self._long_looks()) for one in chosen])
    return self._finish(self._results(), chosen)

  def _phase(self, name, work):
    """Does a part, and notes the processor time of one that is finished."""
    began = time.process_time()
    work()
    number = 0
    while self._phases.get((name, number)) is not None:
      number += 1
    self._phases.add((name, number), dict(
        cpu_seconds=time.process_time() - began))

  def _train_reference(self):
    options = self._options
    if options.reference_run:
      return
    from official_style import train
    # Names of layers count up in a process, and are part of a checkpoint.
    tf_keras.backend.clear_session()
    # What to do next with that run is not what to do next here.
    with contextlib.redirect_stdout(io.StringIO()):
      code = train.main(options.reference_command())
    if code:
      raise SystemExit(code)

  def _check_reference(self):
    top, like = self._reference.architecture, self._like
    for one in self._order:
      if one.parameters(like) > top.parameters(like):
        raise UserError(
            f"the maximum point {top.name} has fewer parameters than the "
            f"candidate {one.name}: give a larger --reference, or a smaller "
            "--space")
    batches = self._reference.data.train.source.num_rows
    if batches < 2:
      raise UserError("the training text fills a single row: give more")

  @property
  def _like(self):
    return candidate_model.sizes_like(self._reference.encoder_config)

  def _measure(self):
    options, top = self._options, self._reference.architecture
    encoder = self._reference.encoder_config
    machine = options.provenance.get("machine", {})
    self._latency = self._log("latency", device_latency.conditions(
        encoder, options.backend, options.timing,
        machine.get("processor", "")) | dict(maximum=top.name),
                              ("candidate", "latency"))
    longest = encoder.max_position_embeddings
    if max(options.lengths) > longest:
      raise UserError(f"--lengths: {max(options.lengths)} tokens, and the "
                      f"models have {longest} positions")
    every = list(device_latency.groups(
        self._order, lambda one: one.parameters(self._like)))
    for n in options.lengths:
      for i, group in enumerate(every):
        if all(self._latency.get((one.name, n)) for one in group):
          continue
        measured = device_latency.measure(
            group, top, encoder, n, options.backend, options.timing,
            lambda text, n=n, i=i: self._progress.show(
                None, f"latency at {n} tokens, group {i + 1} of {len(every)}: "
                f"{text}"))
        for one, value in measured.items():
          if self._latency.get((one.name, n)) is None:
            self._latency.add((one.name, n), value)
        self._latency.sync()
    self._progress.say(f"{len(self._latency)} latencies of {options.backend}")

  def _states_fingerprint(self) -> dict:
    return dict(reference=self._reference.digest,
                data=self._reference.data.manifest())

  def _fill_states(self):
    options = self._options
    self._states = reference_states.ReferenceStates(
        options.path("states"), self._states_fingerprint(), options.restart)
    longest = self._long_steps if options.long_candidates else options.steps
    for split, count in (("train", longest), ("eval", self._eval_batches)):
      self._states.fill(
          split, count, self._reference.forward(split),
          lambda text: self._progress.show(None, f"maximum point: {text}"))

  @property
  def _eval_batches(self) -> int:
    return min(self._options.eval_batches,
               self._reference.data.eval.num_batches)

  def _fingerprint(self) -> dict:
    """What errors depend on, besides what a training is named by."""
    return dict(
        reference=self._reference.digest, eval_batches=self._eval_batches,
        warmup_steps=self._options.warmup_steps,
        clip_weights=self._options.clip_weights)

  def _long_looks(self) -> tuple[int, ...]:
    """s, 2s, 4s, ... and the last step."""
    looks, step = [], self._options.steps
    while step < self._long_steps:
      looks.append(step)
      step *= 2
    return (*looks, self._long_steps)

  def _work(self, one, rates, seeds, looks) -> training_pool.Work:
    known = {(rate, seed): self._trainings.get(
        (one.name, rate, seed, looks[-1])) for rate in rates for seed in seeds}
    seen = [set(map(int, found["errors"])) for found in known.values() if found]
    # A long training of other settings may have looked at other steps; what is
    # done again looks at those too, so that it serves both.
    return training_pool.Work(one, tuple(
        key for key, found in known.items()
        if found is None or not set(looks) <= set(map(int, found["errors"]))),
                              tuple(sorted(set(looks).union(*seen))))

  def _train(self, works):
    """Does what is not known yet."""
    works = [work for work in works if work.runs]
    if not works:
      return
    options = self._options
    total = sum(len(work.runs) * work.looks[-1] for work in works)
    runs, progress = sum(len(w.runs) for w in works), progress_lib.Progress(
        total)
    spec = training_pool.PoolSpec(
        self._reference.run.path,
        (options.path("states"), self._states_fingerprint()),
        self._eval_batches, options.warmup_steps, options.clip_weights)
    done = dict(steps=0, runs=0)

    def give(item):
      if isinstance(item, int):
        done["steps"] += item
      else:
        done["runs"] += 1
        self._trainings.add(*item)
        self._trainings.sync()
      progress.show(done["steps"], f"training {done['runs'] + 1}/{runs} of "
                    f"{works[0].looks[-1]} steps")

    training_pool.train_all(spec, works, options.workers, give)
    progress.say(f"{runs} trainings of {works[0].looks[-1]} steps")

  def _results(self) -> extraction_results.ExtractionResults:
    options = self._options
    return extraction_results.ExtractionResults(
        order=self._order, taken=self._taken,
        reference=self._reference.architecture, like=self._like,
        steps=options.steps,
        learning_rates=options.learning_rates, seeds=self._seeds,
        runs=self._trainings.items(),
        latencies=self._latency.items() if self._latency else {},
        lengths=options.lengths, error=options.error,
        inference=options.inference, seed=options.seed)

  def _finish(self, results, chosen) -> str:
    options, found = self._options, results.found()
    summary = dict(
        found=found and found.name, maximum=results.reference.name,
        w=found and results.w(found), candidates=len(results.order),
        trained=len(results.trained), eps=options.eps, steps=options.steps,
        learning_rates=list(options.learning_rates), error=options.error,
        inference=options.inference, front=results.front(),
        regrets=results.regrets(),
        long=results.long_check(chosen, self._long_steps),
        correlations=results.correlations(), seeds=results.seed_check(),
        cpu_seconds=self._cpu_seconds(),
        reference=dict(folder=self._reference.run.path,
                       step=self._reference.run.step,
                       sha256=self._reference.digest),
        data=self._reference.data.manifest(), **options.provenance)
    lines = extraction_files.rows(results)
    files.write(options.path("candidates.csv"),
                extraction_files.csv_text(lines))
    files.write(options.path("results.json"),
                extraction_files.json_text(summary))
    written = ["candidates.csv", "results.json"]
    if found is not None:
      files.write(options.path("found.gin"), extraction_files.gin_text(
          found, results.best_rate(found, options.steps), options.steps,
          options.provenance))
      written.append("found.gin")
    written += self._draw(summary, lines)
    said = extraction_files.text(results, summary)
    said += f"\nwritten to     {options.output}/: {', '.join(written)}"
    if found is not None:
      said += ("\n\nWhat to run next, to train what was found:\n  "
               + command_words.line(self._next_command(results, found)))
    return said

  def _next_command(self, results, found) -> list[str]:
    """What trains it on the text of the maximum point, with its words."""
    options, run = self._options, self._reference.run
    data = run.config.task.train_data
    return [
        "python", "train.py", "--experiment=bert",
        f"--gin_file={options.path('found.gin')}",
        *([f"--train_data={data.input_path}"] if data.input_path else []),
        f"--vocab_file={os.path.join(run.path, 'data', 'vocab.txt')}",
        f"--gin_params=SEQ_LENGTH = {data.seq_length}",
        "--gin_params=LEARNING_RATE = "
        f"{results.best_rate(found, options.steps):g}"]

  def _draw(self, summary, lines) -> list[str]:
    """The picture, where matplotlib is there."""
    from official_style.reporting import extraction_plot
    try:
      picture = extraction_plot.draw(summary, lines)
    except UserError as error:
      self._progress.say(str(error))
      return []
    files.write(self._options.path("extraction.png"), picture)
    return ["extraction.png"]

  def _cpu_seconds(self) -> dict:
    """Of phases, and of all trainings of the candidates that are taken."""
    used: dict = {}
    for (name, _), value in self._phases.items().items():
      used[name] = used.get(name, 0.0) + value["cpu_seconds"]
    names = {one.name for one in self._taken}
    used["trainings"] = sum(
        value["cpu_seconds"] for key, value in self._trainings.items().items()
        if key[0] in names)
    return used | dict(total=sum(used.values()))
