"""TF_CONFIG from what a scheduler tells each of its processes.

TensorFlow reads the addresses of all workers from `TF_CONFIG`. Schedulers say
the same in words of their own:

* SLURM: a step of several tasks (`srun python train.py ...`) has the nodes and
  the tasks a node in `SLURM_STEP_*`, and `SLURM_PROCID` counts in that order.
  (`tf.distribute.cluster_resolver.SlurmClusterResolver` sorts the names of the
  nodes as text, which puts node10 before node2 and gives ranks to the wrong
  hosts.)
* Anything whose workers have numbered names, as Kubernetes' indexed jobs:
  `WORKER_COUNT=4 WORKER_ADDRESS=bert-{index}.bert:2222`, and the number in
  `WORKER_INDEX` or `JOB_COMPLETION_INDEX`.

A `TF_CONFIG` that is set already is left alone.
"""

import json
import re
from typing import Mapping, Optional

from official_style.errors import UserError

# Of the tasks on a node, in order; jobs that share a node get other ports.
_FIRST_PORT, _PORTS_A_JOB, _JOBS = 20000, 16, 1000


def tf_config(environment: Mapping[str, str]) -> Optional[str]:
  """The `TF_CONFIG` of this process, None where there are no other workers.

  Raises:
    UserError: naming the variable that is missing or can't be understood.
  """
  if environment.get("TF_CONFIG"):
    return environment["TF_CONFIG"]
  if "WORKER_COUNT" in environment or "WORKER_ADDRESS" in environment:
    workers, index = _numbered(environment)
  elif "SLURM_STEP_NODELIST" in environment:
    workers, index = _slurm(environment)
  else:
    return None
  if len(workers) < 2:
    return None
  if not 0 <= index < len(workers):
    raise UserError(f"worker {index} of {len(workers)}: workers count from 0: "
                    "start as many processes as there are workers")
  return json.dumps(dict(cluster=dict(worker=workers),
                         task=dict(type="worker", index=index)))


def warning(environment: Mapping[str, str]) -> Optional[str]:
  """A line where a process trains alone though others were asked for."""
  tasks = environment.get("SLURM_NTASKS", "1")
  if tasks == "1" or environment.get("TF_CONFIG") or (
      "SLURM_STEP_NODELIST" in environment):
    return None
  return (f"SLURM_NTASKS={tasks}, but srun did not start this process: it "
          "trains alone; start it as `srun python train.py ...`")


def _numbered(environment) -> tuple[list[str], int]:
  """Workers whose addresses differ by their number."""
  count = _number(environment, "WORKER_COUNT")
  address = environment.get("WORKER_ADDRESS", "")
  if "{index}" not in address or not re.search(r":\d+$", address):
    raise UserError(f"WORKER_ADDRESS={address}: must hold {{index}} and end "
                    "with a port, as bert-{index}.bert:2222")
  name = ("WORKER_INDEX" if "WORKER_INDEX" in environment
          else "JOB_COMPLETION_INDEX")
  return ([address.replace("{index}", str(i)) for i in range(count)],
          _number(environment, name))


def _slurm(environment) -> tuple[list[str], int]:
  """The tasks of a SLURM step, in the order of their SLURM_PROCID."""
  nodes = expand_nodes(environment["SLURM_STEP_NODELIST"])
  tasks = expand_tasks(environment.get("SLURM_STEP_TASKS_PER_NODE", ""))
  count = _number(environment, "SLURM_STEP_NUM_TASKS")
  if len(tasks) != len(nodes) or sum(tasks) != count:
    raise UserError(
        f"SLURM_STEP_TASKS_PER_NODE: tells of {sum(tasks)} tasks on "
        f"{len(tasks)} nodes, but there are SLURM_STEP_NUM_TASKS={count} on "
        f"{len(nodes)}: start the step by srun, or set TF_CONFIG")
  if max(tasks) > _PORTS_A_JOB:
    raise UserError(f"SLURM_STEP_TASKS_PER_NODE: {max(tasks)} tasks on a node; "
                    f"at most {_PORTS_A_JOB}: one a node or one a GPU will do")
  job = int(environment.get("SLURM_JOB_ID", "0")) % _JOBS
  port = _FIRST_PORT + job * _PORTS_A_JOB
  # `--distribution=block`, which the template asks for: node after node.
  workers = [f"{node}:{port + i}" for node, number in zip(nodes, tasks)
             for i in range(number)]
  return workers, _number(environment, "SLURM_PROCID")


def expand_nodes(text: str) -> list[str]:
  """`a[01-03,7]-ib,b` -> a01-ib a02-ib a03-ib a7-ib b.

  Raises:
    UserError: for anything else.
  """
  names = []
  for part in re.findall(r"(?:[^,\[\]]|\[[^\[\]]*\])+|[\[\]]", text):
    expanded = [""]
    for plain, ranges in re.findall(r"([^\[\]]+)|\[([^\[\]]+)\]", part):
      endings = [plain] if plain else _numbers(ranges, text)
      expanded = [start + end for start in expanded for end in endings]
    names += expanded
  if not names or "" in names or text.count("[") != text.count("]"):
    raise UserError(f"SLURM_STEP_NODELIST={text}: not a list of nodes")
  return names


def _numbers(ranges: str, text: str) -> list[str]:
  numbers = []
  for part in ranges.split(","):
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", part)
    if not match:
      raise UserError(f"SLURM_STEP_NODELIST={text}: [{ranges}] is no range")
    first, last = match[1], match[2] or match[1]
    numbers += [str(i).zfill(len(first))
                for i in range(int(first), int(last) + 1)]
  return numbers


def expand_tasks(text: str) -> list[int]:
  """`2(x3),1` -> 2 2 2 1.

  Raises:
    UserError: for anything else.
  """
  counts = []
  for part in text.split(","):
    match = re.fullmatch(r"(\d+)(?:\(x(\d+)\))?", part)
    if not match:
      raise UserError(f"SLURM_STEP_TASKS_PER_NODE={text}: not counts of tasks")
    counts += [int(match[1])] * int(match[2] or 1)
  return counts


def _number(environment, name: str) -> int:
  value = environment.get(name)
  if value is None or not value.isdigit():
    raise UserError(f"{name}={value}: must be set to a number from 0: the "
                    "other variables of this scheduler are")
  return int(value)
