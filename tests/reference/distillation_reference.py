"""Losses of distillation, slow, in float64 NumPy."""

import numpy as np


def softmax(x):
  shifted = np.exp(x - x.max(axis=-1, keepdims=True))
  return shifted / shifted.sum(axis=-1, keepdims=True)


def kl_divergence(student, teacher, temperature=1.0):
  p, q = softmax(teacher / temperature), softmax(student / temperature)
  total = np.zeros(p.shape[:-1])
  for i in range(p.shape[-1]):
    total += p[..., i] * (np.log(p[..., i]) - np.log(q[..., i]))
  return temperature**2 * total


def lumped_kl_divergence(student, teacher, k, temperature):
  """KL of the teacher's k most probable classes and all others as one."""
  p, q = softmax(teacher / temperature), softmax(student / temperature)
  total = np.zeros(p.shape[:-1])
  for place in np.ndindex(*total.shape):
    top = np.argsort(-p[place])[:k]
    a = np.append(p[place][top], p[place].sum() - p[place][top].sum())
    b = np.append(q[place][top], q[place].sum() - q[place][top].sum())
    if k == p.shape[-1]:
      a, b = a[:-1], b[:-1]
    total[place] = (a * np.log(a / b)).sum()
  return temperature**2 * total


def relation_divergence(ours, theirs, heads, documents):
  """KL of relations of `ours` with itself, float[b n h c], for each token."""
  b, n = documents.shape
  total = np.zeros((b, n))
  for row in range(b):
    for token in range(n):
      seen = documents[row] == documents[row, token]
      for head in range(heads):
        p, q = (_relation(x[row], heads, head, token, seen)
                for x in (theirs, ours))
        total[row, token] += (p * np.log(p / q)).sum() / heads
  return total


def _relation(x, heads, head, token, seen):
  x = x.reshape(len(x), heads, -1)[:, head]
  return softmax(x[seen] @ x[token] / np.sqrt(x.shape[1]))


def gradient(function, x, step=1e-5):
  """By central differences."""
  found = np.zeros_like(x)
  for place in np.ndindex(*x.shape):
    moved = [x.copy(), x.copy()]
    moved[0][place] += step
    moved[1][place] -= step
    found[place] = (function(moved[0]) - function(moved[1])) / (2 * step)
  return found
