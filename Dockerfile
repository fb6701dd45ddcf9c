# Build: docker build -t watchfire --build-arg WATCHFIRE_REVISION=$(git rev-parse HEAD) .     Run: docker run -p 9091:80 watchfire
FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY Cargo.toml Cargo.lock build.rs ./
COPY .cargo .cargo
COPY src src
COPY templates templates
COPY routes.yaml routes.yaml
COPY README.md README.md
COPY docs/slack-app.yaml docs/feishu-app.json docs/dingtalk-app.txt docs/wecom-app.txt docs/telegram-app.txt docs/
# The commit for `watchfire --version` and `watchfire_build_info`; without it both leave it out.
ARG WATCHFIRE_REVISION=
RUN cargo build --profile dist --locked --bin watchfire
RUN mkdir -p /out/etc/watchfire /out/var/lib/watchfire /out/tmp \
 && cp target/dist/watchfire /out/watchfire \
 && cp routes.yaml /out/etc/watchfire/routes.yaml \
 && sed -i 's|^store: .*|store: sqlite:/var/lib/watchfire/watchfire.db|' /out/etc/watchfire/routes.yaml

# The binary needs glibc and nothing else: certificate roots and time zones are inside it.
FROM gcr.io/distroless/cc-debian12:nonroot
COPY --from=build --chown=65532:65532 /out/ /
USER 65532:65532
ENV WATCHFIRE_CONFIG=/etc/watchfire/routes.yaml WATCHFIRE_LISTEN=0.0.0.0:80 WATCHFIRE_LOG_FORMAT=json
VOLUME /var/lib/watchfire
EXPOSE 80
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/watchfire", "health"]
ENTRYPOINT ["/watchfire"]
CMD ["serve"]
