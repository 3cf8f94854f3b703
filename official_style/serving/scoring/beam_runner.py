"""Parts on Apache Beam, by RunInference.

An example is the number of a part, and its prediction how many rows that has;
rows and answers are in files, which have to be under the same path on all
machines. The model is loaded once in a process and shared by its threads.
"""

from official_style.errors import UserError
from official_style.serving.scoring import part_worker
from official_style.serving.scoring import scoring_folder

try:
  import apache_beam as beam
  from apache_beam.ml.inference import base
  from apache_beam.options import pipeline_options
except ImportError as missing:
  raise UserError("--runner=beam: apache-beam is not installed; pip install "
                  "'official-style[beam]', or leave the flag out") from missing

_LOCAL = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
# As often as Spark and Beam's services try a task.
_ATTEMPTS = 4


class PartModelHandler(base.ModelHandler):
  """Scores parts by their numbers.

  Args:
    job: a `ScoringJob`.
    num_threads: threads of a process that call it.
  """

  def __init__(self, job, num_threads: int = 1):
    # A part is a batch already.
    super().__init__(min_batch_size=1, max_batch_size=1)
    self._job, self._num_threads = job, num_threads

  def load_model(self) -> part_worker.PartWorker:
    return part_worker.PartWorker(self._job, self._num_threads)

  def run_inference(self, batch, model, inference_args=None):
    for number in batch:
      yield base.PredictionResult(number, model.score(number))


def run(job, parts, num_workers: int, settings=()):
  """Scores parts.

  The runner of one machine gives up when a bundle fails, so what is missing is
  then started again, as services do by themselves.

  Args:
    job: a `ScoringJob`.
    parts: their numbers.
    num_workers: threads, where no runner is named.
    settings: options of the pipeline, as on a command line.
  """
  folder = scoring_folder.ScoringFolder(job.output_dir)
  for attempt in range(_ATTEMPTS):
    left = [n for n in parts if folder.facts(n) is None]
    if not left:
      return
    try:
      _run_once(job, left, num_workers, settings)
      return
    except Exception:
      if attempt == _ATTEMPTS - 1:
        raise


def _run_once(job, parts, num_workers, settings):
  settings = list(settings)
  threads = 1
  if not any(setting.startswith("--runner") for setting in settings):
    threads = num_workers
    settings += [f"--runner={_LOCAL}", "--direct_running_mode=multi_threading",
                 f"--direct_num_workers={num_workers}"]
  options = pipeline_options.PipelineOptions(settings)
  with beam.Pipeline(options=options) as pipeline:
    # Reshuffled, or a runner may keep all parts on one worker.
    _ = (pipeline | "Parts" >> beam.Create(parts)
         | "Spread" >> beam.Reshuffle()
         | "Score" >> base.RunInference(PartModelHandler(job, threads)))
