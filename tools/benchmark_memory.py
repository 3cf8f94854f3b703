"""Measures the memory of attentions for long rows, pyramid or not.

    python tools/benchmark_memory.py --seq_lengths=512,1024,2048,4096

Each contender is a classifier in a process of its own: softmax attention as it
is, random features (performer), blocks (block_sparse), and each of them keeping
ever fewer tokens, with the list of --speedup times fewer FLOPs. A step has
--tokens tokens, in as many rows as that makes. What counts as memory, and above
what, is in benchmarking/memory_worker.py. Prints a table for each length and
writes everything to --output.
"""

import argparse
import json
import os
import subprocess
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import flag_types  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import report  # noqa: E402
from benchmarking import worker_process  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import files  # noqa: E402
from official_style import tensorflow_environment  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.errors import UserError  # noqa: E402

_ATTENTIONS = dict(softmax="softmax", performer="favor",
                   block_sparse="block_sparse")
CONTENDERS = (*_ATTENTIONS, *(f"pyramid_{name}" for name in _ATTENTIONS))
MODES = ("forward", "train")


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--contenders", type=flag_types.list_of(str), default=CONTENDERS,
      help="of " + ", ".join(CONTENDERS))
  add("--seq_lengths", type=flag_types.sizes,
      default=(512, 1024, 2048, 4096))
  add("--modes", type=flag_types.list_of(str), default=MODES,
      help="of " + ", ".join(MODES))
  add("--tokens", type=flag_types.whole(1), default=4096, help="of a step")
  add("--num_layers", type=flag_types.whole(1), default=4)
  add("--hidden_size", type=int, default=256)
  add("--num_heads", type=int, default=4)
  add("--favor_features", type=int, default=256)
  add("--block_size", type=int, default=64)
  add("--speedup", type=float, default=3.0)
  add("--selection_place", default="post_attention")
  add("--cluster_means", action="store_true",
      help="of pyramids, as CLUSTER_MEANS in training")
  add("--steps", type=flag_types.whole(1), default=3,
      help="that are measured")
  add("--threads", type=int, default=machine.cores())
  add("--timeout", type=float, default=600.0, help="seconds of a contender")
  add("--output", default="benchmark_memory.json")
  return flags


def case_of(name: str, n: int, args) -> dict:
  """What a worker is told."""
  return dict(
      attention=_ATTENTIONS[name.removeprefix("pyramid_")], seq_length=n,
      speedup=args.speedup if name.startswith("pyramid_") else 0,
      batch_size=max(1, args.tokens // n), modes=list(args.modes),
      **{field: getattr(args, field) for field in (
          "num_layers", "hidden_size", "num_heads", "favor_features",
          "block_size", "selection_place", "cluster_means", "steps",
          "threads")})


def measure(name: str, n: int, args) -> dict:
  """Runs one contender in a process of its own.

  Raises:
    UserError: if it fails.
  """
  case = case_of(name, n, args)
  try:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarking.memory_worker", json.dumps(case)],
        env=worker_process.environment(args.threads), text=True,
        capture_output=True, timeout=args.timeout)
  except subprocess.TimeoutExpired:
    raise UserError(f"contender {name} took longer than {args.timeout:.0f} s "
                    f"at {n} tokens: raise --timeout") from None
  if done.returncode:
    lines = done.stderr.strip().splitlines() or ["it said nothing"]
    raise UserError(f"contender {name} failed at {n} tokens with exit code "
                    f"{done.returncode}: {lines[-1]}")
  return dict(name=name, case=case) | json.loads(
      done.stdout.strip().splitlines()[-1])


def table(entries: list[dict], args) -> str:
  """Of one length; a pyramid's saving is on the same attention without it."""
  case, found = entries[0]["case"], {e["name"]: e for e in entries}
  lines = [f"{case['batch_size']} x {case['seq_length']} tokens, "
           f"{case['num_layers']} layers of {case['hidden_size']}",
           f"{'':24}" + "".join(
               f"{f'{mode} MiB':>14}{'on softmax':>12}{'on itself':>11}"
               f"{'tokens/s':>10}" for mode in args.modes)]
  for entry in entries:
    line = f"{entry['name']:24}"
    for mode in args.modes:
      peak = entry[mode]["peak_bytes"]
      line += f"{peak / 2**20:14,.0f}"
      for other, width in (("softmax", 12), (
          entry["name"].removeprefix("pyramid_"), 11)):
        share = ""
        if other in found and other != entry["name"]:
          share = f"{peak / found[other][mode]['peak_bytes'] - 1:+.0%}"
        line += f"{share:>{width}}"
      line += f"{entry[mode]['tokens_per_second']:10,.0f}"
    lines.append(line)
  lines += [f"{e['name']} keeps {' '.join(map(str, e['token_schedule']))}"
            for e in entries if e["token_schedule"]]
  return "\n".join(lines)


def main(argv=None) -> int:
  argv = sys.argv[1:] if argv is None else argv
  flags = parser()
  args = flags.parse_args(argv)
  for flag, allowed in (("contenders", CONTENDERS), ("modes", MODES)):
    for value in getattr(args, flag):
      if value not in allowed:
        flags.error(f"--{flag}: {value!r}: choose of {', '.join(allowed)}")
  tensorflow_environment.prepare()
  return command_end.exit_code(lambda: _work(args, argv), resumes=False)


def _work(args, argv):
  machine.check_threads(args.threads)
  files.check_writable(args.output)
  measured = []
  for n in args.seq_lengths:
    entries = [measure(name, n, args) for name in args.contenders]
    measured.append(dict(seq_length=n, contenders=entries))
    print(table(entries, args), end="\n\n", flush=True)
  report.write(args.output, dict(
      **machine.provenance(_ROOT, ["tools/benchmark_memory.py", *argv]),
      threads=args.threads,
      settings=tensorflow_environment.settings(), cases=measured))
  print(f"written to {args.output}")


if __name__ == "__main__":
  sys.exit(main())
