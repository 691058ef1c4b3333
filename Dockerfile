# Corral on the CPU. Build: docker build -t corral .
#
#   --build-arg NATIVE=1   compile for this machine's CPU instead of any x86-64 with AVX2
ARG BASE_IMAGE=python:3.12-slim-bookworm
ARG NODE_IMAGE=node:22-bookworm-slim

# --- The browser UI ------------------------------------------------------------------------------
FROM ${NODE_IMAGE} AS web
WORKDIR /web
COPY app/web/package.json app/web/package-lock.json app/web/.npmrc ./
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund
COPY app/web ./
RUN npm run build -- --logLevel warn

# --- Dependencies: compiled once, until requirements/ changes -------------------------------------
FROM ${BASE_IMAGE} AS dependencies

RUN apt-get update \
    && apt-get install -y --no-install-recommends g++ libc6-dev \
    && rm -rf /var/lib/apt/lists/*

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /build
COPY requirements/build.txt requirements/
RUN python3 -m venv tools \
    && tools/bin/pip install -q --require-hashes -r requirements/build.txt

COPY scripts/install.py scripts/
COPY requirements/runtime.txt requirements/
ARG NATIVE=0
ARG CMAKE_ARGS=""
RUN if [ "$NATIVE" = 1 ]; then cpu="-DGGML_NATIVE=ON"; \
    else cpu="-DGGML_NATIVE=OFF -DGGML_AVX=ON -DGGML_AVX2=ON -DGGML_FMA=ON -DGGML_F16C=ON -DGGML_BMI2=ON"; fi \
    && CMAKE_ARGS="$cpu $CMAKE_ARGS" \
       tools/bin/python scripts/install.py requirements/runtime.txt --wheels wheels

# The environment that is shipped has no pip and no build tools. llama-cpp-python installs its
# libraries twice; the copy outside its package is not used.
RUN python3 -m venv --without-pip /opt/corral \
    && tools/bin/pip --python /opt/corral/bin/python install -q --no-index --no-deps wheels/*.whl \
    && cd /opt/corral/lib/python3*/site-packages \
    && rm -rf bin lib include \
    && find . -type d -name tests -prune -exec rm -rf {} +

# --- Corral itself, as files to lay over the environment -----------------------------------------
FROM dependencies AS project
COPY CHANGELOG.md LICENSE README.md pyproject.toml ./
COPY app app
COPY --from=web /web/dist app/web/dist
RUN tools/bin/pip wheel -q --no-deps --no-build-isolation -w project . \
    && tools/bin/pip --python /opt/corral/bin/python install -q --no-index --no-deps \
       --root /overlay project/*.whl

# --- What runs -----------------------------------------------------------------------------------
FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="Corral" \
      org.opencontainers.image.description="An OpenAI-compatible inference service for GGUF models on llama.cpp" \
      org.opencontainers.image.licenses="MIT"

RUN apt-get update \
    && apt-get install -y --no-install-recommends libgomp1 \
    && apt-get clean && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 corral \
    && useradd --uid 10001 --gid 10001 --home-dir /models --no-create-home --shell /usr/sbin/nologin corral \
    && install -d -o corral -g corral /models

COPY --from=dependencies /opt/corral /opt/corral
COPY --from=project /overlay /

# A models.yaml in the volume is found there, because it is the working directory.
ENV PATH=/opt/corral/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    GLIBC_TUNABLES=glibc.malloc.hugetlb=1 \
    LLM_HOST=0.0.0.0 \
    LLM_SERVER_PORT=11434 \
    LLM_MODELS_DIR=/models
USER 10001:10001
WORKDIR /models
VOLUME /models
EXPOSE 11434
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s --retries=3 \
    CMD ["python3", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ['LLM_SERVER_PORT'] + '/readyz', timeout=2)"]
ENTRYPOINT ["corral", "serve"]
