"""Preparing a TFDS data set once, as ArrayRecord, with errors that a user can mend."""

import contextlib
import pathlib
import sys
from collections.abc import Callable

import tensorflow_datasets as tfds

from jaxvision.data.examples import Unavailable
from jaxvision.errors import UserError

FORMAT = "array_record"  # random access without TensorFlow


def prepared(
  make: Callable[[], tfds.core.DatasetBuilder],
  *,
  check_sources: Callable[[tfds.core.DatasetBuilder], None],
  download_dir: str | None = None,
) -> tfds.core.DatasetBuilder:
  """A builder whose data lie on disk and can be read without TensorFlow.

  Args:
    make: makes the builder.
    check_sources: called before a preparation; raises `Unavailable` if what it needs
      is neither on disk nor on a server that answers.
    download_dir: where downloads go; None for TFDS's own place.

  Returns:
    The builder, ready for `as_data_source`.

  Raises:
    Unavailable: if the data have to be prepared first and their sources are missing.
    UserError: if preparing them fails, or they are prepared in another format.
  """
  builder = make()
  if not builder.data_path.exists():
    check_sources(builder)
    _prepare(builder, download_dir)
    builder = make()  # reads what is on disk, whoever has written it
  file_format = builder.info.file_format.value
  if file_format not in (FORMAT, "parquet"):
    raise UserError(
      f"{builder.data_path} is prepared as {file_format}, which only TensorFlow reads:"
      " prepare it anew elsewhere with --config.data.folder=FOLDER."
    )
  return builder


def _prepare(builder: tfds.core.DatasetBuilder, download_dir: str | None) -> None:
  """Prepares the data; TFDS removes its unfinished folder when that fails."""
  import requests  # a sixth of a second, which a prepared data set does not cost

  name, path = builder.info.full_name, pathlib.Path(builder.data_path)
  if not sys.stderr.isatty():
    tfds.disable_progress_bar()
  try:
    builder.download_and_prepare(
      download_dir=download_dir,
      download_config=tfds.download.DownloadConfig(try_download_gcs=False),
      file_format=FORMAT,
    )
  except ImportError as error:
    raise UserError(
      f"preparing {name} in {path} needs a package ({reason(error)}): install it"
      " for this one time (TensorFlow: pip install tensorflow-cpu); reading does not"
      " need it."
    ) from error
  except (requests.RequestException, tfds.download.DownloadError) as error:
    raise Unavailable(
      f"{name} is not prepared in {path}, and its download failed"
      f" ({reason(error)}): try again later or put its files there by hand."
    ) from error
  except (OSError, ValueError, RuntimeError, AssertionError) as error:
    if not path.exists():  # else another process has prepared it meanwhile
      raise UserError(
        f"{name} cannot be prepared in {path} ({reason(error)}): check folder and"
        " disk, or choose --config.data.folder."
      ) from error
  finally:
    with contextlib.suppress(OSError):  # only if it is there and empty
      path.parent.rmdir()


def reason(error: Exception) -> str:
  """The cause of a TFDS error in one line: TFDS puts its context around it."""
  lines = [line for line in str(error).splitlines() if line.strip()]
  if not lines:
    return type(error).__name__
  return lines[-1] if isinstance(error, ImportError) else lines[0]
