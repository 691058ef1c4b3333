"""What the hub says of a file: the commit behind a name, its size and its digest."""

import os
import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from app.catalog.hub_names import HubName, choose_file, models_among
from app.catalog.transfer import Origin, check_url
from app.config.sources import HubSource
from app.core.errors import PullFailed, PullRefused, SourceNotFound

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """`revision` is the commit, so that the origin always means the same bytes. `sha256` is None
    for the few files that the hub keeps without one."""

    origin: Origin
    revision: str | None
    size: int | None
    sha256: str | None


def resolve(source: HubSource, *, allows_http: bool) -> HubFile:
    """Ask the hub (`HF_ENDPOINT`, with `HF_TOKEN` where it is set). Blocks; raises PullFailed."""
    endpoint, token = _find_endpoint(allows_http=allows_http)
    place = f"{source.repository}/{source.file}@{source.revision}"
    with _explaining(place, endpoint) as library:

        def url_of(revision: str) -> str:
            names = source.repository, source.file
            return str(library.hf_hub_url(*names, revision=revision, endpoint=endpoint))

        found = library.get_hf_file_metadata(
            url_of(source.revision), token=token, endpoint=endpoint, retry_on_errors=True
        )
    digest = found.etag if found.etag and _SHA256.fullmatch(found.etag) else None
    secret = {"Authorization": f"Bearer {token}"} if token else {}
    origin = Origin(url_of(found.commit_hash or source.revision), secret, allows_http)
    return HubFile(origin, found.commit_hash, found.size, digest)


def list_files(repository: str, *, allows_http: bool) -> list[str]:
    """The files of a repository. Blocks; raises PullFailed."""
    endpoint, token = _find_endpoint(allows_http=allows_http)
    with _explaining(repository, endpoint) as library:
        api = library.HfApi(endpoint=endpoint, token=token)
        return [str(file) for file in api.list_repo_files(repository)]


def find_source(wanted: HubName, *, is_offline: bool, allows_http: bool) -> str:
    """The `hf://` source that a name means now. Asks the hub, and blocks; raises SourceNotFound,
    PullRefused or PullFailed."""
    if is_offline:
        raise PullRefused(
            f"{wanted.repository} is not looked up: LLM_OFFLINE is set.", param="model"
        )
    files = list_files(wanted.repository, allows_http=allows_http)
    file = choose_file(wanted, files)
    if file is not None:
        return f"{wanted.source}{file}"
    names = ", ".join(models_among(files)[:20])
    told = f"it has {names}" if names else "it has no GGUF file"
    meant = f" of {wanted.quant}" if wanted.quant is not None else ""
    raise SourceNotFound(f"There is no model{meant} in {wanted.repository}: {told}.", param="model")


def _find_endpoint(*, allows_http: bool) -> tuple[str, str | Literal[False]]:
    """The hub's address, and the token for it. Raises PullFailed for an address that is none."""
    endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or "https://huggingface.co"
    check_url(endpoint, allows_http=allows_http)
    return endpoint, os.environ.get("HF_TOKEN") or False


@contextmanager
def _explaining(place: str, endpoint: str) -> Generator[Any]:
    """The hub's library, whose errors become PullFailed; `place` is what it is asked for."""
    # half a second to import, and few starts need it
    import huggingface_hub  # noqa: PLC0415
    from huggingface_hub.errors import (  # noqa: PLC0415
        EntryNotFoundError,
        GatedRepoError,
        HfHubHTTPError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        yield huggingface_hub  # its types are not complete
    except GatedRepoError:
        raise PullFailed(
            f"{place}: its terms have to be accepted on {endpoint} first; then set HF_TOKEN."
        ) from None
    except RepositoryNotFoundError:
        raise PullFailed(
            f"{place}: there is no such repository, or it is private (HF_TOKEN opens it)."
        ) from None
    except RevisionNotFoundError:
        raise PullFailed(f"{place}: there is no such revision.") from None
    except EntryNotFoundError:
        raise PullFailed(f"{place}: the repository has no such file.") from None
    except HfHubHTTPError as error:
        raise PullFailed(f"{place}: the hub answered {error.response.status_code}.") from None
    except Exception as error:
        # the library's HTTP client and offline mode have errors of their own
        raise PullFailed(f"{place}: the hub cannot be asked: {error}") from error
