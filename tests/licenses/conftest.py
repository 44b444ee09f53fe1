"""One signing key for all tests of this folder: making one takes longer than most of them."""

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from app.core.signing import generate_rsa_key, load_rsa_private_key
from tests.licenses.renderings import Signers, new_key


@pytest.fixture(scope="session")
def private_key() -> RSAPrivateKey:
    return load_rsa_private_key(generate_rsa_key())


@pytest.fixture(scope="session")
def keys(private_key: RSAPrivateKey) -> list[RSAPublicKey]:
    return [private_key.public_key()]


@pytest.fixture(scope="session")
def signers(private_key: RSAPrivateKey) -> Signers:
    return Signers(private_key, new_key(), new_key(), new_key())
