//! Tests of the library as a whole.

mod agreement;
mod cases;
mod golden;
mod library;
