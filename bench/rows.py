# SPDX-License-Identifier: GPL-2.0-or-later
"""
What was measured: rows beside what they are compared with, their bounds, and
how they are shown and kept. No row is a time.
"""

from dataclasses import dataclass, field
from typing import Dict, List, Optional, Tuple


@dataclass(frozen=True)
class Row:
    """One @value, and what it may be @bound times of, if it is known."""

    name: str
    reference: Optional[float]
    value: float
    bound: Optional[float] = None

    @property
    def ratio(self) -> Optional[float]:
        """Of what is measured by what it is compared with."""
        if self.reference is None:
            return None
        if not self.reference:
            return 1.0 if not self.value else float('inf')
        return self.value / self.reference

    @property
    def is_worse(self) -> bool:
        """Is it above its bound, as precisely as a ratio is shown?"""
        return (self.ratio is not None and self.bound is not None and
                round(self.ratio, 2) > self.bound)


@dataclass
class Table:
    """Rows with one @title, of which all have one bound."""

    title: str
    reference: str      # what stands in that column
    value: str
    bound: Optional[float] = None
    rows: List[Row] = field(default_factory=list)

    def add(self, name: str, reference: Optional[float],
            value: float) -> None:
        """Add a row."""
        self.rows.append(Row(name, reference, value, self.bound))

    def worse(self) -> List[str]:
        """Names of the rows that are above their bound."""
        return [f'{self.title}: {row.name}' for row in self.rows
                if row.is_worse]

    def text(self) -> str:
        """What a person reads."""
        bound = '' if self.bound is None else f'  at most {self.bound}'
        lines = [f'{self.title}',
                 f'{"":32}{self.reference:>12}{self.value:>12}{"ratio":>8}'
                 f'{bound}']
        for row in self.rows:
            there = '' if row.reference is None else f'{row.reference:.0f}'
            ratio = '' if row.ratio is None else f'{row.ratio:.2f}'
            line = f'{row.name:32}{there:>12}{row.value:12.0f}{ratio:>8}'
            lines.append(line.rstrip() + ('  WORSE' if row.is_worse else ''))
        return '\n'.join(lines)


@dataclass(frozen=True)
class Curve:
    """What something costs, by how many of something there are."""

    label: str
    points: List[Tuple[int, float]]


@dataclass(frozen=True)
class Bar:
    """Calls of the host per MiB, by their names."""

    label: str
    calls: Dict[str, float]


def as_json(tables: List[Table], curves: List[Curve],
            bars: List[Bar]) -> Dict[str, object]:
    """What is kept of a run."""
    return {
        'rows': [{
            'table': table.title, 'row': row.name,
            table.reference: (None if row.reference is None
                              else round(row.reference)),
            table.value: round(row.value),
            'ratio': None if row.ratio is None else round(row.ratio, 3),
            'bound': row.bound, 'worse': row.is_worse,
        } for table in tables for row in table.rows],
        'instructions for an invalidation, by other devices': {
            curve.label: {devices: round(count)
                          for devices, count in curve.points}
            for curve in curves},
        'calls of the host per MiB': {bar.label: bar.calls for bar in bars},
    }
