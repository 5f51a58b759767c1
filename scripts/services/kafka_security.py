"""What makes a broker ask who is there: TLS, SCRAM and PLAIN passwords, client certificates, and rights per user (KRaft's own authorizer)."""

import secrets
from dataclasses import dataclass
from pathlib import Path

from scripts.services.certificates import Authority

ADMIN = "admin"
"""May do everything; the broker speaks to itself under this name."""

PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
controller.listener.names=CONTROLLER
listeners=SASL://127.0.0.1:{port},CERTIFIED://127.0.0.1:{certified},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=SASL://127.0.0.1:{port},CERTIFIED://127.0.0.1:{certified}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,SASL:SASL_SSL,CERTIFIED:SSL
inter.broker.listener.name=SASL
sasl.mechanism.inter.broker.protocol=SCRAM-SHA-512
sasl.enabled.mechanisms=SCRAM-SHA-512,PLAIN
listener.name.sasl.scram-sha-512.sasl.jaas.config={security}.scram.ScramLoginModule required username="{admin}" password="{admin_password}";
listener.name.sasl.plain.sasl.jaas.config={security}.plain.PlainLoginModule required {plain_users};
listener.name.certified.ssl.client.auth=required
ssl.keystore.type=PEM
ssl.keystore.location={keystore}
ssl.truststore.type=PEM
ssl.truststore.location={truststore}
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:{admin};User:ANONYMOUS
"""
"""ANONYMOUS is the controller's own listener; clients cannot be it, because none of theirs lets anybody in without a name."""


@dataclass(frozen=True)
class Guarded:
    """The secrets of one broker, made for its folder: `users` (name -> password) beside `admin`."""

    authority: Authority
    keystore: Path
    users: dict[str, str]

    @classmethod
    def make(cls, folder: Path, names: tuple[str, ...]) -> "Guarded":
        """A fresh authority, the broker's certificate for 127.0.0.1 alone, and a password for each name."""
        authority = Authority(folder / "certificates")
        certificate, key = authority.sign("broker")
        keystore = folder / "certificates" / "keystore.pem"
        keystore.touch(mode=0o600)
        keystore.write_text(key.read_text() + certificate.read_text())
        return cls(authority, keystore, {name: secrets.token_hex(12) for name in (ADMIN, *names)})

    def properties(self, *, port: int, certified: int, controller: int) -> str:
        """The broker's properties, without where it keeps its data."""
        plain = " ".join(f'user_{name}="{password}"' for name, password in self.users.items())
        return PROPERTIES.format(
            port=port,
            certified=certified,
            controller=controller,
            admin=ADMIN,
            security="org.apache.kafka.common.security",
            admin_password=self.users[ADMIN],
            plain_users=plain,
            keystore=self.keystore,
            truststore=self.authority.certificate,
        )

    def format_arguments(self) -> list[str]:
        """What the storage tool is told so that the passwords are there from the first start."""
        return [part for name, password in self.users.items() for part in ("--add-scram", f"SCRAM-SHA-512=[name={name},password={password}]")]
