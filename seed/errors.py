"""What can go wrong for whoever runs a command of seed.

Failed                 a command cannot do what it was asked; the message is for a person
├── UnreadableFile     not a file of this format at all: no header, or another one
├── FetchFailed        a day could not be had from NYC Open Data
├── PlanFailed         a plan run did not end well
├── BrokenPlan         a plan breaks rules of its problem; `violations` holds which
└── SimulationFailed   the API refused who plays by its rules, or the database was not empty
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from optimizer import Violation


class Failed(Exception):
    pass


class UnreadableFile(Failed):
    pass


class FetchFailed(Failed):
    pass


class PlanFailed(Failed):
    pass


class BrokenPlan(Failed):
    def __init__(self, name: str, violations: "tuple[Violation, ...]") -> None:
        lines = [f"{v.code}: {v.detail} (shift {v.shift}, visit {v.visit})" for v in violations]
        super().__init__(f"{name} breaks {len(violations)} rules:\n" + "\n".join(lines))
        self.violations = violations


class SimulationFailed(Failed):
    pass
