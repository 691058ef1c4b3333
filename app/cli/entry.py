"""Where the `corral` command begins."""

from app.cli import main
from app.cli.hugepages import begin_soon_with_huge_pages


def begin() -> None:
    begin_soon_with_huge_pages()
    main()
