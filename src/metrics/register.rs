//! How metrics enter the registry.

use std::fmt::Debug;

use prometheus_client::encoding::EncodeMetric;
use prometheus_client::registry::{Metric, Registry, Unit};

/// Registers a metric and returns it.
pub fn series<M: Metric + EncodeMetric + Clone + Debug>(registry: &mut Registry, name: &str, help: &str, metric: M) -> M {
    registry.register(name, help, metric.clone());
    metric
}

/// The same for one that is measured in a unit, which its name gets as an ending.
pub fn measured<M: Metric + EncodeMetric + Clone + Debug>(registry: &mut Registry, name: &str, help: &str, unit: Unit, metric: M) -> M {
    registry.register_with_unit(name, help, unit, metric.clone());
    metric
}
