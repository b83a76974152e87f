"""A name service for tests: answers from a table, in turn, and counts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from ipaddress import ip_address

from alphacut_server.fetch.address import Address
from alphacut_server.fetch.refusal import Cause, Refused


class TableResolver:
    """Knows the names of its table: each the answers to give one after the other, the last one for good."""

    def __init__(self, table: Mapping[str, Sequence[Sequence[str]]]) -> None:
        self._table = table
        self.asked: Counter[str] = Counter()

    async def resolve(self, host: str) -> Sequence[Address]:
        """Return the next answer. Raises Refused for unknown names."""
        answers = self._table.get(host)
        if answers is None:
            raise Refused(Cause.NOT_RESOLVED)
        turn = min(self.asked[host], len(answers) - 1)
        self.asked[host] += 1
        return [ip_address(text) for text in answers[turn]]
