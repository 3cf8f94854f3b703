"""The sample fits, and depends on the texts only."""

import random

import pytest

from official_style.data.document_sample import sample_documents

DOCUMENTS = [f"{i} " * (1 + i % 17) for i in range(500)]


def test_a_small_corpus_is_kept_whole_and_in_order():
  total = sum(map(len, DOCUMENTS))
  assert sample_documents(DOCUMENTS, total) == (DOCUMENTS, (500, total))


@pytest.mark.parametrize("limit", [100, 1000, 10_000])
def test_order_does_not_change_what_is_kept(limit):
  kept, _ = sample_documents(DOCUMENTS, limit)
  assert sum(map(len, kept)) <= limit
  for seed in range(5):
    shuffled = random.Random(seed).sample(DOCUMENTS, len(DOCUMENTS))
    again, _ = sample_documents(shuffled, limit)
    assert sorted(again) == sorted(kept)
    assert again == [d for d in shuffled if d in set(kept)]


def test_all_parts_of_a_corpus_are_in_the_sample():
  kept, _ = sample_documents(DOCUMENTS, 10_000)
  first_half = sum(int(document.split()[0]) < 250 for document in kept)
  assert 0.35 < first_half / len(kept) < 0.65 and len(kept) > 100


def test_copies_and_giants_do_not_empty_the_sample():
  assert sample_documents(["abc"] * 100, 10)[0] == ["abc"] * 3
  assert sample_documents(["a" * 100], 10) == (["a" * 10], (1, 100))
  assert sample_documents([], 10) == ([], (0, 0))
