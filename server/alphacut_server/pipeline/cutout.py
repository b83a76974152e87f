"""The journey of one picture, on one page.

    place in the queue → md5, header, limits → room in the byte budget → decode → tensor
        → [queue → batch → device]
        → alpha at full size → box → compose → encode → answer

A journey takes its place in the queue before any work is spent on it. It is a coroutine; its stages run on worker threads, but
for pictures so small that handing them over would cost more than the work itself.
"""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from alphacut_server.batching.batcher import Batcher
from alphacut_server.batching.ticket import Claim, Failed, Served
from alphacut_server.deadline import Clock, Deadline
from alphacut_server.errors import (
    Cancelled,
    DeadlineExceeded,
    ImageTooLarge,
    InvalidInput,
    UnknownModel,
)
from alphacut_server.imaging.arrays import U8Alpha, U8Matte, U8Tensor
from alphacut_server.imaging.box import PixelBox, subject_box
from alphacut_server.imaging.codec import Picture, decode, encode_png
from alphacut_server.imaging.compose import compose_cutout
from alphacut_server.imaging.matte import combine_alpha, upscale_matte
from alphacut_server.imaging.probe import Header, picture_bytes, probe_header
from alphacut_server.imaging.shadow import compose_shadow
from alphacut_server.imaging.tensor import to_tensor
from alphacut_server.pipeline.budget import ByteBudget
from alphacut_server.pipeline.pools import WorkerPools
from alphacut_server.pipeline.types import (
    CutoutRequest,
    CutoutResult,
    Mode,
    PipelineObserver,
    ServedModel,
    Stage,
    StageTiming,
)

INLINE_BYTES = 16 << 10
"""Files up to this size are hashed and probed on the event loop: 0.05 ms, where a thread takes 0.1 ms to answer."""

INLINE_PIXELS = 128 * 128
"""Pictures up to this size are decoded and encoded there, too: under 0.3 ms each."""

StageT = TypeVar("StageT")

MatteBatcher = Batcher[U8Tensor, U8Matte]


@dataclass(frozen=True, slots=True)
class PictureLimits:
    """What a picture may be."""

    max_side_px: int = 4096
    """Largest width and height."""
    max_image_bytes: int = 16 << 20
    """The first file size that is refused."""


class Pipeline(Protocol):
    """What transport needs."""

    async def cut(self, request: CutoutRequest, deadline: Deadline) -> CutoutResult:
        """Cut one picture; raises AlphacutError."""
        ...


class CutoutPipeline:
    """Runs journeys; made once, by app; lives on one event loop."""

    def __init__(
        self,
        models: Mapping[str, ServedModel],
        default_model: str,
        *,
        batcher: MatteBatcher,
        pools: WorkerPools,
        budget: ByteBudget,
        limits: PictureLimits,
        observer: PipelineObserver,
        clock: Clock,
    ) -> None:
        """`batcher` must settle its tickets on this loop."""
        self._models = models
        self._default_model = default_model
        self._batcher = batcher
        self._pools = pools
        self._budget = budget
        self._limits = limits
        self._observer = observer
        self._clock = clock

    async def cut(self, request: CutoutRequest, deadline: Deadline) -> CutoutResult:
        """Cut one picture.

        Raises AlphacutError: InvalidInput, UnknownModel, Overloaded, DeadlineExceeded, InternalFault. Cancelling the task drops
        the work; if its batch has not been cut yet, it costs no device time.
        """
        model_id = request.model or self._default_model
        model = self._models.get(model_id)
        if model is None:
            raise UnknownModel(model_id, tuple(self._models))
        settled: asyncio.Future[Served[U8Matte] | Failed] = asyncio.get_running_loop().create_future()
        claim = Claim(model.id, deadline.at_s, request.priority, request.client)
        ticket = self._batcher.reserve(claim, partial(_settle, settled))
        try:
            async with asyncio.timeout(deadline.remaining_s(self._clock.now())):
                return await self._travel(
                    request, model, deadline, settled, partial(self._batcher.submit, ticket)
                )
        except TimeoutError:
            raise _too_late() from None
        finally:
            if not settled.done():
                settled.cancel()
            if (
                settled.cancelled()
            ):  # just now, or with the task that awaited it: by its caller or by the deadline
                self._batcher.cancel(ticket, Cancelled())

    async def _travel(
        self,
        request: CutoutRequest,
        model: ServedModel,
        deadline: Deadline,
        settled: "asyncio.Future[Served[U8Matte] | Failed]",
        submit: Callable[[U8Tensor], None],
    ) -> CutoutResult:
        timings: list[StageTiming] = []
        is_light = len(request.content) <= INLINE_BYTES
        md5, header = await _run(is_light, self._pools.prepare, partial(self._inspect, request))
        is_light = is_light and header.width_px * header.height_px <= INLINE_PIXELS
        async with self._budget.hold(picture_bytes(header)):
            prepare = partial(self._prepare, request.content, header, model.side_px, timings)
            try:
                picture, tensor = await _run(is_light, self._pools.prepare, prepare)
            except InvalidInput as error:
                raise error.with_metadata(md5=md5, name=request.name) from None
            submit(tensor)
            del tensor  # the ticket holds it until the batch is cut; nobody needs it after
            outcome = await settled
            if isinstance(outcome, Failed):
                raise outcome.error
            self._record(timings, Stage.QUEUE, outcome.queue_delay_s)
            self._record(timings, Stage.INFERENCE, outcome.run_s)
            if deadline.has_passed(self._clock.now()):
                raise _too_late()
            finish = partial(self._finish, request.mode, picture, outcome.result, timings)
            content, box = await _run(is_light, self._pools.finish, finish)
        return CutoutResult(
            content=content,
            mode=request.mode,
            height_px=picture.rgb.shape[0],
            width_px=picture.rgb.shape[1],
            box=box,
            md5=md5,
            name=request.name,
            model=model.id,
            batch_size=outcome.batch_size,
            timings=timings,
        )

    def _inspect(self, request: CutoutRequest) -> tuple[str, Header]:
        """Hash the bytes and read what the header promises; every error from here on tells md5 and name."""
        md5 = hashlib.md5(request.content, usedforsecurity=False).hexdigest()
        try:
            if len(request.content) >= self._limits.max_image_bytes:
                raise ImageTooLarge(len(request.content), self._limits.max_image_bytes)
            return md5, probe_header(request.content, self._limits.max_side_px)
        except InvalidInput as error:
            raise error.with_metadata(md5=md5, name=request.name) from None

    def _prepare(
        self, content: bytes, header: Header, side_px: int, timings: list[StageTiming]
    ) -> tuple[Picture, U8Tensor]:
        began_s = self._clock.now()
        picture = decode(content, header)
        tensor = to_tensor(picture.rgb, side_px)
        self._record(timings, Stage.DECODE, self._clock.now() - began_s)
        return picture, tensor

    def _finish(
        self, mode: Mode, picture: Picture, matte: U8Matte, timings: list[StageTiming]
    ) -> tuple[bytes, PixelBox | None]:
        height_px, width_px = picture.rgb.shape[:2]
        began_s = self._clock.now()
        alpha = combine_alpha(upscale_matte(matte, height_px, width_px), picture.alpha)
        box = subject_box(alpha)
        matte_s = self._clock.now()
        pixels = _compose(mode, picture, alpha)
        compose_s = self._clock.now()
        content = encode_png(pixels)
        self._record(timings, Stage.MATTE, matte_s - began_s)
        self._record(timings, Stage.COMPOSE, compose_s - matte_s)
        self._record(timings, Stage.ENCODE, self._clock.now() - compose_s)
        return content, box

    def _record(self, timings: list[StageTiming], stage: Stage, seconds: float) -> None:
        timings.append(StageTiming(stage, seconds))
        self._observer.stage_done(stage, seconds)


async def _run(
    is_light: bool,
    pool: Callable[[Callable[[], StageT]], Awaitable[StageT]],
    stage: Callable[[], StageT],
) -> StageT:
    """Run a stage here if it is light, else on a worker thread."""
    return stage() if is_light else await pool(stage)


def _settle(settled: "asyncio.Future[Served[U8Matte] | Failed]", outcome: Served[U8Matte] | Failed) -> None:
    if not settled.done():
        settled.set_result(outcome)


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("The deadline passed before the answer was ready.")


def _compose(mode: Mode, picture: Picture, alpha: U8Alpha) -> NDArray[np.uint8]:
    match mode:
        case Mode.FG_MASK:
            return alpha
        case Mode.FG_IMAGE:
            return compose_cutout(picture.rgb, alpha)
        case Mode.FG_IMAGE_SHADOW:
            return compose_shadow(picture.rgb, alpha)
