# syntax=docker/dockerfile:1
# A static binary and the CA certificates, nothing else. It runs as user 65532, with a read-only root: only the volume at
# /var/lib/promrelay is written.
#
#   docker build --build-arg VERSION=$(git describe --tags --always --dirty) --tag promrelay .
FROM --platform=$BUILDPLATFORM golang:1.26 AS build
ARG TARGETOS=linux
ARG TARGETARCH
ARG VERSION=dev
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X github.com/prometheus/common/version.Version=$VERSION" \
    -o /promrelay ./cmd/promrelay && mkdir /wal

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /src/LICENSE /LICENSE
COPY --from=build /promrelay /promrelay
COPY --from=build --chown=65532:65532 /wal /var/lib/promrelay
WORKDIR /var/lib/promrelay
VOLUME /var/lib/promrelay
USER 65532:65532
EXPOSE 9099
ENTRYPOINT ["/promrelay"]
CMD ["run", "--config.file=/etc/promrelay/promrelay.yml"]
