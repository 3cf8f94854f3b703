"""What is fine-tuned for the claim: every run by name.

A pretrained encoder of 6 layers of 384 on sentences and on reviews: as it is,
and with the paper's core-set selection at two lists of tokens, plain and with
cluster means. On sentences also, at the longer list, with what the paper
compares it with; and one set of weights for several lists beside one for each.
"""

import dataclasses
import os

SEEDS = (1, 2, 3)
# Another than any seed of a run that is reported.
_TUNING_SEED = 100
_LEARNING_RATES = (5e-5, 1e-4, 2e-4)
_SECOND_RATES = (2e-5, 5e-5, 1e-4, 2e-4)
_RIVALS = ("attention", "average_pool", "first_k", "input_first_k", "random",
           "bipartite_merge")
_SECOND_RIVALS = ("attention", "average_pool", "bipartite_merge", "coreset",
                  "random", "first_k")
# Computed ones that one set of weights is trained for.
BUDGETS = (1.5, 2.0, 3.0)


def _layers(**settings) -> tuple[str, ...]:
  """Bindings of the encoder."""
  return tuple(f"pyramid_bert_encoder.{name} = {value!r}"
               for name, value in settings.items())


_BEST, _BEFORE = "cluster means", "before the first layer, cluster means"
_SECOND = f"attention coreset, {_BEST}, from dense"
_MEANS = dict(proportional_attention=True, merge_tokens=True)
# Beyond the paper; lists of the same FLOPs that fall in few layers are faster
# on one text at a time.
VARIANTS = {
    "short early": _layers(retention_depth=2),
    "log-size attention": _layers(proportional_attention=True),
    _BEST: _layers(**_MEANS),
    "short early, cluster means": _layers(retention_depth=2, **_MEANS),
    "short at once, cluster means": _layers(retention_depth=1, **_MEANS),
    _BEFORE: (
        'SELECTION_PLACE = "pre_layer"',
        *_layers(retention_depth=1, **_MEANS)),
}


@dataclasses.dataclass(frozen=True)
class Task:
  """Rows with labels.

  Attributes:
    name: of its folder of runs.
    arguments: of train.py, with places to fill in.
    train_file: whose rows are trained on, and held out to choose settings on.
    eval_file: whose rows are reported on, and nothing else.
    fresh_file: rows that measure.py judges finished runs on; empty is the
      file before.
    dev_file: whose rows settings are chosen on; empty holds rows of the
      training file out.
    seq_length: tokens of a row.
    epochs: how often rows are seen, and how often in the fine-tuning that
      starts from a dense model.
    learning_rates: dense, with few tokens, and with few tokens from a dense
      model that is fine-tuned already; chosen by `tuning_jobs`.
    speedups: computed ones of the lists, by the measured one that a batch of
      32 gains with them at least; see speed_*.json.
  """
  name: str
  arguments: tuple
  train_file: str
  eval_file: str
  fresh_file: str
  dev_file: str
  seq_length: int
  epochs: tuple[float, float]
  learning_rates: tuple[float, float, float]
  speedups: dict


# Of SST-2's 67,000 rows 10,000, once, with places for its longest sentences and
# with as many as are usual; of IMDB 3,000 reviews, once, and twice from a dense
# model.
_SST_2 = Task("SST-2", ("--task_name=SST-2",), "{glue}/SST-2/train.tsv",
              "{glue}/SST-2/test-labeled.tsv", "", "", 64, (0.15, 0.15),
              (1e-4, 2e-4, 1e-4), {3.0: 3.4, 3.5: 4.0})
TASKS = (
    _SST_2,
    dataclasses.replace(_SST_2, name="SST-2 of 128", seq_length=128),
    Task("IMDB", ("--text_columns=text", "--label_column=label"),
         "{runs}/imdb_train.tsv", "{runs}/imdb_test.tsv",
         "{runs}/imdb_fresh.tsv", "{runs}/imdb_dev.tsv", 256, (1.0, 2.0),
         (1e-4, 2e-4, 5e-5), {3.0: 3.4, 3.5: 4.0}))


@dataclasses.dataclass(frozen=True)
class Places:
  """Where things are: folders of GLUE, of IMDB, of the runs; the encoder."""
  glue: str
  imdb: str
  runs: str
  encoder: str


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of train.py.

  Attributes:
    task: what is learnt.
    kind: what it is a repetition of.
    seed: of data order, dropout, head.
    learning_rate: the highest.
    speedup: computed; None is the dense encoder.
    selector: which tokens are kept.
    tunes: whether it only serves to choose settings, on rows held out of those
      for training.
    bindings: more of them.
    experiment: of train.py; empty is what the speed-up asks for.
    after: the name of the job whose weights it starts from; empty is the
      encoder that all start from.
    epochs: how often rows are seen; 0 is what the task says.
  """
  task: Task
  kind: str
  seed: int
  learning_rate: float
  speedup: float | None = None
  selector: str = "coreset"
  tunes: bool = False
  bindings: tuple = ()
  experiment: str = ""
  after: str = ""
  epochs: float = 0.0

  @property
  def name(self) -> str:
    kind = self.kind.replace(" ", "_")
    rate = f"-{self.learning_rate:g}" if self.tunes else ""
    task = self.task.name.replace(" ", "_")
    return f"{task}/{kind}{rate}-{self.seed}"

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    task, where = self.task, dataclasses.asdict(places)
    gin = [f"SEED = {self.seed}", f"LEARNING_RATE = {self.learning_rate}",
           f"EPOCHS = {self.epochs or task.epochs[bool(self.after)]}",
           f"SEQ_LENGTH = {task.seq_length}", "EVALUATIONS_PER_EPOCH = 1.0",
           *self.bindings]
    if self.speedup is not None:
      gin += [f"RETENTION_SPEEDUP = {self.speedup}",
              f'TOKEN_SELECTOR = "{self.selector}"']
    experiment = self.experiment or (
        "bert/sentence_prediction" if self.speedup is None
        else "pyramid_bert")
    arguments = [
        f"--experiment={experiment}", *task.arguments,
        f"--train_data={task.train_file.format(**where)}",
        "--init_checkpoint=" + (os.path.join(places.runs, self.after)
                                if self.after else str(places.encoder)),
        *(f"--gin_params={binding}" for binding in gin)]
    rows = task.dev_file if self.tunes else task.eval_file
    if rows:
      arguments.append(f"--eval_data={rows.format(**where)}")
    return arguments


def _job(task, kind, seed, speedup=None, **settings) -> Job:
  """At the task's learning rate."""
  rate = task.learning_rates[speedup is not None]
  return Job(task, kind, seed, rate, speedup, **settings)


def tuning_jobs() -> list[Job]:
  """Learning rates and variants, on rows of the training file.

  Of the first task; what is chosen there holds for the others, but for the rate
  and the epochs of the second fine-tuning, which reviews have their own for.
  """
  task = TASKS[0]
  speedup = task.speedups[3.5]
  rates = [Job(task, "dense" if computed is None else "coreset",
               _TUNING_SEED, rate, computed, tunes=True)
           for rate in _LEARNING_RATES for computed in (None, speedup)]
  variants = [
      _job(task, f"coreset, {name}", _TUNING_SEED, speedup, tunes=True,
           bindings=bindings) for name, bindings in VARIANTS.items()]
  (first,) = (job.name for job in rates if job.kind == "dense"
              and job.learning_rate == task.learning_rates[0])
  again = [Job(task, kind, _TUNING_SEED, rate, *selection, tunes=True,
               after=first, bindings=VARIANTS[_BEST] if selection else ())
           for kind, selection in (
               (_SECOND, (speedup, "attention_coreset")),
               ("dense, from dense", ())) for rate in _SECOND_RATES]
  reviews = TASKS[-1]
  again += [Job(reviews,
                _SECOND if epochs == 1 else f"{_SECOND}, {epochs:g} epochs",
                _TUNING_SEED, rate, reviews.speedups[3.5], "attention_coreset",
                tunes=True, bindings=VARIANTS[_BEST], epochs=epochs,
                after=_job(reviews, "dense", SEEDS[0]).name)
            for rate, epochs in (*((rate, 1.0) for rate in _SECOND_RATES),
                                 (5e-5, 2.0), (5e-5, 3.0))]
  return rates + variants + again


def main_jobs() -> list[Job]:
  """Dense, and core-set selection at both measured speed-ups.

  As the paper has it, and with the variant that `tuning_jobs` has ahead.
  """
  jobs = []
  for task in TASKS:
    for seed in SEEDS:
      jobs.append(_job(task, "dense", seed))
      for measured, computed in task.speedups.items():
        jobs += [
            _job(task, f"coreset {measured:g}x", seed, computed),
            _job(task, f"coreset, {_BEST} {measured:g}x", seed, computed,
                 bindings=VARIANTS[_BEST])]
  return jobs


def rival_jobs() -> list[Job]:
  """Every other selector, of the same computed speed-up."""
  task = TASKS[0]
  least, computed = min(task.speedups.items())
  return [_job(task, f"{selector} {least:g}x", seed, computed,
               selector=selector) for seed in SEEDS for selector in _RIVALS]


def second_rival_jobs() -> list[Job]:
  """Other selectors from the dense model of the same seed, as `second_jobs`.

  Each as it was published: core-sets, received attention and pooling drop, and
  ToMe merges, with attention that counts.
  """
  task = TASKS[0]
  computed = min(task.speedups.values())
  return [Job(task, f"{selector}, from dense {computed:g}x", seed,
              task.learning_rates[2], computed, selector,
              after=_job(task, "dense", seed).name,
              bindings=VARIANTS["log-size attention"]
              if selector == "bipartite_merge" else ())
          for seed in SEEDS for selector in _SECOND_RIVALS]


def second_jobs() -> list[Job]:
  """Once more over the same rows, from the dense model of the same seed.

  With the selection that changes least of what a dense model says, see
  training_free.py, at several speed-ups; and dense, to tell what the second
  time alone is worth.
  """
  jobs = []
  for seed in SEEDS:
    for task in TASKS:
      rate, first = task.learning_rates[2], _job(task, "dense", seed).name
      jobs += [Job(task, f"{_SECOND} {computed:g}x", seed, rate, computed,
                   "attention_coreset", after=first,
                   bindings=VARIANTS[_BEST])
               for computed in task.speedups.values()]
    jobs += [Job(task, "dense, from dense", seed, task.learning_rates[2],
                 after=_job(task, "dense", seed).name)
             for task in (TASKS[0], TASKS[-1])]
  return jobs


def variant_jobs() -> list[Job]:
  """Tokens chosen once, before any layer, of the same computed speed-up."""
  task = TASKS[0]
  least, computed = min(task.speedups.items())
  return [_job(task, f"coreset, {_BEFORE} {least:g}x", seed, computed,
               bindings=VARIANTS[_BEFORE]) for seed in SEEDS]


def budget_jobs() -> list[Job]:
  """One set of weights for all budgets, and one for each.

  From the dense model, with the selection of `second_jobs`.
  """
  task, jobs = TASKS[0], []
  for seed in SEEDS:
    common = dict(selector="attention_coreset",
                  after=_job(task, "dense", seed).name)
    rate, means = task.learning_rates[2], VARIANTS[_BEST]
    jobs.append(Job(
        task, "any budget", seed, rate, BUDGETS[1],
        bindings=(f"BUDGETS = {(1.0, *BUDGETS)}", *means),
        experiment="pyramid_bert/any_budget", **common))
    jobs += [Job(task, f"only {budget:g}x", seed, rate, budget,
                 bindings=means, **common) for budget in BUDGETS]
  return jobs
