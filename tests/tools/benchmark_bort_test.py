"""The timing of Bort: it times what the experiments build."""

import pathlib
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark_bort as bb  # noqa: E402


@pytest.fixture(scope="module")
def contenders():
  args = bb.parser().parse_args([])
  return {one.name: one for one in (
      *(bb.contender(args, name) for name in bb._EXPERIMENTS),
      bb.contender(args, "Bort", 3.0))}


def test_flops_are_those_of_the_published_sizes(contenders):
  layers = {"BERT-large": 24, "BERT-base": 12, "Bort": 4}
  assert {k: len(contenders[k].lengths) for k in layers} == layers
  flops = {name: one.flops for name, one in contenders.items()}
  # Parameters of the layers: 302.3, 85.1 and 23.1 million. Working on [CLS]
  # only in the last layer gains more where there are few layers.
  assert 302.3 / 23.1 < flops["BERT-large"] / flops["Bort"] < 16
  assert 85.1 / 23.1 < flops["BERT-base"] / flops["Bort"] < 4.5
  assert 3 <= flops["Bort"] / flops["pyramid Bort, 3x"] < 3.3


def test_bort_is_in_borts_form(contenders):
  encoder = contenders["Bort"]._task.build_model().encoder_network
  names = [v.name for v in encoder.trainable_variables]
  assert not [n for n in names if "type_embeddings" in n or "pooler" in n]
