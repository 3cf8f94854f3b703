"""Ids that Hugging Face's tokenizers give to nasty strings.

    python -m tests.reference.golden_tokens

writes tests/golden/tokens.json; it needs `transformers`, which tests don't.
"""

import json
import os
import tempfile
from typing import NamedTuple, Optional

import tokenizers

from official_style.data import vocabulary as vocabulary_lib
from tests.reference import byte_pairs
from tests.reference import golden_texts

PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(
    __file__))), "golden", "tokens.json")
KINDS = ("uncased", "cased", "pairs")
WORDS = """good film the The Good read ##ing ##able is it It don t s stra ##ße
##sse ##fi def return https com ¿ ##film""".split()


class Golden(NamedTuple):
  """The file.

  Attributes:
    vocabularies: kind -> `Vocabulary`.
    texts: list of `str`, some with lone surrogates, and `bytes`.
    ids: kind -> list of lists of ints; None where Hugging Face refuses a text.
  """
  vocabularies: dict
  texts: list
  ids: dict


def read() -> Golden:
  """The golden texts and ids."""
  with open(PATH, encoding="ascii") as f:
    found = json.load(f)
  tokens, merges = byte_pairs.TINY
  vocabularies = {kind: vocabulary_lib.Vocabulary(
      found["vocabularies"][kind], lower_case=kind == "uncased")
                  for kind in KINDS[:2]}
  vocabularies["pairs"] = vocabulary_lib.Vocabulary(tokens, merges=merges)
  rows = found["rows"]
  return Golden(vocabularies, [
      row["text"] if "text" in row else bytes.fromhex(row["bytes"])
      for row in rows], {kind: [row[kind] for row in rows] for kind in KINDS})


def characters(lower_case: bool) -> list[str]:
  """A WordPiece vocabulary in which most characters of the texts are."""
  normalizer = tokenizers.normalizers.BertNormalizer(lowercase=lower_case)
  text = "".join(golden_texts.TEXTS).encode("utf-8", "ignore").decode()
  found = sorted({c for c in text + normalizer.normalize_str(text)
                  if c not in "\0\n\r" and c.strip(" \t")})
  # What is left out is unknown.
  kept = [c for i, c in enumerate(found) if c.isascii() or i % 6]
  return list(dict.fromkeys([
      *vocabulary_lib.BERT_SPECIAL_TOKENS, *kept, *(f"##{c}" for c in kept),
      *WORDS]))


def _tokenizers(folder: str, tokens: dict) -> dict:
  """Kind -> tokenizer of `transformers`, from files as they are published."""
  import transformers
  found = {}
  for kind in KINDS[:2]:
    place = os.path.join(folder, kind)
    vocabulary_lib.Vocabulary(tokens[kind], kind == "uncased").save(
        _made(place, "vocab.txt"))
    _write(_made(place, "tokenizer_config.json"), dict(
        tokenizer_class="BertTokenizer", do_lower_case=kind == "uncased"))
    found[kind] = transformers.BertTokenizerFast.from_pretrained(
        place, do_lower_case=kind == "uncased")
  place = byte_pairs.write(os.path.join(folder, "pairs"), *byte_pairs.TINY)
  found["pairs"] = transformers.RobertaTokenizerFast.from_pretrained(place)
  return found


def _ids(tokenizer, text) -> Optional[list]:
  if isinstance(text, bytes):
    text = text.decode("utf-8", "replace")
  try:
    text.encode()
  except UnicodeEncodeError:
    return None  # Theirs is an error.
  return tokenizer(text, add_special_tokens=False)["input_ids"]


def main():
  tokens = {kind: characters(kind == "uncased") for kind in KINDS[:2]}
  rows = [dict(text=text) for text in golden_texts.TEXTS] + [
      dict(bytes=text.hex()) for text in golden_texts.BYTES]
  with tempfile.TemporaryDirectory() as folder:
    for kind, tokenizer in _tokenizers(folder, tokens).items():
      for row, text in zip(rows, (*golden_texts.TEXTS, *golden_texts.BYTES)):
        row[kind] = _ids(tokenizer, text)
  _write(PATH, dict(vocabularies=tokens, rows=rows))


def _made(folder, name) -> str:
  os.makedirs(folder, exist_ok=True)
  return os.path.join(folder, name)


def _write(path, value):
  """JSON with a line for each row."""
  if "rows" in value:
    head = json.dumps({k: v for k, v in value.items() if k != "rows"})
    lines = ",\n".join(map(json.dumps, value["rows"]))
    text = f'{head[:-1]},\n"rows": [\n{lines}]}}\n'
  else:
    text = json.dumps(value)
  with open(path, "w", encoding="ascii") as f:
    f.write(text)


if __name__ == "__main__":
  main()
