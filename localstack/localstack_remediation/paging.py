"""A page of a list. The token is the place of the first item that did not fit."""

from collections.abc import Sequence

from . import settings


def page(
    items: Sequence, token: str | None, size: int | None, account: str, prefix: str = "page-"
) -> tuple[Sequence, str | None]:
    """(the page, the token of the next one). Raises ValueError for a token that this did not make."""
    start = 0
    if token:
        if not token.startswith(prefix):
            raise ValueError(token)
        start = int(token.removeprefix(prefix))
    sizes = [each for each in (size, settings.of(account).page_size) if each]
    end = start + min(sizes) if sizes else len(items)
    return items[start:end], f"{prefix}{end}" if end < len(items) else None
