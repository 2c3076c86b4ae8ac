"""Files that are whole or absent, whatever is killed and whenever the power goes.

What a function here has done is on the disk when it returns. So a file that speaks of others never outlives them.
"""
from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import uuid
from collections.abc import Callable, Iterator
from typing import BinaryIO

_TEMPORARY = re.compile(r'\.[0-9a-f]{32}\.tmp')
Rename = Callable[[str, str], None]


def write_file(target: str, data: bytes, temporary: str, rename: Rename) -> bool:
    """Write a file under another name in the folder `temporary`, and give it its own name by one call of `rename`.

    Return False if `rename` finds that there is one of that name: os.link does, os.replace replaces it. Make the
    folders that are missing. The mode follows the umask. Raise OSError.
    """
    beside = os.path.dirname(target)
    make_folder(beside)
    os.makedirs(temporary, exist_ok=True)
    try:
        written = _write_by(temporary, target, data, rename)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        remove_stale(beside)  # it is linked or mounted from another file system, into which no file can be moved
        written = _write_by(beside, target, data, rename)
    _sync_folder(beside)
    return written


def remove_file(path: str) -> None:
    """Remove a file. Do nothing if there is none. Raise OSError."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        _sync_folder(os.path.dirname(path))


def make_folder(folder: str) -> None:
    """Make a folder, and those above it that are missing. Do nothing if it is there. Raise OSError."""
    if os.path.isdir(folder):
        return
    above = os.path.dirname(folder)
    make_folder(above)
    try:
        os.mkdir(folder)
    except FileExistsError:  # somebody else was faster
        if not os.path.isdir(folder):
            raise
    _sync_folder(above)


def remove_stale(folder: str) -> None:
    """Remove the temporary files that killed processes left in a folder, and none that is being written.

    A file is locked while it is written, and the lock ends with its process. What cannot be removed does no harm, and
    stays.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if _TEMPORARY.fullmatch(entry.name):
                with contextlib.suppress(OSError), open(entry.path, 'r+b') as file:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    os.unlink(entry.path)


def files_below(folder: str, root: str) -> Iterator[str]:
    """Yield the paths of the files below a folder of `root`, without hidden files and folders; none if it is absent.

    A link to a folder outside of the root is followed, once. A link to one inside is not: its files are listed where
    they are. Nor is a link to a folder that holds it, which would lead round in a circle. Raise OSError.
    """
    if os.path.exists(folder):
        yield from _files(folder, {os.path.realpath(root)})


def folders_in(folder: str, root: str) -> list[str]:
    """Return the sorted names of the folders directly in a folder of `root`, by the same rules. Raise OSError."""
    if not os.path.exists(folder):
        return []
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if _is_folder(entry) and entry.name[0] != '.'
                      and (not entry.is_symlink() or _is_new(entry.path, {os.path.realpath(root)})))


def _files(folder: str, seen: set[str]) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.name.startswith('.'):
                continue
            if _is_folder(entry):
                if not entry.is_symlink() or _is_new(entry.path, seen):
                    yield from _files(entry.path, seen)
            elif os.path.isfile(entry.path) if entry.is_symlink() else entry.is_file():
                yield entry.path


def _is_folder(entry: os.DirEntry[str]) -> bool:
    return os.path.isdir(entry.path) if entry.is_symlink() else entry.is_dir()


def _is_new(link: str, seen: set[str]) -> bool:
    """Return whether a link leads to a folder of which nothing was seen, and note that it was."""
    real, holder = os.path.realpath(link), os.path.realpath(os.path.dirname(link))
    if _holds(real, holder) or any(_holds(folder, real) for folder in seen):
        return False
    seen.add(real)
    return True


def _holds(folder: str, path: str) -> bool:
    return os.path.commonpath((folder, path)) == folder


def _write_by(folder: str, target: str, data: bytes, rename: Rename) -> bool:
    with _open_temporary(folder) as file:
        try:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            rename(file.name, target)
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(file.name)
    return True


def _open_temporary(folder: str) -> BinaryIO:
    """Make a file that nobody else has. It is locked as long as it is open."""
    while True:
        file = open(os.path.join(folder, f'.{uuid.uuid4().hex}.tmp'), 'xb')
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:
            os.unlink(file.name)
            file.close()
            raise
        if os.fstat(file.fileno()).st_nlink:
            return file
        file.close()  # `remove_stale` came between the two calls, and took it


def _sync_folder(folder: str) -> None:
    """Bring the names in a folder to the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno != errno.EINVAL:  # a file system that syncs no folders
            raise
    finally:
        os.close(handle)
