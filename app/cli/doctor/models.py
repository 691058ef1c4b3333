"""The models directory, and each model: is it whole, does it fit, how fast would it be."""

import os
import shutil
from collections.abc import Iterator

from app.catalog.entries import ModelEntry, read_catalog
from app.cli.doctor.finding import Finding, fail, ok, warn
from app.cli.doctor.footprint import Measurer
from app.cli.doctor.speed import estimate_speed, measure_bandwidth
from app.cli.table import write_size
from app.config.hardware import usable_cores
from app.config.settings import Settings
from app.core.errors import ConfigurationError
from app.llama import library
from app.pool.budget import decide_budget

_LITTLE_SPACE = 5 * 10**9
_SLOW, _FAST = 3, 10  # tokens in a second; people read about five


def check_directory(settings: Settings) -> Iterator[Finding]:
    folder, topic = settings.models_dir, "models dir"
    if not folder.is_dir():
        if "models_dir" in settings.model_fields_set:
            yield warn(topic, f"{folder} is not a directory", "make it, or set LLM_MODELS_DIR")
        else:
            yield ok(topic, f"{folder} is not there yet; `corral pull` makes it")
        return
    if not os.access(folder, os.R_OK | os.X_OK):
        yield fail(topic, f"{folder} cannot be read", f"give this user access: chmod u+rx {folder}")
        return
    free = shutil.disk_usage(folder).free
    text = f"{folder}, {write_size(free)} of disk free"
    if not os.access(folder, os.W_OK):
        fix = "give this user access, if it should: then models can be pulled and deleted"
        yield warn(topic, f"{folder} cannot be written", fix)
    elif free < _LITTLE_SPACE:
        yield warn(topic, text, "delete models (`corral rm`), or set LLM_MODELS_DIR elsewhere")
    else:
        yield ok(topic, text)


def check_models(settings: Settings) -> Iterator[Finding]:
    try:
        _, entries = read_catalog(settings.manifest, settings.models_dir)
    except ConfigurationError:  # told already: a server would not start
        return
    except OSError as error:
        yield fail("models", f"{error.filename}: {error.strerror}", "give this user access")
        return
    budget, bandwidth = decide_budget(settings), measure_bandwidth(usable_cores())
    text = f"{write_size(budget)} for models, read at {write_size(bandwidth)} a second"
    yield ok("budget", text)
    with Measurer(settings) as measurer:
        for entry in entries:
            yield _check_model(entry, settings, measurer, budget, bandwidth)


def _check_model(
    entry: ModelEntry, settings: Settings, measurer: Measurer, budget: int, bandwidth: float
) -> Finding:
    topic = f"model {entry.id}"
    if not entry.is_here:
        return warn(topic, "is not downloaded yet", f"corral pull {entry.id}")
    if entry.error is not None:
        fix = f"pull it again, or delete {entry.path}"
        return fail(topic, f"{entry.path.name}: {entry.error}", fix)
    needed = measurer.measure(entry)
    if needed is None:
        return fail(topic, f"llama.cpp crashes on {entry.path.name}", f"corral rm {entry.id}")
    if needed > budget:
        text = f"needs {write_size(needed)}, and {write_size(budget)} are there"
        fix = "a smaller LLM_CONTEXT_SIZE or LLM_KV_SIZE, LLM_KV_TYPE=q8_0, or a smaller file"
        return warn(topic, text, fix)
    return _tell_speed(entry, settings, topic, f"fits: {write_size(needed)}", bandwidth)


def _tell_speed(
    entry: ModelEntry, settings: Settings, topic: str, text: str, bandwidth: float
) -> Finding:
    if library.has_gpu() and settings.use_gpu != "off":
        return ok(topic, f"{text}, on the GPU")
    speed = estimate_speed(entry, bandwidth)
    told = f"{text}, at most about {speed:.0f} tokens a second by the memory's speed"
    if speed < _SLOW:
        return warn(topic, f"{told}: slow", "a smaller model or quantization, or a GPU")
    return ok(topic, f"{told}: {'fast' if speed >= _FAST else 'as fast as people read'}")
