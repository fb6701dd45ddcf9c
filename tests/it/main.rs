//! The integration tests of Watchfire, as one binary.

mod fakes;
mod support;
