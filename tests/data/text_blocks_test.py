"""Blocks hold the documents of the whole text, whatever their size."""

import gzip
import json
import random

import pytest

from official_style.data import text_blocks
from official_style.data import text_files
from official_style.data.text_report import TextReport
from official_style.errors import UserError


def lines(draw):
  words = [b"word", b"\xc3\xa9t\xc3\xa9", b"\xff", b"a\x00b", b"\r", b" \t"]
  for _ in range(400):
    if draw.random() < 0.3:
      yield draw.choice([b"\n", b"\r\n", b" \t\n", b"\x0b\n", b"\n\n"])
    else:
      yield b" ".join(draw.choices(words, k=draw.randint(1, 6))) + b"\n"


@pytest.fixture
def paths(tmp_path):
  draw = random.Random(0)
  made = [tmp_path / name for name in ("a.txt", "b.txt.gz", "c.jsonl",
                                       "d.jsonl.gz", "e.txt", "f.txt")]
  made[0].write_bytes(b"\xef\xbb\xbf" + b"".join(lines(draw)))
  made[1].write_bytes(gzip.compress(b"".join(lines(draw)) + b"no end"))
  rows = [draw.choice(["", "no json", "{}", json.dumps({"text": f"t {i}"})])
          for i in range(300)]
  made[2].write_text("\n".join(rows))
  made[3].write_bytes(gzip.compress("\n".join(rows).encode() + b"\n"))
  made[4].write_bytes(b"")
  made[5].write_bytes(b"\n\n\nlast")
  return [str(path) for path in made]


def read(blocks):
  documents, report = [], TextReport()
  for block in blocks:
    part = TextReport()
    for segment in block.segments:
      documents += segment.documents(part)
    report.add(part)
  return documents, report


@pytest.mark.parametrize("block_bytes", [1, 10, 100, 1000, 10**6])
@pytest.mark.parametrize("keep", [False, True])
def test_documents_and_report_are_those_of_one_reading(paths, block_bytes,
                                                       keep):
  whole = TextReport()
  wanted = list(text_files.iter_documents(paths, whole))
  documents, report = read(text_blocks.iter_blocks(
      paths, block_bytes, keep_compressed=keep))
  assert documents == wanted and len(wanted) > 100
  whole.files = {k: v for k, v in whole.files.items() if v["bytes"]}
  assert report == whole


@pytest.mark.parametrize("block_bytes", [10, 1000])
def test_any_block_can_be_the_first_one(paths, block_bytes):
  blocks = list(text_blocks.iter_blocks(paths, block_bytes))
  assert [block.number for block in blocks] == list(range(len(blocks)))
  for number in range(0, len(blocks), 7):
    assert list(text_blocks.iter_blocks(
        paths, block_bytes, blocks[number].end, number + 1)) == (
            blocks[number + 1:])


def test_blocks_have_about_the_size_asked_for(paths):
  blocks = list(text_blocks.iter_blocks(paths, 1000))
  sizes = [sum(s.size for s in block.segments) for block in blocks]
  assert all(1000 <= size < 1400 for size in sizes[:-1])


def test_text_without_an_end_is_cut(tmp_path, monkeypatch):
  monkeypatch.setattr(text_blocks, "MAX_OVERRUN_BYTES", 100)
  monkeypatch.setattr(text_blocks, "_PIECE_BYTES", 7)
  path = tmp_path / "a.txt"
  path.write_text("word\n" * 1000 + "x" * 1000)
  blocks = list(text_blocks.iter_blocks([str(path)], 50))
  documents, _ = read(blocks)
  assert max(s.size for b in blocks for s in b.segments) <= 150
  assert "".join(documents).count("word") == 1000
  assert "".join(documents).count("x") == 1000
  again = list(text_blocks.iter_blocks([str(path)], 50, blocks[3].end, 4))
  assert again == blocks[4:]


def test_an_endless_row_of_json_is_refused(tmp_path, monkeypatch):
  monkeypatch.setattr(text_blocks, "MAX_OVERRUN_BYTES", 100)
  monkeypatch.setattr(text_files, "MAX_ROW_BYTES", 100)
  monkeypatch.setattr(text_blocks, "_PIECE_BYTES", 7)
  path = tmp_path / "a.jsonl"
  good = '{"text": "a"}'
  path.write_text("\n".join([good, '{"text": "' + "b" * 999 + '"}', good, "x"]))
  whole = TextReport()
  wanted = list(text_files.iter_documents([str(path)], whole))
  documents, report = read(text_blocks.iter_blocks([str(path)], 20))
  assert documents == wanted == ["a", "a"]
  assert report.examples == whole.examples


def test_a_cut_gz_is_named(tmp_path):
  path = tmp_path / "a.txt.gz"
  path.write_bytes(gzip.compress(random.Random(0).randbytes(3000))[:-500])
  with pytest.raises(UserError, match="a.txt.gz: damaged after"):
    list(text_blocks.iter_blocks([str(path)], 1000))


def test_a_file_that_became_shorter_is_named(tmp_path):
  path = tmp_path / "a.txt"
  path.write_text("a\n\n" * 100)
  block, = text_blocks.iter_blocks([str(path)], 1000)
  path.write_text("a")
  with pytest.raises(UserError, match="shorter"):
    list(block.segments[0].documents(TextReport()))
