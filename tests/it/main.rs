//! The integration tests of Watchfire, as one binary.

mod alarms;
mod battery;
mod cards;
mod cluster;
mod crash;
mod deploy;
mod direct;
mod disk;
mod docs;
mod drill;
mod durable;
mod fakes;
mod faults;
mod first_run;
mod import;
mod journey;
mod main_job;
mod openapi;
mod operations;
mod phones;
mod security;
mod storm;
mod support;
mod systemd;
mod traces;
mod transfer;
