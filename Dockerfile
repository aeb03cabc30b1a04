# The image of rproxy: docker build -t rproxy . (or hack/image.sh, which needs no registry).
#
# The base is a build argument, so that it can be pinned by digest or made by debootstrap. It must be
# Debian 12; it is not in the final image, which is the program, its libraries and CA certificates.
ARG BASE_IMAGE=debian:12-slim

FROM ${BASE_IMAGE} AS build
WORKDIR /src
# Only this script, so that the layer with the compilers outlives changes of the source.
COPY hack/install-deps.sh hack/
RUN hack/install-deps.sh --build && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY CMakeLists.txt ./
COPY hack/cmake hack/cmake
COPY pkg pkg
COPY cmd cmd
COPY hack/image-root.sh hack/
ARG SOURCE_DATE_EPOCH=0
ARG REVISION=unknown
RUN --mount=type=cache,target=/root/.cache/ccache \
    cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release -DRPROXY_BUILD_TESTS=OFF \
        -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DRPROXY_REVISION="${REVISION}" && \
    cmake --build /build --target rproxy && \
    hack/image-root.sh /build/bin/rproxy /image

# docker build --target test . runs the project's tests in the same environment.
FROM build AS test
RUN hack/install-deps.sh --test && apt-get clean && rm -rf /var/lib/apt/lists/*
COPY . .
RUN --mount=type=cache,target=/root/.cache/ccache hack/test.sh

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="rproxy" \
      org.opencontainers.image.description="HTTP reverse proxy and load balancer" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /image /
# By number: a pod with runAsNonRoot is refused when the user is a name.
USER 65532:65532
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/rproxy"]
CMD ["serve", "--config", "/etc/rproxy/rproxy.yaml"]
