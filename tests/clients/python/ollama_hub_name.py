"""Pulls the model that the command line names, uses it and deletes it, with Ollama's own client.

Prints what it saw as JSON. Not a test by itself: it needs a server whose hub is on this machine.
"""

import json
import os
import sys

from ollama import Client, ResponseError

NAME = sys.argv[1]
ASKED = [{"role": "user", "content": "What is the capital of France?"}]
OPTIONS = {"temperature": 0, "num_predict": 24}

client = Client(os.environ["CORRAL_URL"].removesuffix("/v1"))
pulled = list(client.pull(NAME, stream=True))
answer = client.chat(NAME, messages=ASKED, options=OPTIONS)
shown = client.show(NAME)
saw = {
    "pulled": [part.status for part in pulled],
    "total": max(part.total or 0 for part in pulled),
    "completed": max(part.completed or 0 for part in pulled),
    "model": answer.model,
    "answer": answer.message.content,
    "generated": client.generate(NAME, "Hello", options=OPTIONS).response,
    "family": shown.details.family,
    "quantization": shown.details.quantization_level,
    "listed": [model.model for model in client.list().models],
    "running": [model.model for model in client.ps().models],
    "deleted": client.delete(NAME).status,
    "left": [model.model for model in client.list().models],
}
try:
    client.show(NAME)
except ResponseError as error:
    saw["gone"] = error.status_code
print(json.dumps(saw))
