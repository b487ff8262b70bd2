"""What wrk prints, and when that is no measurement."""

from __future__ import annotations

import pytest

from benchmarks.load import Load, read

SAID = """\
Running 3s test @ http://127.0.0.1:40001/clan-tiers
  1 threads and 64 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.61ms    1.02ms  31.51ms   89.31%
    Req/Sec    18.42k     1.11k   20.10k    73.33%
  Latency Distribution
     50%  640.00us
     75%    3.82ms
     90%    4.40ms
     99%    1.21s
  55203 requests in 3.01s, 61.02MB read
{extra}Requests/sec:  18340.21
Transfer/sec:     20.27MB
"""


def test_rate_and_times_are_read_whatever_their_unit() -> None:
    assert read(SAID.format(extra="")) == Load(18340.21, 0.64, 1210.0)


@pytest.mark.parametrize(
    "extra",
    [
        "  Non-2xx or 3xx responses: 3\n",
        "  Socket errors: connect 0, read 2, write 0, timeout 0\n",
        "  Socket errors: connect 64, read 0, write 0, timeout 0\n",
    ],
)
def test_failed_requests_are_no_measurement(extra: str) -> None:
    with pytest.raises(RuntimeError, match="Requests/sec"):
        read(SAID.format(extra=extra))


def test_slow_answers_are_one() -> None:
    extra = "  Socket errors: connect 0, read 0, write 0, timeout 7\n"
    assert read(SAID.format(extra=extra)).rate == 18340.21


def test_what_makes_no_sense_is_no_measurement() -> None:
    with pytest.raises(RuntimeError):
        read("unable to connect to 127.0.0.1:1 Connection refused\n")
