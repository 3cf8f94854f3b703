"""The labelled set that needs no data."""

import pytest

from official_style.data import embedded_labels
from official_style.errors import UserError

_WORDS = ("alpha", "beta", "gamma", "delta", "zeta", "theta", "kappa", "sigma")


def _package(folder, name, files, words):
  for i in range(files):
    path = folder / name / f"part{i}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    docs = []
    for j in range(3):
      text = " ".join([f"Of {name.title()}{j}", *words] * 5)
      docs.append(f'def f{j}():\n  """{text} number {i} {j}."""\n')
    path.write_text("\n".join(docs))


@pytest.fixture
def roots(tmp_path):
  for i, name in enumerate(("turtle", "np", "tiny")):
    _package(tmp_path / "site", name, 6 - 2 * i, _WORDS[2 * i:2 * i + 2])
  (tmp_path / "lib").mkdir()
  _package(tmp_path / "lib", "email", 5, ("standard", "turtle", "np"))
  return {str(tmp_path / "lib"): "python", str(tmp_path / "site"): None}


def test_labels_are_packages_and_their_names_are_hidden(roots):
  rows = embedded_labels.embedded_rows(roots, 3)
  counts = {}
  for row in rows:
    counts[row.label] = counts.get(row.label, 0) + 1
    text = row.inputs[0][0].lower()
    assert "turtle" not in text and "python" not in text
    assert "np" not in text.split()
  # The three with the most files; the smallest is left out.
  assert counts == {"turtle": 18, "np": 12, "python": 15}
  assert any("package" in row.inputs[0][0] for row in rows)


def test_the_set_is_the_same_whenever_it_is_made(roots):
  assert embedded_labels.embedded_rows(roots, 3) == (
      embedded_labels.embedded_rows(dict(reversed(roots.items())), 3))


def test_one_package_is_nothing_to_tell_apart(tmp_path):
  _package(tmp_path, "only", 2, _WORDS)
  with pytest.raises(UserError, match="--train_data"):
    embedded_labels.embedded_rows({str(tmp_path): None})
