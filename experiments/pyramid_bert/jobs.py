"""What is fine-tuned for the claim: every run by name.

A pretrained encoder of 6 layers of 384 on two tasks: as it is, with the paper's
core-set selection at two lists of tokens, with what the paper compares it with
at the longer one's speed-up, and one set of weights for several lists beside
one for each.
"""

import dataclasses

SEEDS = (1, 2, 3)
# Another than any seed of a run that is reported.
_TUNING_SEED = 100
_LEARNING_RATES = (5e-5, 1e-4, 2e-4)
_RIVALS = ("attention", "average_pool", "first_k", "input_first_k", "random",
           "bipartite_merge")
# Computed ones that one set of weights is trained for.
BUDGETS = (1.5, 2.0, 3.0)


@dataclasses.dataclass(frozen=True)
class Task:
  """Rows with labels.

  Attributes:
    name: of its folder of runs.
    arguments: of train.py, with places to fill in.
    train_file: whose rows are trained on, and held out to choose settings on.
    eval_file: whose rows are reported on, and nothing else.
    seq_length: tokens of a row.
    epochs: how often rows are seen.
    learning_rate: chosen by `tuning_jobs`.
    speedups: computed ones of the lists, by the measured one that a batch of
      32 gains with them at least; see speed_*.json.
  """
  name: str
  arguments: tuple
  train_file: str
  eval_file: str
  seq_length: int
  epochs: float
  learning_rate: float
  speedups: dict


# Of SST-2's 67,000 rows 10,000, once; of IMDB 4,000 reviews, once.
TASKS = (
    Task("SST-2", ("--task_name=SST-2",), "{glue}/SST-2/train.tsv",
         "{glue}/SST-2/test-labeled.tsv", 64, 0.15, 1e-4,
         {3.0: 3.4, 3.5: 4.0}),
    Task("IMDB", ("--text_columns=text", "--label_column=label"),
         "{runs}/imdb_train.tsv", "{runs}/imdb_test.tsv", 256, 1.0, 1e-4,
         {3.0: 3.4, 3.5: 4.0}))


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
    learning_rate: instead of the task's.
    speedup: computed; None is the dense encoder.
    selector: which tokens are kept.
    tunes: whether it only serves to choose settings, on rows held out of those
      for training.
    bindings: more of them.
    experiment: of train.py; empty is what the speed-up asks for.
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

  @property
  def name(self) -> str:
    kind = self.kind.replace(" ", "_")
    rate = f"-{self.learning_rate:g}" if self.tunes else ""
    return f"{self.task.name}/{kind}{rate}-{self.seed}"

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    task, where = self.task, dataclasses.asdict(places)
    gin = [f"SEED = {self.seed}", f"LEARNING_RATE = {self.learning_rate}",
           f"EPOCHS = {task.epochs}", f"SEQ_LENGTH = {task.seq_length}",
           "EVALUATIONS_PER_EPOCH = 1.0", *self.bindings]
    if self.speedup is not None:
      gin += [f"RETENTION_SPEEDUP = {self.speedup}",
              f'TOKEN_SELECTOR = "{self.selector}"']
    experiment = self.experiment or (
        "bert/sentence_prediction" if self.speedup is None
        else "pyramid_bert")
    arguments = [
        f"--experiment={experiment}", *task.arguments,
        f"--train_data={task.train_file.format(**where)}",
        f"--init_checkpoint={places.encoder}",
        *(f"--gin_params={binding}" for binding in gin)]
    if not self.tunes:
      arguments.append(f"--eval_data={task.eval_file.format(**where)}")
    return arguments


def tuning_jobs() -> list[Job]:
  """Learning rates, dense and with few tokens, on rows of the training file.

  Of the first task; what is chosen there holds for the other.
  """
  task = TASKS[0]
  return [
      Job(task, "dense" if speedup is None else "coreset", _TUNING_SEED, rate,
          speedup, tunes=True)
      for rate in _LEARNING_RATES for speedup in (None, task.speedups[3.5])]


def main_jobs() -> list[Job]:
  """Dense, and core-set selection at both measured speed-ups."""
  jobs = []
  for task in TASKS:
    for seed in SEEDS:
      jobs.append(Job(task, "dense", seed, task.learning_rate))
      jobs += [Job(task, f"coreset {measured:g}x", seed, task.learning_rate,
                   computed) for measured, computed in task.speedups.items()]
  return jobs


def rival_jobs() -> list[Job]:
  """Every other selector, of the same computed speed-up, and variants."""
  jobs = []
  for task in TASKS[:1]:
    least, computed = min(task.speedups.items())
    for seed in SEEDS:
      jobs += [Job(task, f"{selector} {least:g}x", seed, task.learning_rate,
                   computed, selector) for selector in _RIVALS]
      jobs += [Job(task, f"coreset, {name} {least:g}x", seed,
                   task.learning_rate, computed, bindings=bindings)
               for name, bindings in _VARIANTS.items()]
  return jobs


def budget_jobs() -> list[Job]:
  """One set of weights for all budgets, and one for each."""
  task, jobs = TASKS[0], []
  for seed in SEEDS:
    jobs.append(Job(
        task, "any budget", seed, task.learning_rate, BUDGETS[1],
        bindings=(f"BUDGETS = {(1.0, *BUDGETS)}",),
        experiment="pyramid_bert/any_budget"))
    jobs += [Job(task, f"only {budget:g}x", seed, task.learning_rate, budget)
             for budget in BUDGETS]
  return jobs


# Beyond the paper; a list of the same FLOPs that falls in two layers is faster
# on one text at a time.
_VARIANTS = {
    "short early": ("pyramid_bert_encoder.retention_depth = 2",),
    "log-size attention": (
        "pyramid_bert_encoder.proportional_attention = True",),
    "cluster means": (
        "pyramid_bert_encoder.proportional_attention = True",
        "pyramid_bert_encoder.merge_tokens = True"),
}
