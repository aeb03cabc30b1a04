#!/usr/bin/env python3
"""What openssl s_client, curl and sslscan see of the built program.

    tls.py PROGRAM

sslscan is used where it is installed (hack/install-deps.sh --test).
"""

import http.server
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from support import check, free_port, wait_for  # noqa: E402

OLD_OR_WEAK = re.compile(r"^Accepted.*(SSLv|TLSv1\.0|TLSv1\.1|CBC|RC4|3DES|NULL|-SHA\s|^AES)", re.M)


class Backend(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = b"hello\n"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def make_pair(folder, name, *options, key="ec -pkeyopt ec_paramgen_curve:P-256"):
    subprocess.run(["openssl", "req", "-x509", "-newkey", *key.split(), "-nodes", "-days", "30",
                    "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost",
                    "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", *options],
                   check=True, capture_output=True)
    return f"{{cert: {folder}/{name}.crt, key: {folder}/{name}.key}}"


def run(*argv, text=""):
    result = subprocess.run([str(each) for each in argv], input=text, capture_output=True,
                            text=True, timeout=60, check=False)
    return result.stdout + result.stderr


def s_client(port, *options, text=""):
    return run("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", "localhost",
               *options, text=text)


def check_protocols(port):
    for version, taken in (("tls1", False), ("tls1_1", False), ("tls1_2", True), ("tls1_3", True)):
        said = s_client(port, f"-{version}", "-cipher", "DEFAULT:@SECLEVEL=0")
        check(f"{version} is {'taken' if taken else 'refused'}",
              ("Cipher is (NONE)" not in said and "New, " in said) == taken)
    said = s_client(port, "-tls1_2", text="R\nGET / HTTP/1.1\nHost: localhost\n\n")
    check("renegotiation is refused", "RENEGOTIATING" in said and "no renegotiation" in said)
    said = s_client(port, "-tls1_3")
    check("0-RTT is off", "Max Early Data: 0" in said or "Max Early Data" not in said)
    said = s_client(port, "-alpn", "h2,http/1.1")
    check("ALPN agrees on http/1.1", "ALPN protocol: http/1.1" in said)
    check("compression is off", "Compression: NONE" in said or "Compression" not in said)


def check_clients(port, plain_port, cert):
    said = run("curl", "-sS", "--cacert", cert, "--resolve", f"localhost:{port}:127.0.0.1",
               f"https://localhost:{port}/")
    check("curl trusts the certificate and gets its answer", said == "hello\n", said.strip())
    said = run("curl", "-sS", "--resolve", f"localhost:{port}:127.0.0.1",
               f"https://localhost:{port}/")
    check("curl without the authority refuses", "curl: (60)" in said)
    said = run("curl", "-sSL", "--cacert", cert, "--resolve", f"localhost:{port}:127.0.0.1",
               "--resolve", f"localhost:{plain_port}:127.0.0.1", f"http://localhost:{plain_port}/x")
    check("curl follows the redirect from plain HTTP", said == "hello\n", said.strip())
    said = run("curl", "-sS", f"http://127.0.0.1:{port}/")
    check("plain HTTP on the TLS port is told so", "use https" in said, said.strip())


def check_scan(port):
    if not shutil.which("sslscan"):
        print("skip  sslscan is not installed")
        return
    said = run("sslscan", "--no-colour", "--no-failed", f"127.0.0.1:{port}")
    print("\n".join(line for line in said.splitlines() if line.startswith(("Preferred", "Accepted",
                                                                           "TLSv", "SSLv"))))
    for line in ("SSLv2     disabled", "SSLv3     disabled", "TLSv1.0   disabled",
                 "TLSv1.1   disabled", "TLSv1.2   enabled", "TLSv1.3   enabled"):
        check(f"sslscan: {line}", line in said)
    check("sslscan: no old or weak cipher", not OLD_OR_WEAK.search(said))
    check("sslscan: no renegotiation", "Session renegotiation not supported" in said)
    check("sslscan: not Heartbleed", "vulnerable to heartbleed" not in
          said.replace("not vulnerable to heartbleed", ""))


def check_check(program, folder, good):
    """`rproxy check` reads the files that are there."""
    def verdict(entry):
        file = folder / "check.yaml"
        file.write_text(f"listeners: [{{tls: {{certificates: [{entry}]}}}}]\nbackends: []\n")
        result = subprocess.run([program, "check", file], capture_output=True, text=True,
                                check=False)
        return result.returncode, result.stdout + result.stderr
    check("check takes a good pair", verdict(good)[0] == 0)
    other = make_pair(folder, "other")
    crossed = good.split(",")[0] + ", " + other.split(", ")[1]
    status, said = verdict(crossed)
    check("check refuses the wrong key", status == 1 and "is not the key of" in said, said.strip())
    status, said = verdict("{cert: /nowhere/a.crt, key: /nowhere/a.key}")
    check("check warns of missing files", status == 0 and "cannot read /nowhere/a.crt" in said)


def memory_holds(pid, needle):
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        for line in maps:
            match = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if not match:
                continue
            begin, end = int(match[1], 16), int(match[2], 16)
            try:
                memory.seek(begin)
                if needle in memory.read(end - begin):
                    return True
            except OSError:
                pass
    return False


def main(program):
    backend = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=backend.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        pairs = [make_pair(folder, "localhost"), make_pair(folder, "rsa", key="rsa:2048")]
        port, plain_port, admin = free_port(), free_port(), free_port()
        (folder / "rproxy.yaml").write_text(
            f"listeners:\n- {{name: http, address: '127.0.0.1:{plain_port}', "
            f"https_redirect: {{port: {port}}}}}\n"
            f"- {{name: https, address: '127.0.0.1:{port}', "
            f"tls: {{certificates: [{', '.join(pairs)}]}}}}\n"
            f"backends: ['127.0.0.1:{backend.server_port}']\n")
        with open(folder / "log", "wb") as log:
            proxy = subprocess.Popen([program, "serve", "--config", folder / "rproxy.yaml",
                                      "--admin", f"127.0.0.1:{admin}"], stdout=log, stderr=log)
        try:
            wait_for("the proxy", lambda: "hello" in run(
                "curl", "-sk", f"https://127.0.0.1:{port}/"))
            check_clients(port, plain_port, folder / "localhost.crt")
            check_protocols(port)
            check_scan(port)
            check_check(program, folder, pairs[0])
            key = (folder / "localhost.key").read_text().splitlines()[2].encode()
            try:
                check("the key's text is not left in memory", not memory_holds(proxy.pid, key))
            except PermissionError:
                print("skip  this host does not let one look into a process")
            said = (folder / "log").read_text()
            check("nothing of a key is logged", key.decode() not in said)
        finally:
            proxy.terminate()
            proxy.wait(timeout=60)
        backend.shutdown()
    print("e2e tls: all well")


if __name__ == "__main__":
    main(sys.argv[1])
