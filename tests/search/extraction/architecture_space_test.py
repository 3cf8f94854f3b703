"""Search spaces, and what their members cost."""

import pytest

from official_style.errors import UserError
from official_style.modeling import cost_model
from official_style.search.extraction import architecture_space as lib
from official_style.search.extraction.architecture import Architecture
from tests.reference import tiny_models

BORT = Architecture(4, 8, 1024, 768)


def test_the_papers_space_has_300_members_bort_among_them():
  candidates = lib.PAPER.candidates()
  assert len(candidates) == len(set(candidates)) == 300
  assert BORT in candidates
  assert Architecture(2, 16, 1024, 512) in candidates


def test_the_small_space_has_144_members():
  assert len(set(lib.SMALL.candidates())) == 144


@pytest.mark.parametrize("name", lib.NAMED)
def test_maximum_points_dominate_their_space(name):
  like = cost_model.ModelSizes(30522)
  for top in (lib.REFERENCES[name], lib.NAMED[name].maximum()):
    for one in lib.NAMED[name].candidates():
      assert one.parameters(like) <= top.parameters(like)
      assert one.macs(like, 128) <= top.macs(like, 128)


def test_blocks_and_macs_by_hand():
  like = cost_model.ModelSizes(50265)
  h, i, d, n = 1024, 768, 4, 32
  layer = 4 * (h * h + h) + 2 * h * i + i + h + 4 * h
  assert BORT.block_parameters(like) == d * layer == 23_108_608
  assert BORT.macs(like, n) == d * (n * (4 * h * h + 2 * h * i) + 2 * n * n * h)


@pytest.mark.parametrize("sizes", [(1, 2, 8, 12), (3, 4, 16, 8)])
def test_parameters_are_those_of_the_built_model(sizes):
  from official_style.modeling.networks import masked_lm_pretrainer
  one = Architecture(*sizes)
  encoder = tiny_models.bert(
      one.num_layers, hidden_size=one.hidden_size, inner_dim=one.inner_dim,
      num_attention_heads=one.num_attention_heads)
  model = masked_lm_pretrainer.MaskedLMPretrainer(encoder)
  model(tiny_models.rows(1, 8) | dict(
      masked_lm_positions=tiny_models.rows(1, 8)["input_mask"][:, :2]))
  like = cost_model.ModelSizes(
      tiny_models.VOCAB, max_sequence_length=tiny_models.MAX_LENGTH)
  built = sum(v.shape.num_elements() for v in model.trainable_variables)
  assert one.parameters(like) == built


def test_a_space_from_a_file(tmp_path):
  path = tmp_path / "space.json"
  path.write_text('{"num_layers": [1, 2], "num_attention_heads": [2, 3], '
                  '"hidden_size": [6, 8], "inner_dim": [8]}')
  space = lib.read(str(path))
  assert len(space.candidates()) == 6
  assert space.maximum() == Architecture(2, 2, 8, 8)


@pytest.mark.parametrize("text, said", [
    ("[1]", "the lists num_layers"), ("{", "no JSON"),
    ('{"num_layers": [1]}', "the lists num_layers"),
    ('{"num_layers": [1], "num_attention_heads": [2], "hidden_size": [5], '
     '"inner_dim": [8]}', "no hidden_size divides"),
    ('{"num_layers": [0], "num_attention_heads": [2], "hidden_size": [4], '
     '"inner_dim": [8]}', "num_layers: a list of whole numbers"),
    ('{"num_layers": [1, 1], "num_attention_heads": [2], "hidden_size": [4], '
     '"inner_dim": [8]}', "twice"),
])
def test_what_is_no_space_is_refused(tmp_path, text, said):
  path = tmp_path / "space.json"
  path.write_text(text)
  with pytest.raises(UserError, match=said):
    lib.read(str(path))
  with pytest.raises(UserError, match="one of paper, small"):
    lib.read("big")


@pytest.mark.parametrize(
    "text", ["4,8,1024", "4,8,10,a", "3,5,16,8", "0,1,4,4"])
def test_what_is_no_architecture_is_refused(text):
  with pytest.raises(ValueError):
    Architecture.parse(text)


def test_names_are_read_again():
  assert Architecture.parse(BORT.name) == BORT
