"""What a sub-architecture extraction found, as one picture of four parts."""

from typing import Any, Mapping, Sequence

from official_style.reporting import agg_figure

_COLOURS = dict(stride_offsets="#0072B2", random="#D55E00", halving="#009E73")
_NAMES = dict(stride_offsets="stride, begun anywhere", random="random search",
              halving="successive halving")
_DOTS, _FOUND, _SOFT = "#56B4E9", "#D55E00", "#767676"


def draw(summary: Mapping[str, Any], rows: Sequence[Mapping]) -> bytes:
  """The picture, PNG.

  Args:
    summary: of results.json.
    rows: of candidates.csv, None where a field is empty.

  Raises:
    UserError: if matplotlib isn't there.
  """
  with agg_figure.new(10, 7.6) as made:
    axes = made.subplots(2, 2)
    for ax, part in zip(axes.flat, (_candidates, _regret, _long, _costs)):
      part(ax, summary, rows)
      for side in ("top", "right"):
        ax.spines[side].set_visible(False)
      ax.grid(True, color="#e6e6e6", linewidth=0.6)
      ax.set_axisbelow(True)
    return agg_figure.saved(made, "png", dpi=140)


def _inference(summary, rows) -> tuple[str, str]:
  """The column of what a candidate costs, and its name."""
  prefix = "relative_" if summary["inference"] == "latency" else "macs_"
  column = next(name for name in rows[0] if name.startswith(prefix)
                and name.removeprefix(prefix).isdigit())
  n = column.removeprefix(prefix)
  return column, (f"latency at {n} tokens, maximum point = 1"
                  if prefix == "relative_" else f"multiply-adds at {n} tokens")


def _words(name: str) -> str:
  return name.replace("_", " ")


def _candidates(ax, summary, rows):
  """Error against cost; the front joined, the choice in a ring."""
  column, title = _inference(summary, rows)
  error, front = summary["error"], f"{summary['inference']}_on_front"
  trained = [row for row in rows if row[error] is not None]
  most = max(row["parameters"] for row in trained)
  for row in trained:
    ax.errorbar(row[column], row[error], row[f"{error}_deviation"],
                color=_SOFT, linewidth=0.8, zorder=1)
  ax.scatter([row[column] for row in trained],
             [row[error] for row in trained],
             [15 + 60 * row["parameters"] / most for row in trained],
             color=[_DOTS if row[front] else "#cccccc" for row in trained],
             edgecolor="white", linewidth=0.5, zorder=2)
  for row in trained:
    if row["name"] == summary["found"]:
      ax.plot(row[column], row[error], "o", markersize=13,
              markerfacecolor="none", markeredgecolor=_FOUND, zorder=3)
      ax.annotate(row["name"], (row[column], row[error]), xytext=(8, 8),
                  textcoords="offset points", color=_FOUND, fontweight="bold")
  ax.set_xlabel(title)
  ax.set_ylabel(f"{_words(error)} after {summary['steps']} steps")
  ax.set_title("candidates: blue on the front of parameters, cost and error;\n"
               "area is parameters; ringed: largest W", fontsize=8,
               color=_SOFT, loc="left")


def _regret(ax, summary, rows):
  del rows
  lines = summary["regrets"]
  if not lines:
    ax.text(0.5, 0.5, "not every candidate was trained:\nnothing to compare "
            "with", ha="center", va="center", transform=ax.transAxes,
            color=_SOFT)
    return
  eps = [line["eps"] for line in lines]
  for name, colour in _COLOURS.items():
    ax.plot(eps, [line[name]["mean"] for line in lines], "o-", color=colour,
            label=_NAMES[name], markersize=4)
    ax.fill_between(eps, [line[name]["percentile_5"] for line in lines],
                    [line[name]["mean"] for line in lines], color=colour,
                    alpha=0.12, linewidth=0)
  ax.plot(eps, [line["stride"] for line in lines], "k_", markersize=12,
          label="stride from the first")
  ax.set_xscale("log", base=2)
  ax.set_xticks(eps, [str(x) for x in eps])
  ax.set_xlabel("eps: one candidate of so many is trained")
  ax.set_ylabel("W found / W of the exhaustive search")
  ax.legend(frameon=False, fontsize=8)
  ax.set_title("as many training steps; mean, and down to the\n"
               "5th percentile", fontsize=8, color=_SOFT, loc="left")


def _long(ax, summary, rows):
  del rows
  check, error = summary["long"], summary["error"]
  if not check:
    ax.text(0.5, 0.5, "no candidate was trained for longer", ha="center",
            va="center", transform=ax.transAxes, color=_SOFT)
    return
  for row in check["rows"]:
    x, y = row["short"][error], row["long"][error]
    ax.plot(x, y, "o", color=_FOUND if row["name"] == summary["found"]
            else _DOTS, markersize=5)
    ax.annotate(row["name"], (x, y), xytext=(4, 3),
                textcoords="offset points", fontsize=6, color=_SOFT)
  ax.set_xlabel(f"{_words(error)} after {summary['steps']} steps")
  ax.set_ylabel(f"after {check['steps']} steps")
  ax.set_title(f"Kendall's tau {check['tau'][error]:.2f} of "
               f"{check['candidates']} candidates", fontsize=8, color=_SOFT,
               loc="left")


def _costs(ax, summary, rows):
  """What is measured against what is computed."""
  pairs = [(name, name.replace("relative_", "macs_")) for name in rows[0]
           if name.startswith("relative_")
           and name.removeprefix("relative_").isdigit()]
  known = [row for row in rows if pairs and row[pairs[0][0]] is not None]
  if not known:
    ax.text(0.5, 0.5, "no latency was measured", ha="center", va="center",
            transform=ax.transAxes, color=_SOFT)
    return
  for (measured, computed), colour in zip(pairs, (
      "#0072B2", "#D55E00", "#009E73", "#CC79A7") * len(pairs)):
    n = computed.removeprefix("macs_")
    found = summary["correlations"]["macs_latency"][n]
    ax.plot([row[computed] for row in known], [row[f"ms_{n}"] for row in known],
            "o", markersize=4, color=colour,
            label=f"{n} tokens: Kendall {found['kendall']:.3f}")
  ax.set_xscale("log")
  ax.set_yscale("log")
  # Theirs are formulas, which are not read here.
  ax.xaxis.set_major_formatter("{x:g}")
  ax.yaxis.set_major_formatter("{x:g}")
  ax.tick_params(which="minor", labelbottom=False, labelleft=False)
  ax.set_xlabel("multiply-adds of a row")
  ax.set_ylabel("measured ms of a row, one thread")
  ax.legend(frameon=False, fontsize=8)
