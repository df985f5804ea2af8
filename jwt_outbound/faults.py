"""What is shown of a stranger's exception: its message, arguments and frames may hold a token."""

import traceback


def describe(error: BaseException) -> str:
    """Type and place of `error`, and nothing that it says."""
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    if last is None:
        return type(error).__name__
    return f"{type(error).__name__} at {last.tb_frame.f_code.co_filename}:{last.tb_lineno}"


def clear_frames_of(error: BaseException) -> None:
    """Empties the local variables of all finished frames of `error` and of those behind it."""
    seen: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        traceback.clear_frames(current.__traceback__)
        waiting += [current.__cause__, current.__context__]
