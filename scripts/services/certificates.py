"""Certificates for servers on 127.0.0.1, made with openssl: an authority of their own, and what it signed. For tests, never for a network."""

import shutil
import subprocess
from pathlib import Path

from scripts.services.processes import ServiceFailed

DAYS = "3650"
OPENSSL_S = 60.0
KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


class Authority:
    """A certificate authority in `folder`, made on first use."""

    def __init__(self, folder: Path, name: str = "test authority") -> None:
        self.folder = folder
        self.certificate = folder / "authority.crt"
        self._key = folder / "authority.key"
        if not self.certificate.exists():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            uses = ["-addext", "keyUsage=critical,keyCertSign,cRLSign"]
            _openssl("req", "-x509", *KEY, "-days", DAYS, "-subj", f"/CN={name}", *uses, "-keyout", self._key, "-out", self.certificate)

    def sign(self, name: str, alternative_names: str = "IP:127.0.0.1") -> tuple[Path, Path]:
        """`(certificate, key)` as PEM files for common name `name`; a server is known under `alternative_names` and nothing else."""
        certificate, key, request, uses = (self.folder / f"{name}.{ending}" for ending in ("crt", "key", "csr", "ext"))
        _openssl("req", *KEY, "-subj", f"/CN={name}", "-keyout", key, "-out", request)
        uses.write_text(f"subjectAltName={alternative_names}\nkeyUsage=digitalSignature\nauthorityKeyIdentifier=keyid\n")
        given = ["-CA", self.certificate, "-CAkey", self._key, "-CAcreateserial", "-days", DAYS, "-extfile", uses]
        _openssl("x509", "-req", "-in", request, *given, "-out", certificate)
        return certificate, key


def _openssl(*arguments: object) -> None:
    program = shutil.which("openssl")
    if not program:
        raise ServiceFailed("certificates are made with openssl: apt-get install -y openssl")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, timeout=OPENSSL_S, check=False)
    if done.returncode:
        raise ServiceFailed(f"openssl {arguments[0]} failed: {done.stderr[-500:]}")
