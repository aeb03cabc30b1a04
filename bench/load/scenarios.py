"""What is measured. Every scenario asks the same of every proxy."""

from dataclasses import dataclass, field

from proxies import Setup

EVERYBODY = ("floor", "rproxy", "haproxy", "nginx")
PARSING = ("rproxy", "haproxy", "nginx")   # where the floor would say nothing


@dataclass(frozen=True)
class Scenario:
    name: str
    title: str
    kind: str = "closed"              # closed | rate | idle | failure; see bench.py
    paths: str = "/512"
    connections: int = 64
    body_bytes: int = 0
    headers: int = 0
    new_connection: bool = False
    expects_errors: bool = False
    tls: str = ""                     # full | resume: clients speak TLS 1.3
    proxies: tuple = EVERYBODY
    setup: Setup = field(default_factory=Setup)


SCENARIOS = [
    Scenario("small", "512 B answers"),
    Scenario("medium", "16 KiB answers", paths="/16k"),
    Scenario("large", "1 MiB answers", paths="/1m"),
    Scenario("many", "512 connections", connections=512),
    Scenario("headers", "20 extra header lines", headers=20),
    Scenario("post", "16 KiB POST", paths="/post", body_bytes=16384),
    Scenario("new_connection", "a new connection per request", new_connection=True),
    Scenario("access_log", "access log on", proxies=PARSING, setup=Setup(access_log=True)),
    # 90 % small and 10 % large answers; 5 % of all are errors, which are small.
    Scenario("mixed", "mixed sizes and errors", paths="/512:85,/64k:10,/status/404:4,/status/500:1",
             expects_errors=True),
    Scenario("two_workers", "two workers", connections=128, setup=Setup(workers=2)),
    # One certificate (ECDSA P-256), AES-128-GCM, X25519, two tickets for a full handshake, for all.
    Scenario("tls_small", "TLS, 512 B answers", proxies=PARSING, tls="full", setup=Setup(tls=True)),
    Scenario("tls_medium", "TLS, 16 KiB answers", paths="/16k", proxies=PARSING, tls="full",
             setup=Setup(tls=True)),
    Scenario("tls_handshake", "a full TLS handshake per request", new_connection=True,
             proxies=PARSING, tls="full", setup=Setup(tls=True)),
    Scenario("tls_resumed", "a resumed TLS handshake per request", new_connection=True,
             proxies=PARSING, tls="resume", setup=Setup(tls=True)),
    Scenario("half_load", "latency at half load", kind="rate"),
    Scenario("idle", "5,000 idle connections", kind="idle", connections=5000, proxies=PARSING),
    Scenario("failure", "one backend slow, one killed", kind="failure", connections=256,
             proxies=PARSING,
             setup=Setup(least_connections=True, check_interval="1s")),
]
