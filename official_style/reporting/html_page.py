"""One HTML file that needs nothing else: no network, no script.

Whatever comes from outside is escaped by whoever writes a part.
"""

import base64

from official_style.reporting.visible_text import escaped

# Nothing is loaded and nothing is run, whatever a part may hold.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
# Blue and orange of Okabe and Ito's palette, which colour-blind people tell
# apart; shades are blue over whatever the background is.
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #ffffff;
  --soft: #5b6570; --line: #d5dade; --card: #f6f8f9; --blue: 0,114,178;
  --mark: #b84a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e4e8eb; --paper: #15191d; --soft: #9aa5af; --line: #363d44;
    --card: #1d2328; --blue: 86,180,233; --mark: #f0a030; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 70rem;
  color: var(--ink); background: var(--paper);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; padding-top: 1rem;
  border-top: 1px solid var(--line); }
p { margin: .4rem 0; }
.soft { color: var(--soft); font-size: .9rem; }
.mark { color: var(--mark); font-weight: 600; }
.wide { overflow-x: auto; margin: .8rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums;
  font-size: .9rem; }
th, td { padding: .2rem .7rem .2rem 0; text-align: right;
  vertical-align: baseline; }
thead th { color: var(--soft); font-weight: 500;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; }
details { margin: .6rem 0; }
summary { cursor: pointer; color: var(--soft); }
img { max-width: 100%; background: #fff; border-radius: 6px; }
.cards { display: flex; flex-wrap: wrap; gap: .8rem; margin: .8rem 0; }
.card { background: var(--card); border: 1px solid var(--line);
  border-radius: 8px; padding: .5rem .9rem; }
.card strong { display: block; font-size: 1.35rem; font-weight: 600; }
.card span { color: var(--soft); font-size: .85rem; }
@media print { body { max-width: none; } details > * { display: block; } }
"""


def page(title: str, parts: list[str], style: str = "") -> str:
  """The whole file.

  Args:
    title: plain text.
    parts: HTML, safe by their makers.
    style: CSS of theirs.
  """
  return (
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n"
      "<meta charset=\"utf-8\">\n"
      f"<meta http-equiv=\"Content-Security-Policy\" content=\"{_POLICY}\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n"
      f"<title>{escaped(title)}</title>\n<style>{_STYLE}{style}</style>\n"
      f"</head>\n<body>\n<h1>{escaped(title)}</h1>\n"
      + "\n".join(parts) + "\n</body>\n</html>\n")


def paragraph(text: str, soft: bool = False) -> str:
  """Plain text as a paragraph."""
  return f"<p{' class=soft' if soft else ''}>{escaped(text)}</p>"


def table(header: list[str], rows: list[list[str]]) -> str:
  """Plain text in columns, the first one to the left."""
  head = "".join(f"<th scope=col>{escaped(name)}</th>" for name in header)
  body = "".join("<tr>" + "".join(
      f"<td>{escaped(value)}</td>" for value in row) + "</tr>\n"
                 for row in rows)
  return (f"<div class=wide><table><thead><tr>{head}</tr></thead>\n<tbody>"
          f"{body}</tbody></table></div>")


def cards(items: list[tuple[str, str]]) -> str:
  """Figures with what they are of: (value, words)."""
  return "<div class=cards>" + "".join(
      f"<div class=card><strong>{escaped(value)}</strong>"
      f"<span>{escaped(words)}</span></div>"
      for value, words in items) + "</div>"


def folded(title: str, content: str, is_open: bool = False) -> str:
  """A part that is opened by a click on its title."""
  return (f"<details{' open' if is_open else ''}><summary>{escaped(title)}"
          f"</summary>{content}</details>")


def picture(png: bytes, words: str) -> str:
  """A picture inside the file, with words for those who don't see it."""
  data = base64.b64encode(png).decode("ascii")
  return f"<img alt=\"{escaped(words)}\" src=\"data:image/png;base64,{data}\">"
