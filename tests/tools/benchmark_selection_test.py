"""The timing of selections: what it times, and what it tells."""

import pathlib
import sys

import pytest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
sys.path.insert(0, str(TOOLS))

import benchmark_selection as bs  # noqa: E402


@pytest.fixture(scope="module")
def case():
  args = bs.parser().parse_args([
      "--batch_size=1", "--rounds=2", "--warm_up=1", "--keep=0.5,0.75",
      "--methods=" + ",".join(bs.METHODS)])
  return bs.measure(8, args)


def test_every_method_has_a_share_of_the_layer_for_every_count(case):
  names = [entry["name"] for entry in case["selections"]]
  assert names == [f"{method}, k={k}" for k in (4, 6) for method in bs.METHODS]
  assert len(case["layer_seconds"]) == 2
  for entry in case["selections"]:
    assert len(entry["seconds"]) == 2
    shares = [a / b for a, b in zip(entry["seconds"], case["layer_seconds"])]
    assert entry["share"]["min"] == min(shares)
    assert entry["share"]["max"] == max(shares)


def test_the_table_has_a_line_for_each(case):
  lines = bs.table(case).splitlines()
  assert lines[0].startswith("n=8: a layer takes")
  assert len(lines) == 2 + len(case["selections"])


def test_what_is_timed_is_what_is_selected():
  tf = pytest.importorskip("tensorflow")
  x = tf.random.stateless_normal([2, 8, 4], [0, 1])
  states, mask = bs._select("first_k", 3)(x, tf.ones([2, 8], tf.int32))
  assert states.numpy().tolist() == x[:, :3].numpy().tolist()
  assert mask.shape == [2, 3]


def test_a_method_there_is_not_is_refused(capsys):
  with pytest.raises(SystemExit):
    bs.main(["--methods=fast"])
  assert "'fast': choose of default" in capsys.readouterr().err
