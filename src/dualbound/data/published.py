"""Files of the public data sets: beside the user's data, in the cache, or downloaded.

They are looked for in ``$DUALBOUND_DATA``, then in the user's cache folder, and are otherwise
downloaded into that folder from public mirrors, checked against the published checksums.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from dualbound.data.progress import Line
from dualbound.errors import DataError


@dataclass(frozen=True)
class Published:
    """Where a data set is published, and the MD5 that its publishers give for each file."""

    name: str
    mirrors: tuple[str, ...]
    md5: dict[str, str]


def locate(source: Published, file: str) -> Path:
    """The file where it is on this machine, or downloaded into the cache.

    Raises:
        DataError: it is nowhere and cannot be downloaded; the message says where to put it.
    """
    return held(source.name, file) or download(source, file)


def held(name: str, file: str) -> Path | None:
    """The file where it is on this machine.

    Args:
        name: of the data set, which is also that of its folder.
        file: what is looked for.
    """
    return next((folder / file for folder in folders(name) if (folder / file).is_file()), None)


def folders(name: str, *, loose: bool = False) -> Iterator[Path]:
    """Where files of a data set may lie, best first.

    Args:
        name: of the data set.
        loose: they may also lie in ``$DUALBOUND_DATA`` itself: their names are of this set only.
    """
    root = os.environ.get("DUALBOUND_DATA")
    if root:
        yield Path(root).expanduser() / name
        if loose:
            yield Path(root).expanduser()
    yield cache_folder(name)


def cache_folder(name: str) -> Path:
    """The folder of the user's cache for this data set; it need not exist."""
    return platformdirs.user_cache_path("dualbound") / name


def download(source: Published, file: str) -> Path:
    """Fetch a file into the cache from the first mirror that gives it as it was published.

    Raises:
        DataError: no mirror does.
    """
    import pooch  # here: it loads an HTTP client that an offline run never needs

    pooch.get_logger().setLevel("WARNING")  # the line below tells enough
    folder = cache_folder(source.name)
    failures = []
    for mirror in source.mirrors:
        try:
            with Line(f"downloading {file}") as line:
                return Path(
                    pooch.retrieve(
                        mirror + file,
                        known_hash=f"md5:{source.md5[file]}",
                        fname=file,
                        path=folder,
                        downloader=pooch.HTTPDownloader(
                            timeout=30, progressbar=line, chunk_size=1 << 16
                        ),
                    )
                )
        except (OSError, ValueError) as error:  # no network, or another file than the published
            failures.append(f"{mirror}: {type(error).__name__}")
    raise DataError(
        f"{file} of {source.name} is not on this machine and could not be downloaded "
        f"({'; '.join(failures)}). Put {', '.join(source.md5)} into {folder}, or into a folder "
        f"{source.name}/ and set DUALBOUND_DATA to the folder that contains it."
    )
