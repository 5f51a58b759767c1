"""How summaries name things, numbers and times; the template writes these words and the check of claims reads them."""

IRREGULAR = {"person": "people", "mouse": "mice", "knife": "knives", "sheep": "sheep", "skis": "skis", "scissors": "scissors", "broccoli": "broccoli"}
ENDINGS_WITH_ES = ("s", "x", "z", "ch", "sh")
NUMBERS = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
"""Numbers that are written as words: index = value."""
MINUTE_S = 60
HOUR_S = 3600


def plural(name: str) -> str:
    """The plural of a class name: people, buses, wine glasses."""
    head, _, last = name.rpartition(" ")
    if last in IRREGULAR:
        many = IRREGULAR[last]
    elif last.endswith(ENDINGS_WITH_ES):
        many = f"{last}es"
    elif last.endswith("y") and last[-2:-1] not in "aeiou":
        many = f"{last[:-1]}ies"
    else:
        many = f"{last}s"
    return f"{head} {many}".strip()


def number(value: int) -> str:
    """A count in words up to twelve, in digits above."""
    return NUMBERS[value] if 0 <= value < len(NUMBERS) else str(value)


def counted(value: int, name: str) -> str:
    """`three people`, `one bus`, `no dogs`."""
    return f"{number(value)} {name if value == 1 else plural(name)}"


def moment(at_s: float) -> str:
    """A time of the footage as a player shows it: 0:07, 12:30, 1:02:03; whole seconds, rounded down."""
    whole = int(at_s)
    minutes, seconds = divmod(whole, MINUTE_S)
    return f"{whole // HOUR_S}:{minutes % MINUTE_S:02d}:{seconds:02d}" if whole >= HOUR_S else f"{minutes}:{seconds:02d}"


def duration(seconds: float) -> str:
    """A length of time in words: `21 seconds`, `3 minutes 5 seconds`, `2 hours 10 minutes`."""
    whole = max(1, round(seconds))
    if whole < 2 * MINUTE_S:
        parts = [(whole, "second")]
    elif whole < HOUR_S:
        parts = [(whole // MINUTE_S, "minute"), (whole % MINUTE_S, "second")]
    else:
        parts = [(whole // HOUR_S, "hour"), (whole % HOUR_S // MINUTE_S, "minute")]
    return " ".join(f"{value} {name}{'' if value == 1 else 's'}" for value, name in parts if value)


def listed(parts: list[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def sentence(text: str) -> str:
    """The first letter made a capital, a full stop at the end."""
    return f"{text[:1].upper()}{text[1:]}." if text else ""
