"""Figures of ranked lists: the right images, in rank order, in the right frames."""

import jax.numpy as jnp
import matplotlib.colors
import numpy as np
import pictures
import pytest

from jaxvision.viz import rank_list


@pytest.fixture
def drawn(monkeypatch):
  return pictures.recorded(monkeypatch)


def lists(n=2, k=3, channels=1):
  rng = np.random.default_rng(0)
  return {
    "queries": rng.random((n, 5, 4, channels)),
    "ranked": rng.random((n, k, 5, 4, channels)),
    "correct": rng.random((n, k)) < 0.5,
    "distances": np.sort(rng.random((n, k)), axis=1),
  }


def test_draws_queries_and_results_by_rank(tmp_path, drawn):
  given = lists()
  path = rank_list.draw_rank_lists(**given, path=tmp_path / "r.png", names=["a", "$b"])
  pictures.assert_picture(path)
  panels = np.array(drawn[0].axes).reshape(2, 4)
  for row in range(2):
    shown = [np.asarray(panel.images[0].get_array()) for panel in panels[row]]
    np.testing.assert_allclose(shown[0], given["queries"][row, ..., 0])
    np.testing.assert_allclose(shown[1:], given["ranked"][row, ..., 0])
    for panel, distance in zip(panels[row, 1:], given["distances"][row], strict=True):
      assert float(panel.get_xlabel()) == pytest.approx(distance, rel=5e-3)
  assert [p.get_title(loc="left") for p in panels[0]] == ["query", "1", "2", "3"]
  assert not any(p.get_title(loc="left") for p in panels[1])
  assert [row[0].get_ylabel() for row in panels] == ["a", "$b"]
  assert pictures.legend_of(drawn[0]) == ["right", "wrong"]


def test_frames_tell_right_from_wrong_without_colours_too(tmp_path, drawn):
  given = lists() | {"correct": np.array([[True, False, True], [False, True, False]])}
  rank_list.draw_rank_lists(**given, path=tmp_path / "r.png")
  panels = np.array(drawn[0].axes).reshape(2, 4)
  for panel, right in zip(panels[:, 1:].flat, given["correct"].flat, strict=True):
    spine = panel.spines["left"]
    assert spine.get_visible()
    colour = matplotlib.colors.to_hex(spine.get_edgecolor())
    wanted = rank_list.RIGHT if right else rank_list.WRONG
    assert colour == wanted.lower()
    assert (spine.get_linestyle() == "-") == right
  assert not panels[0, 0].spines["left"].get_visible()  # a query is neither


def test_without_a_truth_there_are_no_frames(tmp_path, drawn):
  rank_list.draw_rank_lists(**lists() | {"correct": None}, path=tmp_path / "r.png")
  assert not any(panel.spines["left"].get_visible() for panel in drawn[0].axes)
  assert not drawn[0].legends


def test_colours_bytes_and_device_arrays(tmp_path, drawn):
  given = {name: jnp.asarray(x) for name, x in lists(channels=3).items()}
  given["queries"] = (255 * given["queries"]).astype(jnp.uint8)
  rank_list.draw_rank_lists(**given, path=tmp_path / "r.png")
  shown = np.asarray(drawn[0].axes[0].images[0].get_array())
  np.testing.assert_allclose(shown, np.asarray(given["queries"][0]) / 255)


def test_the_first_queries_are_drawn_and_it_says_so(tmp_path, drawn):
  path = tmp_path / "r.png"
  rank_list.draw_rank_lists(**lists(n=6), path=path, count=2, title="plain CNN")
  assert len(drawn[0].axes) == 8
  assert drawn[0].get_suptitle() == "plain CNN, first 2 of 6 queries"
  rank_list.draw_rank_lists(**lists(n=6), path=path, count=2)
  assert drawn[1].get_suptitle() == "first 2 of 6 queries"


def test_panels_are_shaped_as_the_images_and_names_fit_beside(tmp_path, drawn):
  rng = np.random.default_rng(0)
  tall = {"queries": rng.random((2, 8, 4, 3)), "ranked": rng.random((2, 3, 8, 4, 3))}
  names = ["0002_c1s1_000451_03", "x" * 99]
  rank_list.draw_rank_lists(**lists() | tall, path=tmp_path / "r.png", names=names)
  shown = [drawn[0].axes[row].get_ylabel() for row in (0, 4)]
  assert shown[0] == names[0] and shown[1].startswith("xxx") and len(shown[1]) < 40
  query, first = (drawn[0].axes[i].get_window_extent() for i in (1, 2))
  assert first.x0 - query.x1 < 0.4 * first.width


@pytest.mark.parametrize(
  "change, message",
  [
    ({"queries": np.full((2, 5, 4, 1), 1.5)}, "outside"),
    ({"queries": np.full((2, 5, 4, 1), np.nan)}, "NaN"),
    ({"distances": np.array([[0.0, 2.0, 1.0]] * 2)}, "ascend"),
    ({"distances": np.full((2, 3), np.nan)}, "NaN"),
    ({"names": ["a"]}, "differ in length"),
    (lists(channels=2), "2 channels"),
    (lists(k=0), "nothing to draw"),
    (lists(n=0), "nothing to draw"),
  ],
)
def test_rejects(tmp_path, change, message):
  with pytest.raises(ValueError, match=message):
    rank_list.draw_rank_lists(**(lists() | change), path=tmp_path / "r.png")
  assert list(tmp_path.iterdir()) == []
