"""Memory and CPU limits of a container, where this machine lets us set them."""

import os
import pathlib
import re

ROOT = pathlib.Path("/sys/fs/cgroup")
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
PERIOD = 100_000


def bytes_of(quantity):
    number, unit = re.fullmatch(r"(\d+)([kMG]i?)?", str(quantity)).groups()
    return int(number) * UNITS[unit or ""]


def cpus_of(quantity):
    text = str(quantity)
    return int(text[:-1]) / 1000 if text.endswith("m") else float(text)


class Limits:
    """The cgroups of one container. `folders` are to be joined; `remove` when it has ended."""

    def __init__(self, name, limits):
        self.folders = []
        self.enforced = []
        try:
            if (ROOT / "cgroup.controllers").exists():
                self._version_2(name, limits)
            else:
                self._version_1(name, limits)
        except OSError as error:
            self.enforced.append(f"none ({error.strerror})")

    def _version_2(self, name, limits):
        folder = ROOT / name
        folder.mkdir()
        self.folders.append(folder)
        available = (folder / "cgroup.controllers").read_text().split()
        if "memory" in limits and "memory" in available:
            (folder / "memory.max").write_text(str(bytes_of(limits["memory"])))
            self.enforced.append(f"memory {limits['memory']}")
        if "cpu" in limits and "cpu" in available:
            quota = int(cpus_of(limits["cpu"]) * PERIOD)
            (folder / "cpu.max").write_text(f"{quota} {PERIOD}")
            self.enforced.append(f"cpu {limits['cpu']}")

    def _version_1(self, name, limits):
        if "memory" in limits:
            folder = ROOT / "memory" / name
            folder.mkdir()
            self.folders.append(folder)
            (folder / "memory.limit_in_bytes").write_text(str(bytes_of(limits["memory"])))
            self.enforced.append(f"memory {limits['memory']}")
        if "cpu" in limits:
            folder = ROOT / "cpu" / name
            folder.mkdir()
            self.folders.append(folder)
            (folder / "cpu.cfs_period_us").write_text(str(PERIOD))
            (folder / "cpu.cfs_quota_us").write_text(str(int(cpus_of(limits["cpu"]) * PERIOD)))
            self.enforced.append(f"cpu {limits['cpu']}")

    def __str__(self):
        return ", ".join(self.enforced) or "none asked for"

    def remove(self):
        for folder in self.folders:
            try:
                os.rmdir(folder)
            except OSError:
                # A process in it is still on its way out; the kernel keeps an empty shell at worst.
                pass
