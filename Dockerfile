# Two images from one file: `cpu` (no torch, about 300 MB) and `gpu` (ONNX Runtime and, for native stems, PyTorch,
# on one set of CUDA libraries).
#   docker build --target cpu --tag harmonic:cpu .
#   docker build --target cpu --build-arg EXTRAS=heic,otel --tag harmonic:cpu .   with HEIC photographs and spans
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
# Without pip of its own: the base's fills it, and nothing in the image installs anything.
RUN python -m venv --without-pip /opt/harmonic
# Dependencies first: a change of the code does not fetch them again.
COPY pyproject.toml constraints.txt README.md LICENSE ./
RUN mkdir harmonic export service \
 && touch harmonic/__init__.py export/__init__.py service/__init__.py
RUN pip --python /opt/harmonic/bin/python install --quiet --constraint constraints.txt ".[serve]"

FROM build AS build-cpu
ARG EXTRAS=
RUN pip --python /opt/harmonic/bin/python install --quiet --constraint constraints.txt ".[serve,cpu${EXTRAS:+,$EXTRAS}]"
COPY harmonic harmonic
COPY export export
COPY service service
RUN rm -rf build && pip --python /opt/harmonic/bin/python install --quiet --no-deps --force-reinstall .
# What no service loads: tests, headers and stubs of libraries, tools that make models, and ONNX Runtime's C library,
# which its Python module holds a second time.
RUN cd /opt/harmonic/lib/python3*/site-packages \
 && find . -type d \( -name tests -o -name include \) -prune -exec rm -r {} + \
 && find . -type f \( -name '*.pyi' -o -name '*.pxd' -o -name '*.a' \) -delete \
 && rm -rf numpy/distutils numpy/f2py onnxruntime/quantization onnxruntime/tools onnxruntime/transformers \
 && rm -f onnxruntime/capi/libonnxruntime.so*

# What deletes in a layer of its own frees nothing, so the root is trimmed here and then copied as one layer.
# Licences stay: of each package's documents its `copyright` is kept. Python's own library comes without byte code in
# some bases; compiled here, or every start would do it again.
FROM ${BASE_IMAGE} AS trimmed
RUN useradd --system --uid 10001 --no-create-home harmonic \
 && find /usr/share/doc ! -type d ! -name copyright -delete \
 && cd "$(python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
 && rm -rf ensurepip idlelib lib2to3 test tkinter turtledemo \
    $(command -v pip)* $(python -c 'import site; print(*site.getsitepackages())') \
    /usr/share/info /usr/share/locale /usr/share/man /usr/share/python-wheels \
    /var/cache/apt /var/cache/debconf/*-old /var/lib/apt/lists /var/log/*.log /var/log/apt \
 && python -m compileall -q .

FROM scratch AS runtime
COPY --from=trimmed / /
ENV PATH=/opt/harmonic/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    LANG=C.UTF-8 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    ORT_DISABLE_TELEMETRY=1 \
    HARMONIC_CACHE=/tmp/harmonic \
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
ARG EXTRAS=
RUN pip --python /opt/harmonic/bin/python install --quiet --constraint constraints.txt \
    ".[serve,gpu,native${EXTRAS:+,$EXTRAS}]"
COPY harmonic harmonic
COPY export export
COPY service service
RUN rm -rf build && pip --python /opt/harmonic/bin/python install --quiet --no-deps --force-reinstall .

FROM runtime AS gpu
COPY --from=build-gpu /opt/harmonic /opt/harmonic
ENV HARMONIC_SERVE_DEVICE=cuda NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
