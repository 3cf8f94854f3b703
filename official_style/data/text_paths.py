"""From what a user writes as input path to the list of text files it means."""

import glob
import os

from official_style.errors import UserError

TEXT_EXTENSIONS = (".txt", ".txt.gz", ".jsonl", ".jsonl.gz")


def expand_paths(spec, report=None, extensions=TEXT_EXTENSIONS):
  """Finds the files that a path, a glob or a directory stands for.

  Args:
    spec: paths, globs (`**` descends) and directories (read recursively), as
      one comma separated string or a sequence of them. A path that exists is
      taken as it is, whatever commas or brackets are in its name.
    report: a `TextReport` that takes the names of the ignored files.
    extensions: how the names of the files end, in lower case.

  Returns:
    list[str], sorted, each file once. Hidden files are skipped, and in
    directories files with another extension too.

  Raises:
    UserError: something named does not exist, matches nothing, or has another
      extension.
  """
  known = " ".join(extensions)
  files, ignored = set(), set()
  items = split(spec)
  if not items:
    raise UserError("no input path given; name text files, globs or "
                    f"directories of {known} files")
  for item in items:
    for path in _matches(item):
      if os.path.isdir(path):
        found, other = _walk(path, extensions)
        if not found:
          ending = f"; it has {other[0]}" if other else ""
          raise UserError(f"{path}: no {known} files in this directory"
                          f"{ending}; check the path")
        files.update(found)
        ignored.update(other)
      elif path.lower().endswith(extensions):
        files.add(os.path.normpath(path))
      else:
        extension = os.path.splitext(path)[1] or "none"
        kind = "text is" if extensions is TEXT_EXTENSIONS else "rows are"
        raise UserError(f"{path}: unknown extension {extension!r}; {kind} "
                        f"read from {known}")
  if report is not None:
    report.ignored_files = sorted(ignored - files)
  return sorted(files)


def check_exist(spec):
  """Raises UserError if something that `spec` names is not there.

  Args:
    spec: as in `expand_paths`; the extensions may be any.
  """
  for item in split(spec):
    _matches(item)


def is_text_name(path):
  """Says whether the name ends as a text file's does."""
  return path.lower().endswith(TEXT_EXTENSIONS)


def names_text(item):
  """Says whether a path, glob or folder is of text, not of TFRecords.

  Args:
    item: one of what `split` returns.
  """
  item = os.path.expanduser(item)
  if is_text_name(item):
    return True
  if os.path.isdir(item):
    # Beside TFRecords lies their vocab.txt, which is no text to learn from.
    return not glob.glob(os.path.join(glob.escape(item), "*.tfrecord*"))
  matches = [] if os.path.exists(item) else glob.glob(item, recursive=True)
  return (not any(".tfrecord" in os.path.basename(m) for m in matches)
          and any(map(names_text, matches)))


def split(spec):
  """Returns the paths, globs and folders that `spec` lists."""
  if isinstance(spec, (str, os.PathLike)):
    spec = os.fspath(spec)
    if os.path.exists(spec):
      return [spec]
    return [part.strip() for part in spec.split(",") if part.strip()]
  return [part for item in spec for part in split(item)]


def _matches(item):
  """Returns what one path or glob names; never nothing."""
  item = os.path.expanduser(item)
  if os.path.exists(item):
    return [item]
  if not glob.has_magic(item):
    raise UserError(f"{item}: no such file or directory; check the input path")
  matches = sorted(glob.glob(item, recursive=True))
  files = [path for path in matches if not os.path.isdir(path)]
  if "**" in item:
    # The files below are matched by themselves; a directory would add those
    # the rest of the pattern leaves out.
    matches = files
  if not matches:
    raise UserError(f"{item}: this glob matches no file; check the pattern, "
                    "and quote it so that the shell leaves it alone")
  return matches


def _walk(directory, extensions):
  """Lists the files below a directory: with these extensions, and other."""
  found, other = [], []
  for folder, folders, names in os.walk(directory):
    folders[:] = sorted(f for f in folders if not f.startswith("."))
    for name in sorted(names):
      if not name.startswith("."):
        path = os.path.normpath(os.path.join(folder, name))
        (found if name.lower().endswith(extensions) else other).append(path)
  return found, other
