"""Travel kept on disk: `Cached` asks its provider only for what no process of this machine has asked it before.

Files are written whole or not at all and carry their own digest, so that a file cut short by a full disk or a lost
machine is recognised, computed anew and told in the log. Several processes may share a directory.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from optimizer.problem import TravelMatrix
from optimizer.travel import FallbackMatrix, Place, TravelProvider

logger = logging.getLogger(__name__)

FORMAT = 1
"""Raised whenever files of before would be read wrongly."""

DEGREE = 1_000_000
"""Places are kept to a millionth of a degree, at most 0.11 m on the ground: far below what an address gives."""

DIGEST_BYTES = hashlib.sha256().digest_size

Arrays = Mapping[str, NDArray[Any]]


class DamagedFile(Exception):
    """The file is not what was written: its digest differs."""


def write_arrays(path: Path, arrays: Arrays) -> None:
    """Named arrays in one file, whole or not at all: a reader sees the old file or the new one. Creates the
    directory, which only its owner may read. Raises `OSError` where the disk does."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    content = buffer.getbuffer()
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
    try:
        with open(handle, "wb") as file:
            file.write(hashlib.sha256(content).digest())
            file.write(content)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """What `write_arrays` wrote. Raises `FileNotFoundError`, `DamagedFile`, or `OSError` where the disk does."""
    content = memoryview(path.read_bytes())
    if hashlib.sha256(content[DIGEST_BYTES:]).digest() != content[:DIGEST_BYTES]:
        raise DamagedFile(path.name)
    with np.load(BytesIO(content[DIGEST_BYTES:]), allow_pickle=False) as arrays:
        return dict(arrays)


class CacheableProvider(TravelProvider, Protocol):
    """A provider that can tell its settings."""

    @property
    def cache_key(self) -> str:
        """Everything that the answers depend on beside places and hour: the kind of provider, its settings, the
        version of its data. No secret: it may be kept."""
        ...


class Cached:
    """The answers of `provider`, kept in `directory`.

    What is asked again of a provider with the same `cache_key`, in the same hour of the wall clock (or none), among
    the same places in any order, is read from the disk. Places are rounded to a millionth of a degree before the
    provider sees them, so that an answer never depends on who asked first. What a stand-in answered
    (`FallbackMatrix`) is handed on and not kept.

    max_bytes: when the files take more, those not asked for longest are removed. A name is a digest; no place is
    written anywhere. A disk that fails costs time and no answer; the log tells it.
    """

    def __init__(self, provider: CacheableProvider, directory: Path, max_bytes: int = 2**30) -> None:
        if max_bytes < 0:
            raise ValueError(f"max_bytes must be 0 or more, not {max_bytes}")
        self._provider = provider
        self._directory = directory
        self._max_bytes = max_bytes

    @property
    def cache_key(self) -> str:
        """That of the provider: the answers are the same."""
        return self._provider.cache_key

    def matrix(self, places: Sequence[Place], departs_at: datetime | None = None) -> TravelMatrix:
        """As the provider's, from the disk if it is there. Raises what the provider raises."""
        rounded = [(round(place.lat * DEGREE), round(place.lon * DEGREE)) for place in places]
        known = sorted(set(rounded))
        row = {place: index for index, place in enumerate(known)}
        order = [row[place] for place in rounded]
        path = self._path(known, departs_at)
        matrix = self._read(path)
        if matrix is None:
            matrix = self._provider.matrix(
                [Place(lat / DEGREE, lon / DEGREE) for lat, lon in known], departs_at
            )
            if isinstance(matrix, FallbackMatrix):
                chosen = matrix.among(order)
                return FallbackMatrix(chosen.duration_s, chosen.distance_m, matrix.reason)
            self._keep(path, matrix)
        return matrix if order == list(range(len(known))) else matrix.among(order)

    def _path(self, places: Sequence[tuple[int, int]], departs_at: datetime | None) -> Path:
        """Of the file that holds this answer."""
        hour = "by day" if departs_at is None else str(departs_at.hour)
        digest = hashlib.sha256(f"{FORMAT}\n{self._provider.cache_key}\n{hour}\n".encode())
        digest.update(np.array(places, dtype="<i8").tobytes())
        return self._directory / f"{digest.hexdigest()}.matrix"

    def _read(self, path: Path) -> TravelMatrix | None:
        """The answer in the file, which counts as used now; None if there is none or it is damaged."""
        try:
            arrays = read_arrays(path)
        except FileNotFoundError:
            return None
        except DamagedFile:
            logger.warning("A matrix on disk is damaged and is computed anew: %s", path.name)
            return None
        except OSError as error:
            logger.warning("A matrix on disk could not be read and is computed anew: %s", error.strerror)
            return None
        with suppress(FileNotFoundError, PermissionError):  # evicted since, or another user's directory
            os.utime(path)
        return TravelMatrix(arrays["duration_s"], arrays["distance_m"])

    def _keep(self, path: Path, matrix: TravelMatrix) -> None:
        """Write the answer, unless it alone is over the limit, and make room."""
        if matrix.duration_s.nbytes + matrix.distance_m.nbytes > self._max_bytes:
            return
        try:
            write_arrays(path, {"duration_s": matrix.duration_s, "distance_m": matrix.distance_m})
            self._evict()
        except OSError as error:
            logger.warning("A matrix could not be kept on disk: %s", error.strerror)

    def _evict(self) -> None:
        """Remove what was used longest ago until the rest fits; left-overs of processes that died count too."""
        found = []
        for path in self._directory.iterdir():
            if path.suffix in (".matrix", ".part"):
                with suppress(FileNotFoundError):  # another process evicts at the same time
                    status = path.stat()
                    found.append((status.st_mtime_ns, path.name, status.st_size))
        excess = sum(size for _, _, size in found) - self._max_bytes
        for _, name, size in sorted(found):
            if excess <= 0:
                return
            (self._directory / name).unlink(missing_ok=True)
            excess -= size
