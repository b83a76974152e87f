"""A clock for the client that only moves when something sleeps on it."""

from alphacut.retry import Timing


class FakeTime:
    """Time that passes by sleeping; `slept` holds the spans, s. Chance is fixed."""

    def __init__(self, chance: float = 0.0) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []
        self.timing = Timing(now=lambda: self.now_s, chance=lambda: chance)

    def sleep(self, span_s: float) -> None:
        """Let the span pass at once."""
        self.slept.append(span_s)
        self.now_s += span_s

    async def sleep_async(self, span_s: float) -> None:
        """Let the span pass at once."""
        self.sleep(span_s)
