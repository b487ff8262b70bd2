"""The reader of expressions sees what the other tests rely on."""

from __future__ import annotations

import pytest

from tests.monitoring.promql import use


def test_metrics_labels_and_values_are_found_wherever_they_stand() -> None:
    found = use(
        'sum by (name) (rate(wakes_total{outcome!="ready", at=~"a|half-open"}[5m])) > 0'
        ' unless on (job) (up{instance=~".+"} offset 5m or min without (le) (depth))'
    )
    assert found.matched == {
        "wakes_total": {"outcome": {"ready"}, "at": {"a", "half-open"}},
        "up": {"instance": set()},
        "depth": {},
    }
    assert found.grouped == {"name", "job", "le"}


def test_what_is_no_expression_is_refused() -> None:
    with pytest.raises(ValueError, match="unclosed"):
        use("sum(rate(up[5m])")
