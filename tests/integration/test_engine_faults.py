"""When the device itself fails: the callers of that batch are told so, and of the cause they see nothing."""

import asyncio

import grpc
import pytest

from alphacut_server.engine.fake import FakeEngine
from support.images import small_png
from support.machinery import serving
from support.rpc import REQUEST_ID_KEY, failure_of, request_for
from support.server import HANG_S

pytestmark = pytest.mark.timeout(30)


async def test_a_failed_batch_is_our_fault_and_tells_the_request_id_alone() -> None:
    """INTERNAL, with an id to quote; the next batch is served as if nothing had been."""
    async with serving(FakeEngine(fail_on=(1,))) as running:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await running.stub.RemoveBackground(
                request_for(small_png(1)), timeout=HANG_S, metadata=((REQUEST_ID_KEY, "order-7"),)
            )
        after = await running.stub.RemoveBackground(request_for(small_png(2)), timeout=HANG_S)

    failure = failure_of(caught.value)
    assert (failure.code, failure.reason) == (grpc.StatusCode.INTERNAL, "ENGINE_FAILED")
    assert failure.kinds == ("ErrorInfo",)
    assert failure.metadata == {"request_id": "order-7"}
    assert failure.request_id == "order-7"
    assert after.batch_size == 1


async def test_each_caller_of_a_failed_batch_gets_an_id_of_its_own() -> None:
    """They share the fault, not its report: each can be found in the log by itself."""
    engine = FakeEngine(fail_on=range(1, 4))  # however they are batched
    async with serving(engine) as running:
        outcomes = await asyncio.gather(
            *(
                running.stub.RemoveBackground(request_for(small_png(seed)), timeout=HANG_S)
                for seed in range(3)
            ),
            return_exceptions=True,
        )
    # Only now: a caller may hear of its failure a moment before it is counted.
    metrics = running.metrics()

    failures = [failure_of(outcome) for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(failures) == 3
    assert {failure.code for failure in failures} == {grpc.StatusCode.INTERNAL}
    assert len({failure.metadata["request_id"] for failure in failures}) == 3
    assert metrics["alphacut_requests_total{reason=ENGINE_FAILED}"] == 3
