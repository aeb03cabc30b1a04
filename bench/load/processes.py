"""Starts processes on chosen cores, measures their CPU time and memory, and ends them by pid."""

import ctypes
import os
import re
import resource
import signal
import socket
import ssl
import subprocess
import time
from dataclasses import dataclass, field

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
PR_SET_PDEATHSIG = 1
WANTED_DESCRIPTORS = 20_000   # 5,000 clients, and what HAProxy reserves for its maxconn
LIBC = ctypes.CDLL(None)


@dataclass
class Cpu:
    """CPU time of a process, its children and all their threads since they started."""

    total_ns: int = 0
    user_ticks: int = 0
    system_ticks: int = 0

    def __sub__(self, earlier):
        return Cpu(self.total_ns - earlier.total_ns, self.user_ticks - earlier.user_ticks,
                   self.system_ticks - earlier.system_ticks)

    def split(self):
        """(user ns, system ns): the scheduler's exact total, divided as the ticks say."""
        ticks = self.user_ticks + self.system_ticks
        user = self.total_ns * self.user_ticks / ticks if ticks else 0
        return user, self.total_ns - user


@dataclass
class Memory:
    """Bytes; `heap` is what is private, written and not backed by a file: the program's own data."""

    rss: int = 0
    pss: int = 0
    heap: int = 0


def read(path):
    with open(path, encoding="ascii", errors="replace") as file:
        return file.read()


def family(pid):
    """`pid` and its descendants."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        for child in read(f"/proc/{pid}/task/{task}/children").split():
            found += family(int(child))
    return found


def cpu_of(pid):
    cpu = Cpu()
    for member in family(pid):
        fields = read(f"/proc/{member}/stat").rpartition(")")[2].split()
        cpu.user_ticks += int(fields[11])
        cpu.system_ticks += int(fields[12])
        for task in os.listdir(f"/proc/{member}/task"):
            cpu.total_ns += int(read(f"/proc/{member}/task/{task}/schedstat").split()[0])
    return cpu


def memory_of(pid):
    memory = Memory()
    for member in family(pid):
        anonymous = False
        for line in read(f"/proc/{member}/smaps").splitlines():
            mapping = re.match(r"[0-9a-f]+-[0-9a-f]+ \S+ \S+ \S+ \d+ *(.*)", line)
            if mapping:
                name = mapping[1]
                anonymous = name in ("", "[heap]") or name.startswith("[anon:")
                continue
            key, _, value = line.partition(":")
            if key == "Rss":
                memory.rss += int(value.split()[0]) * 1024
            elif key == "Pss":
                memory.pss += int(value.split()[0]) * 1024
            elif key == "Private_Dirty" and anonymous:
                memory.heap += int(value.split()[0]) * 1024
    return memory


def raise_descriptor_limit():
    """As high as we may, and at least WANTED_DESCRIPTORS where we are root."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for limit in (max(hard, WANTED_DESCRIPTORS), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            return
        except (ValueError, PermissionError):
            continue


def free_ports(count):
    """Ports that nobody listens on now, below the range that clients are given theirs from."""
    lowest_dynamic = int(read("/proc/sys/net/ipv4/ip_local_port_range").split()[0])
    ports = []
    for port in range(lowest_dynamic - 1, 10_000, -1):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        ports.append(port)
        if len(ports) == count:
            return ports
    raise RuntimeError("too few free ports")


@dataclass
class Processes:
    """Everything that was started; leaving the `with` block ends all of it."""

    running: list = field(default_factory=list)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in reversed(self.running[:]):
            self.stop(process)

    def start(self, argv, cores, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL, log=None):
        def prepare():
            # A benchmark that is killed outright leaves nothing behind.
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            os.sched_setaffinity(0, cores)
            raise_descriptor_limit()

        # Its own session: ctrl-C reaches only us, and we end the others in order.
        process = subprocess.Popen(
            [str(word) for word in argv], stdin=stdin, stdout=stdout,
            stderr=log if log is not None else subprocess.DEVNULL, preexec_fn=prepare,
            start_new_session=True)
        self.running.append(process)
        return process

    def stop(self, process):
        if process in self.running:
            self.running.remove(process)
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


def unverified():
    """For certificates that nobody signed."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def wait_until_answers(port, process, name, seconds=15, tls=False):
    """Returns when 127.0.0.1:port gives a 200; raises when the process ends or time runs out."""
    deadline = time.monotonic() + seconds
    answer = b""
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with status {process.returncode}; see its log")
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.settimeout(2)
                if tls:
                    connection = unverified().wrap_socket(connection)
                connection.sendall(b"GET /512 HTTP/1.1\r\nHost: bench\r\n\r\n")
                answer = connection.recv(64)
                if b" 200 " in answer:
                    return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{name} does not answer on port {port}: {answer!r}")
