"""Finds out by trying whether it pays to wait for everybody who was just answered.

Callers in a closed loop can lock into two halves that take turns on the device: while one is served the other comes back.
Seen from the arrivals that looks like independent traffic, and returns.py finds nothing to wait for, though one batch of all
might serve more a second. Whether it does depends on how long callers take to come back when they all come at once, which
nobody can tell who has not tried. So where as many arrive in each round as were answered in the one before, which independent
callers do not do, the lane serves some rounds as usual, then some in which it waits for all, and keeps to what served more.
"""

from enum import Enum, auto

BASELINE_ROUNDS = 16
"""Rounds whose throughput is compared; scatter of one round, some 10 %, averages out to 3 %."""

SETTLING_ROUNDS = 4
"""Rounds of a trial that do not count: the halves merge in the first, and the callers fall into step in the next."""

LEAST_GAIN = 0.98
"""What waiting must serve, as a share of what was served without. A tie, as far as it can be measured, goes to waiting: the same
work then takes fewer runs and less of the device's time, which leaves room for whoever comes next."""

MOST_MISSES = 1
"""More rounds than this in which somebody was not back when the wait was over, or not all had room in one batch, end a trial:
where waiting for all cannot work, finding that out takes a few rounds."""

MISS_DECAY = 0.1
"""What each round without a miss takes off their count: now and then a caller leaves and another comes."""

CHECK_ROUNDS = 64
"""While it waits, the lane compares so many rounds at a time with the baseline: one lucky trial must not cost for long."""

KEPT_ROUNDS = 512
"""How long a baseline counts before it is measured anew: traffic and machine change."""

FIRST_PAUSE_ROUNDS, LONGEST_PAUSE_ROUNDS = 128, 4096
"""Rounds until the next trial after one that did not pay, doubled each time."""

EVIDENCE_GAIN = 0.1
"""Weight of the newest round in the scatter."""

CLOSED_BELOW, OPEN_ABOVE = 0.2, 0.5
"""Scatter that counts as a closed loop, and as none any more; independent callers have about 1."""


class Phase(Enum):
    """What the rounds are for."""

    WATCHING = auto()
    """Served as usual, and measured."""
    TRYING = auto()
    """Waiting for all, and measured."""
    GATHERING = auto()
    """Waiting for all, for it paid."""


class GatherTrial:
    """One lane's trials. Pure bookkeeping: told of each round, it says whether the next ones wait for all."""

    def __init__(self) -> None:
        self.phase = Phase.WATCHING
        self._scatter = 1.0
        self._baseline_per_s = 0.0
        self._pause_rounds = FIRST_PAUSE_ROUNDS
        self._resting = 0
        self._kept = 0
        self._rounds = 0
        self._items = 0
        self._misses = 0.0
        self._span_s = 0.0

    @property
    def gathers(self) -> bool:
        """Tell whether the device should wait for everybody who was just answered."""
        return self.phase is not Phase.WATCHING

    def round_over(
        self, *, answered_before: int, came: int, missing: int, answered: int, span_s: float
    ) -> None:
        """Take note of one round, from completion to completion.

        answered_before: items of the completion it began with, 1 or more; came: arrivals in it; missing: of those answered, how
        many were not back when the next batch was cut; answered: items of that batch; span_s: how long the round took, above 0.
        """
        surprise = (came - answered_before) ** 2 / answered_before
        # No single round may weigh so much that a dozen calm ones cannot make up for it.
        self._scatter += EVIDENCE_GAIN * (min(surprise, 4.0) - self._scatter)
        if self._scatter > OPEN_ABOVE and self.gathers:
            self._begin(Phase.WATCHING)
            return
        self._rounds += 1
        self._misses = self._misses + 1 if missing else max(self._misses - MISS_DECAY, 0.0)
        if self.gathers and self._misses > MOST_MISSES:
            self._give_up()
            return
        if self.phase is not Phase.TRYING or self._rounds > SETTLING_ROUNDS:
            self._items += answered
            self._span_s += span_s
        match self.phase:
            case Phase.WATCHING:
                self._watched()
            case Phase.TRYING if self._rounds >= SETTLING_ROUNDS + BASELINE_ROUNDS:
                self._tried()
            case Phase.GATHERING if self._rounds >= CHECK_ROUNDS:
                self._checked()

    def _watched(self) -> None:
        if self._resting > 0:
            self._resting -= 1
        if self._rounds < BASELINE_ROUNDS:
            return
        if self._scatter < CLOSED_BELOW and not self._resting:
            self._baseline_per_s = self._items / self._span_s
            self._begin(Phase.TRYING)
        else:
            self._begin(Phase.WATCHING)

    def _tried(self) -> None:
        if self._pays():
            self._kept = 0
            self._begin(Phase.GATHERING)
        else:
            self._give_up()

    def _checked(self) -> None:
        self._kept += CHECK_ROUNDS
        if not self._pays():
            self._give_up()
        elif self._kept >= KEPT_ROUNDS:
            self._pause_rounds = FIRST_PAUSE_ROUNDS
            self._begin(Phase.WATCHING)
        else:
            self._begin(Phase.GATHERING)

    def _pays(self) -> bool:
        return self._items / self._span_s >= LEAST_GAIN * self._baseline_per_s

    def _give_up(self) -> None:
        self._resting = self._pause_rounds
        self._pause_rounds = min(2 * self._pause_rounds, LONGEST_PAUSE_ROUNDS)
        self._begin(Phase.WATCHING)

    def _begin(self, phase: Phase) -> None:
        self.phase = phase
        self._rounds = 0
        self._items = 0
        self._misses = 0.0
        self._span_s = 0.0
