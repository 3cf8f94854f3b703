"""Runs a `ShardBuilder` over many blocks, in one process or several."""

import collections
import concurrent.futures
import multiprocessing
import os
import signal
import threading

from official_style.data.shard_builder import ShardBuilder
from official_style.errors import UserError

_builder = None  # of a worker process


def build_blocks(blocks, builder_args, border, num_workers):
  """Builds the shards of all blocks.

  Blocks are taken from the iterable a few at a time, so at most `num_workers`
  + 2 of them are in memory.

  Args:
    blocks: iterable of `TextBlock`.
    builder_args: the arguments of `ShardBuilder`.
    border: see `ShardBuilder.build`.
    num_workers: number of processes; 1 works in this one.

  Yields:
    The facts about each block, in the order of the blocks.

  Raises:
    UserError: the first one in that order; or a worker was killed.
  """
  if num_workers == 1:
    builder = ShardBuilder(*builder_args)
    for block in blocks:
      yield builder.build(block, border)
    return
  # Forking would copy the threads' locks of whoever calls this.
  context = multiprocessing.get_context("spawn")
  pool = concurrent.futures.ProcessPoolExecutor(
      num_workers, context, _start_worker, builder_args)
  pending = collections.deque()
  try:
    for block in blocks:
      if len(pending) > num_workers:
        yield pending.popleft().result()
      pending.append(pool.submit(_build, block, border))
      del block  # The text of a .gz would be held until the next is read.
    while pending:
      yield pending.popleft().result()
  except concurrent.futures.process.BrokenProcessPool as error:
    raise UserError(
        f"one of {num_workers} worker processes was killed, perhaps for want "
        "of memory; run the same command again, with a smaller --num_workers "
        "if it recurs") from error
  finally:
    pool.shutdown(wait=True, cancel_futures=True)


def _start_worker(*builder_args):
  global _builder
  # Ctrl-C reaches the whole group; the parent decides what happens.
  signal.signal(signal.SIGINT, signal.SIG_IGN)
  threading.Thread(target=_die_with_parent, daemon=True).start()
  # A worker has one core; BPE would take them all.
  os.environ["TOKENIZERS_PARALLELISM"] = "false"
  _builder = ShardBuilder(*builder_args)


def _die_with_parent():
  """A killed parent must not leave workers that go on writing."""
  multiprocessing.parent_process().join()
  os._exit(1)


def _build(block, border):
  return _builder.build(block, border)
