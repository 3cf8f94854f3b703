"""Ids that OpenAI's tokenizer gives to nasty strings by GPT-2's files.

    python -m tests.reference.golden_gpt2 FOLDER

writes tests/golden/gpt2_ids.json from the folder of encoder.json and vocab.bpe;
it needs `tiktoken`, which tests don't.
"""

import json
import os
import sys

from tests.reference import byte_pairs
from tests.reference import golden_texts

PATH = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(
    __file__))), "golden", "gpt2_ids.json")


def read() -> dict:
  """Text -> its ids, which are those of encoder.json."""
  with open(PATH, encoding="ascii") as f:
    return json.load(f)


def main(folder: str):
  import tiktoken
  from tiktoken import load
  # GPT-2's own pattern of what is merged by itself, and no special tokens.
  encoding = tiktoken.Encoding(
      "gpt2", pat_str=r"""'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+"""
      r"""| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+""", special_tokens={},
      mergeable_ranks=load.data_gym_to_mergeable_bpe_ranks(
          os.path.join(folder, "vocab.bpe"),
          os.path.join(folder, "encoder.json")))
  texts = (*byte_pairs.GOLDEN, *byte_pairs.NASTY, *golden_texts.TEXTS)
  whole = [text for text in dict.fromkeys(texts) if not any(
      "\ud800" <= character <= "\udfff" for character in text)]
  with open(PATH, "w", encoding="ascii") as f:
    rows = ",\n".join(f"{json.dumps(text)}: {encoding.encode(text)}"
                      for text in whole)
    f.write(f"{{\n{rows}\n}}\n")


if __name__ == "__main__":
  main(sys.argv[1])
