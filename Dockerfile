# Build: docker build -t watchfire --build-arg WATCHFIRE_REVISION=$(git rev-parse HEAD) .     Run: docker run -p 127.0.0.1:9091:80 watchfire
# The build runs on the machine's own architecture and compiles for the image's: nothing is emulated.
FROM --platform=$BUILDPLATFORM rust:1.95-bookworm AS build
WORKDIR /src
ARG TARGETARCH
RUN case "$TARGETARCH" in \
      amd64) machine=x86_64 package=gcc-x86-64-linux-gnu ;; \
      arm64) machine=aarch64 package=gcc-aarch64-linux-gnu ;; \
      *) echo "there is no image for the architecture '$TARGETARCH'" >&2; exit 1 ;; \
    esac \
 && if [ "$(uname -m)" != "$machine" ]; then \
      apt-get update && apt-get install -y --no-install-recommends "$package" "libc6-dev-$TARGETARCH-cross" && rm -rf /var/lib/apt/lists/*; \
    fi \
 && rustup target add "$machine-unknown-linux-gnu" \
 && variable=CARGO_TARGET_$(echo "$machine" | tr a-z A-Z)_UNKNOWN_LINUX_GNU_LINKER \
 && echo "export CARGO_BUILD_TARGET=$machine-unknown-linux-gnu $variable=$machine-linux-gnu-gcc" >/target.sh
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
# The dependencies, of nothing but their list: a change of the sources does not build them again.
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs \
 && . /target.sh && cargo build --profile dist --locked --bin watchfire \
 && rm -r src
COPY src src
COPY templates templates
COPY routes.yaml routes.yaml
COPY README.md README.md
COPY docs/slack-app.yaml docs/feishu-app.json docs/dingtalk-app.txt docs/dingtalk-card.json docs/wecom-app.txt docs/wecom-bot.txt docs/telegram-app.txt docs/
# The commit for `watchfire --version` and `watchfire_build_info`; without it both leave it out.
ARG WATCHFIRE_REVISION=
# Files keep the times of the checkout, which may be before those of the empty sources above.
RUN touch src/lib.rs src/main.rs \
 && . /target.sh && cargo build --profile dist --locked --bin watchfire \
 && mkdir -p /out/etc/watchfire /out/var/lib/watchfire /out/tmp \
 && cp "target/$CARGO_BUILD_TARGET/dist/watchfire" /out/watchfire \
 && cp routes.yaml /out/etc/watchfire/routes.yaml \
 && sed -i 's|^store: .*|store: sqlite:/var/lib/watchfire/watchfire.db|' /out/etc/watchfire/routes.yaml

# The binary needs glibc and nothing else: certificate roots and time zones are inside it.
FROM gcr.io/distroless/cc-debian12:nonroot
ARG WATCHFIRE_REVISION=
LABEL org.opencontainers.image.title="Watchfire" \
      org.opencontainers.image.description="Alert delivery gateway: Alertmanager and Grafana webhooks in, e-mail, Slack, DingTalk, WeCom and more out, durable and explained" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.revision="$WATCHFIRE_REVISION"
COPY --from=build --chown=65532:65532 /out/ /
USER 65532:65532
ENV WATCHFIRE_CONFIG=/etc/watchfire/routes.yaml WATCHFIRE_LISTEN=0.0.0.0:80 WATCHFIRE_LOG_FORMAT=json
VOLUME /var/lib/watchfire
EXPOSE 80
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/watchfire", "health"]
ENTRYPOINT ["/watchfire"]
CMD ["serve"]
