"""Runs the how-to on JWTs: a provider's keys, and what is no token of its."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from howto import jwt_tokens
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from consumers.testing import LiveServer, Refused, TestClient

LASTS = 900
"""Seconds."""


@cache
def key_of(who: str) -> rsa.RSAPrivateKey:
    """Return a key; made when it is asked for, since that takes a tenth of a second."""
    return rsa.generate_private_key(65537, 2048)


def claims(**others: Any) -> dict[str, Any]:
    """Return what a token says; a claim that is None is left out."""
    said = {
        "sub": "ada",
        "iss": jwt_tokens.ISSUER,
        "aud": jwt_tokens.AUDIENCE,
        "exp": int(time.time()) + LASTS,
        **others,
    }
    return {name: value for name, value in said.items() if value is not None}


def token(signer: str = "provider", kid: str = "1", **others: Any) -> str:
    return jwt.encode(claims(**others), key_of(signer), "RS256", {"kid": kid})


def unsigned() -> str:
    return jwt.encode(claims(), "", "none", {"kid": "1"})


def signed_with_what_is_public() -> str:
    """Return one whose algorithm has a secret, for which the public key is taken."""
    head, body = (
        base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=")
        for part in ({"alg": "HS256", "typ": "JWT", "kid": "1"}, claims())
    )
    public = (
        key_of("provider")
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    signature = hmac.digest(public, head + b"." + body, hashlib.sha256)
    encoded = base64.urlsafe_b64encode(signature).rstrip(b"=")
    return b".".join((head, body, encoded)).decode()


FORGED: dict[str, tuple[Callable[[], str], type[jwt.PyJWTError]]] = {
    "expired": (lambda: token(exp=int(time.time()) - 60), jwt.ExpiredSignatureError),
    "another's signature": (lambda: token("stranger"), jwt.InvalidSignatureError),
    "an unknown key": (lambda: token("stranger", kid="2"), jwt.PyJWKClientError),
    "no algorithm": (unsigned, jwt.InvalidAlgorithmError),
    "another algorithm": (signed_with_what_is_public, jwt.InvalidAlgorithmError),
    "another audience": (lambda: token(aud="https://b.org"), jwt.InvalidAudienceError),
    "another issuer": (lambda: token(iss="https://b.org/"), jwt.InvalidIssuerError),
    "no end": (lambda: token(exp=None), jwt.MissingRequiredClaimError),
    "no token": (lambda: "wrong", jwt.DecodeError),
}


async def published(_request: Request) -> Response:
    key = jwt.algorithms.RSAAlgorithm.to_jwk(
        key_of("provider").public_key(), as_dict=True
    )
    return JSONResponse({"keys": [{**key, "kid": "1", "use": "sig"}]})


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """Publish the key as identity providers do, and return where."""
    with LiveServer(Starlette(routes=[Route("/jwks.json", published)])) as server:
        yield server.http_url("/jwks.json")


@pytest.fixture
def app(provider: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(jwt_tokens, "keys", jwt.PyJWKClient(provider))
    return jwt_tokens.app


async def test_a_token_is_good_until_it_ends(app: Any) -> None:
    """It says who it is, for how long and what for."""
    bob, ada = token(sub="bob"), token(scope="read admin")
    async with TestClient(app) as client:
        async with client.connect("/inbox", subprotocols=[f"bearer.{bob}"]) as ws:
            assert await ws.receive() == "Hello, bob!"
            await client.advance(LASTS)
            assert (await ws.receive_close()).code == 4401
        async with client.connect(f"/admin?token={ada}") as admin:
            await admin.receive_nothing()
        with pytest.raises(Refused) as refused:
            async with client.connect(f"/admin?token={bob}"):
                raise AssertionError

    assert refused.value.status == 403


@pytest.mark.parametrize("forged", FORGED)
async def test_what_is_forged_is_refused(app: Any, forged: str) -> None:
    """With 401, whatever is wrong with it; and for what is wrong with it."""
    make, error = FORGED[forged]
    with pytest.raises(error):
        jwt_tokens.read(make())
    headers = {"authorization": f"Bearer {make()}"}
    async with TestClient(app) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect("/inbox", headers=headers):
                raise AssertionError

    assert refused.value.status == 401


async def test_a_provider_that_is_away_is_not_the_client_s_fault(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While keys can't be had, the client is told to come back."""
    nowhere = jwt.PyJWKClient("http://127.0.0.1:1/jwks.json", timeout=5)
    monkeypatch.setattr(jwt_tokens, "keys", nowhere)
    async with TestClient(jwt_tokens.app) as client:
        with pytest.raises(Refused) as refused:
            async with client.connect(f"/inbox?token={token()}"):
                raise AssertionError

    assert refused.value.status == 503
