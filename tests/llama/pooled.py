"""What llama.cpp itself makes of a whole input in one batch, by its own defaults."""

from app.llama.bindings import float_rows, lib
from app.llama.model import Model


def pool(model: Model, tokens: list[int], count: int) -> list[float]:
    """`count` numbers: the vector as the model declares that it is pooled, or a score."""
    params = lib.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = 512
    params.embeddings = True
    params.n_threads = params.n_threads_batch = 1
    context = lib.llama_init_from_model(model.handle, params)
    batch = lib.llama_batch_init(512, 0, 1)
    for i, token in enumerate(tokens):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.logits[i] = token, i, 1, 1
        batch.seq_id[i][0] = 0
    batch.n_tokens = len(tokens)
    assert lib.llama_decode(context, batch) == 0
    found = float_rows(lib.llama_get_embeddings_seq(context, 0), 1, count)[0].tolist()
    lib.llama_batch_free(batch)
    lib.llama_free(context)
    return found
