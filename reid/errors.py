"""The one error that re-id code raises for what a user can mend; `mmgen` shows it as its own."""


class ReidError(Exception):
    """Something the user can fix.

    Args:
        code: snake-case class that scripts can match, such as `market_name`.
        message: what is wrong, naming the file or key; one line.
        hint: what to do about it; one line.
    """

    def __init__(self, code: str, message: str, hint: str) -> None:
        super().__init__(f"{message} ({code}). {hint}")
        self.code = code
        self.message = message
        self.hint = hint
