# Daily commands: `just` lists them.

default:
    @just --list --unsorted

# Build quickly and serve routes.yaml
run *args:
    cargo run --release -- {{args}}

# Does it compile, tests included
check:
    cargo check --tests

# Rules about the code: floors, sizes, cycles, words
rules:
    cargo test --test architecture

# Unit tests of one module: just unit store::
unit filter:
    cargo test --lib {{filter}}

# Integration tests of one file: just it battery::
it filter:
    cargo test --test it {{filter}}

# The model test with one seed, or with many: just model 17; just model-many 200
model seed:
    WATCHFIRE_SEED={{seed}} cargo test --lib delivery::model -- --nocapture

model-many rounds:
    WATCHFIRE_ROUNDS={{rounds}} cargo test --lib delivery::model

# Rewrite everything generated: reference, schema, tables, expected findings, snapshots, exceptions
update:
    UPDATE=1 INSTA_UPDATE=always cargo test --locked

# Format and lint
lint:
    cargo fmt
    cargo clippy --all-targets --locked -- -D warnings

# Licences, bans and sources of dependencies
deny:
    cargo deny check licenses bans sources

# The gate, and what is run before an issue is closed
gate:
    .ci/run

long *steps:
    .ci/long {{steps}}

# What is shipped
dist:
    cargo build --profile dist --locked
