//! What the integration tests share.

pub mod all;
pub mod app;
pub mod chromium;
pub mod fakes;
pub mod postgres;
pub mod presses;
pub mod skip;
pub mod turn;
pub mod wire;
