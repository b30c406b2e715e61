//! What the gateway counts, in the text that Prometheus reads (OpenMetrics 1.0).

use std::fmt;
use std::sync::Arc;

use causeway_planner::StatementCache;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::registry::Registry;

/// The media type of [`Metrics::text`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything that is counted.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
}

impl Metrics {
    /// Those of one environment.
    pub(crate) fn new(environment: &str, statement_cache: Arc<StatementCache>) -> Self {
        let mut registry = Registry::with_prefix("causeway");
        registry.register_collector(Box::new(OfStatementCache { environment: environment.to_owned(), cache: statement_cache }));
        Self { registry }
    }

    /// All of it as of now.
    ///
    /// # Errors
    /// Never: a text takes everything.
    pub(crate) fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[derive(Debug)]
struct OfStatementCache {
    environment: String,
    cache: Arc<StatementCache>,
}

impl Collector for OfStatementCache {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let counts = self.cache.counts();
        let labels = [("environment", self.environment.as_str())];
        for (name, help, value) in [
            ("statement_cache_hits", "Statements whose plan was there", counts.hits),
            ("statement_cache_misses", "Statements that were planned", counts.misses),
        ] {
            let counter = ConstCounter::new(value);
            let mut family = encoder.encode_descriptor(name, help, None, counter.metric_type())?;
            counter.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
