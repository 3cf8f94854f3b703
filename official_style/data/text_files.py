"""Streams documents out of the user's text files, whatever is wrong in them.

Only LF and CRLF end a line. Every other character that Unicode calls a line
break (lone CR, U+0085, U+2028, ...) is white space inside the line, so that
row numbers agree with `wc -l`, an editor and other readers.
"""

import gzip
import json
import os
import re
import zlib

from official_style.data.text_paths import expand_paths
from official_style.data.text_paths import is_text_name
from official_style.data.text_report import TextReport
from official_style.errors import UserError

__all__ = ["TextReport", "expand_paths", "iter_documents"]

MAX_DOCUMENT_CHARACTERS = 1_000_000
MAX_ROW_BYTES = 64_000_000

# What reading a damaged .gz raises, among others.
READ_ERRORS = (EOFError, zlib.error, OSError)

# Unicode calls these line breaks; here they are white space inside a line.
_BREAKS = re.compile("[\r\v\f\x1c-\x1f\x85\u2028\u2029]")
# Lone surrogates come out of JSON escapes and cannot be encoded again.
_CONTROLS = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff]")
# Either of them: one look is all that most lines cost.
_ODD = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def iter_documents(paths, report=None, text_field="text"):
  """Yields the documents of text files, one `str` each, in file order.

  In `.txt` files an empty line ends a document (BERT's convention) and "\\n"
  joins its lines. In `.jsonl` files a row is a document. Memory is bounded by
  the longest row of a `.jsonl` file, at most 64 MB, and by 1 million
  characters otherwise: longer documents go on as further documents.

  Args:
    paths: files, as `expand_paths` returns them.
    report: `TextReport` to be filled; complete once the iterator is exhausted.
    text_field: key of the text in the rows of `.jsonl` files.

  Yields:
    Non-empty documents without control characters.

  Raises:
    UserError: a file cannot be read, is no text, is a damaged .gz, has only
      refused rows; or no file holds any text.
  """
  report = TextReport() if report is None else report
  for path in paths:
    if not is_text_name(path):
      raise UserError(f"{path}: unknown extension; text is read from .txt and "
                      ".jsonl files, and .gz of both")
    with open_text(path) as file:
      yield from documents_of(file, path, report, text_field)
    check_rows(path, report, text_field)
  if not report.total("documents"):
    first = f" (first: {paths[0]})" if paths else ""
    raise UserError(f"no text in the {len(paths)} input files{first}; check "
                    "the input path")


def documents_of(file, path, report, text_field="text", first_row=1):
  """Yields the documents of one text file, or of a part of it.

  Args:
    file: binary file, at the start of a document.
    path: what to call it; its name says whether it is `.jsonl`.
    report: `TextReport`, whose counts of the file start anew.
    text_field: key of the text in the rows of `.jsonl` files.
    first_row: number of the row that `file` is at.

  Yields:
    As `iter_documents`, which calls `check_rows` afterwards.
  """
  counts = report.start_file(path)
  parse = _jsonl_documents if is_jsonl(path) else _txt_documents
  limit = MAX_ROW_BYTES if is_jsonl(path) else MAX_DOCUMENT_CHARACTERS
  rows = _rows(file, path, counts, limit, first_row)
  for document in parse(rows, path, report, text_field):
    counts["documents"] += 1
    counts["characters"] += len(document)
    yield document


def check_rows(path, report, text_field="text"):
  """Raises UserError if a file gave nothing but refused rows."""
  why = report.only_refusals(path)
  if why:
    raise UserError(f"{path}: every row is refused, the last one because "
                    f"{why}; give one JSON object a row with a string under "
                    f"{text_field!r}, or name the key: --text_field=KEY of a "
                    "tool, --params_override=task.train_data.text_field=KEY "
                    "of train.py")


def is_jsonl(path):
  """Says whether a text file has a document a row."""
  return path.lower().endswith((".jsonl", ".jsonl.gz"))


def _txt_documents(rows, path, report, unused_text_field):
  """Documents of a .txt file: runs of lines between empty lines."""
  lines, length = [], 0
  for row, raw, starts, ends in rows:
    line = _clean(_decode(raw, path, row, report), path, row, report)
    if lines and line and length + len(line) > MAX_DOCUMENT_CHARACTERS:
      report.add_damage("cut_documents", path, row)
      yield "\n".join(lines)
      lines, length = [], 0
    if line:
      lines.append(line)
      length += len(line) + 1
    elif lines and starts and ends:
      yield "\n".join(lines)
      lines, length = [], 0
  if lines:
    yield "\n".join(lines)


def _jsonl_documents(rows, path, report, text_field):
  """Documents of a .jsonl file: one a row, bad rows counted."""
  for row, raw, starts, ends in rows:
    if not starts or ends and not raw.strip():
      continue
    try:
      if not ends:
        raise ValueError(f"it is longer than {MAX_ROW_BYTES} bytes")
      text = _json_text(_decode(raw, path, row, report), text_field)
    except ValueError as error:
      report.refuse_row(path, row, why=str(error))
      continue
    report.good_rows[path] = report.good_rows.get(path, 0) + 1
    text = _clean(text, path, row, report)
    while len(text) > MAX_DOCUMENT_CHARACTERS:
      report.add_damage("cut_documents", path, row)
      end = cut_place(text[:MAX_DOCUMENT_CHARACTERS], " ")
      yield text[:end].rstrip()
      text = text[end:].lstrip()
    if text:
      yield text


def _json_text(row, text_field):
  """Returns the text of a JSON row. Raises ValueError saying what is wrong."""
  try:
    value = json.loads(row)
  except (ValueError, RecursionError):
    raise ValueError("it is not JSON") from None
  if not isinstance(value, dict):
    raise ValueError("it is not a JSON object")
  if text_field not in value:
    raise ValueError(f"it has no {text_field!r}")
  if not isinstance(value[text_field], str):
    raise ValueError(f"its {text_field!r} is not a string")
  return value[text_field]


def _decode(raw, path, row, report):
  try:
    return raw.decode("utf-8")
  except UnicodeDecodeError:
    text = raw.decode("utf-8", "replace")
    genuine = raw.count("\ufffd".encode())
    report.add_damage("invalid_utf8", path, row,
                      text.count("\ufffd") - genuine)
    return text


def _clean(text, path, row, report):
  """Removes control characters, turns odd line breaks to spaces, strips."""
  if _ODD.search(text):
    text, count = _CONTROLS.subn("", text)
    if count:
      report.add_damage("control_characters", path, row, count)
    text = _BREAKS.sub(" ", text)
  return text.strip()


def _rows(file, path, counts, limit, first_row):
  """Yields the rows of a file: (number, bytes, starts the row, ends it).

  A row of more than `limit` bytes comes in pieces, cut at white space where
  there is some and never inside a character.
  """
  row, rest, starts = first_row - 1, b"", True
  while True:
    asked = limit - len(rest)
    try:
      read = file.readline(asked)
    except READ_ERRORS as error:
      raise damaged(path, counts["bytes"], error) from error
    counts["bytes"] += len(read)
    piece, rest = rest + read, b""
    if not piece:
      return
    if starts:
      row += 1
      counts["rows"] = row - first_row + 1
      if row == 1:
        piece = without_bom(piece, path)
    ends = read.endswith(b"\n") or len(read) < asked
    if not ends:
      end = cut_place(piece, b" ")
      piece, rest = piece[:end], piece[end:]
    yield row, piece.removesuffix(b"\n").removesuffix(b"\r"), starts, ends
    starts = ends


def damaged(path, num_bytes, error):
  """The error for a file that cannot be read beyond so many bytes of text."""
  return UserError(f"{path}: damaged after {num_bytes} bytes of text "
                   f"({error}); fetch or compress the file again")


def cut_place(text, space):
  """Returns where to cut `text`: after the last space near its end.

  Args:
    text: str or UTF-8 bytes.
    space: " " of the same type.
  """
  near = len(text) - len(text) // 4
  place = text.rfind(space, near)
  if place > 0:
    return place + 1
  if isinstance(text, bytes):
    # No space: before the last character, which may be incomplete.
    for place in range(len(text) - 1, max(len(text) - 5, 0), -1):
      if text[place] & 0xC0 != 0x80:
        return place
  return len(text)


def without_bom(start, path):
  """Drops a UTF-8 byte order mark; refuses what is no UTF-8 text at all."""
  if start.startswith((b"\xff\xfe", b"\xfe\xff")):
    raise UserError(f"{path}: this is UTF-16, not UTF-8; convert it with "
                    "`iconv -f UTF-16 -t UTF-8`")
  if start.startswith(b"\x1f\x8b"):
    raise UserError(f"{path}: this is gzip data; end the name in .gz")
  return start.removeprefix(b"\xef\xbb\xbf")


def open_text(path):
  """Opens a text file to read its bytes, decompressed."""
  try:
    if path.lower().endswith(".gz"):
      if not os.path.getsize(path):
        raise UserError(f"{path}: an empty file is no .gz; fetch it again")
      return gzip.open(path, "rb")
    return open(path, "rb")
  except OSError as error:
    raise UserError(f"{path}: cannot read ({error.strerror}); check the path "
                    "and its permissions") from error
