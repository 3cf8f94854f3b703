"""What a folder of shards is made from, and whether that is still the same.

Imports no TensorFlow.
"""

import dataclasses
import os

from official_style.errors import UserError

FORMAT = "official_style.sharded_corpus"
_VERSION = 1


def check_settings(settings):
  """Raises UserError if a `ShardSettings` makes no sense."""
  if not 0 <= settings.eval_share < 1:
    raise UserError(f"eval_share {settings.eval_share}: must be at least 0 "
                    "and less than 1")
  if not 4 <= settings.seq_length:
    raise UserError(f"seq_length {settings.seq_length}: a row needs [CLS], "
                    "[SEP] and two tokens between them; give at least 4")
  if settings.block_bytes < 1:
    raise UserError(f"{settings.block_bytes / 1e6} MB a shard: give more")


def describe(paths, vocabulary, settings):
  """What the shards are made of, but for the content of the files."""
  try:
    inputs = [[name, os.path.getsize(path)]
              for name, path in zip(relative_names(paths), paths)]
  except OSError as error:
    raise UserError(f"{error.filename}: cannot read ({error.strerror}); check "
                    "the input path") from error
  return dict(
      format=FORMAT, version=_VERSION, inputs=inputs,
      settings=dataclasses.asdict(settings),
      vocabulary=dict(sha256=vocabulary.sha256, size=vocabulary.size,
                      lower_case=vocabulary.lower_case))


def relative_names(paths):
  """Names of files that do not depend on where their common folder is."""
  absolute = list(map(os.path.abspath, paths))
  common = os.path.commonpath(map(os.path.dirname, absolute))
  return [os.path.relpath(path, common).replace(os.sep, "/")
          for path in absolute]


def compare(found, wanted, folder):
  """Refuses to mix what was made of one thing with another."""
  differing = []
  for name, value in wanted.items():
    if found.get(name) == value:
      continue
    if name == "settings":
      differing += [key for key in value
                    if found.get(name, {}).get(key) != value[key]]
    else:
      differing.append({"inputs": "names or sizes of the input files",
                        "changed": "the time of change of the input files",
                        }.get(name, name))
  if differing:
    raise UserError(f"{folder}: made from something else: "
                    f"{', '.join(differing)} differ; bring that back, delete "
                    "the folder, or choose another one")
