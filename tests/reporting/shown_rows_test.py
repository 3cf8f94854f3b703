"""Which rows a report shows."""

import gzip

import pytest

from official_style.errors import UserError
from official_style.reporting import shown_rows


def test_a_text_a_line_in_whatever_editor_it_was_written(tmp_path):
  path = tmp_path / "texts.txt"
  path.write_bytes("\ufeffgr\u00fcn\r\n\r\nrot".encode())
  rows = shown_rows.of_file(None, str(path), 9)
  assert [inputs[0][0].strip() for inputs, _ in rows] == ["gr\u00fcn", "rot"]


@pytest.mark.parametrize("name, content, said", [
    ("utf16.txt", "gut\n".encode("utf-16"), "this is UTF-16, not UTF-8"),
    ("other.txt.gz", gzip.compress(b"good", mtime=0)[:10] + b"\xff" * 40,
     "damaged"),
    ("cut.txt.gz", gzip.compress(b"good" * 99, mtime=0)[:-9], "damaged"),
    ("sum.txt.gz", gzip.compress(b"good", mtime=0)[:-8] + b"\1" * 8,
     "damaged .*CRC"),
], ids=["UTF-16", "not gzip", "cut", "checksum"])
def test_what_is_no_text_is_refused(tmp_path, name, content, said):
  path = tmp_path / name
  path.write_bytes(content)
  with pytest.raises(UserError, match=f"{name}: {said}"):
    shown_rows.of_file(None, str(path), 9)
