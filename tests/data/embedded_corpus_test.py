"""Tests of the corpus made of installed documentation."""

import hashlib
import json
import shutil

import pytest

from official_style.data.embedded_corpus import embedded_documents
from official_style.errors import UserError

LONG = " ".join(["word"] * 20)
SOURCE = f'''# A licence.

"""Module. {LONG}"""
import missing_package
raise SystemExit("never executed")

class A(
    object):  # A comment.
  r"""Class.

      Indented   \\d {LONG}
  """
  def f(self) -> "int":
    \'\'\'Function with """ in it. {LONG}\'\'\'
    x = """Not documentation. {LONG}"""
    """Not documentation either. {LONG}"""
  async def g(self):
    """Short."""
  def h(self):
    """Broken escape \\N{{no such name}} {LONG}"""
'''


@pytest.fixture
def roots(tmp_path):
  files = {
      "lib/z.py": f'"""Zed. {LONG}"""',
      "lib/a/b.py": SOURCE,
      "lib/copy.py": SOURCE,
      "lib/a/test/t.py": f'"""A test. {LONG}"""',
      "lib/a/test_t.py": f'"""A test. {LONG}"""',
      "lib/a/data.txt": f'"""No source. {LONG}"""',
      "lib/pydoc_data/topics.py":
          f"topics = {{'a': 'With\\n   it {LONG}', 'b': r'''B {LONG}''', "
          f"'c': 'With it {LONG}', 'd': 'B {LONG}', 1: 2}}",
      "packages/early.py": f'"""Package. {LONG}"""',
      "packages/bad.py": f'"""Latin \udcff {LONG}"""',
  }
  for name, content in files.items():
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(content.encode("utf-8", "surrogateescape"))
  return [str(tmp_path / "lib"), str(tmp_path / "packages")]


def test_documents_are_the_docstrings_in_order(roots):
  assert embedded_documents(roots=roots).documents == (
      f"With\nit {LONG}", f"B {LONG}", f"With it {LONG}",
      f"Module. {LONG}\nClass.\nIndented \\d {LONG}\n"
      f'Function with """ in it. {LONG}',
      f"Zed. {LONG}", f"Package. {LONG}")


def test_counts_and_digest_describe_the_documents(roots):
  corpus = embedded_documents(roots=roots)
  raw = [d.encode() for d in corpus.documents]
  digest = hashlib.sha256(b"".join(b"%d\n" % len(r) + r for r in raw))
  assert corpus.manifest() == dict(
      files=4, documents=6, bytes=sum(map(len, raw)), sha256=digest.hexdigest())
  assert json.dumps(corpus.manifest())
  assert corpus.sha256[:12] in corpus.describe()


def test_the_budget_takes_a_prefix(roots):
  everything = embedded_documents(roots=roots)
  part = embedded_documents(max_bytes=everything.num_bytes - 1, roots=roots)
  assert part.documents == everything.documents[:-1]
  same = embedded_documents(max_bytes=everything.num_bytes, roots=roots)
  assert same == everything


def test_moving_the_files_changes_nothing(roots, tmp_path):
  before = embedded_documents(roots=roots)
  moved = [shutil.move(root, tmp_path / f"moved{i}")
           for i, root in enumerate(roots)]
  assert embedded_documents(roots=moved) == before


def test_no_documentation_is_refused(tmp_path):
  (tmp_path / "x.py").write_text("x = 1")
  with pytest.raises(UserError, match="no documentation"):
    embedded_documents(roots=[str(tmp_path)])


def test_a_hostile_file_takes_no_time(tmp_path):
  # Each of these is slow for a pattern that can match in several ways.
  (tmp_path / "a.py").write_text("# #\n" * 20_000 + "x\n" + '"""' * 20_001)
  (tmp_path / "b.py").write_text(": # " * 100_000 + '\n"""' + "\\" * 99_999)
  (tmp_path / "c.py").write_text(f'"""Good. {LONG}"""')
  assert embedded_documents(
      roots=[str(tmp_path)]).documents == (f"Good. {LONG}",)


def test_this_python_has_documentation():
  corpus = embedded_documents(max_bytes=300_000)
  assert 200_000 < corpus.num_bytes <= 300_000
  assert len(set(corpus.documents)) == len(corpus.documents)
  assert corpus == embedded_documents(max_bytes=300_000)
