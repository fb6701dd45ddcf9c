//! The integration tests of Watchfire, as one binary.

mod battery;
mod crash;
mod direct;
mod docs;
mod durable;
mod fakes;
mod first_run;
mod import;
mod journey;
mod main_job;
mod operations;
mod storm;
mod support;
mod systemd;
