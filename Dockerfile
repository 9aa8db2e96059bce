# The daemon, without a compiler and without root.
#   docker build -t syncd .
#   docker run --rm -p 127.0.0.1:2746:2746 -v syncd:/var/lib/syncd -v "$PWD/syncd.yaml":/etc/syncd/syncd.yaml:ro syncd
# In there syncd has to listen on 0.0.0.0, which wants listen.tokensFile: docs/running.md.
# The steps of this file outside of Docker: deploy/image.sh, which the tests run.

FROM python:3.12-slim-bookworm AS build
WORKDIR /build
COPY deploy/image.sh pyproject.toml README.md LICENSE ./
COPY syncd ./syncd
RUN sh ./image.sh /build /opt/syncd

FROM python:3.12-slim-bookworm
# git and ssh fetch; nothing here compiles
RUN apt-get update \
    && apt-get install --no-install-recommends --yes git openssh-client ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 65532 --create-home --home-dir /var/lib/syncd syncd
COPY --from=build /opt/syncd /opt/syncd
ENV PATH=/opt/syncd/bin:$PATH \
    SYNCD_STATE=/var/lib/syncd/state \
    PYTHONUNBUFFERED=1
USER 65532:65532
WORKDIR /var/lib/syncd
VOLUME /var/lib/syncd
EXPOSE 2746
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:2746/livez', timeout=4)"]
ENTRYPOINT ["syncd"]
CMD ["run", "-c", "/etc/syncd/syncd.yaml"]
