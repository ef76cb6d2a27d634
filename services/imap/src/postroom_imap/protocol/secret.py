"""A value that must not be shown."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secret:
    """Bytes of a credential: ``value`` gives them, ``repr`` and ``str`` do not."""

    value: bytes = field(repr=False)
