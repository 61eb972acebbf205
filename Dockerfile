# Two images from one file: `cpu` (no torch, a few hundred MB) and `gpu` (ONNX Runtime and, for native stems, PyTorch,
# on one set of CUDA libraries).
#   docker build --target cpu --tag harmonic:cpu .
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
RUN python -m venv /opt/harmonic
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Dependencies first: a change of the code does not fetch them again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir harmonic export service \
 && touch harmonic/__init__.py export/__init__.py service/__init__.py
RUN /opt/harmonic/bin/pip install --quiet --constraint constraints.txt ".[serve]"

FROM build AS build-cpu
RUN /opt/harmonic/bin/pip install --quiet --constraint constraints.txt ".[serve,cpu]"
COPY harmonic harmonic
COPY export export
COPY service service
RUN rm -rf build && /opt/harmonic/bin/pip install --quiet --no-deps --force-reinstall .

FROM ${BASE_IMAGE} AS runtime
RUN useradd --system --uid 10001 --no-create-home harmonic
ENV PATH=/opt/harmonic/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HARMONIC_SERVE_HOST=0.0.0.0 \
    HARMONIC_SERVE_PORT=8000 \
    HARMONIC_SERVE_REPOSITORY=/models
COPY models /models
USER 10001
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 CMD ["harmonic", "health"]
ENTRYPOINT ["harmonic"]
CMD ["serve"]

FROM runtime AS cpu
COPY --from=build-cpu /opt/harmonic /opt/harmonic

# Below the CPU image, so that a builder that works from top to bottom fetches no CUDA for it.
FROM build AS build-gpu
RUN /opt/harmonic/bin/pip install --quiet --constraint constraints.txt ".[serve,gpu,native]"
COPY harmonic harmonic
COPY export export
COPY service service
RUN rm -rf build && /opt/harmonic/bin/pip install --quiet --no-deps --force-reinstall .

FROM runtime AS gpu
COPY --from=build-gpu /opt/harmonic /opt/harmonic
ENV HARMONIC_SERVE_DEVICE=cuda NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
