"""Classes of values that are made in great numbers, as every packet and every action is.

Type checkers take them for frozen, and nobody changes one. At run time nothing enforces that: making an
object of attrs.frozen takes three times as long, because each of its fields is set past its own guard.
"""

from functools import partial
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from attrs import frozen as value
else:
    value = partial(attrs.define, unsafe_hash=True)

__all__ = ["value"]
