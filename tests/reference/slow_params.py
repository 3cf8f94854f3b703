"""Parameters of which the default run takes a few, `--run_slow` all."""

import pytest


def all_but(quick, params) -> list:
  """For `pytest.mark.parametrize`: those that are not in `quick` are slow.

  Args:
    quick: what the default run takes, as in `params`.
    params: all of them; a tuple is several values.
  """
  params = list(params)
  missing = [one for one in quick if one not in params]
  assert not missing, f"not among the parameters: {missing}"
  return [pytest.param(*(one if isinstance(one, tuple) else (one,)),
                       marks=() if one in quick else pytest.mark.slow)
          for one in params]
