"""What schedulers say, as TF_CONFIG."""

import json
import random

import pytest

from official_style.errors import UserError
from official_style.training import worker_environment as lib

SLURM = {"SLURM_STEP_NODELIST": "node[2,10],gpu01",
         "SLURM_STEP_TASKS_PER_NODE": "2,1(x2)", "SLURM_STEP_NUM_TASKS": "4",
         "SLURM_NTASKS": "4", "SLURM_JOB_ID": "123456", "SLURM_PROCID": "2"}
INDEXED = {"WORKER_COUNT": "3", "WORKER_ADDRESS": "bert-{index}.bert:2222",
           "JOB_COMPLETION_INDEX": "1"}


def _read(environment):
  config = json.loads(lib.tf_config(environment))
  assert config["task"]["type"] == "worker"
  return config["cluster"]["worker"], config["task"]["index"]


def test_one_process_has_no_cluster():
  assert lib.tf_config({}) is None
  assert lib.tf_config(INDEXED | {"WORKER_COUNT": "1",
                                  "JOB_COMPLETION_INDEX": "0"}) is None
  assert lib.tf_config(
      {"SLURM_STEP_NODELIST": "a", "SLURM_STEP_TASKS_PER_NODE": "1",
       "SLURM_STEP_NUM_TASKS": "1", "SLURM_PROCID": "0"}) is None


def test_tf_config_that_is_set_is_left_alone():
  assert lib.tf_config(SLURM | INDEXED | {"TF_CONFIG": "mine"}) == "mine"


def test_slurm_tasks_stand_in_the_order_of_their_ranks():
  workers, index = _read(SLURM)
  # Not sorted as text: node2 is the first of the list, gpu01 the last.
  assert [w.split(":")[0] for w in workers] == [
      "node2", "node2", "node10", "gpu01"]
  assert index == 2
  ports = [int(w.split(":")[1]) for w in workers]
  assert ports[1] == ports[0] + 1 and ports[2] == ports[3] == ports[0]


def test_jobs_on_the_same_nodes_have_other_ports():
  ports = {_read(SLURM | {"SLURM_JOB_ID": str(job)})[0][0]
           for job in range(5000, 5100)}
  assert len(ports) == 100
  assert all(1024 < int(p.split(":")[1]) < 65536 for p in ports)


def test_indexed_workers():
  assert _read(INDEXED) == (
      ["bert-0.bert:2222", "bert-1.bert:2222", "bert-2.bert:2222"], 1)
  assert _read(INDEXED | {"WORKER_INDEX": "2"})[1] == 2


@pytest.mark.parametrize("text,nodes", [
    ("a", ["a"]), ("a,b", ["a", "b"]), ("a[1-3]", ["a1", "a2", "a3"]),
    ("n[08-11]", ["n08", "n09", "n10", "n11"]),
    ("n[1,3-4]-ib,m", ["n1-ib", "n3-ib", "n4-ib", "m"]),
    ("r[1-2]n[0-1]", ["r1n0", "r1n1", "r2n0", "r2n1"])])
def test_lists_of_nodes(text, nodes):
  assert lib.expand_nodes(text) == nodes


def test_a_list_of_nodes_survives_being_folded():
  numbers = random.Random(0).sample(range(1000), 50)
  names = [f"n{i:04}" for i in numbers]
  assert lib.expand_nodes("n[" + ",".join(n[1:] for n in names) + "]") == names


@pytest.mark.parametrize("changes,names", [
    ({"SLURM_STEP_NODELIST": "a[1-"}, "SLURM_STEP_NODELIST"),
    ({"SLURM_STEP_NODELIST": "a[x]"}, "SLURM_STEP_NODELIST"),
    ({"SLURM_STEP_NODELIST": "a,,b"}, "SLURM_STEP"),
    ({"SLURM_STEP_TASKS_PER_NODE": "two"}, "SLURM_STEP_TASKS_PER_NODE"),
    ({"SLURM_STEP_TASKS_PER_NODE": "1(x3)"}, "SLURM_STEP_NUM_TASKS=4"),
    ({"SLURM_STEP_NUM_TASKS": "40", "SLURM_STEP_TASKS_PER_NODE": "20,10(x2)"},
     "at most 16"),
    ({"SLURM_PROCID": "4"}, "worker 4 of 4"),
    ({"SLURM_PROCID": "x"}, "SLURM_PROCID"),
    (INDEXED | {"WORKER_ADDRESS": "bert:2222"}, "{index}"),
    (INDEXED | {"WORKER_ADDRESS": "bert-{index}.bert"}, "WORKER_ADDRESS"),
    (INDEXED | {"WORKER_COUNT": "many"}, "WORKER_COUNT"),
    (INDEXED | {"JOB_COMPLETION_INDEX": "3"}, "worker 3 of 3")])
def test_what_does_not_fit_is_named(changes, names):
  with pytest.raises(UserError) as error:
    lib.tf_config(SLURM | changes)
  assert names in str(error.value)


def test_a_forgotten_srun_is_told():
  assert "srun" in lib.warning({"SLURM_NTASKS": "4"})
  assert lib.warning({}) is None
  assert lib.warning(SLURM) is None
