"""Errors that a user can act on: every one names its class, the cause and the cure."""


class MmgenError(Exception):
    """Something the user can fix.

    Args:
        code: Snake-case error class that scripts can match, such as `image_truncated`.
        message: What is wrong, naming the file or key; one line.
        hint: What to do about it; one line.
    """

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(f"{message} ({code}). {hint}")
        self.code = code
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[type["MmgenError"], tuple[str, str, str]]:
        """Pickle all three fields, for errors that are sent between processes."""
        return type(self), (self.code, self.message, self.hint)


class ItemError(MmgenError):
    """One input failed; the others are unaffected. A run that meets only these exits with code 3."""


class FatalError(MmgenError):
    """Nothing can be done at all (no inputs, no weights, no device). The command exits with code 4."""
