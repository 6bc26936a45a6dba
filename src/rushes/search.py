"""Stand-in until the index lands."""


def asked(q: str) -> tuple[str, ...]:
    """Words."""
    return tuple(q.casefold().split())
