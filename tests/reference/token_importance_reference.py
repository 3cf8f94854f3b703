"""The running loss of token ids, an id at a time; slow and obvious.

Axes: b rows, p predictions a row, v vocabulary.
"""


def update(table, ids, losses, weights, beta):
  """The table after one global batch.

  Args:
    table: v floats.
    ids: b lists of p ids.
    losses: as ids, nats.
    weights: as ids; entries of weight 0 are unused slots.
    beta: decay of one prediction.

  Returns:
    v floats.
  """
  seen = {}
  for row_ids, row_losses, row_weights in zip(ids, losses, weights):
    for i, loss, weight in zip(row_ids, row_losses, row_weights):
      if weight > 0:
        total, count = seen.get(i, (0.0, 0.0))
        seen[i] = (total + weight * loss, count + weight)
  table = [float(m) for m in table]
  for i, (total, count) in seen.items():
    for _ in range(round(count)):  # One prediction after the other.
      table[i] = beta * table[i] + (1 - beta) * total / count
  return table
