"""Names of tools that stand in a namespace: the model knows them by one word."""

_JOINT = "__"


def join_name(namespace: str | None, name: str) -> str:
    return name if namespace is None else f"{namespace}{_JOINT}{name}"
