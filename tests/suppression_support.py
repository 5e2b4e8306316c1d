"""What the tests of suppression share."""

import jax.numpy as jnp
import numpy as np


def assert_selected(result, index, score, rtol):
  """The golden entries come first, then -1 with score 0 to the end."""
  k = len(index)
  np.testing.assert_array_equal(result[0][:k], index)
  np.testing.assert_allclose(result[1][:k], score, rtol=rtol)
  np.testing.assert_array_equal(result[0][k:], -1)
  np.testing.assert_array_equal(result[1][k:], 0)
  assert result[0].dtype == jnp.int32
