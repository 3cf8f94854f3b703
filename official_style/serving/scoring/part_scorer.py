"""One part, from its rows to its files.

Whatever runs it, in this process or elsewhere, calls this, and so writes the
same bytes.
"""

import concurrent.futures
import dataclasses
import threading
from typing import Callable

from official_style.errors import UserError
from official_style.serving.scoring import length_batches
from official_style.serving.scoring import part_plan
from official_style.serving.scoring import part_reader
from official_style.serving.scoring import refused_rows
from official_style.serving.scoring import scoring_folder
from official_style.serving.scoring import scoring_job

_NO_TOKENS = "no words in it"
_NOT_FINITE = "the model's answer is not finite"
_REFUSED = "refused: "


@dataclasses.dataclass
class PreparedPart:
  """A part that has been read.

  Attributes:
    number: of the part.
    places: (path, row number) of its good rows, in order.
    encoded: `EncodedText` of each of them.
    bad: (path, row number, reason) of the others.
    batches: arrays of indices of good rows.
  """
  number: int
  places: list
  encoded: list
  bad: list
  batches: list


class PartScorer:
  """Scores parts of a job.

  Args:
    job: the `ScoringJob`.
    plan: the `PartPlan`.
    predict: arrays by name to arrays by name; called by several threads if
      `answer` is.
  """

  def __init__(self, job: scoring_job.ScoringJob, plan: part_plan.PartPlan,
               predict: Callable[[dict], dict]):
    self._job, self._predict = job, predict
    self._export = job.open_export()
    # Threads that score a part each share a file and a tokenizer.
    self._reader, self._lock = part_reader.PartReader(plan), threading.Lock()

  def score(self, number: int) -> dict:
    """Scores a part; returns what is known of it."""
    part = self.prepare(number)
    with concurrent.futures.ThreadPoolExecutor(
        self._job.batches_at_a_time) as pool:
      return self.write(part, list(pool.map(
          lambda batch: self.answer(part, batch), part.batches)))

  def prepare(self, number: int) -> PreparedPart:
    """Reads a part and cuts it into batches."""
    with self._lock:
      return self._prepare(number)

  def _prepare(self, number) -> PreparedPart:
    places, encoded, bad, waiting = [], [], [], []

    def encode():
      for (place, _), row in zip(waiting, self._export.encode(
          [texts for _, texts in waiting])):
        if row is None:
          bad.append((*place, _NO_TOKENS))
        else:
          places.append(place)
          encoded.append(row)
      waiting.clear()

    characters = 0
    for path, row in self._reader.rows(number):
      if row.problem:
        bad.append((path, row.number, row.problem))
        continue
      waiting.append(((path, row.number), row.texts))
      characters += sum(map(len, row.texts))
      # Texts are let go once they are ids, of which a row has few.
      if characters > 1_000_000:
        encode()
        characters = 0
    encode()
    batches = length_batches.of(
        [len(row.ids) for row in encoded], self._export.buckets,
        self._job.batch_tokens, self._job.max_batch_rows)
    return PreparedPart(number, places, encoded, bad, batches)

  def answer(self, part: PreparedPart, batch) -> list:
    """Asks for the rows of a batch.

    Returns:
      (answer, reason) of each: an answer of the `AnswerFormat` or None, and
      then why.
    """
    # A server joins requests, and can't those of different lengths.
    inputs = self._export.inputs([part.encoded[i] for i in batch],
                                 to_longest=bool(self._job.servers))
    try:
      answers = self._job.answer_format.answers(self._predict(inputs))
    except refused_rows.RefusedRowsError as error:
      if len(batch) == 1:
        return [(None, f"{_REFUSED}{error}")]
      found = [self.answer(part, [i])[0] for i in batch]
      _refuse_if_none_is_answered(found)
      return found
    return [(answer, "" if answer is not None else _NOT_FINITE)
            for answer in answers]

  def write(self, part: PreparedPart, answers: list) -> dict:
    """Writes the files of a part.

    Args:
      part: of `prepare`.
      answers: of each of its batches what `answer` gave.

    Returns:
      What `scoring_folder.ScoringFolder.write_part` does.
    """
    found = {int(i): answer for batch, some in zip(part.batches, answers)
             for i, answer in zip(batch, some)}
    # Batches may be of one row each.
    _refuse_if_none_is_answered(list(found.values()))
    bad = part.bad + [
        (*part.places[i], reason) for i, (answer, reason) in found.items()
        if answer is None]
    good = [i for i in range(len(part.places)) if found[i][0] is not None]
    content = self._job.answer_format.content(
        [part.places[i] for i in good], [found[i][0] for i in good])
    # Places are in the order of files and rows, which is that of names.
    return scoring_folder.ScoringFolder(self._job.output_dir).write_part(
        part.number, len(part.places) + len(part.bad), len(good),
        sorted(bad), content)


def _refuse_if_none_is_answered(answers):
  """Where all of several rows are refused it is not the rows that are wrong."""
  if len(answers) > 1 and all(
      answer is None and reason.startswith(_REFUSED)
      for answer, reason in answers):
    said = " ".join(answers[0][1].removeprefix(_REFUSED).split())
    raise UserError(f"none of {len(answers)} rows is answered ({said}): is "
                    "--model what is asked, and --signature one of it?")
