"""Bort pretrained with and without token dropping, as many steps.

    python experiments/bort/token_dropping.py --corpus=novels.txt.gz

Makes a vocabulary, times both kinds of step in turns on one core, at the
released sizes and at those that are trained, then pretrains both at the latter,
and one that ends without dropping, with each of three seeds; two runs at a
time, a core each. Stopped at any moment, the same command goes on. With
--report only prints the tables of what is there, and writes token_dropping.json
beside itself.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE.parent), str(ROOT / "tools"), str(ROOT)]

import corpus_vocabulary  # noqa: E402
import job_queue  # noqa: E402
import run_results  # noqa: E402
from benchmarking import in_turns  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import training_steps  # noqa: E402

from official_style import files  # noqa: E402

SEEDS = (1, 2, 3)
STEPS = 1000
# Experiment, and the share of the last steps that see all tokens.
ARMS = {"Bort": ("bort", 0.0),
        "with token dropping": ("token_drop_bort", 0.0),
        "the last tenth of the steps dense": ("token_drop_bort", 0.1)}
DENSE, DROPPING = list(ARMS)[:2]
_RELEASED = ("SEQ_LENGTH = 128", "MAX_PREDICTIONS = 20", "BATCH_SIZE = 16",
             "WARMUP_STEPS = None")
# Half of Bort's widths. One pass over fresh text wants no dropout.
_TRAINED = (*_RELEASED, "HIDDEN_SIZE = 512", "INNER_DIM = 384",
            "DROPOUT_RATE = 0.0", "LEARNING_RATE = 5e-4",
            "INITIALIZER_RANGE = 0.03")
_SIZES = {"released": _RELEASED, "trained": _TRAINED}
_ROUNDS = 9


@dataclasses.dataclass(frozen=True)
class Places:
  """Where the text and the runs are."""
  corpus: str
  runs: pathlib.Path


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of train.py."""
  arm: str
  seed: int

  @property
  def name(self) -> str:
    experiment, finish = ARMS[self.arm]
    return f"{experiment}{'_finish' if finish else ''}-{self.seed}"

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    return _arguments(places, self.arm, (
        *_TRAINED, f"SEED = {self.seed}", f"TRAIN_STEPS = {STEPS}",
        f"INTERVAL = {STEPS // 10}", "VALIDATION_STEPS = 64"))


def _arguments(places, arm, gin) -> list[str]:
  experiment, finish = ARMS[arm]
  if finish:
    gin = (*gin, f"keep_schedule.dense_finish_share = {finish}")
  return [f"--experiment={experiment}", f"--train_data={places.corpus}",
          f"--vocab_file={places.runs / 'vocab.txt'}",
          *(f"--gin_params={binding}" for binding in gin)]


def jobs() -> list[Job]:
  """All arms, a seed after the other."""
  return [Job(arm, seed) for seed in SEEDS for arm in ARMS]


def _step(places, arm, gin):
  from official_style import command_line
  from official_style.configs import resolve
  config = resolve.resolve(command_line.parse([
      "train.py", *_arguments(places, arm, (
          *gin, "TRAIN_STEPS = 1000", "VALIDATION_STEPS = 1"))])).config
  return training_steps.stepper(
      config, str(places.runs / "timed"), _ROUNDS + 3)


def time_steps(places) -> dict:
  """Seconds of a step, round by round, by sizes and arm."""
  from official_style import tensorflow_environment
  tensorflow_environment.prepare()
  in_turns.pin(1)
  from official_style import experiment_configs  # noqa: F401, registers
  return {sizes: in_turns.seconds(
      {arm: (_step(places, arm, gin), 1) for arm in (DENSE, DROPPING)},
      2, _ROUNDS, 2.0)
          for sizes, gin in _SIZES.items()}


def prepare(places):
  """Vocabulary and times of steps, where they are not there yet."""
  corpus_vocabulary.made(places.corpus, places.runs)
  times = places.runs / "step_times.json"
  if not times.exists():
    # In a process of its own: the cores of this one are for the runs.
    subprocess.run(
        [sys.executable, __file__, "--time", f"--corpus={places.corpus}",
         f"--runs={places.runs}"], check=True)


_NAMED = run_results.named(Places)


def recipes() -> dict[tuple, list[str]]:
  """What every result is to be made with."""
  return {(job.arm, job.seed): run_results.settings(job, jobs(), _NAMED)
          for job in jobs()}


def collect(runs: pathlib.Path) -> list[dict]:
  """The curve of every finished job, and its origin."""
  return [dict(arm=job.arm, seed=job.seed, curve=[
      (row["step"], row["mlm_loss"], row["mlm_accuracy"])
      for row in run_results.evaluations(runs / job.name)])
          | run_results.origin(job, jobs(), _NAMED, runs)
          for job in jobs() if job_queue.is_done(job, runs)]


def steps_to(loss: float, curve) -> float | None:
  """Steps after which a curve was first at a loss, on straight lines."""
  for (before, high, _), (after, low, _) in zip(curve, curve[1:]):
    if low <= loss <= high:
      return before + (after - before) * (high - loss) / (high - low)
  return None


def _ratio(arm: str, seconds: dict) -> list[float]:
  """How much faster the steps of an arm are than dense ones, sorted."""
  finish = ARMS[arm][1]
  return sorted(dense / ((1 - finish) * dropping + finish * dense)
                for dense, dropping in zip(seconds[DENSE], seconds[DROPPING]))


def table(results, times) -> str:
  """What a step takes, and what as many of them reach."""
  lines = [f"| a step, sizes | {DENSE} | {DROPPING} | steps/s |",
           "|---|---|---|---|"]
  for sizes, seconds in times["seconds"].items():
    ratios = _ratio(DROPPING, seconds)
    lines.append(
        f"| {sizes} | " + " | ".join(
            f"{1e3 * statistics.median(seconds[arm]):.0f} ms"
            for arm in (DENSE, DROPPING))
        + f" | {statistics.median(ratios):.2f}x "
        f"({ratios[0]:.2f} to {ratios[-1]:.2f}) |")
  lines += ["", "| | seeds | held-out MLM loss | accuracy |",
            "|---|---|---|---|"]
  found = {(r["arm"], r["seed"]): r["curve"] for r in results}
  said = []
  for arm in ARMS:
    curves = [curve for (name, _), curve in found.items() if name == arm]
    if curves:
      lines.append(f"| {arm} | {len(curves)} | "
                   f"{run_results.spread([x[-1][1] for x in curves])} | "
                   f"{run_results.spread([x[-1][2] for x in curves], 100, 1)}"
                   " % |")
    if arm != DENSE:
      said += _beside_dense(arm, found, statistics.median(
          _ratio(arm, times["seconds"]["trained"])))
  return "\n".join([*lines, "", *said])


def _beside_dense(arm, found, ratio) -> list[str]:
  """What an arm loses, and how much sooner it is there; seed by seed."""
  lost, sooner = [], []
  for seed in SEEDS:
    if (DENSE, seed) in found and (arm, seed) in found:
      dense, last = found[DENSE, seed], found[arm, seed][-1]
      steps = steps_to(last[1], dense)
      lost.append(f"{last[1] - dense[-1][1]:+.3f}")
      sooner.append("never as low" if steps is None else
                    f"{ratio * steps / last[0]:.2f}x ({steps:.0f} steps)")
  if not lost:
    return []
  return [f"{arm}: {ratio:.2f}x the steps/s; lost {', '.join(lost)}; time of "
          f"dense training to its loss over its own {', '.join(sooner)}"]


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  add = parser.add_argument
  add("--corpus", type=os.path.abspath, help="the text")
  job_queue.add_flags(add, "token_drop_bort", parallel=2)
  add("--time", action="store_true", help="only time steps")
  add("--report", action="store_true", help="only say what is there")
  args = parser.parse_args()
  if not (args.report or args.corpus):
    parser.error("--corpus: has to be given")
  places = Places(args.corpus, args.runs)
  if args.time:
    files.write(str(args.runs / "step_times.json"), json.dumps(dict(
        seconds=time_steps(places), machine=machine.describe(),
        versions=machine.versions(), revision=machine.revision(str(ROOT))),
        indent=1) + "\n")
    return
  if not args.report:
    prepare(places)
    job_queue.run_all(jobs(), places, args.runs, args.parallel)
  file, times = HERE / "token_dropping.json", args.runs / "step_times.json"
  results = run_results.with_known(
      recipes(), collect(args.runs), file, ("arm", "seed"))
  times = (json.loads(times.read_text("utf-8")) if times.exists() else
           json.loads(file.read_text("utf-8"))["times"])
  print(table(results, times))
  run_results.write(file, results, steps=STEPS, times=times)


if __name__ == "__main__":
  main()
