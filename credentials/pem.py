"""Certificates and keys that a kubeconfig embeds or names."""

import base64
import ssl

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from credentials.errors import Refused
from credentials.files import Read
from credentials.kubeconfig import Section, text


def content(section: Section, key: str, *, directory: str, read: Read) -> bytes | None:
    """What `<key>-data` embeds or the file `<key>` holds; None without either."""
    path, data = text(section, key), section.get(f"{key}-data")
    if path is not None and data:
        raise Refused(f"`{key}` and `{key}-data` are both there: keep one of them.")
    if path is not None:
        return read(directory, path)
    if not data:
        return None
    try:
        if not isinstance(data, str):
            raise TypeError
        return base64.b64decode("".join(data.split()), validate=True)
    except (TypeError, ValueError) as error:  # ValueError: binascii.Error, or not ASCII
        raise Refused(f"`{key}-data` isn't base64.") from error


def check_authorities(pem: bytes) -> None:
    """Refuse what the TLS library couldn't load as a bundle of CA certificates."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem.decode("ascii"))
    except (ValueError, ssl.SSLError) as error:
        raise Refused("`certificate-authority` holds no certificates in PEM.") from error


def check_pair(certificate: bytes, key: bytes) -> None:
    """Refuse a client certificate without its own private key."""
    leaf = load_certificate(certificate)
    try:
        belongs = load_pem_private_key(key, password=None).public_key() == leaf.public_key()
    except TypeError as error:
        raise Refused("`client-key` is encrypted by a passphrase: store it without one.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise Refused("`client-key` holds no private key in PEM.") from error
    if not belongs:
        raise Refused("`client-key` doesn't belong to `client-certificate`.")


def load_certificate(pem: bytes) -> x509.Certificate:
    """The first certificate, which is the client's own."""
    try:
        return x509.load_pem_x509_certificates(pem)[0]
    except ValueError as error:
        raise Refused("`client-certificate` holds no certificate in PEM.") from error
