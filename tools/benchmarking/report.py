"""Medians, the table and the JSON file."""

import dataclasses
import json
import statistics

from official_style import files
from official_style.errors import UserError

_HEADER = (f"{'contender':30}{'wall ms':>9}{'min':>9}{'max':>9}{'cpu ms':>9}"
           f"{'system':>8}"
           f"{'tokens/s':>11}{'GFLOP':>8}{'of peak':>9}{'peak GiB':>10}"
           f"{'time':>7}{'min':>7}{'max':>7}{'FLOP':>7}")

# Cores; less is the measuring itself and the system's own work.
_BUSY = 0.2


def spread(values) -> dict[str, float]:
  values = list(values)
  return dict(median=statistics.median(values), min=min(values),
              max=max(values))


def summary(entry, baseline) -> dict:
  """What the rounds of an entry come to.

  Args:
    entry: an `Entry` with its rounds.
    baseline: the one it is compared to, round by round.

  Returns:
    Spreads of `wall_seconds`, `cpu_seconds`, of it `system_seconds`,
    `ceiling_flops`, `time_ratio` and `others_cores`, what other processes had
    meanwhile; `tokens_per_second`, padding not counted; `flops` of a call and
    their `flops_ratio` to the baseline's; `share_of_ceiling`; `peak_bytes` of
    the rounds; `idle_cpu`, cores a paused worker kept busy.
  """
  case, rounds = entry.case, entry.rounds
  wall = spread(r["seconds"] for r in rounds)
  ceiling = spread(r["ceiling_flops"] for r in rounds)
  tokens = (case.batch_size * case.seq_length
            * (1 - entry.prepared["padding_share"]))
  # Documents in another number of rows: time for the same real tokens.
  scale = ((1 - baseline.prepared["padding_share"])
           / (1 - entry.prepared["padding_share"]))
  return dict(
      wall_seconds=wall,
      cpu_seconds=spread(r["cpu_seconds"] for r in rounds),
      system_seconds=spread(r["system_seconds"] for r in rounds),
      others_cores=spread(r["others_cores"] for r in rounds),
      tokens_per_second=tokens / wall["median"],
      padding_share=entry.prepared["padding_share"],
      flops=entry.flops(),
      flops_ratio=scale * entry.flops() / baseline.flops(),
      time_ratio=spread(scale * ours["seconds"] / theirs["seconds"]
                        for ours, theirs in zip(rounds, baseline.rounds)),
      ceiling_flops=ceiling,
      share_of_ceiling=(
          entry.flops() / wall["median"] / ceiling["median"]),
      peak_bytes=max(r["peak_bytes"] for r in rounds),
      idle_cpu=_idle(rounds))


def _idle(rounds) -> float:
  """Cores a worker kept busy while others had their turns."""
  seconds = sum(r.get("pause_seconds", 0) for r in rounds)
  used = sum(r.get("pause_cpu_seconds", 0) for r in rounds)
  # After a turn at one end of a round comes the same worker's next.
  return used / seconds if seconds > 0.1 else 0.0


def table(entries) -> str:
  """Of one case; times and FLOPs on the right are relative to the first."""
  lines = [_HEADER]
  for entry in entries:
    s = summary(entry, entries[0])
    wall, ratio = s["wall_seconds"], s["time_ratio"]
    lines.append(
        f"{entry.label:30}{1e3 * wall['median']:9.1f}{1e3 * wall['min']:9.1f}"
        f"{1e3 * wall['max']:9.1f}{1e3 * s['cpu_seconds']['median']:9.1f}"
        f"{1e3 * s['system_seconds']['median']:8.1f}"
        f"{s['tokens_per_second']:11,.0f}{s['flops'] / 1e9:8.1f}"
        f"{s['share_of_ceiling']:9.1%}{s['peak_bytes'] / 2**30:10.2f}"
        f"{ratio['median']:7.2f}{ratio['min']:7.2f}{ratio['max']:7.2f}"
        f"{s['flops_ratio']:7.2f}")
  return "\n".join(lines + _notes(entries))


def _notes(entries):
  """What a reader has to know to read the table right."""
  lines = []
  ceilings = [
      f"{entry.label} "
      f"{summary(entry, entries[0])['ceiling_flops']['median'] / 1e9:.0f}"
      for entry in entries]
  lines.append("peak is a large multiplication in the same framework, in the "
               "same rounds, GFLOP/s: " + ", ".join(ceilings))
  for entry in entries:
    if entry.known.drops and entry.case.is_train:
      roles = " ".join(entry.case.plan(True).roles)
      lines.append(f"{entry.contender} keeps {entry.case.keep_k} of "
                   f"{entry.case.seq_length} tokens in layers: {roles}")
      break
  short = [entry.contender for entry in entries if entry.known.short_last]
  if short:
    lines.append(
        f"{', '.join(dict.fromkeys(short))}: the last layer works on the "
        f"{entries[0].case.num_predictions} predicted positions of a row only; "
        "tokens/s counts all positions")
  with_onednn = [e.contender for e in entries if e.known.onednn]
  if with_onednn:
    lines.append(f"{', '.join(dict.fromkeys(with_onednn))}: oneDNN on; others "
                 "as their framework has it on this processor")
  if entries[0].case.is_packed_workload:
    lines += [f"{entry.label}: {entry.prepared['padding_share']:.1%} of all "
              "positions are padding" for entry in entries]
  lines += [f"{entry.label}: {name} {value}" for entry in entries
            for name, value in entry.warm["notes"].items()]
  idle = [summary(entry, entries[0])["idle_cpu"] for entry in entries]
  lines.append(f"paused workers used at most {max(idle):.1%} of a core")
  others = max(summary(entry, entries[0])["others_cores"]["max"]
               for entry in entries)
  if others > _BUSY:
    lines.append(f"NOT ALONE: other processes had up to {others:.1f} cores "
                 "during a round; see --quiet_wait")
  lines.append(parity(entries))
  return lines


def parity(entries) -> str:
  """Whether contenders of equal weights computed the same loss."""
  parts = []
  for packs in (False, True):
    losses = [entry.prepared["parity_loss"] for entry in entries
              if entry.packs == packs]
    if len(losses) > 1:
      parts.append(f"{max(losses) - min(losses):.1e} around "
                   f"{statistics.median(losses):.4f}")
  return ("losses from equal weights, before any step, differ by "
          + " and ".join(parts) if parts
          else "one contender: nothing to compare losses with")


def as_json(entries) -> dict:
  """Everything of one case."""
  return dict(
      shape=entries[0].case.shape,
      contenders=[dict(
          contender=entry.contender, case=dataclasses.asdict(entry.case),
          prepared=entry.prepared, warm_up=entry.warm, rounds=entry.rounds,
          summary=summary(entry, entries[0])) for entry in entries])


def write(path: str, content: dict):
  """Writes JSON that appears under its name only when it is complete.

  Raises:
    UserError: if it can't be written any more.
  """
  try:
    files.write(path, json.dumps(content, indent=1) + "\n")
  except OSError as error:
    raise UserError(f"--output={path}: can't be written ({error.strerror}): "
                    "what was measured is in the table only") from error
