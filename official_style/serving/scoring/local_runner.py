"""Parts one after the other, several batches at a time, in this process."""

import collections
import concurrent.futures
import threading
from typing import Callable, Iterable

from official_style.serving.scoring import part_scorer


def run(scorer: part_scorer.PartScorer, parts: Iterable[int],
        num_threads: int, answered: Callable[[int], None] = lambda rows: None):
  """Scores parts.

  One thread reads and writes, the others ask the model. While the batches of a
  part are being answered the next one is read, so what is in memory is two
  parts and their answers, and `num_threads` batches are under way at most.

  Args:
    scorer: whose `answer` several threads may call.
    parts: their numbers.
    num_threads: batches at a time.
    answered: takes the rows of each batch that is done, good ones only.

  Raises:
    Whatever reading, writing or the model raises; batches not begun yet are
    dropped then.
  """
  lock = threading.Lock()

  def answer(part, batch):
    found = scorer.answer(part, batch)
    with lock:
      answered(len(batch))
    return found

  pool = concurrent.futures.ThreadPoolExecutor(num_threads)
  under_way = collections.deque()
  try:
    for number in parts:
      part = scorer.prepare(number)
      under_way.append((part, [pool.submit(answer, part, batch)
                               for batch in part.batches]))
      if len(under_way) > 1:
        _finish(scorer, *under_way.popleft())
    while under_way:
      _finish(scorer, *under_way.popleft())
  finally:
    pool.shutdown(cancel_futures=True)


def _finish(scorer, part, futures):
  scorer.write(part, [future.result() for future in futures])
