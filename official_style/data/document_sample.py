"""A sample of documents that fits into memory, drawn in one reading."""

import hashlib
import heapq


def sample_documents(documents, max_characters):
  """Keeps the documents with the smallest hashes of their text.

  So each document is as likely as any other, whatever file it is in, and the
  sample does not depend on the order of the documents or on any seed. Memory
  is that of the sample and one document.

  Args:
    documents: iterable of str; read once.
    max_characters: most characters of all that are kept. A single document
      longer than this is cut.

  Returns:
    documents: list of str, in the order they came.
    total: (documents, characters) read.
  """
  kept, characters, limit = [], 0, 1 << 64
  total_documents = total_characters = 0
  for number, document in enumerate(documents):
    total_documents += 1
    total_characters += len(document)
    document = document[:max_characters]
    digest = int.from_bytes(hashlib.blake2b(
        document.encode("utf-8", "replace"), digest_size=8).digest(), "little")
    if digest > limit:
      # What is larger than one that had to go would make the sample depend on
      # the order.
      continue
    # A heap gives its smallest entry first, here that of the largest hash.
    heapq.heappush(kept, (-digest, number, document))
    characters += len(document)
    while characters > max_characters:
      digest, _, document = heapq.heappop(kept)
      limit = -digest
      characters -= len(document)
  kept.sort(key=lambda entry: entry[1])
  return [document for _, _, document in kept], (
      total_documents, total_characters)
