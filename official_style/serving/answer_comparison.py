"""What an export answers, beside what its checkpoint does.

Products of float32 may only differ by the order of their sums. bfloat16 has 8
bits, and where it turns a pyramid's choice of a token, single rows differ by
more: there the mean of all differences is held to a bound, and labels are
counted.
"""

import numpy as np

from official_style.serving import serving_model
from official_style.serving import tensor_json

# Of the largest number that is compared.
_TOLERANCES = {serving_model.FLOAT32: 1e-4, serving_model.BFLOAT16: 0.02}
_MEASURES = {serving_model.FLOAT32: np.max, serving_model.BFLOAT16: np.mean}


def compared(cases: list, answer: dict, precision: str) -> dict:
  """How far answers are from those expected.

  Args:
    cases: of `verification_cases`.
    answer: of a program that loaded the export: an `error`, or `cases`.
    precision: of the export.

  Returns:
    The `error`; or `requests`, `rows`, `largest_difference`, `measured` and the
    `tolerance` it is held to, of classifiers the share with the `same_label`,
    and `problems`, one line each.
  """
  if "error" in answer:
    return dict(error=answer["error"])
  tolerance, same, problems, rows = _TOLERANCES[precision], [], [], 0
  facts = dict(largest_difference=0.0, measured=0.0, tolerance=tolerance)
  for number, (case, got) in enumerate(zip(
      cases, answer["cases"], strict=True)):
    where = f"request {number} of {case.signature}"
    if "error" in got:
      problems.append(f"{where}: {got['error']}")
      continue
    rows += len(next(iter(case.inputs.values())))
    for name, wanted in case.expected.items():
      found = tensor_json.loaded(got[name])
      if found.shape != wanted.shape:
        problems.append(f"{where}: {name} has the shape {found.shape}, and not "
                        f"{wanted.shape}")
      elif wanted.dtype == object:
        same += (found == wanted).tolist()
        if precision == serving_model.FLOAT32:
          problems += _other_labels(
              where, found, wanted, case.expected["logits"])
      elif wanted.size:
        differences = np.abs(found - wanted)
        allowed = tolerance * max(1.0, float(np.abs(wanted).max()))
        measured = float(_MEASURES[precision](differences))
        facts = {key: max(facts[key], value) for key, value in dict(
            largest_difference=float(differences.max()), measured=measured,
            tolerance=allowed).items()}
        # Not ">", which is false of no number.
        if not measured <= allowed:
          problems.append(f"{where}: {name} differs by {measured:.2e}")
  facts |= dict(requests=len(cases), rows=rows, problems=problems)
  return facts | (dict(same_label=float(np.mean(same))) if same else {})


def line(facts: dict) -> str:
  """What `compared` found, for a terminal."""
  said = (f"{facts['requests']} requests, {facts['rows']} rows, largest "
          f"difference {facts['largest_difference']:.1e}")
  if facts["measured"] != facts["largest_difference"]:
    said += f", {facts['measured']:.1e} in the mean"
  said += f" of at most {facts['tolerance']:.1e}"
  if facts.get("same_label", 1.0) < 1.0:
    said += f", {facts['same_label']:.1%} with the same label"
  return said


def _other_labels(where, found, wanted, logits) -> list[str]:
  """Rows with another label, but for those with two that are as probable."""
  first, second = np.sort(logits, axis=1)[:, :-3:-1].T
  clear = first - second > 2 * _TOLERANCES[serving_model.FLOAT32]
  return [f"{where}: row {i} has the label {found[i]!r}, and not {wanted[i]!r}"
          for i in np.flatnonzero((found != wanted) & clear)]
