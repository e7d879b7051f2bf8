"""Pictures in a folder for each class, where the folder of all may also be a ``.zip`` file.

::

    pets/cat/1.png              pets/train/cat/1.png
    pets/dog/1.png      or      pets/test/cat/1.png

Files that are not ``.png`` or ``.jpg`` are passed over, and so are hidden files. Folders that
hold nothing but one other folder are passed through: ``pets.zip`` may contain ``pets/cat/1.png``.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from dualbound.data.dataset import Dataset
from dualbound.data.image_files import picture_bytes
from dualbound.data.names import few, in_order
from dualbound.data.parts import SPLITS, check_split, cut
from dualbound.data.progress import Line
from dualbound.errors import DataError

Folder = tuple[str, ...]
"""The names on the way from the top to a folder."""

_SUFFIXES = (".png", ".jpg", ".jpeg")
_FORM = "Expected a folder for each class, with .png or .jpg files in it"


@dataclass(frozen=True)
class _Tree:
    """The picture files of every folder, also of those that have none, and how to read one."""

    path: Path
    pictures: dict[Folder, list[str]]
    read: Callable[[str], bytes]

    def inside(self, folder: Folder) -> list[str]:
        """The names of the folders in a folder."""
        depth = len(folder)
        return sorted(f[-1] for f in self.pictures if len(f) == depth + 1 and f[:depth] == folder)

    def name(self, folder: Folder) -> str:
        """A folder or file, as the user would write it."""
        return "/".join([str(self.path), *folder])


def read_class_folders(path: Path, name: str, split: str) -> Dataset:
    """Read the pictures of one split.

    Args:
        path: a folder or a ``.zip`` file.
        name: of the data set.
        split: ``train`` or ``test``, which are folders above the class folders. Where there is no
            folder ``test/``, a sixth of every class is the test part, always the same.

    Returns:
        The pictures as bytes, channels first, class after class, within a class in the order of
        the files' names. The classes have the names of the folders, in alphabetical order, or
        that of the numbers where all are numbers.

    Raises:
        DataError: there are no class folders, or one without pictures; a picture is damaged, or
            has another size or other colours than the first one.
        InvalidInput: there are fewer than two classes.
    """
    check_split(name, split)
    with _opened(path) as tree:
        top = _below_common_folders(tree)
        parts = {part: (*top, part) for part in SPLITS if tree.inside((*top, part))}
        if "test" not in parts:
            if "train" in parts and "test" in tree.inside(top):
                raise DataError(f"{tree.name((*top, 'test'))} has no folders in it. {_FORM}.")
            whole = parts.get("train", top)
            return cut(_read(tree, whole, whole, name, split), split)
        if split not in parts:
            raise DataError(f"{path} has no folder {split}/ beside test/. Add it.")
        model = parts.get("train", parts["test"])
        strange = [one for one in tree.inside(parts["test"]) if one not in tree.inside(model)]
        if strange:
            raise DataError(
                f"{tree.name((*parts['test'], strange[0]))} is a class that train/ has not; found "
                f"there {few(tree.inside(model))}."
            )
        return _read(tree, parts[split], model, name, split)


def _read(tree: _Tree, folder: Folder, model: Folder, name: str, split: str) -> Dataset:
    """The pictures of the class folders in a folder; classes and sizes are those of the model."""
    found, ordered = tree.inside(folder), in_order(tree.inside(model))
    if not found:
        raise DataError(f"{tree.name(folder)} has no folders in it. {_FORM}.")
    empty = [one for one in found if not tree.pictures[(*folder, one)]]
    if empty:
        raise DataError(f"{tree.name((*folder, empty[0]))} has no pictures in it. {_FORM}.")
    files, labels = _files(tree, folder, ordered)
    first = _files(tree, model, ordered)[0][:1] or files
    return Dataset(name, split, _pixels(tree, files, first[0]), np.array(labels), ordered)


def _files(tree: _Tree, folder: Folder, classes: tuple[str, ...]) -> tuple[list[Folder], list[int]]:
    """Every picture in the class folders of a folder, and its label."""
    files = [
        ((*folder, one, file), label)
        for label, one in enumerate(classes)
        for file in sorted(tree.pictures.get((*folder, one), ()))
    ]
    return [file for file, _ in files], [label for _, label in files]


def _pixels(
    tree: _Tree, files: list[Folder], model: Folder
) -> UInt8[np.ndarray, "n channels height width"]:
    """The pictures, which must be of the size and the colours of the model."""
    first = picture_bytes(tree.read("/".join(model)), tree.name(model))
    pixels = np.empty((len(files), *first.shape), dtype=np.uint8)
    with Line(f"reading {len(files):,} pictures", total=len(files)) as line:
        for row, file in enumerate(files):
            picture = picture_bytes(tree.read("/".join(file)), tree.name(file))
            if picture.shape != first.shape:
                raise DataError(
                    f"{tree.name(file)} is {_words(picture.shape)}, expected "
                    f"{_words(first.shape)} as {tree.name(model)}. Make all pictures alike."
                )
            pixels[row] = picture
            line.update(1)
    return pixels


def _words(shape: tuple[int, ...]) -> str:
    channels, height, width = shape
    return f"{width} x {height} {'grey' if channels == 1 else 'colour'} pixels"


def _below_common_folders(tree: _Tree) -> Folder:
    """The folder of the class folders, or of ``train/`` and ``test/``."""
    folder: Folder = ()
    while not tree.pictures[folder]:
        match tree.inside(folder):
            case [only] if only not in SPLITS and tree.inside((*folder, only)):
                folder = (*folder, only)
            case _:
                break
    return folder


@contextmanager
def _opened(path: Path) -> Iterator[_Tree]:
    """The tree of a folder or a zip file."""
    if path.is_dir():
        yield _Tree(path, _sorted_out(_walk(path)), lambda file: _file(path / file))
        return
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise DataError(f"{path} is not a complete .zip file: {error}.") from error
    with archive:
        yield _Tree(path, _sorted_out(archive.namelist()), lambda file: _member(archive, file))


def _walk(path: Path) -> Iterator[str]:
    """The names of files, and of folders with a slash at the end, as a zip file lists them."""
    for folder, inside, files in os.walk(path):
        place = Path(folder).relative_to(path)
        yield from (f"{(place / one).as_posix()}/" for one in inside)
        yield from ((place / one).as_posix() for one in files)


def _sorted_out(names: Iterator[str] | list[str]) -> dict[Folder, list[str]]:
    """The picture files of each folder."""
    pictures: dict[Folder, list[str]] = {(): []}
    for name in names:
        *folder, file = name.split("/")
        if any(part.startswith((".", "__MACOSX")) for part in (*folder, file)):
            continue
        for depth in range(len(folder)):
            pictures.setdefault(tuple(folder[: depth + 1]), [])
        if file.lower().endswith(_SUFFIXES):
            pictures[tuple(folder)].append(file)
    return pictures


def _file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def _member(archive: zipfile.ZipFile, file: str) -> bytes:
    try:
        return archive.read(file)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        OSError,
        RuntimeError,  # encrypted; or, as NotImplementedError, compressed in some rare way
    ) as error:
        raise DataError(f"{archive.filename}/{file} cannot be unpacked: {error}.") from error
