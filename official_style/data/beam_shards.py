"""Runs `ShardBuilder` over blocks of text on Apache Beam.

Workers exchange nothing but files: each block's shards, and the facts about
it, go where the driver told them, so that folder and the text have to be under
the same path on all machines. A block that Beam tries again is written again,
to the same bytes. A worker decompresses a .gz up to its block, so rather give
many of them than a giant one.
"""

import os

from official_style.data import json_files
from official_style.data.shard_builder import ShardBuilder
from official_style.data.shard_builder import facts_path
from official_style.errors import UserError

try:
  import apache_beam as beam
  from apache_beam.options import pipeline_options
except ImportError as missing:
  raise UserError("--runner=beam: apache-beam is not installed; pip install "
                  "'official-style[beam]', or leave the flag out") from missing


def build_blocks(blocks, builder_args, border, pipeline_args=()):
  """Builds the shards of all blocks.

  Args:
    blocks: iterable of `TextBlock` that do not hold their text.
    builder_args: the arguments of `ShardBuilder`.
    border: see `ShardBuilder.build`.
    pipeline_args: options of the Beam pipeline, as on a command line.

  Yields:
    The facts about each block, in the order of the blocks.

  Raises:
    UserError: the first one in that order.
  """
  blocks = list(blocks)
  if not blocks:
    return
  facts_folder = builder_args[-1]
  for block in blocks:
    if os.path.exists(_error_path(facts_folder, block.number)):
      os.remove(_error_path(facts_folder, block.number))
  options = pipeline_options.PipelineOptions(list(pipeline_args))
  with beam.Pipeline(options=options) as pipeline:
    # Reshuffled, or a runner may keep all blocks on one worker.
    _ = (pipeline | "Blocks" >> beam.Create(blocks)
         | "Spread" >> beam.Reshuffle()
         | "BuildShards" >> beam.ParDo(_BuildShards(builder_args, border)))
  for block in blocks:
    error = _error_path(facts_folder, block.number)
    if os.path.exists(error):
      raise UserError(json_files.load(error)["error"])
    yield json_files.load(facts_path(facts_folder, block.number))


class _BuildShards(beam.DoFn):
  """Builds the shards of one block after another."""

  def __init__(self, builder_args, border):
    self._builder_args = builder_args
    self._border = border

  def setup(self):
    self._builder = ShardBuilder(*self._builder_args)

  def process(self, block):
    try:
      self._builder.build(block, self._border)
    except UserError as error:
      # Raised here it would be tried again, and come out as a page of trace.
      json_files.save(_error_path(self._builder_args[-1], block.number),
                      dict(error=str(error)))


def _error_path(folder, number):
  return os.path.join(folder, f"error-{number:05}.json")
