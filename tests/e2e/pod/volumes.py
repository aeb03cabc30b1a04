"""Volumes as kubelet lays them out."""

import itertools
import os
import pathlib
import shutil

_generation = itertools.count(1)


def write_atomically(folder, files):
    """Publishes files ({name: text}) in a volume folder by kubelet's AtomicWriter.

    A new timestamped folder is filled, `..data_tmp` is made to point at it and renamed over
    `..data`; the user-visible names are links through `..data`. A reader sees all of the old or all
    of the new files, and a watch on a file itself dies.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "..data"
    old = os.readlink(data) if data.is_symlink() else None
    new = f"..2026_01_01_00_00_00.{next(_generation):010d}"
    (folder / new).mkdir()
    for name, text in files.items():
        path = folder / new / name
        path.write_text(text)
        path.chmod(0o644)
    (folder / new).chmod(0o755)
    temporary = folder / "..data_tmp"
    temporary.symlink_to(new)
    temporary.rename(data)
    for name in files:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    if old is not None:
        for path in folder.iterdir():
            if path.is_symlink() and not path.name.startswith("..") and path.name not in files:
                path.unlink()
        shutil.rmtree(folder / old)


def make_empty_dir(folder, fs_group):
    """An emptyDir: writable by anybody; with an fsGroup (not 0) its files belong to that."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True)
    os.chown(folder, 0, fs_group)
    folder.chmod(0o2777 if fs_group else 0o777)
