//! Tests of the library as a whole.

mod cases;
mod golden;
mod library;
mod agreement;
