"""The journey of one picture, on one page.

    [fetch what is named by URL]
        → place in the queue → md5, headers, limits → room in the byte budget → decode → tensor
        → [queue → batch → device], the background picture meanwhile decoded and laid out
        → alpha at full size → box → colours freed → compose → encode → answer

A journey takes its place in the queue before any work is spent on it, but after fetching: a slow web server holds no place.
It is a coroutine; its stages run on worker threads, but for pictures so small that handing them over would cost more than the
work itself.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Protocol, TypeVar

from alphacut_server.batching.batcher import Batcher
from alphacut_server.batching.ticket import Claim, Failed, Served
from alphacut_server.deadline import Clock, Deadline
from alphacut_server.errors import Cancelled, CorruptImage, DeadlineExceeded, InvalidInput
from alphacut_server.imaging.arrays import U8Matte, U8Tensor
from alphacut_server.imaging.background import Backdrop, Background, lay_out
from alphacut_server.imaging.box import PixelBox, subject_box
from alphacut_server.imaging.codec import Picture, decode
from alphacut_server.imaging.colour_names import Colour
from alphacut_server.imaging.encode import OutputFormat, encode
from alphacut_server.imaging.matte import combine_alpha, upscale_matte
from alphacut_server.imaging.probe import Header
from alphacut_server.imaging.tensor import to_tensor
from alphacut_server.pipeline.budget import ByteBudget
from alphacut_server.pipeline.choice import ModelChoice
from alphacut_server.pipeline.pools import WorkerPools
from alphacut_server.pipeline.render import render
from alphacut_server.pipeline.sources import (
    BackgroundFile,
    Files,
    PictureSources,
    background_fault,
    files_in_hand,
)
from alphacut_server.pipeline.types import (
    CutoutRequest,
    CutoutResult,
    Mode,
    OutputImage,
    PipelineObserver,
    ServedModel,
    Stage,
    StageTiming,
)

INLINE_BYTES = 16 << 10
"""Files up to this size are hashed and probed on the event loop: 0.05 ms, where a thread takes 0.1 ms to answer."""

INLINE_PIXELS = 128 * 128
"""Pictures up to this size are decoded and encoded there, too: under 0.3 ms each, but for a WebP or with a second picture."""

StageT = TypeVar("StageT")

MatteBatcher = Batcher[U8Tensor, U8Matte]


class Pipeline(Protocol):
    """What transport needs."""

    async def fetch(self, request: CutoutRequest, deadline: Deadline) -> Files:
        """Get the files of a call that may be tried more than once; raises AlphacutError."""
        ...

    async def cut(
        self, request: CutoutRequest, deadline: Deadline, files: Files | None = None
    ) -> CutoutResult:
        """Cut one picture; raises AlphacutError."""
        ...


class CutoutPipeline:
    """Runs journeys; made once, by app; lives on one event loop."""

    def __init__(
        self,
        models: ModelChoice,
        *,
        sources: PictureSources,
        batcher: MatteBatcher,
        pools: WorkerPools,
        budget: ByteBudget,
        observer: PipelineObserver,
        clock: Clock,
    ) -> None:
        """`batcher` must settle its tickets on this loop."""
        self._models = models
        self._sources = sources
        self._batcher = batcher
        self._pools = pools
        self._budget = budget
        self._observer = observer
        self._clock = clock

    async def fetch(self, request: CutoutRequest, deadline: Deadline) -> Files:
        """Get the call's files. Whoever waits for a place by trying again hands them to `cut`, and fetches but once.

        Raises AlphacutError: UrlNotFetched, UnknownModel, InvalidOption, Overloaded, DeadlineExceeded.
        """
        self._models.find(request.model, request.profile)
        return files_in_hand(request) or await self._sources.fetch(request, deadline)

    async def cut(
        self, request: CutoutRequest, deadline: Deadline, files: Files | None = None
    ) -> CutoutResult:
        """Cut one picture. files: what `fetch` gave; None to fetch now what is to be fetched.

        Raises AlphacutError: InvalidInput, UnknownModel, Overloaded, DeadlineExceeded, InternalFault. Cancelling the task drops
        the work; if its batch has not been cut yet, it costs no device time.
        """
        model = self._models.find(request.model, request.profile)
        files = files or files_in_hand(request) or await self._sources.fetch(request, deadline)
        settled: asyncio.Future[Served[U8Matte] | Failed] = asyncio.get_running_loop().create_future()
        claim = Claim(model.id, deadline.at_s, request.priority, request.client)
        ticket = self._batcher.reserve(claim, partial(_settle, settled))
        try:
            async with asyncio.timeout(deadline.remaining_s(self._clock.now())):
                submit = partial(self._batcher.submit, ticket)
                return await self._travel(request, files, model, deadline, settled=settled, submit=submit)
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
        files: Files,
        model: ServedModel,
        deadline: Deadline,
        *,
        settled: "asyncio.Future[Served[U8Matte] | Failed]",
        submit: Callable[[U8Tensor], None],
    ) -> CutoutResult:
        timings: list[StageTiming] = []
        if files.fetch_s is not None:
            self._record(timings, Stage.FETCH, files.fetch_s)
        is_slow = files.background is not None or request.output.format is OutputFormat.WEBP
        is_light = len(files.content) <= INLINE_BYTES and not is_slow
        inspected = await _run(is_light, self._pools.prepare, partial(self._sources.inspect, request, files))
        header = inspected.header
        is_light = is_light and header.width_px * header.height_px <= INLINE_PIXELS
        async with self._budget.hold(inspected.n_bytes):
            prepare = partial(self._prepare, files.content, header, model.side_px, timings)
            background: Background | None = None
            try:
                picture, tensor = await _run(is_light, self._pools.prepare, prepare)
                if isinstance(inspected.background, InvalidInput):
                    raise inspected.background
                submit(tensor)
                del tensor  # the ticket holds it until the batch is cut; nobody needs it after
                if isinstance(inspected.background, BackgroundFile):
                    below = partial(self._lay_out, inspected.background, picture, timings)
                    background = await self._pools.prepare(below)
                elif isinstance(request.background, Colour):
                    background = request.background
            except InvalidInput as error:
                raise error.with_metadata(md5=inspected.md5, name=files.name) from None
            outcome = await settled
            if isinstance(outcome, Failed):
                raise outcome.error
            self._record(timings, Stage.QUEUE, outcome.queue_delay_s)
            self._record(timings, Stage.INFERENCE, outcome.run_s)
            if deadline.has_passed(self._clock.now()):
                raise _too_late()
            is_light = is_light and not self._frees_colours(request)
            finish = partial(self._finish, request, picture, outcome.result, background, timings)
            image, box = await _run(is_light, self._pools.finish, finish)
        return CutoutResult(
            image=image,
            mode=request.mode,
            height_px=picture.rgb.shape[0],
            width_px=picture.rgb.shape[1],
            box=box,
            md5=inspected.md5,
            name=files.name,
            model=model.id,
            batch_size=outcome.batch_size,
            timings=timings,
        )

    def _prepare(
        self, content: bytes, header: Header, side_px: int, timings: list[StageTiming]
    ) -> tuple[Picture, U8Tensor]:
        began_s = self._clock.now()
        picture = decode(content, header)
        tensor = to_tensor(picture.rgb, side_px)
        self._record(timings, Stage.DECODE, self._clock.now() - began_s)
        return picture, tensor

    def _lay_out(self, file: BackgroundFile, picture: Picture, timings: list[StageTiming]) -> Backdrop:
        began_s = self._clock.now()
        try:
            below = decode(file.content, file.header)
        except CorruptImage as error:
            raise background_fault(error) from None
        backdrop = lay_out(below, file.fit, *picture.rgb.shape[:2])
        self._record(timings, Stage.BACKGROUND, self._clock.now() - began_s)
        return backdrop

    def _finish(
        self,
        request: CutoutRequest,
        picture: Picture,
        matte: U8Matte,
        background: Background | None,
        timings: list[StageTiming],
    ) -> tuple[OutputImage, PixelBox | None]:
        began_s = self._clock.now()
        alpha = combine_alpha(upscale_matte(matte, *picture.rgb.shape[:2]), picture.alpha)
        box = subject_box(alpha)
        matte_s = self._clock.now()
        pixels = render(
            request.mode,
            request.output,
            picture.rgb,
            alpha,
            box=box,
            background=background,
            shadow=request.shadow,
            frees_colours=self._frees_colours(request),
        )
        compose_s = self._clock.now()
        content = encode(pixels, request.output.format)
        self._record(timings, Stage.MATTE, matte_s - began_s)
        self._record(timings, Stage.COMPOSE, compose_s - matte_s)
        self._record(timings, Stage.ENCODE, self._clock.now() - compose_s)
        return OutputImage(content, request.output.format, pixels.shape[0], pixels.shape[1]), box

    def _frees_colours(self, request: CutoutRequest) -> bool:
        return request.mode is not Mode.FG_MASK and self._models.frees_colours(request.profile)

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
