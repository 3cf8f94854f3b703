"""A corpus that needs no download: the documentation of this Python.

The help topics of the language and the docstrings of the standard library and
of the installed packages: English prose about programming, a few megabytes of
it on any machine. Source is parsed, never imported, so nothing installed runs.
The text depends on what is installed; its sha256 says whether two runs had the
same.
"""

import ast
import dataclasses
import hashlib
import os
import re
import site
import sysconfig
import warnings

from official_style.errors import UserError

_MIN_DOCSTRING_CHARACTERS = 80
_MAX_SOURCE_BYTES = 1_000_000
# Test data of compilers and parsers is not prose; vendored copies repeat it.
_SKIPPED_FOLDERS = frozenset(
    ("test", "tests", "testing", "idle_test", "__pycache__", "_vendor",
     "site-packages", "dist-packages", "lib2to3", "config"))
_TOPICS = "pydoc_data/topics.py"
# Every triple-quoted string, so that none is taken for the end of another.
_STRING = re.compile(rb'("""|\'\'\')((?:[^\\]|\\.)*?)\1', re.DOTALL)
# What comes before a docstring: in its line, in the line above the first
# statement of a body, and above the first statement of a file.
_OPENS_LINE = re.compile(rb"[ \t]*[rRuU]?")
_OPENS_BODY = re.compile(rb"[^\n]*:[ \t]*(#[^\n]*)?\r?\n")
_OPENS_FILE = re.compile(rb"([ \t\r]*(#[^\n]*)?\n)*")
_SPACES = re.compile(r"[^\S\n]+")
_EMPTY_LINES = re.compile(r"\s*\n\s*")


@dataclasses.dataclass(frozen=True)
class EmbeddedCorpus:
  """The documents and where they came from.

  Attributes:
    documents: tuple[str], each a help topic or the docstrings of one file.
    num_files: source files that gave text.
    num_bytes: UTF-8 bytes of all documents.
    sha256: hex digest over the documents in order.
  """
  documents: tuple
  num_files: int
  num_bytes: int
  sha256: str

  def manifest(self):
    """Returns the counts and the digest as JSON-able objects."""
    return dict(files=self.num_files, documents=len(self.documents),
                bytes=self.num_bytes, sha256=self.sha256)

  def describe(self):
    """Returns one line for a human."""
    return (f"documentation of the installed Python: {len(self.documents)} "
            f"documents, {self.num_bytes / 1e6:.1f} MB from {self.num_files} "
            f"files, sha256 {self.sha256[:12]}")


def embedded_documents(max_bytes=4_000_000, roots=None):
  """Collects the documentation of the installed Python up to a size.

  Help topics come first, then the files of the standard library, then those
  of installed packages, each sorted by relative path, which no absolute path
  enters. A docstring that occurred before is left out.

  Args:
    max_bytes: stop before the document that would exceed this many UTF-8
      bytes.
    roots: folders of Python source in place of the installed ones.

  Returns:
    An `EmbeddedCorpus`.

  Raises:
    UserError: there is no documentation, as in a Python without sources.
  """
  documents, num_files, num_bytes = [], 0, 0
  digest = hashlib.sha256()
  seen = set()
  for path in source_files(_installed_roots() if roots is None else roots):
    is_topics = path.replace(os.sep, "/").endswith(_TOPICS)
    found = (_topics if is_topics else _document)(path, seen)
    num_files += bool(found)
    for document in found:
      raw = document.encode("utf-8", "replace")
      if num_bytes + len(raw) > max_bytes:
        return EmbeddedCorpus(
            tuple(documents), num_files, num_bytes, digest.hexdigest())
      documents.append(raw.decode("utf-8"))
      num_bytes += len(raw)
      # The length keeps "ab" + "c" apart from "a" + "bc".
      digest.update(b"%d\n" % len(raw) + raw)
  if not documents:
    raise UserError("the installed Python has no documentation to train on "
                    "(no source files); give text files as input instead")
  return EmbeddedCorpus(
      tuple(documents), num_files, num_bytes, digest.hexdigest())


def _installed_roots():
  """Returns the standard library, then the folders of installed packages."""
  paths = sysconfig.get_paths()
  roots = [paths["stdlib"], paths["platstdlib"], *site.getsitepackages(),
           paths["purelib"], paths["platlib"]]
  unique = {os.path.realpath(root): None for root in roots}
  return [root for root in unique if os.path.isdir(root)]


def source_files(roots):
  """Yields source files in an order that only relative paths decide."""
  for root in roots:
    topics = os.path.join(root, *_TOPICS.split("/"))
    if os.path.isfile(topics):
      yield topics
    for folder, folders, names in os.walk(root):
      folders[:] = sorted(f for f in folders if f not in _SKIPPED_FOLDERS
                          and not f.startswith("."))
      for name in sorted(names):
        path = os.path.join(folder, name)
        if (name.endswith(".py") and not name.startswith("test_")
            and not name.endswith("_test.py") and path != topics):
          yield path


def _read_source(path):
  """Returns the bytes of a file, none if it is unreadable or a data table."""
  try:
    if os.path.getsize(path) > _MAX_SOURCE_BYTES:
      return b""
    with open(path, "rb") as file:
      return file.read()
  except OSError:
    return b""


def _topics(path, seen):
  """Returns the help topics, the values of the dict literal `topics`."""
  try:
    tree = ast.parse(_read_source(path))
  except (SyntaxError, ValueError):
    return []
  for node in ast.walk(tree):
    if isinstance(node, ast.Dict):
      texts = (v.value for v in node.values if isinstance(v, ast.Constant))
      return _new_texts((t for t in texts if isinstance(t, str)), seen)
  return []


def _document(path, seen):
  """Returns a list of one document, the new docstrings of a file, or none."""
  texts = new_texts(path, seen)
  return ["\n".join(texts)] if texts else []


def new_texts(path, seen):
  """Returns the docstrings of a file that are not in the set `seen` yet."""
  return _new_texts(_docstrings(_read_source(path)), seen)


def _new_texts(texts, seen):
  """Normalises texts; leaves out short ones and those in the set `seen`."""
  new = []
  for text in map(_normalise, texts):
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    if len(text) > _MIN_DOCSTRING_CHARACTERS and digest not in seen:
      seen.add(digest)
      new.append(text)
  return new


def _docstrings(source):
  """Yields the docstrings of a source text, in order.

  Only the literals are parsed: parsing whole files takes 10 times as long,
  and a string that merely looks like a docstring is text all the same.

  Args:
    source: bytes of a Python file.
  """
  for match in _STRING.finditer(source):
    if len(match[2]) <= _MIN_DOCSTRING_CHARACTERS:
      continue
    line = source.rfind(b"\n", 0, match.start()) + 1
    above = source.rfind(b"\n", 0, max(line - 1, 0)) + 1
    prefix = source[line:match.start()]
    if _OPENS_LINE.fullmatch(prefix) and (
        _OPENS_BODY.fullmatch(source[above:line])
        or _OPENS_FILE.fullmatch(source[:line])):
      try:
        with warnings.catch_warnings():
          warnings.simplefilter("ignore")  # Invalid escapes in others' code.
          literal = (prefix.lstrip() + match[0]).decode("utf-8")
          yield ast.literal_eval(literal)
      except (SyntaxError, ValueError):
        continue


def _normalise(text):
  """One space between words, no indentation, no empty lines."""
  return _EMPTY_LINES.sub("\n", _SPACES.sub(" ", text)).strip()
