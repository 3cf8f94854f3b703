"""What is trained for the claim: every pretraining job by name.

The dense model and the token-dropping one, as many steps and as much time,
over seeds; and changes of the token-dropping one, each alone, with one seed.
"""

import dataclasses

STEPS = 1200
SEEDS = (1, 2, 3)


@dataclasses.dataclass(frozen=True)
class Places:
  """Where things are: text, vocabulary, folder of GLUE, folder of the runs."""
  corpus: str
  vocab: str
  glue: str
  runs: str


@dataclasses.dataclass(frozen=True)
class Job:
  """One run of train.py.

  Attributes:
    name: of its folder.
    kind: what it is a repetition of.
    experiment: of train.py.
    steps: how long.
    seed: of data order, masking, weights.
    gin: bindings that differ from sizes.gin.
    overrides: values for --params_override.
    interval: steps between evaluations.
  """
  name: str
  kind: str
  experiment: str
  steps: int
  seed: int
  gin: tuple = ()
  overrides: tuple = ()
  interval: int = 100

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    gin = (*self.gin, f"TRAIN_STEPS = {self.steps}", f"SEED = {self.seed}",
           f"INTERVAL = {self.interval}", "VALIDATION_STEPS = 64")
    return [
        f"--experiment={self.experiment}",
        "--gin_file=experiments/token_dropping/sizes.gin",
        *(f"--gin_params={binding}" for binding in gin),
        *(f"--params_override={value}" for value in self.overrides),
        f"--train_data={places.corpus}", f"--vocab_file={places.vocab}"]


# What changes, and how. "paper" is what the main runs use.
_ABLATIONS = {
    "importance: frequency": dict(gin=('TOKEN_STRATEGY = "frequency"',)),
    "importance: random": dict(gin=('TOKEN_STRATEGY = "random"',)),
    "keep share 0.25": dict(gin=("TOKEN_KEEP_SHARE = 0.25",)),
    "dense in the last tenth": dict(
        gin=("keep_schedule.dense_finish_share = 0.1",)),
    "random-LTD": dict(experiment="random_ltd_bert"),
    "documents not packed": dict(
        overrides=("task.train_data.pack_sequences=false",)),
}


@dataclasses.dataclass(frozen=True)
class FineTuning:
  """A pretrained model on the rows of a task of GLUE.

  Attributes:
    model: name of the `Job`. seed: of it.
    task: of GLUE; its folder has the same name.
    metric: what is reported, on the dev file, of the last step: nothing is
      chosen on these rows.
    gin: bindings.
  """
  model: str
  seed: int
  task: str
  metric: str
  gin: tuple

  @property
  def name(self) -> str:
    return f"{self.model}/{self.task}"

  def arguments(self, places: Places) -> list[str]:
    """Of train.py."""
    gin = (*self.gin, f"SEED = {self.seed}", "LEARNING_RATE = 2e-4",
           "BATCH_SIZE = 32", "EVALUATIONS_PER_EPOCH = 1.0")
    return ["--experiment=bert/sentence_prediction",
            f"--task_name={self.task}",
            f"--train_data={places.glue}/{self.task}",
            f"--init_checkpoint={places.runs}/{self.model}",
            *(f"--gin_params={binding}" for binding in gin)]


# CoLA four times; of SST-2's 67,000 rows three tenths, once.
_TASKS = (
    ("CoLA", "matthews_correlation", ("EPOCHS = 4.0", "SEQ_LENGTH = 32")),
    ("SST-2", "accuracy", ("EPOCHS = 0.3", "SEQ_LENGTH = 64")))


def fine_tunings(jobs: list[Job]) -> list[FineTuning]:
  """Both tasks for every model."""
  return [FineTuning(job.name, job.seed, task, metric, gin)
          for job in jobs for task, metric, gin in _TASKS]


def main_jobs(time_ratio: float) -> list[Job]:
  """Dense against token dropping.

  Args:
    time_ratio: of a token-dropping step to a dense one, measured.
  """
  longer = round(STEPS / time_ratio)
  jobs = []
  for seed in SEEDS:
    jobs += [
        Job(f"dense-{seed}", "dense", "bert", STEPS, seed),
        Job(f"drop-{seed}", "token dropping, equal steps", "token_drop_bert",
            STEPS, seed),
        Job(f"drop_longer-{seed}", "token dropping, equal time",
            "token_drop_bert", longer, seed)]
  return jobs


def ablation_jobs() -> list[Job]:
  """One change each, beside `drop-1`."""
  jobs = []
  for i, (kind, changes) in enumerate(_ABLATIONS.items()):
    jobs.append(Job(**(dict(
        name=f"ablation-{i}", kind=kind, experiment="token_drop_bert",
        steps=STEPS, seed=SEEDS[0], interval=400) | changes)))
  return jobs
