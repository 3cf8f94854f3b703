"""What a measurement ran on, and what a process used of it."""

import ctypes
import importlib.metadata
import os
import platform
import shlex
import subprocess
import time
from typing import Sequence

from official_style.errors import UserError

_PACKAGES = ("tensorflow", "tf-keras", "tf-models-official", "torch",
             "transformers", "numpy", "onnxruntime")
# What a processor multiplies bfloat16 with.
_BFLOAT16_FLAGS = ("avx512_bf16", "amx_bf16", "bf16")
_TOLD_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni") + _BFLOAT16_FLAGS


def _field(path, name):
  """The first `name : value` of a file in /proc, or an empty string."""
  try:
    with open(path, encoding="utf-8") as f:
      for line in f:
        key, _, value = line.partition(":")
        if key.strip() == name:
          return value.strip()
  except OSError:
    pass
  return ""


def cores() -> int:
  """Cores this process may use."""
  return len(os.sched_getaffinity(0))


def check_threads(threads: int):
  """Refuses threads that would share a core: what is written would be wrong.

  Raises:
    UserError: naming the flag.
  """
  if not 1 <= threads <= cores():
    raise UserError(f"--threads={threads}: from 1 to the {cores()} cores this "
                    "process may use")


def processor_flags() -> list[str]:
  """The instruction sets that matter to matrix multiplication."""
  flags = (_field("/proc/cpuinfo", "flags")
           or _field("/proc/cpuinfo", "Features")).split()
  return [flag for flag in _TOLD_FLAGS if flag in flags]


def multiplies_bfloat16() -> bool:
  return any(flag in processor_flags() for flag in _BFLOAT16_FLAGS)


def available_bytes() -> int:
  """Memory that can be had without swapping."""
  return _kibibytes("/proc/meminfo", "MemAvailable")


def peak_bytes() -> int:
  """The high-water mark of this process's memory."""
  return _kibibytes("/proc/self/status", "VmHWM")


def resident_bytes() -> int:
  """The memory this process holds now."""
  return _kibibytes("/proc/self/status", "VmRSS")


def release_freed():
  """Gives freed memory back to the system, where the C library can."""
  try:
    ctypes.CDLL(None).malloc_trim(0)
  except (OSError, AttributeError):
    pass


def restart_peak():
  """Lets the high-water mark start again, where the kernel allows it."""
  try:
    with open("/proc/self/clear_refs", "w", encoding="utf-8") as f:
      f.write("5")
  except OSError:
    pass


def _kibibytes(path, name):
  return 1024 * int((_field(path, name) or "0").split()[0])


def busy_seconds() -> float:
  """Processor seconds all processes used since the machine started.

  What a hypervisor gave to others counts as used.
  """
  try:
    with open("/proc/stat", encoding="utf-8") as f:
      user, nice, system, _, _, irq, softirq, steal = map(
          int, f.readline().split()[1:9])
  except (OSError, ValueError):
    return 0.0
  return (user + nice + system + irq + softirq + steal) / os.sysconf(
      "SC_CLK_TCK")


def wait_for_quiet(limit: float, busy_cores: float = 0.15,
                   window: float = 0.5) -> bool:
  """Waits until all processes together use less than `busy_cores`.

  Returns:
    Whether that came within `limit` seconds; at once if `limit` is 0.
  """
  end = time.monotonic() + limit
  while time.monotonic() < end:
    before = busy_seconds()
    time.sleep(window)
    if busy_seconds() - before < busy_cores * window:
      return True
  return False


def describe() -> dict:
  """Processor, cores, memory and system, ready for JSON."""
  return dict(
      processor=_field("/proc/cpuinfo", "model name") or platform.processor(),
      cores=cores(), flags=processor_flags(),
      memory_gib=round(_kibibytes("/proc/meminfo", "MemTotal") / 2**30, 1),
      system=platform.system(), kernel=platform.release(),
      python=platform.python_version())


def versions() -> dict[str, str]:
  """Of the packages that are installed."""
  found = {}
  for name in _PACKAGES:
    try:
      found[name] = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
      pass
  return found


def provenance(folder: str, command: Sequence[str]) -> dict:
  """What a measurement is to be judged by, ready for JSON.

  Args:
    folder: of the program.
    command: what was called, from there, and its arguments.
  """
  return dict(command=shlex.join(["python", *command]), machine=describe(),
              versions=versions(), revision=revision(folder))


def revision(folder: str) -> dict:
  """The git commit of a folder, and whether files differ from it."""
  def git(*arguments):
    return subprocess.run(["git", "-C", folder, *arguments], text=True,
                          capture_output=True, check=True).stdout.strip()
  try:
    return dict(commit=git("rev-parse", "HEAD"),
                modified=bool(git("status", "--porcelain")))
  except (OSError, subprocess.CalledProcessError):
    return dict(commit="unknown", modified=None)
