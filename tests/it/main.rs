//! The integration tests of Watchfire, as one binary.

mod crash;
mod direct;
mod docs;
mod durable;
mod fakes;
mod journey;
mod main_job;
mod support;
