//! stub
use super::Judge;
use crate::route::Tree;
pub fn trials(_j: &mut Judge<'_, '_>, _t: &Tree) {}
