"""tools/score.py against one call a text, and Spark and Beam against it.

    python tools/benchmark_scoring.py --model=exports/imdb \\
        --input='imdb/*.tsv.gz' --work=work --output=scoring.json

Runs each contender as a process of its own on all cores, one after the other,
--rounds times. One by one means a loop over the export's `serving_default`, one
text a call, on --one_by_one_rows rows spread over the file; its loading is not
counted. Of the others the whole command is, from start to end, also without
what it takes on a single row. Compares all answers, and of Spark and Beam all
bytes.
"""

import argparse
import filecmp
import glob
import json
import os
import shutil
import statistics
import subprocess
import sys
import time

_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
if _ROOT not in sys.path:
  sys.path.insert(0, _ROOT)

from benchmarking import flag_types  # noqa: E402
from benchmarking import machine  # noqa: E402
from benchmarking import report  # noqa: E402

from official_style import command_end  # noqa: E402
from official_style import files  # noqa: E402
from official_style import tool_flags  # noqa: E402
from official_style.errors import UserError  # noqa: E402
from official_style.serving import export_manifest  # noqa: E402
from official_style.serving.scoring import input_file  # noqa: E402

_LOOP, _LOCAL = "one by one", "score.py"
_RUNNERS = {_LOCAL: "local", "spark": "spark", "beam": "beam"}


def parser() -> argparse.ArgumentParser:
  flags = tool_flags.ToolFlags(__doc__)
  add = flags.add_argument
  add("--model", required=True, help="a classifier, as tools/score.py takes it")
  add("--input", required=True, help="files of texts, as a pattern")
  add("--text_columns", default="")
  add("--work", required=True, help="folder for rows and scores")
  add("--rows", type=flag_types.whole(0), default=0,
      help="spread over the files; 0: all")
  add("--one_by_one_rows", type=flag_types.whole(1), default=500)
  add("--contenders", default="one by one,score.py,spark,beam")
  add("--rounds", type=flag_types.whole(1), default=1)
  add("--num_workers", type=int, default=machine.cores())
  add("--score_args", action="append", default=[],
      help="more arguments of tools/score.py; repeatable")
  add("--output", default="", help="JSON file to write")
  return flags


def _spread(items, count):
  """About so many of them, evenly spread; all for 0."""
  if not count or count >= len(items):
    return items
  return [items[i * len(items) // count] for i in range(count)]


def _read(args) -> list[str]:
  """The texts that are scored, in the order of the files."""
  paths = sorted(glob.glob(args.input))
  if not paths:
    raise UserError(f"--input={args.input}: no such file: check the path")
  texts = []
  for path in paths:
    file, lines = input_file.open_at_rows(path, args.text_columns)
    with lines:
      texts += [row.texts[0] for row in file.rows(lines) if not row.problem]
  return _spread(texts, args.rows)


def _write(texts, path):
  files.write(path, "".join(json.dumps(dict(text=t)) + "\n" for t in texts))


def _seconds(command) -> float:
  start = time.perf_counter()
  done = subprocess.run(command, cwd=_ROOT, text=True, capture_output=True)
  if done.returncode:
    sys.stderr.write(done.stderr[-2000:])
    raise UserError(f"{' '.join(command)} failed, as it says above")
  return time.perf_counter() - start


def _score(args, name, path, output) -> float:
  shutil.rmtree(output, ignore_errors=True)
  return _seconds([
      sys.executable, "tools/score.py", f"--input={path}",
      f"--model={args.model}", f"--output_dir={output}",
      f"--runner={_RUNNERS[name]}", f"--num_workers={args.num_workers}",
      *args.score_args])


def _loop(args, path, output) -> dict:
  _seconds([sys.executable, "tools/benchmarking/one_by_one.py", args.model,
            path, output])
  with open(output, encoding="utf-8") as f:
    return json.load(f)


def _probabilities(folder) -> list:
  """Of all rows of a scoring, in order."""
  found = []
  for name in sorted(os.listdir(folder)):
    if name.startswith("part-"):
      with open(os.path.join(folder, name), encoding="utf-8") as f:
        found += [list(map(float, line.rstrip("\n").split("\t")[3:]))
                  for line in list(f)[1:]]
  return found


def _same_bytes(one, other) -> bool:
  names = sorted(n for n in os.listdir(one) if n != "done")
  return names == sorted(n for n in os.listdir(other) if n != "done") and not (
      any(filecmp.cmpfiles(one, other, names, shallow=False)[1:]))


def _measure(args, names, work) -> dict:
  """Seconds of each contender in each round, and what was compared."""
  texts = _read(args)
  sample = _spread(list(range(len(texts))), args.one_by_one_rows)
  rows, one, some = (os.path.join(work, name) for name in (
      "rows.jsonl", "row.jsonl", "some.json"))
  _write(texts, rows)
  _write(texts[:1], one)
  files.write(some, json.dumps([texts[i] for i in sample]))
  rates = {name: [] for name in names}
  starts, facts = {}, dict(rows=len(texts), one_by_one_rows=len(sample))
  output = {name: os.path.join(work, name.replace(" ", "_")) for name in names}
  for name in names:
    if name != _LOOP:
      starts[name] = _score(args, name, one, os.path.join(work, "one"))
  for number in range(args.rounds):
    for name in names:
      if name == _LOOP:
        answers = _loop(args, some, output[name] + ".json")
        rates[name].append(dict(rate=len(sample) / answers["seconds"]))
      else:
        seconds = _score(args, name, rows, output[name])
        rates[name].append(dict(
            rate=len(texts) / seconds, seconds=seconds,
            rate_without_start=len(texts) / max(
                seconds - starts[name], 1e-9)))
      print(f"round {number + 1}: {name}: {rates[name][-1]['rate']:.1f} rows/s",
            file=sys.stderr, flush=True)
  if _LOOP in names and _LOCAL in names:
    found = _probabilities(output[_LOCAL])
    facts["largest_difference"] = max(
        abs(x - y) for i, wanted in zip(sample, answers["probabilities"])
        for x, y in zip(found[i], wanted))
  for name in names:
    if name not in (_LOOP, _LOCAL) and _LOCAL in names:
      facts[f"{name}_same_bytes"] = _same_bytes(output[_LOCAL], output[name])
  return dict(facts=facts, start_seconds=starts, rates=rates)


def _ratios(found) -> dict:
  """Of each pair that has a bar: what is faster by how much."""
  middle = {name: {key: statistics.median(r[key] for r in rounds)
                   for key in rounds[0]}
            for name, rounds in found["rates"].items()}
  ratios = {}
  if _LOCAL in middle:
    for name, rates in middle.items():
      if name == _LOOP:
        ratios["score.py / one by one"] = (
            middle[_LOCAL]["rate"] / rates["rate"])
      elif name != _LOCAL:
        ratios[f"{name} / score.py"] = rates["rate"] / middle[_LOCAL]["rate"]
        ratios[f"{name} / score.py, without starting"] = (
            rates["rate_without_start"]
            / middle[_LOCAL]["rate_without_start"])
  return dict(median=middle, ratios=ratios)


def _compare(args):
  if args.output:
    files.check_writable(args.output)
  args.model = os.path.abspath(export_manifest.newest(
      args.model, "--model"))
  work = os.path.abspath(args.work)
  os.makedirs(work, exist_ok=True)
  names = [name.strip() for name in args.contenders.split(",")]
  unknown = set(names) - {_LOOP, *_RUNNERS}
  if unknown:
    raise UserError(f"--contenders: {', '.join(sorted(unknown))}: known are "
                    f"{', '.join([_LOOP, *_RUNNERS])}")
  found = _measure(args, names, work)
  found |= _ratios(found)
  found |= dict(machine=machine.describe(), versions=machine.versions(),
                revision=machine.revision(_ROOT),
                arguments=dict(vars(args), model=os.path.basename(
                    os.path.dirname(args.model)), work="", input=(
                        os.path.basename(args.input)), output=""))
  for name, rates in found["median"].items():
    print(f"{name:12}{rates['rate']:9.1f} rows/s")
  for name, ratio in found["ratios"].items():
    print(f"{name}: {ratio:.2f}")
  for name, value in found["facts"].items():
    print(f"{name}: {value}")
  if args.output:
    report.write(args.output, found)


def main(argv=None) -> int:
  args = parser().parse_args(sys.argv[1:] if argv is None else argv)
  return command_end.exit_code(lambda: _compare(args), resumes=False)


if __name__ == "__main__":
  sys.exit(main())
