"""Turns equations into MathML while the site is built: pages need no script."""

import html
import re

from latex2mathml.converter import convert

# What `pymdownx.arithmatex` makes of $...$ and $$...$$.
EQUATION = re.compile(
  r'<(?:span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</(?:span|div)>', re.DOTALL
)
DISPLAY = {"(": "inline", "[": "block"}


def on_page_content(content: str, **_: object) -> str:
  """Replaces all equations of a page.

  Args:
    content: HTML of a page.
  """
  return EQUATION.sub(_mathml, content)


def _mathml(match: re.Match) -> str:
  return convert(html.unescape(match[2]).strip(), display=DISPLAY[match[1]])
