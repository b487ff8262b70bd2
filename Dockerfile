# The gateway's image: what is pinned, the project, and nothing that builds. No BuildKit needed.
ARG PYTHON_IMAGE=python:3.12-slim

FROM ${PYTHON_IMAGE} AS build
WORKDIR /build
RUN python3 -m venv tools && python3 -m venv --without-pip /opt/drawbridge
COPY requirements/build.txt requirements/run.txt requirements/
# The tools' pip fills the other environment, which so has no pip of its own to carry along.
RUN tools/bin/pip install --no-cache-dir --require-hashes --requirement requirements/build.txt \
    && tools/bin/pip --python /opt/drawbridge/bin/python3 install --no-cache-dir \
        --require-hashes --requirement requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY app app
RUN tools/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir wheels . \
    && tools/bin/pip --python /opt/drawbridge/bin/python3 install --no-cache-dir \
        --no-index --no-deps wheels/*.whl

FROM ${PYTHON_IMAGE}
RUN groupadd --gid 10001 drawbridge \
    && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home \
        --shell /usr/sbin/nologin drawbridge \
    && install --directory --owner 10001 --group 10001 /data
COPY --from=build /opt/drawbridge /opt/drawbridge
ENV PATH=/opt/drawbridge/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data
# By number, so that an orchestrator can see that this is not root.
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
# http.client, because urllib would follow a proxy of the environment even to ourselves.
HEALTHCHECK --interval=10s --timeout=5s --start-period=15s --retries=3 \
    CMD ["python3", "-c", "import http.client, sys; c = http.client.HTTPConnection('127.0.0.1', 8000, timeout=4); c.request('GET', '/health/live'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["drawbridge"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
