"""Quality against measured time, as a picture."""

from official_style.reporting import agg_figure
from official_style.reporting import measured_points
from official_style.reporting.visible_text import shortened
from official_style.reporting.visible_text import visible
from official_style.reporting.visible_text import without_middle

# Okabe and Ito's palette, but for its yellow, which is too light on white.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_MARKERS = "osD^vPX*"
_DENSE, _SOFT = "#444444", "#767676"
_NAME = dict(fontsize=9, fontweight="bold")
# More names than this stand beside the picture: among the points they would
# cover each other.
_MOST_NAMES = 6


def draw(found: measured_points.Measurements, file_format: str = "png",
         baseline: str = "dense") -> bytes:
  """The picture.

  Means over seeds with bars of one standard deviation; the Pareto front in
  rings, joined; the dense model as cross hairs. Names stand where the fastest
  point of a method is, or, of many, beside the picture, the best first.

  Args:
    found: what was measured.
    file_format: one of `agg_figure.FORMATS`.
    baseline: the method that is the dense model; it may be missing.

  Raises:
    UserError: if matplotlib isn't there.
  """
  many = len(found.methods) - (baseline in found.methods) > _MOST_NAMES
  with agg_figure.new(9.6 if many else 7.2, 4.6) as made:
    axes = made.subplots()
    _draw_front(axes, found)
    labels = list(filter(None, [
        _draw_method(axes, found, number, method, baseline)
        for number, method in enumerate(found.methods)]))
    _draw_axes(axes, found)
    if many:
      _write_legend(axes, found, labels)
      _write_budgets(made, axes, found, baseline)
      return agg_figure.saved(made, file_format, dpi=160)
    made.canvas.draw()  # Fixes where everything is.
    _make_room(made, axes, labels)
    _write_labels(made, axes, labels)
    _write_budgets(made, axes, found, baseline)
    return agg_figure.saved(made, file_format, dpi=160)


def _draw_front(axes, found):
  front = found.front()
  if len(front) > 1:
    axes.plot([g.time for g in front], [g.quality for g in front],
              color=_SOFT, linewidth=5, alpha=0.22, solid_capstyle="round",
              zorder=1)
  axes.plot([g.time for g in front], [g.quality for g in front], "o",
            markersize=12, markerfacecolor="none", markeredgecolor=_SOFT,
            markeredgewidth=1, zorder=2)


def _draw_method(axes, found, number, method, baseline):
  """Draws one method; returns a label to write, its colour and its point."""
  groups = found.of(method)
  is_dense = method == baseline
  colour = _DENSE if is_dense else _COLOURS[number % len(_COLOURS)]
  drawn = axes.errorbar(
      [g.time for g in groups], [g.quality for g in groups],
      xerr=[g.time_spread for g in groups],
      yerr=[g.quality_spread for g in groups], color=colour,
      marker="s" if is_dense else _MARKERS[number % len(_MARKERS)],
      markersize=6, linewidth=1.3, elinewidth=1, capsize=2.5, zorder=3)
  if is_dense:
    for line, value in ((axes.axvline, groups[-1].time),
                        (axes.axhline, groups[-1].quality)):
      line(value, color=_DENSE, linewidth=0.8, linestyle=(0, (4, 4)),
           alpha=0.6, zorder=0)
    axes.annotate(
        without_middle(visible(method), 30),
        (groups[-1].time, groups[-1].quality),
        xytext=(8, 8), textcoords="offset points", color=colour,
        fontweight="bold")
    return None
  drawn.set_label(without_middle(visible(method), 40))
  return without_middle(visible(method), 30), colour, groups[0]


def _draw_axes(axes, found):
  axes.set_xlabel(f"{measured_points.TIMES[found.time_name]}    "
                  "(left is faster)")
  axes.set_ylabel(visible(found.metric).replace("_", " ") + (
      "    (lower is better)" if found.lower_is_better else ""))
  for side in ("top", "right"):
    axes.spines[side].set_visible(False)
  axes.grid(True, color="#e6e6e6", linewidth=0.6)
  axes.set_axisbelow(True)
  most = max(group.seeds for group in found.groups)
  least = min(group.seeds for group in found.groups)
  seeds = str(most) if most == least else f"{least} to {most}"
  said = (f"mean of {seeds} seeds, bars are one standard deviation"
          if most > 1 else "one measurement each")
  budgets = any(g.budget is not None for g in found.groups)
  axes.set_title(said + "; ringed: nothing is faster and as good" + (
      "; small: budget" if budgets else ""), fontsize=8, color=_SOFT,
                 loc="left")
  axes.margins(x=0.16, y=0.12)


def _write_legend(axes, found, labels):
  """Names to the right of the picture, in the order of quality."""
  handles, names = axes.get_legend_handles_labels()
  ways = 1 if found.lower_is_better else -1
  order = sorted(range(len(labels)),
                 key=lambda i: ways * labels[i][2].quality)
  axes.legend([handles[i] for i in order], [names[i] for i in order],
              loc="center left", bbox_to_anchor=(1.02, 0.5), frameon=False,
              fontsize=8, title="best first")
  axes.set_xlim(left=max(0.0, axes.get_xlim()[0]))


def _width(made, text, **font) -> float:
  """Pixels of a text."""
  from matplotlib import text as text_lib
  return text_lib.Text(
      0, 0, text, figure=made, **font).get_window_extent().width


def _make_room(made, axes, labels):
  """Moves the left border until every name fits beside its point."""
  box, scale = axes.get_window_extent(), made.dpi / 72
  left, right = axes.get_xlim()
  for text, _, group in labels:
    share = (_width(made, text, **_NAME) + 14 * scale) / box.width
    # Of the new width, so much lies before the point.
    if share < 0.9:
      left = min(left, (group.time - share * right) / (1 - share))
  axes.set_xlim(left, right)
  # Names may lie left of zero, times don't.
  axes.set_xticks([tick for tick in axes.get_xticks() if 0 <= tick <= right])


def _write_labels(made, axes, labels):
  """Names beside the fastest points, moved apart where they would meet.

  To the left, unless that would cover another point.
  """
  scale = made.dpi / 72
  height, near, placed = 12 * scale, 90 * scale, []
  spots = [(*axes.transData.transform((group.time, group.quality)), text,
            colour, group) for text, colour, group in labels]
  for x, y, text, colour, group in sorted(spots, key=lambda spot: spot[1]):
    # Above all that it would cover.
    place = y
    while any(abs(other_x - x) < near and abs(other_y - place) < height
              for other_x, other_y in placed):
      place += height / 4
    placed.append((x, place))
    start = x - _width(made, text, **_NAME) - 14 * scale
    covers = any(start < other_x < x - 1 and abs(other_y - place) < height
                 for other_x, other_y, *_ in spots)
    side = 1 if covers else -1
    # In points from the point itself, which no resolution changes.
    axes.annotate(
        text, (group.time, group.quality),
        xytext=(9 * side, (place - y) / scale), textcoords="offset points",
        ha="left" if covers else "right", va="center", color=colour,
        arrowprops=dict(arrowstyle="-", color=colour, linewidth=0.6,
                        relpos=(0 if covers else 1, 0.5))
        if place - y > height / 2 else None, **_NAME)


def _write_budgets(made, axes, found, baseline):
  """Budgets below their points, those of the front first, where there is room.

  The others can be told by their neighbours.
  """
  from matplotlib import patheffects
  scale, placed, front = made.dpi / 72, [], found.front()
  for group in sorted(found.groups, key=lambda g: g not in front):
    if group.budget is None or group.method == baseline:
      continue
    text = shortened(visible(group.budget), 8)
    x, y = axes.transData.transform((group.time, group.quality))
    width = _width(made, text, fontsize=7) + 4 * scale
    if any(abs(other_x - x) < width and abs(other_y - y) < 10 * scale
           for other_x, other_y in placed):
      continue
    placed.append((x, y))
    axes.annotate(text, (group.time, group.quality), xytext=(6, -10),
                  textcoords="offset points", color=_SOFT, fontsize=7,
                  path_effects=[patheffects.withStroke(
                      linewidth=2, foreground="white")])
