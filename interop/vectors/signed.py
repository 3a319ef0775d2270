"""Signed messages for capture.py, with the keys and certificates that they are signed by. Every capture has others."""
from datetime import datetime, timezone

from celery.security.certificate import Certificate
from celery.security.key import PrivateKey
from celery.security.serialization import SecureSerializer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from kombu import serialization as kombu_serialization

PASSWORD = b"coffee"
ISSUERS = {
    "plain": [[(NameOID.COUNTRY_NAME, "DE"), ], [(NameOID.ORGANIZATION_NAME, "Shop"), ], [(NameOID.COMMON_NAME, "Test CA"), ]],
    "odd": [
        [(NameOID.COMMON_NAME, ' Käse, "Brot" + Butter; <a=b> \\ #1 '), (NameOID.SURNAME, "= +x")],
        [(NameOID.ORGANIZATION_NAME, "#Shop / CN=other + O=none")],
    ],
}


def certificate(key, issuer="plain", expires=datetime(9999, 12, 31, tzinfo=timezone.utc), serial=2**150 + 1):
    name = x509.Name([
        x509.RelativeDistinguishedName([x509.NameAttribute(oid, value) for oid, value in part]) for part in ISSUERS[issuer]
    ])
    built = (
        x509.CertificateBuilder().issuer_name(name).subject_name(name).public_key(key.public_key()).serial_number(serial)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=timezone.utc)).not_valid_after(expires)
    )
    return built.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def pem(key, password=None):
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def signed_messages():
    kombu_serialization.enable_insecure_serializers()
    cases = {
        "plain": {},
        "another digest": {"digest": "sha512"},
        "SHA-3": {"digest": "sha3_256"},
        "odd issuer": {"issuer": "odd", "serial": 1},
        "pickle within": {"serializer": "pickle"},
        "encrypted key": {"password": PASSWORD},
        "expired": {"expires": datetime(2021, 1, 1, tzinfo=timezone.utc)},
        "1024 bits": {"bits": 1024},
        "3072 bits": {"bits": 3072},
        "an odd number of bits": {"bits": 2041},
    }
    for name, case in cases.items():
        key = rsa.generate_private_key(65537, case.get("bits", 2048))
        password = case.get("password")
        chosen = {option: case[option] for option in ("issuer", "serial", "expires") if option in case}
        cert = certificate(key, **chosen)
        digest, inner = case.get("digest", "sha256"), case.get("serializer", "json")
        secure = SecureSerializer(PrivateKey(pem(key, password), password), Certificate(cert), None, digest, inner)
        value = [[1, "two"], {"three": None}, {"callbacks": None, "chord": "\0\1 in the body"}]
        yield {
            "name": name, "digest": digest, "serializer": inner, "key": pem(key, password), "password": password and password.decode(),
            "certificate": cert, "id": Certificate(cert).get_id(), "repr": repr(value), "body": secure.serialize(value),
        }
    other = ec.generate_private_key(ec.SECP256R1())
    yield {"name": "no RSA", "key": pem(other), "certificate": certificate(other)}
