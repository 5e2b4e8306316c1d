"""Whether a server answers, found out in seconds."""

import threading
import urllib.error
import urllib.request

from jaxvision.data.examples import Unavailable

TIMEOUT = 5.0  # seconds


def require_server(url: str, *, what: str, timeout: float = TIMEOUT) -> None:
  """Returns if the server of a URL answers, whatever its answer is.

  TFDS retries a failed connection for minutes; asking first keeps a machine without
  a network from waiting. Proxies of the environment are honoured.

  Args:
    url: address of the file that is going to be downloaded.
    what: what is missing and where it may be put by hand, for the error.
    timeout: seconds to wait at most.

  Raises:
    Unavailable: if there is no answer.
  """
  answered = threading.Event()

  def ask() -> None:
    try:
      request = urllib.request.Request(url, method="HEAD")
      urllib.request.urlopen(request, timeout=timeout).close()
    except urllib.error.HTTPError:
      pass  # a refusal is an answer
    except (OSError, ValueError):
      return
    answered.set()

  # A thread, since looking up a name has no time limit of its own.
  thread = threading.Thread(target=ask, daemon=True)
  thread.start()
  thread.join(timeout)
  if not answered.is_set():
    raise Unavailable(f"{what}, and {url} cannot be reached to download it.")
