"""What is timed, and in which company."""

import pytest

from official_style.configs import encoders
from official_style.errors import UserError
from official_style.search import latency_measuring
from official_style.search.extraction import candidate_model
from official_style.search.extraction import device_latency as lib
from official_style.search.extraction.architecture import Architecture
from tests.reference import slow_params

TINY, TOP = Architecture(1, 2, 8, 8), Architecture(2, 2, 16, 16)


def _encoder():
  return encoders.FastBertEncoderConfig(
      vocab_size=30, max_position_embeddings=16)


def test_groups_hold_every_candidate_once_and_not_too_much():
  candidates = [Architecture(d, 1, 4, 4) for d in range(1, 30)]
  groups = list(lib.groups(candidates, lambda one: 1))
  assert sum(groups, []) == candidates
  assert max(map(len, groups)) == 12
  # A model above the limit stands alone.
  assert list(map(len, lib.groups(candidates[:3], lambda one: 10**9))) == [
      1, 1, 1]


def test_a_candidate_has_its_own_sizes_and_the_rest_of_the_maximum_point():
  encoder = candidate_model.build(TINY, _encoder())
  assert len(encoder.transformer_layers) == 1
  config = candidate_model.configure(TINY, _encoder())
  assert candidate_model.architecture_of(config) == TINY
  assert (config.vocab_size, config.max_position_embeddings) == (30, 16)


@pytest.mark.parametrize("backend", slow_params.all_but(
    ["tensorflow"], lib.BACKENDS))
def test_times_are_told_in_those_of_the_maximum_point(backend):
  found = lib.measure([TINY], TOP, _encoder(), 8, backend,
                      latency_measuring.Timing(3, 1))
  assert list(found) == [TOP, TINY]
  assert found[TOP]["relative"] == found[TOP]["relative_cpu"] == 1
  for value in found.values():
    assert set(value) == {"ms", "iqr_ms", "cpu_ms", "relative", "relative_cpu"}
    assert value["ms"] > 0 and value["iqr_ms"] >= 0 and value["cpu_ms"] > 0


def test_a_backend_there_is_not_is_refused():
  with pytest.raises(UserError, match="litert, tensorflow"):
    lib.check_backend("onnx")
