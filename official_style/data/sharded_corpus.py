"""Text files to a folder of packed TFRecord shards, and what is in them.

    text -> blocks -> (any process, any order) shards -> manifest

A block of text makes one training shard and, of the documents held out, one
evaluation shard; which bytes they have depends on text, vocabulary and
settings only. Finished blocks survive in `<folder>.partial` until all are;
then the folder appears. Imports no TensorFlow.
"""

import glob
import os
import shutil

from official_style import files
from official_style.data import json_files
from official_style.data import shard_manifest
from official_style.data import shard_provenance
from official_style.data import text_blocks
from official_style.data import text_files
from official_style.data import token_store_building
from official_style.data.text_report import TextReport
from official_style.data.token_store import SPLITS
from official_style.data.token_store import file_sha256
from official_style.errors import UserError

_VOCABULARY = "vocab.txt"


def build_shards(paths, vocabulary, settings, folder, run,
                 keep_compressed=True, progress=None, say=None):
  """Makes the folder, or goes on where a killed call left off.

  The split is that of `token_store_building.build_token_store`: by the hash of
  a document's text, so copies stay together, with neither split empty where
  there are two different documents.

  Args:
    paths: text files, as `expand_paths` returns them.
    vocabulary: the `Vocabulary`.
    settings: `ShardSettings`.
    folder: where the shards go; it must not exist, or be what this very call
      makes.
    run: called with blocks, arguments of `ShardBuilder` and a border; an
      iterable of the facts about each, in order.
    keep_compressed: see `text_blocks.iter_blocks`.
    progress: called with the bytes of the files done so far, and in all.
    say: called with a line about what is found.

  Returns:
    The manifest, a dict.

  Raises:
    UserError: the text or a setting is no good, or `folder` or what a killed
      call left is of something else.
  """
  folder = os.path.normpath(os.fspath(folder))
  say = say or (lambda line: None)
  shard_provenance.check_settings(settings)
  key = shard_provenance.describe(paths, vocabulary, settings)
  try:
    if os.path.lexists(folder):
      manifest = _finished(folder, key)
      shutil.rmtree(f"{folder}.partial", ignore_errors=True)
      say(f"{folder}: complete already, and checked to the last byte")
      return manifest
    build = _Build(folder, paths, key, progress)
    with build.locked():
      build.open(say)
      builder_args = (vocabulary, settings, build.data, build.facts_folder)
      try:
        for _ in range(2):
          border = build.border(settings.eval_share)
          for facts in run(build.missing(border, keep_compressed),
                           builder_args, border):
            build.add(facts)
      except UserError:
        build.discard_if_empty()
        raise
      return build.publish(vocabulary, settings, say)
  except OSError as error:
    raise UserError(f"{folder}: cannot write the shards "
                    f"({error.strerror or error}); check the disk") from error


class _Build:
  """What is done and what is left to do, in `<folder>.partial`."""

  def __init__(self, folder, paths, key, progress):
    self._folder, self._paths, self._key = folder, paths, key
    self._partial = f"{folder}.partial"
    self.data = os.path.join(self._partial, "data")
    self.facts_folder = os.path.join(self._partial, "facts")
    self._sizes = sum(map(os.path.getsize, paths))
    self._progress = progress
    self._facts = {}

  def locked(self):
    """Opens the lock of the folder, to be held while writing."""
    os.makedirs(self._partial, exist_ok=True)
    lock = open(os.path.join(self._partial, "lock"), "w")
    if not files.lock(lock):
      raise UserError(f"{self._folder}: another process is writing it; wait "
                      "for it, or choose another folder")
    return lock

  def open(self, say):
    """Takes over what a killed call left."""
    os.makedirs(self.data, exist_ok=True)
    os.makedirs(self.facts_folder, exist_ok=True)
    path = os.path.join(self._partial, "settings.json")
    # Times of change too: rather ask than mix two versions of a text.
    key = self._key | dict(changed=[os.stat(p).st_mtime_ns
                                    for p in self._paths])
    if os.path.exists(path):
      shard_provenance.compare(json_files.load(path), key, self._partial)
    else:
      json_files.save(path, key)
    for name in glob.glob(os.path.join(
        glob.escape(self._partial), "**", "*.tmp-*"), recursive=True):
      os.remove(name)
    for path in glob.glob(os.path.join(
        glob.escape(self.facts_folder), "block-*.json")):
      facts = json_files.load(path)
      if all(_is_whole(os.path.join(self.data, name), wanted)
             for name, wanted in facts["files"].items()):
        self._facts[facts["number"]] = facts
    if self._facts:
      say(f"{self._partial}: going on, {len(self._facts)} blocks are done")

  def add(self, facts):
    """Takes note of a finished block."""
    self._facts[facts["number"]] = facts
    if self._progress:
      self._progress(facts["disk_bytes"], self._sizes)

  def discard_if_empty(self):
    """Leaves nothing behind if no block has been finished."""
    if not self._facts:
      shutil.rmtree(self._partial)

  def border(self, eval_share):
    """Where to split: at the share, or where neither side is empty.

    That is known once all blocks are done, in the first of two passes.
    """
    border = token_store_building.eval_border(eval_share)
    hashes = [h for facts in self._facts.values() for h in facts["hashes"]]
    if not self._all_done() or not hashes or eval_share == 0:
      return border
    low, high = min(hashes), max(hashes)
    if low == high:
      return 0  # One document, of use only for training.
    # The document nearest to the border moves, with its copies.
    return low + 1 if low >= border else high if high < border else border

  def _all_done(self):
    return any(facts["end"]["file"] == len(self._paths)
               for facts in self._facts.values()) and set(
                   self._facts) == set(range(len(self._facts)))

  def missing(self, border, keep_compressed):
    """Yields the blocks to be built, or built again for another border."""
    all_done = self._all_done()

    def is_done(number):
      facts = self._facts.get(number)
      return facts is not None and (not all_done or facts["border"] == border)

    number, start = 0, text_blocks.Position()
    while is_done(number):
      facts = self._facts[number]
      number, start = number + 1, text_blocks.Position(**facts["end"])
      if self._progress:
        self._progress(facts["disk_bytes"], self._sizes)
    blocks = text_blocks.iter_blocks(
        self._paths, self._key["settings"]["block_bytes"], start, number,
        keep_compressed)
    for block in blocks:
      if not is_done(block.number):
        yield block

  def publish(self, vocabulary, settings, say):
    """Writes the manifest and gives the folder its name."""
    report, files, splits = TextReport(), {}, {}
    for path in self._paths:
      report.start_file(path)  # No block has anything of an empty one.
    for _, facts in sorted(self._facts.items()):
      report.add(TextReport(**facts["report"]))
      files |= facts["files"]
      for split, counts in facts["splits"].items():
        total = splits.setdefault(split, dict.fromkeys(counts, 0))
        for name, count in counts.items():
          total[name] += count
    try:
      for path in self._paths:
        text_files.check_rows(path, report, settings.text_field)
      if not files:
        raise UserError(
            f"no {'tokens' if report.total('documents') else 'text'} in the "
            f"{len(self._paths)} input files (first: {self._paths[0]}); check "
            "the input path")
    except UserError:
      shutil.rmtree(self._partial)
      raise
    for counts in splits.values():
      # Every piece has a [CLS] and a [SEP].
      used, rows = counts["tokens"] + 2 * counts["pieces"], counts["rows"]
      counts["padding_share"] = (
          1 - used / (rows * settings.seq_length) if rows else 0.0)
    about = self._key | dict(
        splits=splits, text=_text_counts(report, self._paths))
    shard_manifest.write_facts(self.data, files, about)
    vocabulary.save(os.path.join(self.data, _VOCABULARY))
    os.rename(self.data, self._folder)
    shutil.rmtree(self._partial)
    say(f"text: {report.describe()}")
    return about | dict(files=files)


def describe(manifest):
  """Returns a line for each split, for a human."""
  lines = []
  for split in SPLITS:
    counts = manifest["splits"][split]
    if counts["rows"]:
      lines.append(
          f"{split}: {counts['rows']:,} rows of "
          f"{manifest['settings']['seq_length']} from "
          f"{counts['documents']:,} documents, {counts['tokens']:,} tokens "
          f"({counts['unknown_tokens'] / counts['tokens']:.2%} unknown); "
          f"{counts['padding_share']:.1%} padding")
  return lines


def _text_counts(report, paths):
  names = dict(zip(paths, shard_provenance.relative_names(paths)))
  return dict(
      files={names[path]: counts for path, counts in report.files.items()},
      damage={kind: {names[path]: count for path, count in counts.items()}
              for kind, counts in report.damage.items()})


def _finished(folder, key):
  """Returns the manifest of a folder that is there already."""
  path = os.path.join(folder, shard_manifest.MANIFEST)
  manifest = json_files.load(path) if os.path.isfile(path) else {}
  if manifest.get("format") != shard_provenance.FORMAT:
    raise UserError(f"{folder}: exists already and holds something else; "
                    "choose another folder")
  shard_provenance.compare(manifest, key, folder)
  shard_manifest.check_manifest(folder)
  return manifest


def _is_whole(path, wanted):
  return (os.path.isfile(path) and os.path.getsize(path) == wanted["bytes"]
          and file_sha256(path) == wanted["sha256"])
