"""What a PromQL expression asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import promql_parser as parser
from promql_parser import MatchOp


@dataclass
class Use:
    """The metrics and labels that an expression names.

    ``matched``: by metric, the labels that its selectors look at, each with the values that they
    are compared with (a regular expression only if it is words with bars between).
    ``grouped``: labels in ``by``, ``on`` and the like, of whatever metric.
    """

    matched: dict[str, dict[str, set[str]]] = field(default_factory=dict)
    grouped: set[str] = field(default_factory=set)


def use(expression: str) -> Use:
    """What ``expression`` names. Raises ``ValueError`` if it is none."""
    found = Use()

    def visit(node: Any) -> None:
        if isinstance(node, parser.VectorSelector):
            assert node.name, f"{expression} selects without a name"
            labels = found.matched.setdefault(node.name, {})
            for matcher in node.matchers.matchers:
                labels.setdefault(matcher.name, set()).update(_values(matcher))
        elif isinstance(node, parser.AggregateExpr) and node.modifier:
            found.grouped.update(node.modifier.labels)
        elif isinstance(node, parser.BinaryExpr) and node.modifier and node.modifier.matching:
            found.grouped.update(node.modifier.matching.labels)

    parser.walk(parser.parse(expression), visit)
    return found


def _values(matcher: parser.Matcher) -> set[str]:
    if matcher.op in (MatchOp.Equal, MatchOp.NotEqual):
        return {matcher.value}
    words = matcher.value.split("|")
    return set(words) if all(word.replace("-", "").isalpha() for word in words) else set()
