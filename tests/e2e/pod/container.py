"""Becomes the container's process: PID 1 of its namespaces, as a container runtime would make it.

Called by kubelet.py inside new mount, PID, IPC and UTS namespaces and the pod's network namespace,
with the path of a JSON file: root (folder with the image), mounts, user, group, groups, argv, env,
cgroups. The root is read-only, no capability is left and no privilege can be gained. What a runtime
does in addition and this does not: the RuntimeDefault seccomp filter.
"""

import ctypes
import json
import os
import pathlib
import sys

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38

libc = ctypes.CDLL(None, use_errno=True)


def mount(source, target, kind, flags, options=None):
    result = libc.mount(str(source).encode(), str(target).encode(), kind and kind.encode(),
                        ctypes.c_ulong(flags), options and options.encode())
    if result != 0:
        raise OSError(ctypes.get_errno(), f"mount {source} at {target}")


def bind(source, target, read_only):
    mount(source, target, None, MS_BIND | MS_REC)
    flags = MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV
    mount("none", target, None, flags | (MS_RDONLY if read_only else 0))


def prepare_root(spec):
    root = pathlib.Path(spec["root"])
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    bind(root, root, read_only=True)
    mount("proc", root / "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    mount("/sys", root / "sys", None, MS_BIND | MS_REC)
    mount("tmpfs", root / "dev", "tmpfs", MS_NOSUID, "mode=755,size=64k")
    for device in ("null", "zero", "random", "urandom"):
        (root / "dev" / device).touch()
        mount(f"/dev/{device}", root / "dev" / device, None, MS_BIND)
    for item in spec["mounts"]:
        bind(item["source"], root / item["target"].lstrip("/"), item["read_only"])
    os.chroot(root)
    os.chdir("/")


def drop_privileges(spec):
    last = int(pathlib.Path("/proc/sys/kernel/cap_last_cap").read_text())
    for capability in range(last + 1):
        if libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"drop capability {capability}")
    os.setgroups(spec["groups"])
    os.setgid(spec["group"])
    os.setuid(spec["user"])
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "no_new_privs")


def main():
    spec = json.loads(pathlib.Path(sys.argv[1]).read_text())
    for folder in spec["cgroups"]:
        # 0 is the writer itself, whatever its PID in whichever namespace.
        (pathlib.Path(folder) / "cgroup.procs").write_text("0")
    prepare_root(spec)
    drop_privileges(spec)
    os.execve(spec["argv"][0], spec["argv"], spec["env"])


if __name__ == "__main__":
    main()
