"""The browser UI's files: what is sent, how it is packed, and who may see it."""

import gzip
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.web.site import HEADERS, Site, read_site
from tests.unit.api.served import Served, serve

PAGE = b"<!doctype html><title>Corral</title>"
SCRIPT = b"console.log('hello')"
HTML = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
ASSET = "/assets/index-abc.js"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    (tmp_path / "assets").mkdir()
    (tmp_path / "index.html").write_bytes(PAGE)
    (tmp_path / "icon.svg").write_bytes(b"<svg/>")
    (tmp_path / "manifest.webmanifest").write_bytes(b"{}")
    script = tmp_path / "assets" / "index-abc.js"
    script.write_bytes(SCRIPT)
    script.with_name("index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    script.with_name("index-abc.js.br").write_bytes(b"as if it were brotli")
    return read_site(tmp_path)


def with_site(site: Site, api_key: SecretStr | None = None) -> Served:
    plain = serve(api_key=api_key)
    return Served(plain.pool, plain.options, site=site)


async def test_browsers_get_the_page_and_others_json(site: Site) -> None:
    served = with_site(site)
    page = await served.get("/", **HTML)
    assert (page.content, page.headers["content-type"]) == (PAGE, "text/html; charset=utf-8")
    for accept in ("*/*", "application/json"):
        answer = await served.get("/", accept=accept)
        assert answer.json()["name"] == "corral"
        assert "accept" in answer.headers["vary"]


async def test_every_file_has_strict_headers(site: Site) -> None:
    served = with_site(site)
    for path in ("/", ASSET, "/icon.svg", "/manifest.webmanifest", "/index.html"):
        response = await served.get(path, **HTML)
        assert response.status_code == 200, path
        assert HEADERS.items() <= dict(response.headers).items(), path
    policy = HEADERS["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy


async def test_what_has_a_digest_in_its_name_is_kept_for_ever(site: Site) -> None:
    served = with_site(site)
    assert "immutable" in (await served.get(ASSET)).headers["cache-control"]
    assert (await served.get("/icon.svg")).headers["cache-control"] == "no-cache"
    assert (await served.get("/", **HTML)).headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        ("gzip, deflate, br", "br"),
        ("gzip", "gzip"),
        ("br;q=0, gzip;q=0.5", "gzip"),
        ("identity", None),
        ("zstd", None),
    ],
)
async def test_files_are_packed_as_the_client_likes(site: Site, asked: str, sent: str) -> None:
    served = with_site(site)
    async with (
        served.client() as client,
        client.stream("GET", ASSET, headers={"accept-encoding": asked}) as response,
    ):
        body = b"".join([chunk async for chunk in response.aiter_raw()])
    assert response.headers.get("content-encoding") == sent
    expected = {None: SCRIPT, "gzip": gzip.compress(SCRIPT), "br": b"as if it were brotli"}
    assert body[10:] == expected[sent][10:]  # a gzip header has a time in it
    assert response.headers["content-type"] == "text/javascript; charset=utf-8"


async def test_a_file_that_is_known_is_not_sent_again(site: Site) -> None:
    served = with_site(site)
    tag = (await served.get("/icon.svg")).headers["etag"]
    again = await served.get("/icon.svg", **{"if-none-match": f'"other", {tag}'})
    assert (again.status_code, again.content) == (304, b"")


async def test_files_are_open_and_the_api_is_not(site: Site) -> None:
    served = with_site(site, SecretStr("k1"))
    for path in ("/", ASSET, "/icon.svg"):
        assert (await served.get(path, **HTML)).status_code == 200, path
    for path in ("/v1/models", "/admin/status", "/admin/requests", "/admin/settings"):
        assert (await served.get(path, **HTML)).status_code == 401, path


@pytest.mark.parametrize(
    "path",
    ["/assets/other.js", "/assets/..%2f..%2fsite.py", "/assets/../site.py", "/site.py", "/a.js.gz"],
)
async def test_nothing_else_is_a_file(site: Site, path: str) -> None:
    response = await with_site(site).get(path)
    assert response.status_code == 404
    assert response.json()["error"]["code"] == "route_not_found"


async def test_packed_files_are_not_files_of_their_own(site: Site) -> None:
    assert site.paths == {"/index.html", "/icon.svg", "/manifest.webmanifest", ASSET}


async def test_without_a_build_the_page_says_how_to_make_one() -> None:
    page = await serve().get("/", **HTML)
    assert page.status_code == 200
    assert "make ui" in page.text
    assert "make ui" in (await serve().get("/")).json()["ui"]
    assert (await serve().get("/v1/models")).status_code == 200


def test_a_directory_that_is_not_there_is_no_build(tmp_path: Path) -> None:
    assert not read_site(tmp_path / "dist").is_built
