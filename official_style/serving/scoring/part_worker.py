"""What a worker of a cluster keeps while it scores parts."""

from typing import Optional

from official_style.errors import UserError
from official_style.serving.scoring import part_scorer
from official_style.serving.scoring import scoring_folder
from official_style.serving.scoring import scoring_job


class PartWorker:
  """Loads the model once, and scores any parts after that.

  Workers exchange nothing but files: the numbers of parts come in, and the
  files of parts appear in the folder of the job. A part that is scored again
  gets the same bytes.

  Args:
    job: the `ScoringJob`.
    num_threads: parts at a time, of threads of this process.
  """

  def __init__(self, job: scoring_job.ScoringJob, num_threads: int = 1):
    self._folder = scoring_folder.ScoringFolder(job.output_dir)
    self._scorer: Optional[part_scorer.PartScorer] = None
    try:
      self._scorer = part_scorer.PartScorer(
          job, self._folder.plan(), job.open_predictor(
              num_threads * job.batches_at_a_time))
    except UserError as error:
      self._folder.write_error(0, error)

  def score(self, number: int) -> int:
    """Scores a part; returns how many rows it has, -1 after a mistake.

    One that is done is left alone: a task of several parts is tried again.
    A mistake of the user is written down for the driver: raised here it would
    be tried again, and come out as a page of trace.
    """
    if self._scorer is None:
      return -1
    facts = self._folder.facts(number)
    if facts is not None:
      return facts["rows"]
    try:
      return self._scorer.score(number)["rows"]
    except UserError as error:
      self._folder.write_error(number, error)
      return -1
