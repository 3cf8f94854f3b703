"""Trains with several workers on this machine, as a cluster would.

    python tools/launch_local.py -n 2 --model_dir=runs/two

What it does not know goes to train.py, whose workers take the steps that one
process would take, up to rounding. When a worker dies (try `kill -9`), all
start again and go on from the last checkpoint. Ctrl-C saves and stops; the same
command goes on. Several workers on one machine are slower than one: this is for
trying what a cluster will do. Templates for clusters are in tools/launch.
"""

import argparse
import os
import sys

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from official_style import command_end  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.errors import UserError  # noqa: E402
from official_style.training import local_workers  # noqa: E402


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__, allow_abbrev=False)
  flags.add_argument("-n", "--num_workers", type=int, default=2)
  flags.add_argument(
      "--max_restarts", type=int, default=10,
      help="failures in a row, each within a minute of the start, to bear")
  return flags


def main() -> int:
  args, of_train = parser().parse_known_args()
  return command_end.exit_code(lambda: launch(args, of_train))


def launch(args, of_train: list[str]) -> int:
  if args.num_workers < 1:
    raise UserError(f"--num_workers={args.num_workers}: must be at least 1")
  if any(a.split("=")[0].lstrip("-") == "restart" for a in of_train):
    raise UserError("--restart: would start over after each failure; remove "
                    "the run's folder instead")
  command = [sys.executable, os.path.join(_ROOT, "train.py"), *of_train]
  return local_workers.LocalWorkers(
      command, args.num_workers, args.max_restarts).run()


if __name__ == "__main__":
  sys.exit(main())
