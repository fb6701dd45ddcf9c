//! The default templates on the real platforms, and overrides of them. Here and not beside the templates, because those know no platform.

mod cases;
mod golden;
mod lines;
mod looks;
mod registry;
mod sms;
