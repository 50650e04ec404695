"""What every method is: a value that registers a pair when it is called."""

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, runtime_checkable

from inforeg.image import Image
from inforeg.methods.result import Result
from inforeg.transforms import Linear

Progress = Callable[[str, float], None]


@runtime_checkable
class Method(Protocol):
    """A way to register, with its settings: `method(fixed, moving) -> Result`, the same for the same seed."""

    name: ClassVar[str]
    """What users call it."""

    @property
    def init(self) -> str:
        """Where it starts when no start is given."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """Its settings, resolved, as a file holds them."""
        ...

    def __call__(
        self,
        fixed: Image,
        moving: Image,
        start: Linear | None = None,
        *,
        fixed_mask: Image | None = None,
        moving_mask: Image | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Registers `moving` to `fixed`; raises `PairError` where there is nothing to register."""
        ...
