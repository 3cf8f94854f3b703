"""The cost model against hand-made numbers and against the built model."""

import pytest

from official_style.modeling import cost_model
from official_style.modeling import retention_schedule
from official_style.modeling import token_schedule

BASE = cost_model.ModelSizes(vocab_size=30522)
LARGE = cost_model.ModelSizes(
    vocab_size=30522, hidden_size=1024, num_layers=24, num_attention_heads=16,
    inner_dim=4096)


def _flops(sizes, seq_length, token_keep_k, num_predictions):
  plan = token_schedule.token_drop_plan(sizes.num_layers)
  return cost_model.forward_flops(
      sizes, plan.token_schedule(seq_length, token_keep_k), seq_length,
      num_predictions)


def test_bert_base_has_109_million_encoder_parameters():
  assert cost_model.encoder_parameters(BASE) == 109_482_240


@pytest.mark.parametrize("sizes, n, p, encoder, head", [
    (BASE, 512, 76, 96.6, 3.65), (BASE, 128, 20, 22.3, 0.96),
    (LARGE, 512, 76, 335.0, 4.91), (LARGE, 128, 20, 78.9, 1.29)])
def test_dense_flops_are_those_of_bert(sizes, n, p, encoder, head):
  flops = _flops(sizes, n, n, p)
  assert flops.encoder / 1e9 == pytest.approx(encoder, abs=0.05)
  assert flops.head / 1e9 == pytest.approx(head, abs=0.005)


@pytest.mark.parametrize("sizes, n, p, ratios", [
    (BASE, 512, 76, {384: (.870, .875), 256: (.746, .755), 192: (.686, .697),
                     128: (.627, .640)}),
    (BASE, 128, 20, {96: (.876, .881), 64: (.754, .764), 48: (.693, .706),
                     32: (.633, .648)}),
    (LARGE, 512, 76, {384: (.870, .872), 256: (.744, .748),
                      192: (.683, .688), 128: (.623, .629)}),
    (LARGE, 128, 20, {96: (.875, .877), 64: (.751, .755), 48: (.690, .695),
                      32: (.628, .634)})])
def test_dropping_half_the_tokens_saves_a_quarter(sizes, n, p, ratios):
  dense = _flops(sizes, n, n, p)
  for k, (encoder, total) in ratios.items():
    kept = _flops(sizes, n, k, p)
    assert kept.encoder / dense.encoder == pytest.approx(encoder, abs=5.1e-4)
    assert kept.total / dense.total == pytest.approx(total, abs=5.1e-4)


def test_flops_of_one_small_layer_by_hand():
  sizes = cost_model.ModelSizes(
      vocab_size=10, hidden_size=4, num_layers=1, num_attention_heads=2,
      inner_dim=8, embedding_width=2)
  flops = cost_model.forward_flops(sizes, [(3, 5)], 5, 2)
  projection = 2 * 5 * 2 * 4
  attention = 2 * (3 * 16 + 2 * 5 * 16 + 3 * 16) + 2 * 2 * 3 * 5 * 4
  assert flops.encoder == projection + attention + 2 * 2 * 3 * 4 * 8
  assert flops.head == 2 * 2 * 4 * 2 + 2 * 2 * 2 * 10


def test_a_step_costs_three_forward_passes_a_row():
  plan = token_schedule.dense_plan(12).token_schedule(128, 128)
  row = cost_model.forward_flops(BASE, plan, 128, 20).total
  assert cost_model.step_flops(BASE, plan, 128, 20, 7) == 21 * row


def test_a_schedule_of_another_depth_is_refused():
  with pytest.raises(ValueError, match="of 2 layers for a model of 12"):
    cost_model.forward_flops(BASE, [(8, 8)] * 2, 8, 1)


def test_dropping_tokens_lowers_memory_and_half_precision_more_so():
  plan = token_schedule.token_drop_plan(12)
  dense, kept = (cost_model.training_memory(
      BASE, plan.token_schedule(512, k), 512, 76, 8) for k in (512, 256))
  half = cost_model.training_memory(
      BASE, plan.token_schedule(512, 256), 512, 76, 8, bytes_per_activation=2)
  assert 16 * cost_model.parameters(BASE) < half < kept < dense


@pytest.mark.parametrize("width", [None, 8])
def test_parameters_are_those_of_the_built_model(width):
  import tf_keras
  from official.nlp.modeling import layers

  from official_style.modeling.networks import bert_encoder
  sizes = cost_model.ModelSizes(
      vocab_size=50, hidden_size=16, num_layers=2, num_attention_heads=2,
      inner_dim=24, max_sequence_length=32, type_vocab_size=3,
      embedding_width=width)
  encoder = bert_encoder.BertEncoder(
      vocab_size=50, hidden_size=16, num_layers=2, num_attention_heads=2,
      inner_dim=24, max_sequence_length=32, type_vocab_size=3,
      embedding_width=width)
  encoder.build(None)
  assert cost_model.encoder_parameters(sizes) == sum(
      tf_keras.backend.count_params(w) for w in encoder.trainable_weights)
  head = layers.MaskedLM(encoder.get_embedding_table())
  head.build([None, None, 16])
  head.dense.build([None, 16])
  head.layer_norm.build([None, sizes.width])
  own = [head.bias, *head.dense.weights, *head.layer_norm.weights]
  assert cost_model.head_parameters(sizes) == sum(
      tf_keras.backend.count_params(w) for w in own)


# ---------------------------------------------------------------------------
# Attention other than softmax
# ---------------------------------------------------------------------------


def _long(**attention):
  return cost_model.ModelSizes(
      vocab_size=300, hidden_size=256, num_layers=4, num_attention_heads=4,
      inner_dim=1024, max_sequence_length=4096,
      attention=cost_model.AttentionCost(**attention))


FAVOR = dict(name="favor", favor_features=128)
BLOCKS = dict(name="block_sparse", block_size=64, window_blocks=3)


def test_the_fields_are_those_of_the_mechanism():
  import dataclasses

  from official_style.modeling.layers import attention_mechanism
  assert dataclasses.asdict(cost_model.AttentionCost()) == dataclasses.asdict(
      attention_mechanism.AttentionMechanism())


def test_linear_attention_by_hand():
  cost = cost_model.AttentionCost(**FAVOR)
  # Features of queries and keys; keys by values; queries by that.
  assert cost.macs(3, 5, 256) == 256 * 128 * (3 + 5 + 5 + 3)


@pytest.mark.parametrize("n, window, chance", [
    (256, 3, 0), (1024, 3, 0), (1024, 5, 2)])
def test_pairs_of_blocks_are_at_most_those_of_the_table(n, window, chance):
  from official_style.modeling.ops import block_sparse_attention
  table = block_sparse_attention.block_table(n // 64, window, chance, 0)
  widest = max(map(len, table[1:]))
  cost = cost_model.AttentionCost(**BLOCKS | dict(
      window_blocks=window, random_blocks=chance))
  # Every block is as wide as the widest: static shapes.
  assert cost.pairs(n, n) == 64 * n + (n - 64) * 64 * widest
  assert cost.pairs(1, n) == n


@pytest.mark.parametrize("attention", [FAVOR, BLOCKS], ids=lambda x: x["name"])
def test_cost_grows_with_n_and_softmax_with_its_square(attention):
  def costs(attention, n):
    sizes, schedule = _long(**attention), [(n, n)] * 4
    weights = 16 * cost_model.parameters(sizes)
    return (cost_model.forward_flops(sizes, schedule, n, 0).total,
            cost_model.training_memory(sizes, schedule, n, 0, 1) - weights)

  for ours, softmax in zip(
      *([(b / a) for a, b in zip(costs(kind, 2048), costs(kind, 8192))]
        for kind in (attention, {}))):
    assert 3.9 < ours < 4.1 and softmax > 7
  for ours, softmax in zip(costs(attention, 4096), costs({}, 4096)):
    assert ours < 0.6 * softmax


def test_keeping_fewer_tokens_saves_where_attention_is_linear_too():
  sizes = _long(**FAVOR)
  kept = retention_schedule.layer_counts((900, 400, 160, 70), 2048, num_read=1)
  full = retention_schedule.layer_counts((2048,) * 4, 2048, num_read=1)
  weights = 16 * cost_model.parameters(sizes)
  one, other = (cost_model.training_memory(sizes, s, 2048, 0, 8) - weights
                for s in (kept, full))
  assert one < 0.5 * other
