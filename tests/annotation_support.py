"""Annotations as plain rows, and generated ones, for the tests of their files."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from jaxvision.data.annotations import Annotations, Segments
from jaxvision.errors import UserError


def save(path, value):
  path.write_text(json.dumps(value))
  return path


def sentence(read, *args, **options):
  with pytest.raises(UserError) as info:
    read(*args, **options)
  message = str(info.value)
  assert "\n" not in message and message.endswith(".")
  return message


def rows(annotations: Annotations):
  """{(video, class, start, end, score)} in order."""
  s = annotations.segments
  score = [None] * len(s.start) if s.score is None else s.score.tolist()
  return [
    (annotations.videos[v], annotations.classes[c], a, b, p)
    for v, c, a, b, p in zip(
      s.video, s.label, s.start.tolist(), s.end.tolist(), score, strict=True
    )
  ]


NAMES = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True)
SECONDS = st.floats(0, 1e3, allow_nan=False)


@st.composite
def annotated(draw, names=NAMES, scored=None):
  """Valid annotations, segments in the order of the videos."""
  videos, classes = draw(names), draw(names)
  n = draw(st.integers(1, 6))
  pairs = st.tuples(SECONDS, SECONDS).map(sorted).filter(lambda p: p[0] < p[1])
  ends = np.array(draw(st.lists(pairs, min_size=n, max_size=n)), np.float64)
  ids = lambda count: st.lists(st.integers(0, count - 1), min_size=n, max_size=n)
  scored = draw(st.booleans()) if scored is None else scored
  score = np.array(draw(st.lists(st.floats(0, 1), min_size=n, max_size=n)))
  segments = Segments(
    np.sort(draw(ids(len(videos)))),
    np.array(draw(ids(len(classes)))),
    ends[:, 0], ends[:, 1],
    score if scored else None,
  )  # fmt: skip
  return segments, videos, classes


def named(segments, videos, classes):
  blank = np.full(len(videos), np.nan)
  none = ("",) * len(videos)
  return rows(Annotations(segments, videos, classes, blank, none, (), blank))


FOLDER = settings(
  max_examples=40,
  deadline=None,  # files may be slow
  suppress_health_check=[HealthCheck.function_scoped_fixture],
)
