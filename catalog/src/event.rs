//! Events: what happened to whom, numbered without gaps per environment, in the form of CloudEvents 1.0.

use std::time::SystemTime;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::moment;

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EventType {
    /// A remote table is not what it was expected to be; confirmed by a second look.
    SchemaDrift,
    /// It is again, or what it is now was accepted.
    SchemaDriftResolved,
    /// A datasource's tables were read anew and differ from before; what is published follows.
    CatalogRefreshed,
    /// A remote table was imported, or imported again.
    TableImported,
    /// An imported table is not published any more.
    TableDropped,
    /// A statement was sent to a source and ended.
    QueryExecuted,
    /// A datasource was opened for the first time.
    DatasourceStarted,
    /// A datasource was closed in order.
    DatasourceStopped,
    /// A datasource does not answer.
    DatasourceFailed,
    /// A datasource answers again.
    DatasourceRecovered,
    /// A webhook said that it wants no events any more, and is sent none.
    WebhookDisabled,
    /// A webhook that was disabled is sent events again, from where it was.
    WebhookEnabled,
}

impl EventType {
    /// All there are.
    pub const ALL: [EventType; 12] = [
        EventType::SchemaDrift,
        EventType::SchemaDriftResolved,
        EventType::CatalogRefreshed,
        EventType::TableImported,
        EventType::TableDropped,
        EventType::QueryExecuted,
        EventType::DatasourceStarted,
        EventType::DatasourceStopped,
        EventType::DatasourceFailed,
        EventType::DatasourceRecovered,
        EventType::WebhookDisabled,
        EventType::WebhookEnabled,
    ];

    /// The word consumers see.
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::SchemaDrift => "external.schema.drift",
            EventType::SchemaDriftResolved => "external.schema.drift.resolved",
            EventType::CatalogRefreshed => "external.catalog.refreshed",
            EventType::TableImported => "external.table.imported",
            EventType::TableDropped => "external.table.dropped",
            EventType::QueryExecuted => "external.query.executed",
            EventType::DatasourceStarted => "datasource.started",
            EventType::DatasourceStopped => "datasource.stopped",
            EventType::DatasourceFailed => "datasource.failed",
            EventType::DatasourceRecovered => "datasource.recovered",
            EventType::WebhookDisabled => "webhook.disabled",
            EventType::WebhookEnabled => "webhook.enabled",
        }
    }
}

/// An event on its way into the log, which gives it its id, number and time.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// What happened.
    pub kind: EventType,
    /// The datasource it happened to.
    pub datasource: Option<String>,
    /// What of it, such as a remote table.
    pub subject: Option<String>,
    /// Whoever made it happen; `None` is the gateway itself.
    pub actor: Option<String>,
    /// The particulars.
    pub data: Value,
}

/// An event of the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its number: one more than that of the event before it in its environment.
    pub sequence: i64,
    /// Its id, the same wherever and however often it is delivered.
    pub id: Uuid,
    /// What happened: a word of [`EventType`], or one that an older version wrote.
    pub kind: String,
    /// The environment it belongs to.
    pub environment: String,
    /// The datasource it happened to.
    pub datasource: Option<String>,
    /// What of it.
    pub subject: Option<String>,
    /// When it was written.
    pub time: SystemTime,
    /// Whoever made it happen.
    pub actor: Option<String>,
    /// The particulars.
    pub data: Value,
}

impl Event {
    /// Where it happened, as a path.
    pub fn source(&self) -> String {
        match &self.datasource {
            Some(datasource) => format!("/environments/{}/datasources/{datasource}", self.environment),
            None => format!("/environments/{}", self.environment),
        }
    }

    /// The event as CloudEvents 1.0 in JSON, with the extension attributes `sequence` and `actor`.
    ///
    /// See <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>.
    pub fn to_cloud_event(&self) -> Value {
        let mut event = json!({
            "specversion": "1.0",
            "id": self.id.to_string(),
            "sequence": self.sequence,
            "source": self.source(),
            "type": self.kind,
            "time": moment::rfc3339(self.time),
            "datacontenttype": "application/json",
            "data": self.data,
        });
        // An attribute without a value is left out, as the format asks.
        for (attribute, value) in [("subject", &self.subject), ("actor", &self.actor)] {
            if let Some(value) = value {
                event[attribute] = Value::from(value.as_str());
            }
        }
        event
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_have_distinct_words() {
        let words: std::collections::BTreeSet<_> = EventType::ALL.iter().map(|kind| kind.as_str()).collect();
        assert_eq!(words.len(), EventType::ALL.len());
    }

    #[test]
    fn a_cloud_event_leaves_out_what_it_does_not_have() {
        let event = Event {
            sequence: 7,
            id: Uuid::nil(),
            kind: EventType::SchemaDrift.as_str().to_owned(),
            environment: "default".to_owned(),
            datasource: Some("crm".to_owned()),
            subject: Some("public.cust".to_owned()),
            time: moment::from_micros(1_700_000_000_000_001),
            actor: None,
            data: json!({"differences": []}),
        };
        assert_eq!(
            event.to_cloud_event(),
            json!({
                "specversion": "1.0",
                "id": "00000000-0000-0000-0000-000000000000",
                "sequence": 7,
                "source": "/environments/default/datasources/crm",
                "type": "external.schema.drift",
                "subject": "public.cust",
                "time": "2023-11-14T22:13:20.000001Z",
                "datacontenttype": "application/json",
                "data": {"differences": []},
            })
        );
    }
}
