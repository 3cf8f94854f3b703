"""A manifest beside the shards of a data set: what there should be.

`manifest.json` holds {"files": {name: {"records": N, "bytes": B,
"sha256": hex}}}. A file cut between two records and a shard that is missing
are perfectly good data without it.
"""

import concurrent.futures
import glob
import json
import os

from official_style import files as files_lib
from official_style.data import record_index
from official_style.errors import UserError

MANIFEST = 'manifest.json'
_MOST_THREADS = 8


def index_all(paths):
  """Returns the `RecordIndex` of each file, in order.

  Raises:
    UserError: for the first file in order that is damaged.
  """
  workers = max(1, min(_MOST_THREADS, os.cpu_count() or 1, len(paths)))
  # Hashing and reading release the interpreter's lock.
  with concurrent.futures.ThreadPoolExecutor(workers) as pool:
    futures = [pool.submit(record_index.index_records, p) for p in paths]
    try:
      return [future.result() for future in futures]
    except BaseException:
      pool.shutdown(wait=True, cancel_futures=True)
      raise


def write_manifest(folder, pattern='*.tfrecord*'):
  """Checks the shards of a folder and writes their manifest.

  Args:
    folder: where the shards are.
    pattern: which of its files are shards.

  Returns:
    The path of the manifest.

  Raises:
    UserError: if there is no shard, or one is damaged.
  """
  paths = sorted(glob.glob(os.path.join(glob.escape(folder), pattern)))
  paths = [path for path in paths if os.path.isfile(path)]
  if not paths:
    raise UserError(f'No file of {folder} matches {pattern!r}: there is '
                    'nothing to write a manifest of.')
  return write_facts(folder, {os.path.basename(index.path): index.facts()
                              for index in index_all(paths)})


def write_facts(folder, files, about=None):
  """Writes the manifest of shards whose facts are known.

  Args:
    folder: where the shards are.
    files: dict name -> dict with `records`, `bytes`, `sha256`.
    about: dict, what else the manifest says.

  Returns:
    The path of the manifest.
  """
  path = os.path.join(folder, MANIFEST)
  files_lib.write(path, json.dumps(
      (about or {}) | {'files': files}, indent=2, sort_keys=True) + '\n')
  return path


def check_manifest(folder):
  """Checks every file of a folder's manifest, to the last byte.

  Returns:
    The manifest's "files".

  Raises:
    UserError: if there is no manifest, or a file is missing or differs.
  """
  files = _read(os.path.join(folder, MANIFEST))
  if files is None:
    raise UserError(f'{folder} has no {MANIFEST}. Write one where the shards '
                    'are known to be whole.')
  check_indices(index_all([os.path.join(folder, name) for name in
                           sorted(_present(folder, files))]))
  return files


def check_present(paths):
  """Checks, before anything is read, that no listed shard is missing.

  Raises:
    UserError: if a manifest beside the paths lists a file that is not there.
  """
  for folder in sorted({os.path.dirname(path) for path in paths}):
    files = _read(os.path.join(folder, MANIFEST))
    if files is not None:
      _present(folder, files)


def check_indices(indices):
  """Compares files with the manifests beside them, where there are any.

  Returns:
    How many of the files a manifest vouches for.

  Raises:
    UserError: if a file differs from its manifest, or is not in it.
  """
  manifests, checked = {}, 0
  for index in indices:
    folder, name = os.path.split(index.path)
    where = os.path.join(folder, MANIFEST)
    if where not in manifests:
      manifests[where] = _read(where)
    files = manifests[where]
    if files is None:
      continue
    if name not in files:
      raise UserError(f'{index.path} is not in {where}. Take the file away, '
                      'or write the manifest again if it belongs there.')
    for key, value in index.facts().items():
      if files[name].get(key) != value:
        raise UserError(
            f'{index.path} has {value} for {key}, and {where} says '
            f'{files[name].get(key)}: the file was cut or exchanged. Copy it '
            'again, or write the manifest again if the file is right.')
    checked += 1
  return checked


def check_vocabulary(paths, vocabulary):
  """Checks that records were made with a vocabulary, where a manifest says so.

  Ids of another one of this size are as good as any to look at.

  Args:
    paths: the shards.
    vocabulary: the `Vocabulary` they are read with.

  Raises:
    UserError: if they were made with another one, or of text in another case.
  """
  for folder in sorted({os.path.dirname(path) for path in paths}):
    where = os.path.join(folder, MANIFEST)
    made_with = (_load(where) or {}).get('vocabulary')
    if not isinstance(made_with, dict):
      continue
    if made_with.get('sha256') != vocabulary.sha256:
      raise UserError(
          f'{where}: the records were made with another vocabulary than '
          f'--vocab_file, {made_with.get("size")} tokens of sha256 '
          f'{str(made_with.get("sha256"))[:12]}, and this is {vocabulary!r}: '
          f'give {os.path.join(folder, "vocab.txt")}, or write the records '
          'again.')
    lower_case = made_with.get('lower_case', vocabulary.lower_case)
    if lower_case != vocabulary.lower_case:
      raise UserError(
          f'{where}: the records were made with '
          f'--lower_case={str(lower_case).lower()}: say --params_override='
          f'task.lower_case={str(lower_case).lower()}, or write them again.')


def _present(folder, files):
  missing = [name for name in sorted(files)
             if not os.path.isfile(os.path.join(folder, name))]
  if missing:
    raise UserError(
        f'{os.path.join(folder, missing[0])} is missing ({len(missing)} of the '
        f'{len(files)} files in {os.path.join(folder, MANIFEST)} are). Copy '
        'the data set again.')
  return files


def _read(path):
  """Returns the "files" of a manifest, or None if there is no manifest."""
  manifest = _load(path)
  return None if manifest is None else manifest['files']


def _load(path):
  """Returns a manifest whose "files" are sound, or None if there is none."""
  try:
    with open(path, encoding='utf-8') as file:
      manifest = json.load(file)
    files = manifest['files']
    if not all(isinstance(facts, dict) for facts in files.values()):
      raise TypeError
    for name in files:
      if os.path.basename(name) != name or name in ('', '.', '..'):
        raise UserError(f'{path} lists {name!r}, which is not a plain file '
                        'name. Write the manifest again.')
    return manifest
  except FileNotFoundError:
    return None
  except OSError as error:
    raise UserError(f'{path} cannot be read: {error.strerror}.') from error
  except (ValueError, KeyError, TypeError, AttributeError,
          RecursionError) as error:
    raise UserError(f'{path} is not a manifest of shards (JSON with "files"). '
                    'Write it again.') from error
