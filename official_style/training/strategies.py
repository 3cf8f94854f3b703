"""Devices and the distribution strategy over them."""

import dataclasses
import functools

import tensorflow as tf

from official_style.errors import UserError
from official_style.errors import first_line
from official_style.training import rendezvous

_NAMES = ("auto", "off", "one_device", "mirrored", "multi_worker_mirrored",
          "tpu")


@dataclasses.dataclass(frozen=True)
class Placement:
  """Where a run takes place.

  Attributes:
    strategy: the `tf.distribute.Strategy`.
    accelerator: `cpu`, `gpu` or `tpu`.
    is_chief: whether this process writes the run folder.
    num_workers: processes.
  """
  strategy: tf.distribute.Strategy
  accelerator: str
  is_chief: bool
  num_workers: int

  def describe(self) -> str:
    replicas = self.strategy.num_replicas_in_sync
    return (f"{replicas} {self.accelerator} replica{'s' * (replicas > 1)} in "
            f"{self.num_workers} process{'es' * (self.num_workers > 1)}, "
            f"{type(self.strategy).__name__}")

  def wait_for_all(self):
    """Returns once every worker has come to this point."""
    self.any_worker(False)

  def any_worker(self, mine: bool) -> bool:
    """Whether it holds on any worker. All have to ask at the same point."""
    if self.num_workers == 1:
      return mine
    return self._total(float(mine)) > 0

  def all_have(self, mine: int) -> bool:
    """Whether all workers have one number; if not, one of them hears so."""
    return self.num_workers == 1 or (
        self._total(mine) == mine * self.strategy.num_replicas_in_sync)

  def _total(self, mine: float) -> float:
    total = self._sum(tf.constant(mine, tf.float64))
    return float(self.strategy.experimental_local_results(total)[0])

  @functools.cached_property
  def _sum(self):
    """A function of a float64: its sum over all replicas."""
    def add(number):
      return tf.distribute.get_replica_context().all_reduce(
          tf.distribute.ReduceOp.SUM, tf.identity(number))

    return tf.function(
        lambda number: self.strategy.run(add, args=(number,)),
        autograph=False)


def place(runtime, rendezvous_timeout: float) -> Placement:
  """Picks devices and builds the strategy. Call it before any TensorFlow op.

  Args:
    runtime: a `PretrainingRuntimeConfig`.
    rendezvous_timeout: seconds to wait for other workers.

  Raises:
    UserError: for devices that are not there, or workers that don't come up.
  """
  name = runtime.distribution_strategy
  if name not in _NAMES:
    raise UserError(f"runtime.distribution_strategy={name!r}: must be one of "
                    f"{', '.join(_NAMES)}")
  accelerator = _accelerator(runtime)
  if accelerator == "tpu":
    return _tpu(runtime)
  devices = _devices(accelerator, runtime)
  workers, index = rendezvous.cluster()
  if len(workers) > 1 and name in ("auto", "multi_worker_mirrored"):
    _check_all_used(devices, accelerator)
    rendezvous.wait_for_workers(workers, index, rendezvous_timeout)
    strategy = tf.distribute.MultiWorkerMirroredStrategy(
        communication_options=tf.distribute.experimental.CommunicationOptions(
            implementation=_collectives(accelerator)))
    return Placement(strategy, accelerator, index == 0, len(workers))
  if name == "multi_worker_mirrored":
    raise UserError("runtime.distribution_strategy=multi_worker_mirrored: set "
                    "TF_CONFIG to two or more workers")
  if len(devices) > 1 and name not in ("off", "one_device"):
    return Placement(
        tf.distribute.MirroredStrategy(devices), accelerator, True, 1)
  return Placement(
      tf.distribute.OneDeviceStrategy(devices[0]), accelerator, True, 1)


def _accelerator(runtime) -> str:
  wanted = runtime.accelerator
  if runtime.tpu or runtime.distribution_strategy == "tpu":
    wanted = "tpu"
  gpus = tf.config.list_physical_devices("GPU")
  if wanted == "gpu" and not gpus:
    raise UserError(
        "--accelerator=gpu: TensorFlow sees no GPU: install its CUDA packages "
        "(pip install 'tensorflow[and-cuda]') and check nvidia-smi, or run "
        "with --accelerator=cpu")
  if wanted == "auto":
    return "gpu" if gpus else "cpu"
  if wanted not in ("cpu", "gpu", "tpu"):
    raise UserError(f"--accelerator={wanted}: must be auto, cpu, gpu or tpu")
  return wanted


def _devices(accelerator: str, runtime) -> list[str]:
  """Device names for the replicas of this process."""
  wanted = runtime.num_replicas or runtime.num_gpus
  if accelerator == "gpu":
    gpus = tf.config.list_physical_devices("GPU")
    if wanted > len(gpus):
      raise UserError(f"--num_replicas={wanted}: there are {len(gpus)} GPUs")
    for gpu in gpus:
      tf.config.experimental.set_memory_growth(gpu, True)
    return [f"GPU:{i}" for i in range(wanted or len(gpus))]
  tf.config.set_visible_devices([], "GPU")
  wanted = max(1, runtime.num_replicas)
  if wanted > 1:
    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(
        cpu, [tf.config.LogicalDeviceConfiguration()] * wanted)
  return [f"CPU:{i}" for i in range(wanted)]


def _check_all_used(devices: list[str], accelerator: str):
  """Refuses a number of replicas that a worker among others would not have."""
  there = (len(tf.config.list_physical_devices("GPU"))
           if accelerator == "gpu" else 1)
  if len(devices) != there:
    mend = ("hide the other GPUs from it with CUDA_VISIBLE_DEVICES"
            if accelerator == "gpu" else "start more workers")
    raise UserError(
        f"--num_replicas={len(devices)}: a worker beside others has {there}, "
        f"all of its devices: leave it out, and {mend}")


def _collectives(accelerator: str):
  kinds = tf.distribute.experimental.CommunicationImplementation
  return kinds.NCCL if accelerator == "gpu" else kinds.RING


def _tpu(runtime) -> Placement:
  """Not run by us: we have no TPU. The step is compiled by XLA on CPU."""
  try:
    resolver = tf.distribute.cluster_resolver.TPUClusterResolver(
        tpu=runtime.tpu or "")
    if runtime.tpu not in ("", "local", None):
      tf.config.experimental_connect_to_cluster(resolver)
    tf.tpu.experimental.initialize_tpu_system(resolver)
  except (ValueError, tf.errors.OpError) as error:
    raise UserError(
        f"--accelerator=tpu: no TPU at {runtime.tpu or 'this machine'} "
        f"({first_line(error, 200)}): give its address with --tpu, or run with "
        "--accelerator=cpu") from error
  strategy = tf.distribute.TPUStrategy(resolver)
  return Placement(strategy, "tpu", True, 1)
