"""Lists of lengths: the family, checks, target speed-ups, other lengths."""

import pytest

from official_style.modeling import cost_model
from official_style.modeling import retention_schedule as rs
from official_style.modeling import token_schedule

BASE = cost_model.ModelSizes(vocab_size=30522)
TINY = cost_model.ModelSizes(
    vocab_size=40, hidden_size=8, num_layers=2, num_attention_heads=2,
    inner_dim=16)


def test_lengths_fall_exponentially_and_stay_above_depth():
  assert rs.exponential_lengths(128, 4, 1 / 16) == (64, 32, 16, 8)
  assert rs.exponential_lengths(128, 5, 1 / 4, depth=2) == (64, 32, 32, 32, 32)
  assert rs.exponential_lengths(100, 3, 0.5) == (80, 63, 50)
  assert rs.exponential_lengths(128, 3, 1.0) == (128,) * 3


def test_whole_powers_are_not_rounded_up():
  for depth in range(1, 13):
    assert rs.exponential_lengths(4096, 12, 0.5 ** depth, depth)[:depth] == (
        tuple(4096 >> layer for layer in range(1, depth + 1)))


def test_lengths_round_up_to_multiples_within_the_row():
  lengths = rs.exponential_lengths(100, 4, 0.1, multiple=8)
  assert lengths == (64, 32, 24, 16)
  assert rs.exponential_lengths(10, 2, 0.9, multiple=8) == (10, 10)
  assert rs.exponential_lengths(64, 3, 0.001, at_least=2) == (7, 2, 2)


@pytest.mark.parametrize("arguments, named", [
    ((0, 3, 0.5), "seq_length=0"), ((8, 0, 0.5), "num_layers=0"),
    ((8, 3, 0.0), "retention_share=0.0"), ((8, 3, 1.1), "retention_share=1.1"),
    ((8, 3, 0.5, 4), "retention_depth=4"), ((8, 3, 0.5, 0), "depth=0"),
    ((8, 3, 0.5, 3, 0), "retention_multiple=0")])
def test_what_is_no_member_of_the_family_is_refused(arguments, named):
  with pytest.raises(ValueError, match=named):
    rs.exponential_lengths(*arguments)


def test_a_list_is_checked_entry_by_entry():
  assert rs.check_lengths([8, 8, 1], 3, 8) == (8, 8, 1)
  assert rs.check_lengths([9, 4], 2) == (9, 4)
  for lengths, named in (
      ([4, 4], "2 entries for 3 layers"), ([4, 5, 3], "layer 1, more than"),
      ([4, 2, 0], "keeps 0 tokens in layer 2"),
      ([9, 4, 4], "more than the sequence length, 8")):
    with pytest.raises(ValueError, match=named):
      rs.check_lengths(lengths, 3, 8)


def test_shorter_rows_keep_what_they_have():
  assert rs.lengths_at((9, 5, 2), 6) == (6, 5, 2)


def test_lists_are_scaled_by_their_shares():
  assert rs.scale_lengths((113, 99, 27), 128, 256) == (226, 198, 54)
  assert rs.scale_lengths((113, 99, 1), 128, 64) == (57, 50, 1)
  assert rs.scale_lengths((200, 99), 128, 512) == (512, 396)
  assert rs.scale_lengths((7, 5, 3), 8, 8) == (7, 5, 3)
  with pytest.raises(ValueError, match="sequence length 0"):
    rs.scale_lengths((3,), 0, 8)


def test_counts_of_layers_follow_the_place():
  lengths = (6, 3, 9)
  assert rs.layer_counts(lengths[:2], 8) == ((8, 8, 6), (6, 6, 3))
  assert rs.layer_counts(lengths[:2], 8, "query_only") == (
      (6, 8, 6), (3, 6, 3))
  assert rs.layer_counts(lengths[:2], 8, "pre_layer", num_read=1) == (
      (6, 6, 6), (1, 3, 1))
  assert rs.layer_counts(lengths[:2], 8, num_read=1)[-1] == (1, 6, 1)
  with pytest.raises(ValueError, match="selection_place='above'"):
    rs.layer_counts(lengths, 8, "above")


def test_flops_by_hand():
  # 4 d d a token of attention, 2 q s d, 2 d f a token of feed-forward.
  dense = 2 * (8 * 4 * 64 + 2 * 8 * 8 * 8 + 8 * 2 * 8 * 16)
  ours = ((8 * 4 * 64 + 2 * 8 * 8 * 8 + 4 * 2 * 8 * 16)
          + (4 * 4 * 64 + 2 * 4 * 4 * 8 + 2 * 2 * 8 * 16))
  assert rs.flops_speedup(TINY, (4, 2), 8, num_read=None) == pytest.approx(
      dense / ours)


@pytest.mark.parametrize("place, speedup", [
    ("post_attention", 3.03), ("query_only", 3.17)])
def test_places_cost_what_they_should(place, speedup):
  lengths = (102, 81, 65, 52, 41, 33, 26, 21, 17, 13, 11, 9)
  assert rs.flops_speedup(BASE, lengths, 128, place, None) == pytest.approx(
      speedup, abs=5e-3)


def test_keeping_all_tokens_is_as_fast_as_bert():
  for place in rs.PLACES:
    assert rs.flops_speedup(BASE, (128,) * 12, 128, place) == 1
  dense = token_schedule.dense_plan(12).token_schedule(128, 128)
  counts = rs.layer_counts((128,) * 12, 128)
  for cost in (
      lambda s: cost_model.forward_flops(BASE, s, 128, 5),
      lambda s: cost_model.training_memory(BASE, s, 128, 5, 4)):
    assert cost(dense) == cost(counts)
  assert cost_model.training_memory(
      BASE, rs.layer_counts((20,) * 12, 128), 128, 5, 4) < (
          cost_model.training_memory(BASE, dense, 128, 5, 4))


@pytest.mark.parametrize("place", rs.PLACES)
@pytest.mark.parametrize("depth", [None, 3])
@pytest.mark.parametrize("seq_length", [64, 512])
@pytest.mark.parametrize("speedup", [1.5, 2, 3])
def test_a_target_is_reached_and_hardly_overshot(
    speedup, seq_length, depth, place):
  lengths = rs.lengths_for_speedup(BASE, seq_length, speedup, depth, place)
  rs.check_lengths(lengths, 12, seq_length)
  reached = rs.flops_speedup(BASE, lengths, seq_length, place)
  assert speedup <= reached < speedup * 1.06
  if depth:
    assert len(set(lengths[depth - 1:])) == 1 < len(set(lengths[:depth]))


def test_no_speed_up_is_every_token():
  assert rs.lengths_for_speedup(BASE, 128, 1) == (128,) * 12


def test_a_target_out_of_reach_says_what_is_in_reach():
  with pytest.raises(ValueError, match="at most 1.*depth=1"):
    rs.lengths_for_speedup(TINY, 8, 50, depth=1)
  with pytest.raises(ValueError, match="retention_speedup=0.5"):
    rs.lengths_for_speedup(TINY, 8, 0.5)


def test_memory_by_hand():
  # Activations of a layer: 6 d a query, 2 d a key, 4 d + 2 f a token fed,
  # 3 h q s. Dense: all tokens, and one query in the last layer.
  def layer(q, s, fed):
    return q * 48 + s * 16 + fed * 64 + 6 * q * s
  dense = layer(8, 8, 8) + layer(1, 8, 1)
  assert rs.memory_share(TINY, (4, 2), 8) == pytest.approx(
      (layer(8, 8, 4) + layer(1, 4, 1)) / dense)
  assert rs.memory_share(TINY, (8, 8), 8) == 1


@pytest.mark.parametrize("place", rs.PLACES)
@pytest.mark.parametrize("depth", [None, 3])
@pytest.mark.parametrize("share", [0.3, 0.5, 0.8])
def test_a_share_of_the_memory_is_hardly_undercut(share, depth, place):
  lengths = rs.lengths_for_memory_share(BASE, 128, share, depth, place)
  taken = rs.memory_share(BASE, lengths, 128, place)
  assert share * 0.95 < taken <= share
  rs.check_lengths(lengths, 12, 128)


def test_a_share_out_of_reach_says_what_is_in_reach():
  with pytest.raises(ValueError, match="at least 0.*depth=1.*raise it"):
    rs.lengths_for_memory_share(TINY, 8, 0.01, depth=1)
  for share in (0, 1.5):
    with pytest.raises(ValueError, match="retention_memory_share"):
      rs.lengths_for_memory_share(TINY, 8, share)
  assert rs.lengths_for_memory_share(BASE, 128, 1.0) == (128,) * 12
