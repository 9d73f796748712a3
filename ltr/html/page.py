"""The page around the sections."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ltr.html.markup import escape

STYLE = """\
:root { color-scheme: light dark; --page: #fff; --text: #1b1b1f; --soft: #5c5f66; --line: #d8dade; --box: #f4f5f7;
  --link: #0a58a8 }
@media (prefers-color-scheme: dark) {
  :root { --page: #121316; --text: #e6e7ea; --soft: #a3a7b0; --line: #34373d; --box: #1c1e23; --link: #7db8f2 }
  img.figure { filter: invert(1) hue-rotate(180deg) }
}
* { box-sizing: border-box }
body { margin: 0 auto; padding: 1rem 1rem 4rem; max-width: 74rem; background: var(--page); color: var(--text);
  font: 16px/1.5 system-ui, sans-serif }
h1 { font-size: 1.6rem; margin: .5rem 0; overflow-wrap: anywhere }
h2 { font-size: 1.2rem; margin: 2.5rem 0 .5rem; padding-top: .5rem; border-top: 1px solid var(--line) }
h3 { font-size: 1rem; margin: 1.2rem 0 .4rem; overflow-wrap: anywhere }
p { margin: .5rem 0; max-width: 60rem }
p.note, figcaption, footer { color: var(--soft); font-size: .875rem }
p.missing { padding: .5rem .75rem; background: var(--box); border-left: 3px solid var(--line) }
a { color: var(--link) }
nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; font-size: .9rem }
.wide { overflow-x: auto; margin: .5rem 0 }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top }
thead th { color: var(--soft); font-weight: 600; white-space: nowrap }
tbody th { font-weight: 500 }
.figures td, .figures thead th:not(:first-child) { text-align: right; white-space: nowrap }
.figures tbody th { min-width: 11rem }
.words td { overflow-wrap: anywhere; min-width: 12rem }
pre { margin: .5rem 0; padding: .6rem .75rem; overflow-x: auto; background: var(--box); font-size: .8125rem }
details { margin: .5rem 0 }
summary { cursor: pointer; color: var(--link) }
img.figure { display: block; width: 100%; max-width: max-content; height: auto }
.photographs { display: flex; flex-wrap: wrap; gap: .75rem; margin: .4rem 0 }
figure { margin: 0; width: 7rem }
figcaption { overflow-wrap: anywhere; line-height: 1.3 }
img.photograph { width: 5rem; height: 5rem; object-fit: contain; image-rendering: pixelated; display: block;
  background: var(--box) }
@media (max-width: 48rem) { img.figure { width: auto; max-width: none; min-width: 40rem; max-height: 32rem } }
"""


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        title: its heading, as text.
        content: HTML.
    """

    title: str
    content: str


def page(title: str, sections: Sequence[Section], *, footer: str) -> str:
    """Return the whole page.

    Args:
        title: of the page.
        sections: what is in it, in order; the first stands before the list of the others.
        footer: a last line, as text.
    """
    first, *others = sections
    links = "\n".join(f'<a href="#s{number}">{escape(part.title)}</a>' for number, part in enumerate(others, 1))
    body = "\n".join(
        f'<section id="s{number}">\n<h2>{escape(part.title)}</h2>\n{part.content}\n</section>'
        for number, part in enumerate(others, 1)
    )
    return f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>
{STYLE}</style>
</head>
<body>
<header>
<h1>{escape(first.title)}</h1>
{first.content}
</header>
<nav>
{links}
</nav>
<main>
{body}
</main>
<footer>{escape(footer)}</footer>
</body>
</html>
"""
