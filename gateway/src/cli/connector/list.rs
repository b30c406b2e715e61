//! What connectors say about themselves, for people and for programs.

use causeway_providers::{ConnectorRegistry, Manifest, OptionSpec, Presence, ValueKind, Visibility};
use serde_json::{Value, json};

use super::super::terminal::Terminal;
use super::super::{OK, UNUSABLE, table};

/// Shows all connectors.
pub(super) fn list(registry: &ConnectorRegistry, as_json: bool, terminal: &Terminal) -> u8 {
    if as_json {
        terminal.line(Value::from(registry.connectors().map(|connector| described(connector.manifest())).collect::<Vec<_>>()));
        return OK;
    }
    let mut shown = table::headed(["connector", "version", "description", "computes"]);
    for connector in registry.connectors() {
        let manifest = connector.manifest();
        let computes = declared(manifest);
        shown.add_row([manifest.kind, manifest.version, manifest.description, &computes.join(", ")]);
    }
    terminal.line(shown);
    OK
}

/// Shows one connector.
pub(super) fn show(registry: &ConnectorRegistry, kind: &str, as_json: bool, terminal: &Terminal) -> u8 {
    let Some(connector) = registry.get(kind) else {
        let kinds: Vec<_> = registry.kinds().collect();
        terminal.error(&format!("there is no connector \"{kind}\""), Some(&format!("This build has {}.", kinds.join(", "))));
        return UNUSABLE;
    };
    let manifest = connector.manifest();
    if as_json {
        terminal.line(described(manifest));
        return OK;
    }
    terminal.line(format!("{} {}\n{}\n", terminal.bold(manifest.kind), manifest.version, manifest.description));
    if manifest.options.is_empty() {
        terminal.line("It takes no options.");
    } else {
        let mut shown = table::headed(["key", "value", "when left out", "what it is"]);
        for option in manifest.options {
            shown.add_row([place(option), values(option.value), left_out(option.presence), option.doc.to_owned()]);
        }
        terminal.line(shown);
    }
    let computes = declared(manifest);
    let computes = if computes.is_empty() { "nothing, it is read from end to end".to_owned() } else { computes.join(", ") };
    terminal.line(format!("\nIts sources compute: {computes}\nHealth check: {}", manifest.health_check));
    OK
}

fn declared(manifest: &Manifest) -> Vec<&'static str> {
    manifest.capabilities.flags().into_iter().filter(|(_, declared)| *declared).map(|(name, _)| name).collect()
}

/// Where an option is written.
fn place(option: &OptionSpec) -> String {
    let section = match option.visibility {
        Visibility::Public => "options",
        Visibility::Secret => "credentials",
    };
    format!("{section}.{}", option.name)
}

fn values(kind: ValueKind) -> String {
    match kind {
        ValueKind::Text => "text".to_owned(),
        ValueKind::Port => "port".to_owned(),
        ValueKind::Path => "path".to_owned(),
        ValueKind::Location => "path or URL".to_owned(),
        ValueKind::Flag => "true or false".to_owned(),
        ValueKind::Choice(words) => words.join(", "),
    }
}

fn left_out(presence: Presence) -> String {
    match presence {
        Presence::Required => "it is required".to_owned(),
        Presence::Optional => "-".to_owned(),
        Presence::Default(value) => value.to_owned(),
    }
}

fn described(manifest: &Manifest) -> Value {
    let option = |option: &OptionSpec| {
        json!({
            "name": option.name,
            "secret": option.visibility == Visibility::Secret,
            "required": option.presence == Presence::Required,
            "default": match option.presence {
                Presence::Default(value) => Some(value),
                Presence::Required | Presence::Optional => None,
            },
            "value": values(option.value),
            "description": option.doc,
        })
    };
    let capabilities: serde_json::Map<String, Value> =
        manifest.capabilities.flags().into_iter().map(|(name, declared)| (name.to_owned(), Value::from(declared))).collect();
    json!({
        "kind": manifest.kind,
        "version": manifest.version,
        "description": manifest.description,
        "capabilities": capabilities,
        "health_check": manifest.health_check,
        "options": manifest.options.iter().map(option).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_say_what_manifests_say() {
        let document = include_str!("../../../../docs/connectors.md");
        for connector in ConnectorRegistry::built_in().connectors() {
            let manifest = connector.manifest();
            let computes = declared(manifest);
            let computes = if computes.is_empty() { "nothing".to_owned() } else { computes.join(", ") };
            let row = format!("| `{}` | {} | {computes} |", manifest.kind, manifest.description);
            assert!(document.contains(&row), "docs/connectors.md lacks:\n{row}");
        }
    }

    #[test]
    fn every_connector_describes_itself() {
        for connector in ConnectorRegistry::built_in().connectors() {
            let shown = described(connector.manifest());
            assert_eq!(shown["kind"], connector.manifest().kind);
            assert_eq!(shown["options"].as_array().map(Vec::len), Some(connector.manifest().options.len()));
            let secret = shown["options"].as_array().into_iter().flatten().any(|option| option["secret"] == true);
            assert_eq!(secret, connector.manifest().options.iter().any(|option| option.visibility == Visibility::Secret), "{shown}");
        }
    }
}
