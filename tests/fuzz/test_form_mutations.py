"""Mutated bodies: whatever a stranger posts, the answer is one that docs/rest-api.md tells of.

The gateway's application and a server with the emulated accelerator run on the test's loop, with gRPC between them. How many
bodies: ALPHACUT_FUZZ_FORMS, a thousand without it; `make fuzz` sends a hundred thousand.
"""

import asyncio
import json
import logging
import os
import random
import re
from collections import Counter

import httpx
import pytest
from prometheus_client import CollectorRegistry

from alphacut import AsyncClient
from alphacut_gateway.app import create_app
from alphacut_gateway.intake import BodyLimits
from alphacut_gateway.metrics import Metrics
from alphacut_gateway.room import Room, RoomLimits
from alphacut_gateway.traffic import Traffic
from alphacut_server.settings import EngineSettings, ServerSettings, Settings
from support.form_mutations import HostileForm, hostile_form
from support.images import known_picture, small_png
from support.server import running_app

COUNT = int(os.environ.get("ALPHACUT_FUZZ_FORMS", "1000"))
SEED = int(os.environ.get("ALPHACUT_FUZZ_SEED", "20261123"))
CALLERS = 8

log = logging.getLogger(__name__)

MESSAGES = re.compile(
    r"Success|Can not load image\.|Can not load image from url\.|Can not load background image\."
    r"|Resolution is too big: \d+x\d+\. Max allowed resolution: 4096x4096\."
    r"|File size is too big: \d+\.\dMb\. Max allowed size: 16Mb\."
)


def why_undocumented(answer: httpx.Response) -> str | None:
    """Return what is wrong with an answer, None when it is a documented one."""
    if answer.status_code == 413:
        return None if "Error: Request Entity Too Large" in answer.text else "413 without its page"
    if answer.status_code not in (200, 400, 422):
        return f"status {answer.status_code}"
    body = json.loads(answer.text)
    if answer.status_code == 400:
        return None if isinstance(body.get("message"), str) else "400 without a message"
    if answer.status_code == 422:
        return None if body.get("detail") else "422 without detail"
    (result,) = body["results"]
    code, message = result["status"]["code"], result["status"]["message"]
    if not MESSAGES.fullmatch(message):
        return f"message {message!r}"
    wanted = ["status", "name", "md5", "entities"]
    if code == "ok":
        wanted[3:3] = ["width", "height"]
    return None if list(result) == wanted else f"keys {list(result)}"


def seeds() -> list[bytes]:
    """Return files to send: pictures, parts of pictures, and none."""
    jpeg = known_picture(3, 40, 56, is_jpeg=True).content
    png = small_png(4)
    return [jpeg, png, jpeg[:200], png[:90], b"GIF89a" + bytes(60), jpeg + b"tail"]


async def post(client: httpx.AsyncClient, form: HostileForm) -> httpx.Response:
    """Post one form."""
    headers = {b"Content-Type": form.content_type} if form.content_type else {}
    return await client.post("/v1/results?mode=fg-mask", content=form.body, headers=headers)


@pytest.mark.slow
@pytest.mark.timeout(3600)
async def test_mutated_forms_get_documented_answers_only() -> None:
    """No body makes the gateway or the server fail, hang or say what is not documented."""
    settings = Settings(
        server=ServerSettings(metrics_port=0, grpc_port=0),
        engine=EngineSettings(model="emulated", emulated_base_ms=0, emulated_item_ms=0),
    )
    source, pictures = random.Random(SEED), seeds()
    forms = iter(hostile_form(source, pictures) for _ in range(COUNT))
    seen: Counter[str] = Counter()
    faults: list[str] = []

    async with running_app(settings) as server, AsyncClient(server.target) as backend:
        app = create_app(
            backend=backend,
            traffic=Traffic(),
            metrics=Metrics(CollectorRegistry()),
            room=Room(RoomLimits(max_bytes=1 << 30, max_waiting=100, timeout_s=60)),
            body_limits=BodyLimits(upload_timeout_s=60, min_bytes_per_s=1, grace_s=60),
            ready_timeout_s=1,
        )
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:

            async def caller() -> None:
                for form in forms:
                    answer = await asyncio.wait_for(post(client, form), 30)
                    seen[f"{answer.status_code}"] += 1
                    wrong = why_undocumented(answer)
                    if wrong:
                        faults.append(f"{wrong}: {form.content_type!r} {form.body[:300]!r}")

            await asyncio.gather(*(caller() for _ in range(CALLERS)))

    log.info("answers by status: %s", dict(seen))
    assert not faults, "\n".join(faults[:5])
    assert seen.total() == COUNT
    assert seen["200"] > COUNT / 20  # the mutations leave enough whole that pictures are cut, too
