"""Nothing is decorated."""


def build() -> None:
    print()
