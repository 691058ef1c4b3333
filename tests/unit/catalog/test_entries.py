"""The catalog: what is served, under which name, and what stands in the way."""

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from app.catalog import verify
from app.catalog.entries import BUILTIN_PATH, ModelEntry, build_catalog
from app.catalog.verify import Verifier
from app.config.manifest import Manifest, read_manifest
from app.core.errors import ConfigurationError, ModelLoadFailed
from scripts.make_gguf import write_projector, write_tiny_llama


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("gguf") / "tiny.gguf"
    write_tiny_llama(path)
    return path


def manifest(**content: object) -> Manifest:
    return Manifest.model_validate({"builtin": False, **content})


def place(tiny: Path, folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(tiny, path)


def digest_and_size(path: Path) -> tuple[str, int]:
    content = path.read_bytes()
    return hashlib.sha256(content).hexdigest(), len(content)


def names(catalog: tuple[ModelEntry, ...]) -> list[str]:
    return [entry.id for entry in catalog]


def test_files_are_found_by_path(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "b.gguf", "a/c.Q4_0.gguf", "mmproj-b.gguf", "notes.txt")
    catalog = build_catalog(manifest(), tmp_path, tmp_path)
    assert names(catalog) == ["a/c.Q4_0", "b"]
    assert catalog[0].header is not None
    assert catalog[0].size == tiny.stat().st_size


def test_what_is_no_file_or_has_no_name_is_left_out(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "good.gguf")
    (tmp_path / "folder.gguf").mkdir()
    (tmp_path / "gone.gguf").symlink_to(tmp_path / "absent")
    shutil.copy(tiny, tmp_path / os.fsdecode(b"\xff.gguf"))
    assert names(build_catalog(manifest(), tmp_path, tmp_path)) == ["good"]


def test_a_model_in_parts_is_one_entry(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    (entry,) = build_catalog(manifest(), tmp_path, tmp_path)
    assert (entry.id, len(entry.paths)) == ("m", 2)
    assert entry.size == 2 * tiny.stat().st_size
    # these are not real parts: the header says that the model is whole
    assert entry.error == "is one of 1 parts, but its name does not say which"


def test_a_missing_part_is_told(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "m-00001-of-00002.gguf")
    (entry,) = build_catalog(manifest(), tmp_path, tmp_path)
    assert entry.error == "part m-00002-of-00002.gguf: cannot be read: No such file or directory"


def test_the_manifest_comes_first_and_claims_its_files(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf", "y.gguf", "z.gguf")
    model = {"id": "mine", "source": "x.gguf", "aliases": ["z"], "sampling": {"top_k": 5}}
    given = manifest(models=[model], defaults={"context_window": 99, "sampling": {"min_p": 0.1}})
    catalog = build_catalog(given, tmp_path, tmp_path)
    assert names(catalog) == ["mine", "y"]
    assert catalog[0].sampling == {"min_p": 0.1, "top_k": 5}
    assert catalog[1].sampling == {"min_p": 0.1}
    assert [entry.context_window for entry in catalog] == [99, 99]


def test_damaged_files_stay_with_their_reason(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "good.gguf")
    (tmp_path / "bad.gguf").write_bytes(tiny.read_bytes()[:1000])
    bad, good = build_catalog(manifest(), tmp_path, tmp_path)
    assert bad.error is not None
    assert bad.error.startswith("cut short")
    assert good.error is None


def test_mistakes_that_end_the_start(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf", "m-00001-of-00002.gguf", "m-00002-of-00002.gguf")
    absent = tmp_path / "none"

    def refused(**model: object) -> str:
        with pytest.raises(ConfigurationError) as caught:
            build_catalog(manifest(models=[{"id": "a", **model}]), tmp_path, absent)
        return caught.value.message

    assert refused(source="q.gguf") == f"model a: there is no file {tmp_path / 'q.gguf'}"
    template = refused(source="x.gguf", chat_template="t.jinja")
    assert template.endswith(f"{tmp_path / 't.jinja'} cannot be read: No such file or directory")
    unknown = refused(source="x.gguf", chat_template="rag")
    assert "models[0].chat_template: there is no template 'rag'" in unknown
    assert "one file" in refused(source="m-00001-of-00002.gguf", sha256="0" * 64)
    with pytest.raises(ConfigurationError, match="no models to serve"):
        build_catalog(manifest(), tmp_path, absent)


def test_a_template_is_a_name_a_file_or_text(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf")
    (tmp_path / "t.jinja").write_text("{{ messages }}")
    (tmp_path / "plain").write_text("Hi")

    def chosen(text: str) -> tuple[str | None, str | None]:
        model = {"id": "a", "source": "x.gguf", "chat_template": text, "system_prompt": "Hm"}
        (entry,) = build_catalog(manifest(models=[model]), tmp_path, tmp_path)
        assert entry.system_prompt == "Hm"
        return entry.chat_template, entry.chat_template_name

    assert chosen("t.jinja") == ("{{ messages }}", None)
    assert chosen("./plain") == ("Hi", None)
    assert chosen("{{ x }}") == ("{{ x }}", None)
    assert chosen("chatml") == (None, "chatml")


def test_a_template_mistake_names_file_line_and_key(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf")
    path = tmp_path / "models.yaml"
    path.write_text("models:\n  - id: a\n    source: x.gguf\n    chat_template: tool_use\n")
    with pytest.raises(ConfigurationError) as caught:
        build_catalog(read_manifest(path), tmp_path, tmp_path)
    assert caught.value.message.startswith(f"{path}:4: models[0].chat_template: there is no")


@pytest.mark.skipif(not BUILTIN_PATH.is_file(), reason="the built-in model is not built")
def test_the_builtin_model_is_there_unless_refused(tmp_path: Path) -> None:
    assert names(build_catalog(Manifest(), tmp_path, tmp_path)) == ["corral-tiny"]
    renamed = manifest(models=[{"id": "mine", "source": "builtin://corral-tiny"}])
    (entry,) = build_catalog(renamed, tmp_path, tmp_path)
    assert (entry.id, entry.path) == ("mine", BUILTIN_PATH)


async def test_digest_and_size_are_checked(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf")
    digest, size = digest_and_size(tiny)

    def entry(**more: object) -> ModelEntry:
        model = {"id": "a", "source": "x.gguf", **more}
        return build_catalog(manifest(models=[model]), tmp_path, tmp_path)[0]

    verifier = Verifier()
    await verifier.verify(entry(sha256=digest.upper(), size=size))
    with pytest.raises(ModelLoadFailed, match=f"SHA-256 is {digest}, the manifest says 000"):
        await verifier.verify(entry(sha256="0" * 64))
    with pytest.raises(ModelLoadFailed, match="the manifest says 5"):
        await verifier.verify(entry(size=5))


async def test_a_file_is_hashed_once_until_it_changes(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(tiny, tmp_path, "x.gguf")
    hashed: list[Path] = []

    def count(path: Path, is_stopped: Callable[[], bool]) -> str:
        hashed.append(path)
        return "0" * 64

    monkeypatch.setattr(verify, "_hash", count)
    model = {"id": "a", "source": "x.gguf", "sha256": "0" * 64}
    (entry,) = build_catalog(manifest(models=[model]), tmp_path, tmp_path)
    verifier = Verifier()
    await verifier.verify(entry)
    await verifier.verify(entry)
    assert len(hashed) == 1
    with entry.path.open("ab") as file:
        file.write(b"x")
    await verifier.verify(entry)
    assert len(hashed) == 2


async def test_hashing_can_be_stopped(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf")
    model = {"id": "a", "source": "x.gguf", "sha256": "0" * 64}
    (entry,) = build_catalog(manifest(models=[model]), tmp_path, tmp_path)
    with pytest.raises(ModelLoadFailed, match="stopped"):
        await Verifier().verify(entry, lambda: True)


async def test_a_draft_is_checked_like_its_model(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf", "d.gguf")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF")
    digest, _ = digest_and_size(tiny)

    def entry(**draft: object) -> ModelEntry:
        model = {"id": "a", "source": "x.gguf", "speculation": "model", "draft": draft}
        given = manifest(models=[model], defaults={"speculation": "ngram", "draft_tokens": 6})
        return build_catalog(given, tmp_path, tmp_path / "none")[0]

    whole = entry(source="d.gguf", sha256=digest.upper())
    assert whole.draft is not None
    assert (whole.draft.path, whole.draft.id) == (tmp_path / "d.gguf", "a (draft)")
    assert (whole.speculation, whole.draft_tokens) == ("model", 6)
    await Verifier().verify(whole)
    with pytest.raises(ModelLoadFailed, match=rf"d\.gguf cannot be used: its SHA-256 is {digest}"):
        await Verifier().verify(entry(source="d.gguf", sha256="0" * 64))
    with pytest.raises(ConfigurationError, match=r"model a \(draft\): there is no file"):
        entry(source="absent.gguf")
    damaged = entry(source="broken.gguf")
    assert (damaged.error or "").startswith("its draft broken.gguf ")
    with pytest.raises(ModelLoadFailed, match=r"its draft broken\.gguf "):
        await Verifier().verify(damaged)


async def test_a_projector_goes_with_its_model(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf")
    digest, _ = digest_and_size(write_projector(tmp_path / "mmproj-x.gguf"))

    def entry(**projector: object) -> ModelEntry:
        model = {"id": "a", "source": "x.gguf", "projector": projector}
        return build_catalog(manifest(models=[model]), tmp_path, tmp_path / "none")[0]

    whole = entry(source="mmproj-x.gguf", sha256=digest)
    assert whole.error is None
    assert [one.path.name for one in whole.companions] == ["mmproj-x.gguf"]
    await Verifier().verify(whole)
    with pytest.raises(ModelLoadFailed, match=r"mmproj-x\.gguf cannot be used: its SHA-256"):
        await Verifier().verify(entry(source="mmproj-x.gguf", sha256="0" * 64))
    assert entry(source="x.gguf").error == "its projector x.gguf is no image projector"
    assert not entry(source="hf://maker/model/mmproj-x.gguf").is_here


def test_the_defaults_say_who_guesses(tiny: Path, tmp_path: Path) -> None:
    place(tiny, tmp_path, "x.gguf")
    (entry,) = build_catalog(manifest(defaults={"speculation": "ngram"}), tmp_path, tmp_path)
    assert (entry.speculation, entry.draft_tokens, entry.draft) == ("ngram", None, None)
