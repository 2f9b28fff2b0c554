"""Rates: a burst is fine, a flood is not."""

import time
from collections import OrderedDict


class Bucket:
    """Holds `burst` tokens and gets `rate` of them a second."""

    def __init__(self, burst: int, rate: float) -> None:
        self._burst, self._rate = burst, rate
        self._tokens, self._at = float(burst), time.monotonic()

    def wait(self) -> float:
        """Takes a token and returns 0, or leaves it and returns the seconds until there is one."""
        now = time.monotonic()
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        if self._tokens < 1:
            return (1 - self._tokens) / self._rate
        self._tokens -= 1
        return 0


class Buckets:
    """One bucket a caller, for those that were here last."""

    def __init__(self, burst: int, rate: float, most: int = 1000) -> None:
        self._burst, self._rate, self._most = burst, rate, most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def wait(self, caller: str) -> float:
        bucket = self._buckets.setdefault(caller, Bucket(self._burst, self._rate))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return bucket.wait()
